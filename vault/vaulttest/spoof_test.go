package vaulttest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/audit"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// disguise is a key that means, or might mean, who is calling, with the value of
// somebody whom the caller is not.
type disguise struct{ key, value string }

// disguises are the keys. other is another caller's credential, cookie another
// browser's.
func disguises(other, cookie string) []disguise {
	const elsewhere = "203.0.113.66:6666"
	all := []disguise{
		{"authorization", "Bearer " + other}, {"proxy-authorization", "Bearer " + other}, {"x-authorization", "Bearer " + other},
		{"x-api-key", other}, {"token", other}, {"access_token", other}, {"subject_token", other},
		{"tokenvault-flow-cookie", cookie}, {"flow_cookie", cookie}, {"flowCookie", cookie},
		{"tokenvault-client-address", elsewhere}, {"x-forwarded-for", elsewhere}, {"x-real-ip", elsewhere}, {"forwarded", "for=" + elsewhere},
		{"x-forwarded-host", "evil.example"}, {"x-forwarded-proto", "https"}, {"x-forwarded-port", "1"}, {"x-original-url", "/v1/connections"}, {"x-rewrite-url", "/v1/connections"},
		{"x-http-method-override", "DELETE"}, {"x-method-override", "DELETE"}, {"_method", "DELETE"},
		{"te", "trailers"}, {"grpc-timeout", "1n"}, {"grpc-encoding", "gzip"}, {"grpc-trace-bin", "AAAA"}, {"via", "1.1 evil.example"},
		{"x-forwarded-client-cert", `By=spiffe://evil;Subject="CN=everything"`}, {"x-spiffe-id", "spiffe://evil/everything"},
	}
	for _, name := range []string{"caller", "tenant", "subject", "user", "x-caller", "x-tenant", "x-tenant-id", "x-subject", "x-user", "x-remote-user", "remote-user"} {
		all = append(all, disguise{name, "everything"})
	}
	return all
}

// spelled are the ways to write a key.
func spelled(key string) []string {
	return []string{
		key, strings.ToUpper(key), http.CanonicalHeaderKey(key), strings.ReplaceAll(key, "-", "_"), key + "-bin", key + "-Bin",
		"grpc-metadata-" + key, "Grpc-Metadata-" + key, "GRPC-METADATA-" + strings.ToUpper(key), "Grpc-Metadata-" + key + "-bin", "Grpc-Metadata-Grpc-Metadata-" + key,
		"grpcgateway-" + key, "Grpc-Metadata-grpcgateway-" + key, "Grpc_Metadata_" + key,
	}
}

// attempt is a request in disguise.
type attempt struct {
	name    string
	pretend func(*http.Request)
}

// attempts are keys × spellings × places. What is the very thing that a request may
// carry, spelled right and in its place, is not among them.
func attempts(other, cookie string) []attempt {
	var all []attempt
	for _, d := range disguises(other, cookie) {
		for _, name := range spelled(d.key) {
			add := func(place string, pretend func(*http.Request)) {
				all = append(all, attempt{fmt.Sprintf("%s in %s", name, place), pretend})
			}
			if !strings.EqualFold(name, "authorization") {
				add("a header", func(r *http.Request) { r.Header[name] = []string{d.value} })
				add("two headers", func(r *http.Request) { r.Header[name] = []string{d.value, d.value} })
			}
			add("the query", func(r *http.Request) {
				r.URL.RawQuery = strings.Trim(r.URL.RawQuery+"&"+url.Values{name: {d.value}}.Encode(), "&")
			})
			add("a cookie", func(r *http.Request) { r.AddCookie(&http.Cookie{Name: name, Value: url.QueryEscape(d.value)}) })
		}
	}
	return append(all, attempt{"Host", func(r *http.Request) { r.Host = "everything" }})
}

// principal is who an entry says has called, from where, and for what.
func principal(e audit.Entry) string {
	host, _, _ := strings.Cut(e.Peer, ":")
	return strings.Join([]string{e.RPC, string(e.Outcome), e.Reason, e.Caller, e.Tenant, e.Subject, e.Provider, e.Label, host, e.TraceID}, " ")
}

// send makes a request as it is after pretend, and returns its status and page.
func send(t *testing.T, s *vaulttest.Stack, address, token string, pretend func(*http.Request)) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	pretend(r)
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, s.Body(resp)
}

func asIs(*http.Request) {}

func TestNothingInARequestChangesWhoIsCalling(t *testing.T) {
	token := access.GenerateToken()
	s := vaulttest.New(t, vaulttest.Config{Audit: true, Rules: []access.Rule{{
		Name: "narrow", Tokens: access.HashTokens(token), Tenant: "narrow-tenant", RPCs: []string{"GetConnection"}, Providers: []string{"mailchimp"}, Subjects: []string{"alice"},
	}}})
	s.Connect("alice", "mailchimp", vaulttest.Ada) // in the other tenant
	address := s.GatewayURL + "/v1/subjects/alice/connections/mailchimp"
	before := len(entries(t, s))
	send(t, s, address, token.Reveal(), asIs)
	all := attempts(s.Token.Reveal(), strings.Repeat("A", 43))
	for _, a := range all {
		if code, body := send(t, s, address, token.Reveal(), a.pretend); code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404 as without it: %s", a.name, code, body)
		}
	}
	recorded := entries(t, s)[before:]
	if len(recorded) != len(all)+1 {
		t.Fatalf("%d entries for %d requests", len(recorded), len(all)+1)
	}
	want := principal(recorded[0])
	if want != "GetConnection failed NOT_CONNECTED narrow narrow-tenant alice mailchimp  127.0.0.1 " {
		t.Errorf("the plain request is recorded as %q", want)
	}
	for i, e := range recorded[1:] {
		if got := principal(e); got != want {
			t.Errorf("%s: recorded as %q, want %q", all[i].name, got, want)
		}
	}
}

func TestNothingButACredentialMakesACaller(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{Audit: true})
	before := len(entries(t, s))
	for _, a := range attempts(s.Token.Reveal(), strings.Repeat("A", 43)) {
		if code, body := send(t, s, s.GatewayURL+"/v1/connections", "", a.pretend); code != http.StatusUnauthorized {
			t.Errorf("%s: status %d: %s", a.name, code, body)
		}
	}
	for _, e := range entries(t, s)[before:] {
		if e.Caller != "" || e.Tenant != "" || e.Outcome != audit.Denied || !strings.HasPrefix(e.Peer, "127.0.0.1:") {
			t.Errorf("recorded: %+v", e)
		}
	}
}

func TestNothingButItsCookieMakesABrowserTheOneThatBegan(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{Audit: true})
	browser, callback := stopped(t, s, "alice", "acme")
	address, err := url.Parse(callback)
	if err != nil {
		t.Fatal(err)
	}
	cookie := browser.Jar.Cookies(address)[0]
	for _, a := range attempts(s.Token.Reveal(), cookie.Value) {
		if code, page := send(t, s, callback, "", a.pretend); code != http.StatusForbidden || !strings.Contains(page, "browser you began in") {
			t.Errorf("%s: status %d:\n%s", a.name, code, page)
		}
	}
	if n := s.Sandbox.Requests(sandbox.Token); n != 0 {
		t.Errorf("%d codes were redeemed", n)
	}
	// None of it has used the flow up, and none keeps the right browser out.
	if code, page := send(t, s, callback, "", func(r *http.Request) { r.AddCookie(cookie) }); code != http.StatusOK {
		t.Errorf("the right browser: status %d:\n%s", code, page)
	}
}

func TestNoMetadataChangesWhoIsCallingOverGRPC(t *testing.T) {
	token := access.GenerateToken()
	s := vaulttest.New(t, vaulttest.Config{Audit: true, Rules: []access.Rule{{
		Name: "narrow", Tokens: access.HashTokens(token), Tenant: "narrow-tenant", RPCs: []string{"GetConnection"}, Providers: []string{"*"}, Subjects: []string{"alice"},
	}}})
	conn := s.Dial(token)
	defer conn.Close()
	c, request := tokenvaultv1.NewVaultServiceClient(conn), &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "mailchimp"}
	before := len(entries(t, s))
	_, _ = c.GetConnection(t.Context(), request)
	var names []string
	for _, d := range disguises(s.Token.Reveal(), strings.Repeat("A", 43)) {
		for _, name := range spelled(d.key) {
			name = strings.ToLower(name)
			if name == "authorization" {
				continue // the credential itself
			}
			names = append(names, name)
			_, _ = c.GetConnection(metadata.AppendToOutgoingContext(t.Context(), name, d.value, name, d.value), request)
		}
	}
	recorded := entries(t, s)[before:]
	if len(recorded) != len(names)+1 {
		t.Fatalf("%d entries for %d calls", len(recorded), len(names)+1)
	}
	for i, e := range recorded[1:] {
		if got, want := principal(e), principal(recorded[0]); got != want || !strings.Contains(want, " narrow narrow-tenant alice ") {
			t.Errorf("%s: recorded as %q, want %q", names[i], got, want)
		}
	}
}
