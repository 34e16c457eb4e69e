package browsertest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// failedPath is the folder for pictures of the pages at which tests have failed.
const failedPath = "../../../bin/screenshots/failed"

// report tells what the tab showed when the test failed. It does not fail itself:
// a browser that hangs has been reported already.
func (tab *Tab) report() {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, 10*time.Second)
	defer cancel()
	address, _ := chromedp.Run(ctx, chromedp.Location())
	html, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.documentElement.outerHTML`))
	if err != nil {
		tab.t.Logf("the page at the end could not be read: %v", err)
		return
	}
	tab.t.Logf("at the end the tab was at %s:\n%s", address, html)
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	path := filepath.Join(failedPath, strings.ReplaceAll(tab.t.Name(), "/", "-")+".png")
	if err == nil {
		err = os.MkdirAll(failedPath, 0o755)
	}
	if err == nil {
		err = os.WriteFile(path, picture, 0o644)
	}
	tab.t.Logf("its picture: %s (%v)", path, err)
}
