package browsertest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// stepLimit ends a step that hangs. It says nothing of how quick a page is to be.
const stepLimit = time.Minute

// Browser is one person's: its cookies are no other's.
type Browser struct {
	t        testing.TB
	chromium *Chromium
	id       cdp.BrowserContextID
	scripts  bool
	look     look
}

// NewBrowser returns a browser for the length of the test.
func (c *Chromium) NewBrowser(t testing.TB) *Browser {
	t.Helper()
	made, err := chromedp.CallBrowser(c.ctx, target.CreateBrowserContext, target.CreateBrowserContextParams{})
	if err != nil {
		t.Fatalf("browsertest: new browser: %v", err)
	}
	t.Cleanup(func() {
		_, err := chromedp.CallBrowser(c.ctx, target.DisposeBrowserContext, target.DisposeBrowserContextParams(made))
		if err != nil {
			t.Errorf("browsertest: end a browser: %v", err)
		}
	})
	return &Browser{t: t, chromium: c, id: made.BrowserContextID, scripts: true, look: laptop()}
}

// WithoutScripts has the tabs that are opened from now on run no JavaScript.
func (b *Browser) WithoutScripts() *Browser {
	b.scripts = false
	return b
}

// OnAPhone has the tabs that are opened from now on be 360 pixels wide.
func (b *Browser) OnAPhone() *Browser {
	b.look = phone()
	return b
}

// Tab is a tab of a Browser. Its methods end the test where something does not go
// as the test says.
type Tab struct {
	t        testing.TB
	chromium *Chromium
	ctx      context.Context
	look     look
	scripts  bool
	complaints
}

// Open opens an address in a new tab.
func (b *Browser) Open(url string) *Tab {
	b.t.Helper()
	tab := &Tab{t: b.t, chromium: b.chromium, look: b.look, scripts: b.scripts}
	var cancel context.CancelFunc
	tab.ctx, cancel = chromedp.NewContext(b.chromium.ctx, chromedp.WithExistingBrowserContext(b.id), chromedp.WithNewWindow(true), chromedp.WithListener(tab.listen))
	b.t.Cleanup(func() {
		tab.checkComplaints()
		if b.t.Failed() {
			tab.report()
		}
		cancel()
	})
	// A tab lives as long as the context of the first thing that is done with it.
	if err := chromedp.Do(tab.ctx); err != nil {
		b.t.Fatalf("browsertest: open a tab: %v", err)
	}
	tab.do("prepare a tab",
		call(audits.Enable, cdp.Empty{}),
		runScripts(b.scripts),
		b.look.set(),
	)
	tab.Visit(url)
	return tab
}

// call is a command of the DevTools protocol whose answer does not matter.
func call[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

func runScripts(yes bool) chromedp.Action[chromedp.Void] {
	return call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !yes})
}

func (tab *Tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	run(tab, what, chromedp.Steps(steps...))
}

// run runs an action in a tab.
func run[T any](tab *Tab, what string, action chromedp.Action[T]) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, stepLimit)
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	if err != nil {
		tab.t.Fatalf("browsertest: %s: %v", what, err)
	}
	return result
}

// Visit goes to an address, and waits until the page is there.
func (tab *Tab) Visit(url string) {
	tab.t.Helper()
	tab.do("visit "+url, chromedp.Navigate(url))
}

// Back is the browser's button.
func (tab *Tab) Back() {
	tab.t.Helper()
	tab.do("go back", chromedp.NavigateBack())
}

// Reload is the browser's button.
func (tab *Tab) Reload() {
	tab.t.Helper()
	tab.do("reload", chromedp.Reload())
}

// See waits until the page's heading is this one.
func (tab *Tab) See(heading string) {
	tab.t.Helper()
	tab.SeeIn("h1", heading)
}

// SeeIn is See for elements of another kind.
func (tab *Tab) SeeIn(element, text string) {
	tab.t.Helper()
	tab.do("wait to see "+text, chromedp.WaitVisible(chromedp.Search(named(text, element))))
}

// Read waits until there is a paragraph with the text.
func (tab *Tab) Read(text string) {
	tab.t.Helper()
	tab.do("wait for the text "+text, chromedp.WaitVisible(chromedp.Search(fmt.Sprintf(`//p[contains(normalize-space(), %q)]`, text))))
}

// Press clicks on the button or link of that name.
func (tab *Tab) Press(name string) {
	tab.t.Helper()
	tab.do("press "+name, chromedp.Click(chromedp.Search(named(name, "button", "a"))))
}

// DoublePress clicks twice, as people do who think that one has to.
func (tab *Tab) DoublePress(name string) {
	tab.t.Helper()
	tab.do("press twice "+name, chromedp.DoubleClick(chromedp.Search(named(name, "button", "a"))))
}

// Choose clicks on the choice whose label contains the text.
func (tab *Tab) Choose(text string) {
	tab.t.Helper()
	tab.do("choose "+text, chromedp.Click(chromedp.Search(fmt.Sprintf(`//label[contains(., %q)]`, text))))
}

// Enter types into the field of that label.
func (tab *Tab) Enter(label, text string) {
	tab.t.Helper()
	field := fmt.Sprintf(`//input[@id=//label[normalize-space()=%q]/@for]`, label)
	tab.do("fill in "+label, chromedp.SendKeys(chromedp.Search(field), text))
}

// Keys presses keys, as people do who have no mouse.
func (tab *Tab) Keys(keys string) {
	tab.t.Helper()
	tab.do("press keys", chromedp.KeyEvent(keys))
}

// Reach presses the tab key until the button, link or field of that name has the focus.
func (tab *Tab) Reach(name string) {
	tab.t.Helper()
	const focused = `(e => e.ariaLabel || e.labels?.[0]?.innerText || e.innerText)(document.activeElement)`
	for range 100 {
		tab.Keys(kb.Tab)
		if run(tab, "see what has the focus", chromedp.Evaluate[string](focused)) == name {
			return
		}
	}
	tab.t.Fatalf("browsertest: %s cannot be reached with the tab key", name)
}

// named is the XPath of elements by their names, as screen readers say them.
func named(name string, elements ...string) string {
	var paths []string
	for _, element := range elements {
		paths = append(paths, fmt.Sprintf(`//%s[@aria-label=%q or not(@aria-label) and normalize-space()=%q]`, element, name, name))
	}
	return strings.Join(paths, " | ")
}

// Text returns what there is to read on the page.
func (tab *Tab) Text() string {
	tab.t.Helper()
	return run(tab, "read the page", chromedp.Evaluate[string](`document.body.innerText`))
}

// Address returns the page's address.
func (tab *Tab) Address() string {
	tab.t.Helper()
	return run(tab, "read the address", chromedp.Location())
}
