package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// look is how somebody sees a page.
type look struct {
	name          string
	scheme        string
	width, height int64
}

// looks are those that every page is inspected in.
func looks() []look {
	return []look{
		laptop(),
		{"wide-dark", "dark", 1280, 800},
		phone(),
		{"narrow-dark", "dark", 360, 740},
	}
}

func laptop() look { return look{"wide-light", "light", 1280, 800} }

func phone() look { return look{"narrow-light", "light", 360, 740} }

func (l look) set() chromedp.Action[chromedp.Void] {
	return chromedp.Steps(
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: l.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}),
		call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: l.width, Height: l.height, DeviceScaleFactor: 1, Mobile: l.width < 600,
		}),
	)
}

// Inspect looks at the page in light and dark, wide and narrow: that axe-core finds
// nothing which keeps people out, that nothing has to be scrolled sideways, and
// that the browser has not complained. The name is the page's, for pictures.
func (tab *Tab) Inspect(name string) {
	tab.t.Helper()
	tab.checkComplaints()
	tab.do("let axe-core run", runScripts(true)) // those of the page have had their chance
	world := run(tab, "load axe-core", tab.loadAxe)
	for _, l := range looks() {
		tab.do("look at it "+l.name, l.set())
		for _, violation := range run(tab, "run axe-core", runAxe(world)) {
			tab.t.Errorf("%s, %s: %s", name, l.name, violation)
		}
		if width := run(tab, "measure the page", chromedp.Evaluate[int64](`document.documentElement.scrollWidth`)); width > l.width {
			tab.t.Errorf("%s, %s: the page is %d pixels wide, and has to be scrolled sideways", name, l.name, width)
		}
		if tab.chromium.Screenshots != "" {
			tab.save(filepath.Join(tab.chromium.Screenshots, name+"-"+l.name+".png"))
		}
	}
	tab.do("look as before", tab.look.set(), runScripts(tab.scripts))
}

// axePath leads from this package to axe-core.
const axePath = "../../../.ci/web/node_modules/axe-core/axe.min.js"

func readAxe() (string, error) {
	source, err := os.ReadFile(axePath)
	if err != nil {
		return "", fmt.Errorf("the browser tests need axe-core: run make test, or npm ci --ignore-scripts --prefix .ci/web (%w)", err)
	}
	return string(source), nil
}

// loadAxe gives the page a world of JavaScript that its own scripts do not see, and
// loads axe-core there.
func (tab *Tab) loadAxe(ctx context.Context, t *chromedp.Target) (runtime.ExecutionContextID, error) {
	tree, err := cdp.Call(ctx, t, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		return 0, err
	}
	world, err := cdp.Call(ctx, t, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: tree.FrameTree.Frame.ID, WorldName: "axe"})
	if err != nil {
		return 0, err
	}
	_, err = chromedp.Evaluate[chromedp.Void](tab.chromium.axe+";undefined", in(world.ExecutionContextID))(ctx, t)
	return world.ExecutionContextID, err
}

func in(world runtime.ExecutionContextID) chromedp.EvaluateOption {
	return func(p *runtime.EvaluateParams) { p.ContextID = world }
}

// axeCheck returns what axe-core is sure of, and what it could not decide.
const axeCheck = `axe.run(document, {preload: false, resultTypes: ["violations", "incomplete"]}).then(found =>
	JSON.stringify([...found.violations, ...found.incomplete].map(rule =>
		({rule: rule.id, help: rule.help, at: rule.nodes.map(node => node.html + " " + [...node.any, ...node.all, ...node.none].map(check => check.message).join("; "))}))))`

func runAxe(world runtime.ExecutionContextID) chromedp.Action[[]string] {
	evaluate := chromedp.Evaluate[string](axeCheck, in(world), chromedp.EvalAwaitPromise)
	return func(ctx context.Context, t *chromedp.Target) ([]string, error) {
		text, err := evaluate(ctx, t)
		if err != nil {
			return nil, err
		}
		var rules []struct {
			Rule, Help string
			At         []string
		}
		if err := json.Unmarshal([]byte(text), &rules); err != nil {
			return nil, err
		}
		var found []string
		for _, r := range rules {
			found = append(found, fmt.Sprintf("%s (%s)\n\t%s", r.Help, r.Rule, strings.Join(r.At, "\n\t")))
		}
		return found, nil
	}
}

// save takes a picture of the whole page.
func (tab *Tab) save(path string) {
	tab.t.Helper()
	picture := run(tab, "take a picture", chromedp.FullScreenshot(100))
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, picture, 0o644)
	}
	if err != nil {
		tab.t.Errorf("browsertest: %v", err)
	}
}
