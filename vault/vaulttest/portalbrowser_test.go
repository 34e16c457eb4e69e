package vaulttest_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// visitor is a person at a browser without scripts: reads pages, follows links,
// presses buttons.
type visitor struct {
	t      *testing.T
	s      *vaulttest.Stack
	client *http.Client
	// code, page and at are what the browser shows.
	code int
	page string
	at   *url.URL
}

func newVisitor(t *testing.T, s *vaulttest.Stack) *visitor {
	t.Helper()
	return &visitor{t: t, s: s, client: s.NewBrowser()}
}

// portalLink asks for a link for a subject.
func portalLink(t *testing.T, c tokenvaultv1.VaultServiceClient, subject string) string {
	t.Helper()
	resp, err := c.CreatePortalSession(t.Context(), &tokenvaultv1.CreatePortalSessionRequest{Subject: subject})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetPortalUrl()
}

// inPortal is a visitor who has opened a link for a subject.
func inPortal(t *testing.T, s *vaulttest.Stack, subject string) *visitor {
	t.Helper()
	v := newVisitor(t, s)
	v.enter(portalLink(t, s.Client, subject))
	return v
}

func (v *visitor) enter(link string) {
	v.t.Helper()
	v.get(link)
	v.press("open-submit")
	v.want(http.StatusOK, "Your connections", "You are signed in.")
}

func (v *visitor) shown(resp *http.Response, err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	v.code, v.page, v.at = resp.StatusCode, v.s.Body(resp), resp.Request.URL
	if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		v.t.Errorf("%v has the policy %q", v.at, policy)
	}
}

// get opens an address: a whole one, or a path of the gateway.
func (v *visitor) get(address string) {
	v.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = v.s.GatewayURL + address
	}
	v.shown(v.client.Get(address))
}

// follow opens the link of that id.
func (v *visitor) follow(id string) {
	v.t.Helper()
	link := regexp.MustCompile(`<a[^>]* id="` + regexp.QuoteMeta(id) + `" href="([^"]+)"`).FindStringSubmatch(v.page)
	if link == nil {
		v.t.Fatalf("there is no link %q:\n%s", id, v.page)
	}
	v.get(html.UnescapeString(link[1]))
}

var (
	anyForm   = regexp.MustCompile(`(?s)<form[^>]* action="([^"]+)".*?</form>`)
	anyHidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)
)

// form returns where the form with that button leads, and its fields.
func (v *visitor) form(button string) (action string, fields url.Values) {
	v.t.Helper()
	for _, match := range anyForm.FindAllStringSubmatch(v.page, -1) {
		if !strings.Contains(match[0], ` id="`+button+`"`) {
			continue
		}
		fields = url.Values{}
		for _, input := range anyHidden.FindAllStringSubmatch(match[0], -1) {
			fields.Set(html.UnescapeString(input[1]), html.UnescapeString(input[2]))
		}
		return html.UnescapeString(match[1]), fields
	}
	v.t.Fatalf("there is no form with the button %q:\n%s", button, v.page)
	return "", nil
}

// press sends the form with that button, with what is entered: pairs of name and
// value.
func (v *visitor) press(button string, entered ...string) {
	v.t.Helper()
	action, fields := v.form(button)
	for i := 0; i < len(entered); i += 2 {
		fields.Set(entered[i], entered[i+1])
	}
	v.send(action, fields)
}

func (v *visitor) send(action string, fields url.Values) {
	v.t.Helper()
	v.shown(v.client.PostForm(v.s.GatewayURL+action, fields))
}

var anyRefresh = regexp.MustCompile(`<meta http-equiv="refresh" content="0;url=([^"]+)">`)

// sentOn is where the page sends the browser.
func (v *visitor) sentOn() string {
	v.t.Helper()
	match := anyRefresh.FindStringSubmatch(v.page)
	if match == nil {
		v.t.Fatalf("the page sends the browser nowhere (%d):\n%s", v.code, v.page)
	}
	return html.UnescapeString(match[1])
}

// consent goes where the page sends the browser, and allows access there.
func (v *visitor) consent(account int) {
	v.t.Helper()
	v.shown(sandbox.Person{Client: v.client}.Approve(v.t.Context(), v.sentOn(), account))
}

// connect connects an account with one click, and consents.
func (v *visitor) connect(button string, account int) {
	v.t.Helper()
	v.get("/portal")
	v.press(button)
	v.consent(account)
}

// want fails unless the page has that status and all of these texts.
func (v *visitor) want(code int, texts ...string) {
	v.t.Helper()
	if v.code != code {
		v.t.Errorf("the browser shows a page with status %d, want %d", v.code, code)
	}
	shown := text(v.page)
	for _, want := range texts {
		if !strings.Contains(shown, want) {
			v.t.Errorf("the page does not say %q:\n%s", want, shown)
		}
	}
}

// wantNot fails if the page has one of these texts, in whatever form.
func (v *visitor) wantNot(texts ...string) {
	v.t.Helper()
	for _, unwanted := range texts {
		if strings.Contains(v.page, unwanted) || strings.Contains(text(v.page), unwanted) {
			v.t.Errorf("the page has %q:\n%s", unwanted, v.page)
		}
	}
}

var anyTag = regexp.MustCompile(`<[^>]*>`)

// text is what a page says, without its tags.
func text(page string) string {
	_, body, _ := strings.Cut(page, "<body")
	return strings.Join(strings.Fields(html.UnescapeString(anyTag.ReplaceAllString("<body"+body, " "))), " ")
}

// status is the status that the page shows of a connection, or "" if it is not there.
func (v *visitor) status(connection string) string {
	match := regexp.MustCompile(` id="` + regexp.QuoteMeta(connection) + `" data-status="([a-z]+)"`).FindStringSubmatch(v.page)
	if match == nil {
		return ""
	}
	return match[1]
}
