package sandbox_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

func TestQuirksChangeTheAnswerAndNothingElse(t *testing.T) {
	for _, row := range []struct {
		quirk sandbox.Quirk
		want  string // somewhere in the body of a refresh
	}{
		{sandbox.ErrorOKFalse, `"ok":true`},
		{sandbox.FormEncoded, `&expires_in=3600&refresh_token=`},
		{sandbox.ExpiresInText, `"expires_in":"3600"`},
		{sandbox.ExpiresInEmpty, `"expires_in":""`},
		{sandbox.ExpiresInFloat, `"expires_in":3600.0`},
		{sandbox.ExpiresInFloatText, `"expires_in":"3600.0"`},
		{sandbox.ExpiresInExponent, `"expires_in":3.6e3`},
		{sandbox.ExpiresInNull, `"expires_in":null`},
		{sandbox.ExpiresInZero, `"expires_in":0`},
		{sandbox.ExpiresInNegative, `"expires_in":-1`},
		{sandbox.TokenTypeLower, `"token_type":"bearer"`},
		{sandbox.ScopeNull, `"scope":null`},
		{sandbox.ScopeList, `"scope":["a","b"]`},
		{sandbox.ScopeCommas, `"scope":"a,b"`},
		{sandbox.ErrorNull, `"error":null`},
		{sandbox.RefreshTokenNull, `"refresh_token":null`},
		{sandbox.RefreshTokenEmpty, `"refresh_token":""`},
		{sandbox.ByteOrderMark, "\xef\xbb\xbf{"},
	} {
		t.Run(string(row.quirk), func(t *testing.T) {
			a := newApp(t, func(c *sandbox.Config) { c.Quirks = []sandbox.Quirk{row.quirk} })
			r := a.refresh(a.Issue("post", ada, "a b").RefreshToken)
			if r.status != http.StatusOK || !strings.Contains(r.body, row.want) || !strings.Contains(r.body, a.LastIssued().AccessToken) {
				t.Errorf("status %d, %s; want %s and the token issued", r.status, r.body, row.want)
			}
		})
	}
	for quirk, member := range map[sandbox.Quirk]string{
		sandbox.ExpiresInMissing: "expires_in", sandbox.TokenTypeMissing: "token_type", sandbox.ScopeMissing: "scope",
		sandbox.RefreshTokenLeftOut: "refresh_token", sandbox.MetadataLeftOut: "instance_url",
	} {
		t.Run(string(quirk), func(t *testing.T) {
			a := newApp(t, func(c *sandbox.Config) { c.TokenMetadata = map[string]string{"instance_url": "https://eu1.example"} })
			token := a.Issue("post", ada, "a b").RefreshToken
			r := a.refresh(token)
			if _, there := r.fields[member]; !there {
				t.Errorf("%s is missing without the quirk", member)
			}
			a.Fault(sandbox.Token, sandbox.Fault{Quirks: []sandbox.Quirk{quirk}})
			r = a.refresh(r.text("refresh_token"))
			if _, there := r.fields[member]; there || r.status != http.StatusOK {
				t.Errorf("status %d, %s; want no %s", r.status, r.body, member)
			}
		})
	}
}

func TestARefreshTokenThatIsNotReplacedStaysGood(t *testing.T) {
	for _, quirk := range []sandbox.Quirk{sandbox.RefreshTokenLeftOut, sandbox.RefreshTokenNull, sandbox.RefreshTokenEmpty} {
		a := newApp(t, func(c *sandbox.Config) { c.Quirks = []sandbox.Quirk{quirk} })
		first := a.Issue("post", ada, "a")
		for range 3 {
			a.mustRefresh(first.RefreshToken)
		}
		if n := a.RevokedFamilies(); n != 0 {
			t.Errorf("%s: RevokedFamilies = %d, want 0", quirk, n)
		}
	}
}

func TestOnlyTheFirstConsentBringsARefreshToken(t *testing.T) {
	a := newApp(t, func(c *sandbox.Config) { c.Quirks = []sandbox.Quirk{sandbox.RefreshTokenFirstConsentOnly} })
	consent := func() reply { return a.post("/oauth/token", redemption(a.approve("post").Get("code"))) }
	first := consent()
	if second := consent(); first.text("refresh_token") == "" || second.text("refresh_token") != "" || !a.Valid(second.text("access_token")) {
		t.Errorf("first: %s\nsecond: %s", first.body, second.body)
	}
	a.RevokeFamily(a.FamilyOf(first.text("access_token")))
	if third := consent(); third.text("refresh_token") == "" {
		t.Error("no refresh token after the first one was revoked")
	}
}

func TestRefusalsWithStatus200(t *testing.T) {
	wrongSecret := refreshForm("x")
	wrongSecret.Set("client_secret", "guessed")
	for _, row := range []struct {
		name  string
		quirk sandbox.Quirk
		form  url.Values
		want  map[string]any
	}{
		{"GitHub, refresh token", sandbox.ErrorWith200, refreshForm("x"), map[string]any{"error": "bad_refresh_token"}},
		{"GitHub, code", sandbox.ErrorWith200, redemption("x"), map[string]any{"error": "bad_verification_code"}},
		{"GitHub, client", sandbox.ErrorWith200, wrongSecret, map[string]any{"error": "incorrect_client_credentials"}},
		{"Slack, refresh token", sandbox.ErrorOKFalse, refreshForm("x"), map[string]any{"error": "invalid_refresh_token", "ok": false}},
		{"Slack, code", sandbox.ErrorOKFalse, redemption("x"), map[string]any{"error": "invalid_code", "ok": false}},
		{"Slack, client", sandbox.ErrorOKFalse, wrongSecret, map[string]any{"error": "bad_client_secret", "ok": false}},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := newApp(t, func(c *sandbox.Config) { c.Quirks = []sandbox.Quirk{row.quirk} })
			r := a.post("/oauth/token", row.form)
			delete(r.fields, "error_description")
			delete(r.fields, "error_uri")
			if diff := cmp.Diff(row.want, r.fields); diff != "" || r.status != http.StatusOK {
				t.Errorf("status %d, want 200; members (-want +got):\n%s", r.status, diff)
			}
		})
	}
}

func TestAConfigThatCannotWorkIsRefused(t *testing.T) {
	for name, config := range map[string]sandbox.Config{
		"a quirk that there is not":    {Quirks: []sandbox.Quirk{"other"}},
		"a life of less than a second": {TokenLifetime: 500 * time.Millisecond},
		"a negative grace":             {ReuseGrace: -time.Second},
	} {
		if _, err := sandbox.New(config); err == nil {
			t.Errorf("New took %s", name)
		}
	}
}

// tokens are what differs from one answer to the next.
var tokens = regexp.MustCompile(`[A-Za-z0-9_-]{32}`)

// TestTheTransportAnswersAsASocketDoes compares what a client gets in both ways.
func TestTheTransportAnswersAsASocketDoes(t *testing.T) {
	type seen struct {
		Status            int
		Body, ContentType string
		BrokenOff, Closed bool
	}
	look := func(t *testing.T, transport func(*sandbox.Sandbox) http.RoundTripper, fault sandbox.Fault) seen {
		a := newApp(t, nil)
		a.http.Transport = transport(a.Sandbox)
		token := a.Issue("post", ada, "a b").RefreshToken
		a.Fault(sandbox.Token, fault)
		r, err := a.do(postRequest(t.Context(), t, "/oauth/token", refreshForm(token)))
		return seen{
			Status: r.status, Body: tokens.ReplaceAllString(r.body, "…"), ContentType: r.header.Get("Content-Type"),
			BrokenOff: errors.Is(err, io.ErrUnexpectedEOF), Closed: errors.Is(err, io.EOF),
		}
	}
	socket := func(t *testing.T) func(*sandbox.Sandbox) http.RoundTripper {
		return func(s *sandbox.Sandbox) http.RoundTripper {
			server := httptest.NewServer(s)
			t.Cleanup(server.Close)
			address, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			return rewrite{to: address, next: server.Client().Transport}
		}
	}
	faults := map[string]sandbox.Fault{"none": {}, "drop": {Drop: true}, "drop-after": {DropAfter: true}, "status": {Status: 503}}
	for _, quirk := range sandbox.Quirks() {
		faults[string(quirk)] = sandbox.Fault{Quirks: []sandbox.Quirk{quirk}}
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			want, got := look(t, socket(t), fault), look(t, (*sandbox.Sandbox).Transport, fault)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-socket +transport):\n%s", diff)
			}
		})
	}
}

// rewrite leads requests to a server on this machine.
type rewrite struct {
	to   *url.URL
	next http.RoundTripper
}

func (r rewrite) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Host = r.to.Host
	return r.next.RoundTrip(req)
}
