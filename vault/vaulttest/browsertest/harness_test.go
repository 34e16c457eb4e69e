package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// recorder takes down what would fail a test.
type recorder struct {
	testing.TB
	errors strings.Builder
}

func (r *recorder) Errorf(format string, args ...any) { fmt.Fprintf(&r.errors, format+"\n", args...) }

func TestInspectFindsWhatIsWrongWithAPage(t *testing.T) {
	t.Parallel()
	const icon = `<link rel="icon" href="data:,">`
	page := func(head, body string) string {
		return `<!DOCTYPE html><html lang="en"><head><title>x</title><meta name="viewport" content="width=device-width">` + head +
			`</head><body><main><h1>x</h1>` + body + `</main></body></html>`
	}
	for _, row := range []struct{ name, csp, page, want string }{
		{"nothing", "", page(icon, ""), ""},
		{"contrast", "", page(icon, `<p style="color: #aaa">pale</p>`), "color-contrast"},
		{"contrast in the dark", "", page(icon+`<style>@media (prefers-color-scheme: dark) { body { background: #000 } p { color: #333 } }</style>`, `<p>pale</p>`), "wide-dark"},
		{"a field without a name", "", page(icon, `<input>`), "(label)"},
		{"wide", "", page(icon, `<div style="width: 500px">wide</div>`), "scrolled sideways"},
		{"an exception", "", page(icon, `<script>nothing()</script>`), "exception"},
		{"an error in the console", "", page(icon, `<script>console.error("broken")</script>`), "broken"},
		{"a style that the policy forbids", "default-src 'none'; img-src data:", page(icon, `<p style="color: red">red</p>`), "ContentSecurityPolicyIssue"},
		{"a file that is missing", "", page(icon, `<img src="/missing.png" alt="missing">`), "status 404"},
	} {
		t.Run(row.name, func(t *testing.T) {
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/" {
					http.NotFound(w, r)
					return
				}
				if row.csp != "" {
					w.Header().Set("Content-Security-Policy", row.csp)
				}
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				fmt.Fprint(w, row.page)
			}))
			defer web.Close()
			tab := chromium.NewBrowser(t).Open(web.URL)
			seen := &recorder{TB: t}
			tab.t, tab.chromium = seen, &Chromium{axe: chromium.axe} // without pictures
			tab.Inspect("page")
			tab.t = t
			if got := seen.errors.String(); !strings.Contains(got, row.want) || row.want == "" && got != "" {
				t.Errorf("found %q, want %q in it", got, row.want)
			}
		})
	}
}

func TestNothingButLoopbackIsReached(t *testing.T) {
	t.Parallel()
	tab := chromium.NewBrowser(t).Open("about:blank")
	for _, url := range []string{"http://example.com", "http://192.0.2.1", "http://[2001:db8::1]"} {
		if err := chromedp.Do(tab.ctx, chromedp.Navigate(url)); err == nil || !strings.Contains(err.Error(), "ERR_NAME_NOT_RESOLVED") {
			t.Errorf("%s: error = %v, want ERR_NAME_NOT_RESOLVED", url, err)
		}
	}
}
