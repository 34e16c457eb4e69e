package provider

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault/secret"
)

const testIssuer = "https://id.example/tenant"

// authorizationServer is an issuer that answers in the process.
type authorizationServer struct {
	mu       sync.Mutex
	asked    []string
	answers  map[string]string // path: metadata
	down     bool
	slowness time.Duration
}

func (s *authorizationServer) RoundTrip(r *http.Request) (*http.Response, error) {
	return inProcess(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Method+" "+r.URL.String())
		body, ok := s.answers[r.URL.Path]
		down, slowness := s.down, s.slowness
		s.mu.Unlock()
		time.Sleep(slowness)
		switch {
		case down:
			w.WriteHeader(http.StatusServiceUnavailable)
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		default:
			_, _ = w.Write([]byte(body))
		}
	}).RoundTrip(r)
}

func (s *authorizationServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// lookUps returns how often metadata was asked for.
func (s *authorizationServer) lookUps() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, line := range s.asked {
		if strings.Contains(line, ".well-known") {
			n++
		}
	}
	return n
}

func metadataOf(host, more string) string {
	return fmt.Sprintf(`{"issuer":%q,"authorization_endpoint":"https://%[2]s/authorize","token_endpoint":"https://%[2]s/token"%[3]s}`, testIssuer, host, more)
}

const oidcPath = "/tenant/.well-known/openid-configuration"

func newDiscovered(t *testing.T, s *authorizationServer, change func(*Definition)) *Provider {
	t.Helper()
	d := Definition{Issuer: testIssuer}
	if change != nil {
		change(&d)
	}
	p, err := New(Config{Name: "acme", Definition: d, ClientID: "id", ClientSecret: canary(), Transport: s})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAnIssuerAloneSuffices(t *testing.T) {
	for _, row := range []struct {
		name, path string
	}{
		{"OpenID Connect", oidcPath},
		{"RFC 8414", "/.well-known/oauth-authorization-server/tenant"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := &authorizationServer{answers: map[string]string{
				row.path: metadataOf("id.example", `,"revocation_endpoint":"https://id.example/revoke","device_authorization_endpoint":"https://id.example/device"`),
				"/token": `{"access_token":"at"}`,
			}}
			p := newDiscovered(t, s, nil)
			if s.lookUps() != 0 {
				t.Error("the provider was asked before anybody needed it")
			}
			location, err := p.Authorize(t.Context(), AuthorizationRequest{State: "s", Verifier: NewVerifier()})
			if err != nil || !strings.HasPrefix(location, "https://id.example/authorize?") {
				t.Fatalf("location = %q, error %v", location, err)
			}
			if _, err := p.Refresh(t.Context(), secret.New("rt")); err != nil {
				t.Error(err)
			}
			e, err := p.Endpoints(t.Context())
			want := Endpoints{
				Issuer: testIssuer, AuthorizeURL: "https://id.example/authorize", TokenURL: "https://id.example/token",
				RevokeURL: "https://id.example/revoke", DeviceURL: "https://id.example/device", ClientAuth: ClientAuthBasic,
			}
			if err != nil || e != want {
				t.Errorf("endpoints = %+v, error %v", e, err)
			}
			if n := s.lookUps(); n > 2 {
				t.Errorf("%d look-ups, want one for each place", n)
			}
		})
	}
}

func TestTheConfigurationComesBeforeTheMetadata(t *testing.T) {
	s := &authorizationServer{answers: map[string]string{oidcPath: metadataOf("id.example", `,"token_endpoint_auth_methods_supported":["client_secret_basic"]`)}}
	p := newDiscovered(t, s, func(d *Definition) { d.ClientAuth, d.TokenURL = ClientAuthPost, "https://own.example/token" })
	e, err := p.Endpoints(t.Context())
	if err != nil || e.ClientAuth != ClientAuthPost || e.TokenURL != "https://own.example/token" || e.AuthorizeURL != "https://id.example/authorize" {
		t.Errorf("endpoints = %+v, error %v", e, err)
	}
}

func TestMetadataThatCannotBeTrustedIsRefused(t *testing.T) {
	for _, row := range []struct {
		name, body string
		kind       Kind
	}{
		{"another issuer", strings.Replace(metadataOf("id.example", ""), testIssuer, testIssuer+"/", 1), Misconfigured},
		{"no issuer", `{"authorization_endpoint":"https://id.example/a","token_endpoint":"https://id.example/t"}`, Misconfigured},
		{"plain http", strings.Replace(metadataOf("id.example", ""), "https://id.example/token", "http://id.example/token", 1), Misconfigured},
		{"http on loopback", strings.Replace(metadataOf("id.example", ""), "https://id.example/token", "http://127.0.0.1/token", 1), Misconfigured},
		{"a user name", metadataOf("u:p@id.example", ""), Misconfigured},
		{"braces", metadataOf("{x}.id.example", ""), Misconfigured},
		{"a revocation endpoint without TLS", metadataOf("id.example", `,"revocation_endpoint":"http://id.example/r"`), Misconfigured},
		{"no token endpoint", fmt.Sprintf(`{"issuer":%q}`, testIssuer), Misconfigured},
		{"no client authentication that is known", metadataOf("id.example", `,"token_endpoint_auth_methods_supported":["tls_client_auth"]`), Misconfigured},
		{"no JSON", `<html>`, Transient},
		{"more than a response may have", `{"x":"` + strings.Repeat("x", maxBody), Transient},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := &authorizationServer{answers: map[string]string{oidcPath: row.body}}
			p := newDiscovered(t, s, nil)
			if _, err := p.Refresh(t.Context(), secret.New("refresh-canary")); err == nil || KindOf(err) != row.kind || strings.Contains(err.Error(), "canary") {
				t.Errorf("error = %v, want one that is %v", err, row.kind)
			}
			for _, line := range s.asked {
				if strings.HasPrefix(line, "POST") {
					t.Errorf("a secret was sent: %s", line)
				}
			}
		})
	}
}

func TestTheMetadataChoosesHowTheClientAuthenticates(t *testing.T) {
	for list, want := range map[string]ClientAuth{
		"": ClientAuthBasic,
		`,"token_endpoint_auth_methods_supported":["client_secret_post"]`:                       ClientAuthPost,
		`,"token_endpoint_auth_methods_supported":["client_secret_post","client_secret_basic"]`: ClientAuthBasic,
	} {
		t.Run(list, func(t *testing.T) {
			p := newDiscovered(t, &authorizationServer{answers: map[string]string{oidcPath: metadataOf("id.example", list)}}, nil)
			if e, err := p.Endpoints(t.Context()); err != nil || e.ClientAuth != want {
				t.Errorf("client authentication = %q, error %v; want %q", e.ClientAuth, err, want)
			}
		})
	}
}

func TestIssIsRequiredWhereTheMetadataSaysSo(t *testing.T) {
	for _, row := range []struct {
		name, more, iss string
		want            bool
	}{
		{"the issuer", "", testIssuer, true},
		{"none", "", "", true},
		{"none, though there always is one", `,"authorization_response_iss_parameter_supported":true`, "", false},
		{"the issuer, as always", `,"authorization_response_iss_parameter_supported":true`, testIssuer, true},
		{"another", "", testIssuer + "/", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newDiscovered(t, &authorizationServer{answers: map[string]string{oidcPath: metadataOf("id.example", row.more)}}, nil)
			if err := p.VerifyIssuer(t.Context(), row.iss); (err == nil) != row.want {
				t.Errorf("error = %v, want none: %v", err, row.want)
			}
		})
	}
}

func TestMetadataIsAskedForAgainAboutHourly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &authorizationServer{answers: map[string]string{oidcPath: metadataOf("old.example", "")}}
		p := newDiscovered(t, s, nil)
		token := func() string {
			e, err := p.Endpoints(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return e.TokenURL
		}
		token()
		s.set(func() { s.answers[oidcPath] = metadataOf("new.example", "") })
		time.Sleep(metadataAge - time.Second)
		if got := token(); got != "https://old.example/token" || s.lookUps() != 1 {
			t.Errorf("within the hour: %s after %d look-ups", got, s.lookUps())
		}
		time.Sleep(2 * time.Second)
		token() // serves what is known, and asks
		synctest.Wait()
		if got := token(); got != "https://new.example/token" || s.lookUps() != 2 {
			t.Errorf("after the hour: %s after %d look-ups", got, s.lookUps())
		}
	})
}

func TestTheLastMetadataServesWhileTheProviderIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &authorizationServer{answers: map[string]string{oidcPath: metadataOf("id.example", "")}}
		p := newDiscovered(t, s, nil)
		if _, err := p.Endpoints(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.set(func() { s.down = true })
		for range 100 {
			time.Sleep(time.Hour)
			for range 10 {
				if e, err := p.Endpoints(t.Context()); err != nil || e.TokenURL != "https://id.example/token" {
					t.Fatalf("endpoints = %+v, error %v", e, err)
				}
			}
			synctest.Wait()
		}
		if n := s.lookUps(); n != 1+2*100 {
			t.Errorf("%d look-ups in 100 hours, want one an hour at both places", n)
		}
	})
}

func TestAProviderThatIsDownIsNotStormed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &authorizationServer{down: true, slowness: time.Second}
		p := newDiscovered(t, s, nil)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := p.Endpoints(t.Context()); KindOf(err) != Transient || err == nil {
					t.Errorf("error = %v, want one that is transient", err)
				}
			})
		}
		all.Wait()
		if _, err := p.Endpoints(t.Context()); err == nil {
			t.Error("no error")
		}
		if n := s.lookUps(); n != 2 {
			t.Errorf("%d look-ups, want one at each place", n)
		}
		time.Sleep(failurePause)
		s.set(func() { s.down, s.answers = false, map[string]string{oidcPath: metadataOf("id.example", "")} })
		if _, err := p.Endpoints(t.Context()); err != nil {
			t.Errorf("after the pause: %v", err)
		}
	})
}

func TestACallerWhoLeavesDoesNotEndTheLookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &authorizationServer{answers: map[string]string{oidcPath: metadataOf("id.example", "")}, slowness: time.Second}
		p := newDiscovered(t, s, nil)
		ctx, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		if _, err := p.Endpoints(ctx); err == nil {
			t.Error("an answer before its time")
		}
		if _, err := p.Endpoints(t.Context()); err != nil || s.lookUps() != 1 {
			t.Errorf("error %v after %d look-ups, want the one under way", err, s.lookUps())
		}
	})
}

func TestIssuersDifferByVariable(t *testing.T) {
	s := &authorizationServer{answers: map[string]string{
		"/a/.well-known/openid-configuration": `{"issuer":"https://id.example/a","authorization_endpoint":"https://id.example/a","token_endpoint":"https://id.example/a/token"}`,
		"/b/.well-known/openid-configuration": `{"issuer":"https://id.example/b","authorization_endpoint":"https://id.example/b","token_endpoint":"https://id.example/b/token"}`,
	}}
	p := newDiscovered(t, s, func(d *Definition) {
		d.Issuer, d.Variables = "https://id.example/{tenant}", map[string]Variable{"tenant": {Pattern: "^[a-z]+$"}}
	})
	for range 2 {
		for _, tenant := range []string{"a", "b"} {
			bound, err := p.With(map[string]string{"tenant": tenant})
			if err != nil {
				t.Fatal(err)
			}
			if e, err := bound.Endpoints(t.Context()); err != nil || e.TokenURL != "https://id.example/"+tenant+"/token" {
				t.Errorf("%s: endpoints = %+v, error %v", tenant, e, err)
			}
		}
	}
	if s.lookUps() != 2 {
		t.Errorf("%d look-ups, want one for each issuer", s.lookUps())
	}
}

func FuzzWellKnown(f *testing.F) {
	for _, seed := range []string{"https://id.example", "https://id.example/", "https://id.example/a/b/", "https://id.example/%2F", "https://id.example?x", "id.example", "https://u@id.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, issuer string) {
		places, err := wellKnown(issuer)
		if err != nil {
			return
		}
		for _, place := range places {
			if !strings.Contains(place, "/.well-known/") {
				t.Errorf("%q leads to %q", issuer, place)
			}
		}
	})
}
