// Package browsertest drives the vault's pages in a real Chromium, as people see
// them: it presses what it finds by its name, waits for what it is to see, and has
// every page looked at for accessibility.
//
// Nothing of it reaches further than loopback. What the pages complain of in the
// console fails the test, as does everything that their Content-Security-Policy
// has blocked.
package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/chromedp/chromedp"
)

// errNoChromium says how to get one.
var errNoChromium = errors.New("the browser tests need Chromium or Google Chrome, and there is neither: install one " +
	"(on Debian: apt-get install chromium; on macOS: brew install --cask chromium), or have TOKENVAULT_CHROMIUM name its binary")

// Chromium is a running browser without a window, for the tests of one binary. It
// is safe for concurrent use.
type Chromium struct {
	// Screenshots is the folder for pictures of every page that is inspected. Empty:
	// none are taken. It must not be changed once there is a Browser.
	Screenshots string

	ctx    context.Context
	cancel context.CancelFunc
	// home is where it may leave what it likes to leave in $HOME and /tmp.
	home string
	axe  string
}

// Start starts Chromium. An error says what has to be installed.
func Start() (*Chromium, error) {
	path, err := findChromium()
	if err != nil {
		return nil, err
	}
	axe, err := readAxe()
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "browsertest")
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.Env("TMPDIR="+home, "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home),
		// Without the cache, the button back loads a page anew, which is the harder
		// case; DevTools lose pages that come from there.
		chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,BackForwardCache"),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
	)
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...) // outlives every test
	ctx, cancelBrowser := chromedp.NewContext(allocator)
	c := &Chromium{ctx: ctx, home: home, axe: axe, cancel: func() { cancelBrowser(); cancelAllocator() }}
	if err := chromedp.Do(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", path, err), c.Stop())
	}
	return c, nil
}

// Stop ends the browser, and all that it has left.
func (c *Chromium) Stop() error {
	c.cancel()
	return os.RemoveAll(c.home)
}

// findChromium returns the path of a Chromium.
func findChromium() (string, error) {
	if path := os.Getenv("TOKENVAULT_CHROMIUM"); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("TOKENVAULT_CHROMIUM: %w", err)
		}
		return path, nil
	}
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}
	if runtime.GOOS == "darwin" {
		names = append(names, "/Applications/Chromium.app/Contents/MacOS/Chromium", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoChromium
}
