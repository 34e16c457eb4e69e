package vaulttest_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

const (
	acmeKey0     = "acme-canary-eu"
	acmeKey1     = "acme-canarytwo-us"
	mailchimpKey = "0123456789abcdef0123456789abcdef-us6"
)

// keyed is a stack whose acme takes API keys too, and alice's connection there.
type keyed struct {
	*vaulttest.Stack
	t *testing.T
}

func newKeyed(t *testing.T) *keyed {
	t.Helper()
	return &keyed{t: t, Stack: vaulttest.New(t, vaulttest.Config{
		TokenLifetime: 10 * time.Minute,
		AcmeKeys:      &provider.APIKey{Pattern: "^acme-[a-z]+-(?P<region>[a-z]+)$", Header: "X-Acme-Key"},
		KeyProviders:  []string{"brevo"},
	})}
}

func (k *keyed) setKey(apiKey string) {
	k.t.Helper()
	resp, err := k.Client.SetAPIKey(k.t.Context(), &tokenvaultv1.SetAPIKeyRequest{Subject: "alice", Provider: "acme", ApiKey: apiKey})
	if err != nil || !resp.GetConnection().GetHasApiKey() {
		k.t.Fatalf("SetAPIKey: %v, %v", resp, err)
	}
}

func (k *keyed) deleteKey() {
	k.t.Helper()
	resp, err := k.Client.DeleteAPIKey(k.t.Context(), &tokenvaultv1.DeleteAPIKeyRequest{Subject: "alice", Provider: "acme"})
	if err != nil || resp.GetConnection().GetHasApiKey() {
		k.t.Fatalf("DeleteAPIKey: %v, %v", resp, err)
	}
}

func (k *keyed) connect() {
	k.t.Helper()
	if code, page := k.Connect("alice", "acme", vaulttest.Ada); code != http.StatusOK {
		k.t.Fatalf("the browser ended at %d:\n%s", code, page)
	}
}

// die has the person remove the access at the provider, and the vault find out.
func (k *keyed) die() {
	k.t.Helper()
	k.Sandbox.RevokeAll()
	_, err := k.Client.RefreshConnection(k.t.Context(), &tokenvaultv1.RefreshConnectionRequest{Subject: "alice", Provider: "acme"})
	wantError(k.t, err, codes.FailedPrecondition, "REAUTHORIZATION_REQUIRED")
}

func (k *keyed) disconnect() {
	k.t.Helper()
	if _, err := k.Client.Disconnect(k.t.Context(), &tokenvaultv1.DisconnectRequest{Subject: "alice", Provider: "acme"}); err != nil {
		k.t.Fatal(err)
	}
}

// wantKey checks that the key serves, whole.
func (k *keyed) wantKey(apiKey string) {
	k.t.Helper()
	got := credentials(k.t, k.Stack, "alice", "acme")
	want := &tokenvaultv1.GetCredentialsResponse{
		Credential: &tokenvaultv1.GetCredentialsResponse_ApiKey{ApiKey: &tokenvaultv1.APIKey{Key: apiKey}},
		Source:     tokenvaultv1.CredentialSource_CREDENTIAL_SOURCE_API_KEY,
		Headers:    map[string]string{"X-Acme-Key": apiKey},
		Metadata:   map[string]string{"region": apiKey[strings.LastIndex(apiKey, "-")+1:]},
		Generation: got.GetGeneration(),
	}
	if !proto.Equal(want, got) {
		k.t.Errorf("credentials = %v\nwant %v", got, want)
	}
}

func (k *keyed) wantOAuth() {
	k.t.Helper()
	got := credentials(k.t, k.Stack, "alice", "acme")
	if got.GetSource() != tokenvaultv1.CredentialSource_CREDENTIAL_SOURCE_OAUTH || !k.Sandbox.Valid(got.GetOauth2().GetAccessToken()) || got.GetHeaders()["X-Acme-Key"] != "" {
		k.t.Errorf("credentials = %v, want an access token that works", got)
	}
}

func (k *keyed) wantNone() {
	k.t.Helper()
	_, err := k.Client.GetCredentials(k.t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "acme"})
	wantError(k.t, err, codes.NotFound, "NOT_CONNECTED")
}

// state is the connection's status and whether it has a key.
func (k *keyed) state() string {
	k.t.Helper()
	resp, err := k.Client.GetConnection(k.t.Context(), &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "acme"})
	if err != nil {
		return reason(err)
	}
	text := strings.TrimPrefix(resp.GetConnection().GetStatus().String(), "CONNECTION_STATUS_")
	if resp.GetConnection().GetHasApiKey() {
		text += " with a key"
	}
	return text
}

// TestCredentialsGoFromKeyToOAuthAndBack takes a connection through all it can have.
func TestCredentialsGoFromKeyToOAuthAndBack(t *testing.T) {
	k := newKeyed(t)
	stream, _ := watch(t, k.Client, &tokenvaultv1.WatchConnectionsRequest{Subject: "alice"})
	for _, step := range []struct {
		name  string
		do    func()
		want  func()
		state string
		event string
	}{
		{"a key", func() { k.setKey(acmeKey0) }, func() { k.wantKey(acmeKey0) }, "DISCONNECTED with a key", "API_KEY_SET"},
		{"OAuth", k.connect, k.wantOAuth, "CONNECTED with a key", "CONNECTED"},
		{"OAuth is dead", k.die, func() { k.wantKey(acmeKey0) }, "REAUTHORIZATION_REQUIRED with a key", "REAUTHORIZATION_REQUIRED"},
		{"another key meanwhile", func() { k.setKey(acmeKey1) }, func() { k.wantKey(acmeKey1) }, "REAUTHORIZATION_REQUIRED with a key", "API_KEY_SET"},
		{"OAuth again", k.connect, k.wantOAuth, "CONNECTED with a key", "CONNECTED"},
		{"a key in place of the key", func() { k.setKey(acmeKey0) }, k.wantOAuth, "CONNECTED with a key", "API_KEY_SET"},
		{"disconnected", k.disconnect, func() { k.wantKey(acmeKey0) }, "DISCONNECTED with a key", "DISCONNECTED"},
		{"OAuth once more", k.connect, k.wantOAuth, "CONNECTED with a key", "CONNECTED"},
		{"the key is deleted", k.deleteKey, k.wantOAuth, "CONNECTED", "API_KEY_DELETED"},
		{"a key again", func() { k.setKey(acmeKey0) }, k.wantOAuth, "CONNECTED with a key", "API_KEY_SET"},
		{"disconnected again", k.disconnect, func() { k.wantKey(acmeKey0) }, "DISCONNECTED with a key", "DISCONNECTED"},
		{"nothing", k.deleteKey, k.wantNone, "NOT_CONNECTED", "API_KEY_DELETED"},
	} {
		step.do()
		if t.Failed() {
			t.Fatalf("at the step: %s", step.name)
		}
		step.want()
		if got := k.state(); got != step.state {
			t.Errorf("%s: the connection is %s, want %s", step.name, got, step.state)
		}
		answer := receive(t, stream)
		if got := strings.TrimPrefix(answer.GetEvent().String(), "CONNECTION_EVENT_"); got != step.event {
			t.Errorf("%s: watchers are told %s, want %s", step.name, got, step.event)
		}
		if text := protojson.Format(answer); strings.Contains(text, "canary") {
			t.Errorf("%s: watchers are told the key: %s", step.name, text)
		}
	}
}

func TestAKeySurvivesARestart(t *testing.T) {
	k := newKeyed(t)
	k.setKey(acmeKey0)
	k.Restart()
	k.wantKey(acmeKey0)
}

func TestAKeyStandsInDuringAnOutage(t *testing.T) {
	k := newKeyed(t)
	k.connect()
	k.setKey(acmeKey0)
	k.Clock.Advance(time.Hour) // past the end of the token
	k.Sandbox.Fault(sandbox.Token, sandbox.Fault{Status: http.StatusServiceUnavailable})
	k.wantKey(acmeKey0)
	if got := k.state(); got != "CONNECTED with a key" {
		t.Errorf("the connection is %s, want it CONNECTED with a key: the grant may be as good as ever", got)
	}
	k.deleteKey()
	_, err := k.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "acme"})
	wantError(t, err, codes.Unavailable, "PROVIDER_UNAVAILABLE")
	k.setKey(acmeKey0)
	k.Sandbox.ClearFaults()
	k.Clock.Advance(time.Hour)
	k.wantOAuth()
}

// TestAKeyThatComesDuringARefresh has keys come and go while the provider takes its
// time with new tokens.
func TestAKeyThatComesDuringARefresh(t *testing.T) {
	for _, row := range []struct {
		name   string
		before bool // there is a key
		during func(*keyed)
		state  string
	}{
		{"set", false, func(k *keyed) { k.setKey(acmeKey0) }, "CONNECTED with a key"},
		{"replaced", true, func(k *keyed) { k.setKey(acmeKey1) }, "CONNECTED with a key"},
		{"deleted", true, func(k *keyed) { k.deleteKey() }, "CONNECTED"},
	} {
		t.Run(row.name, func(t *testing.T) {
			k := newKeyed(t)
			k.connect()
			if row.before {
				k.setKey(acmeKey0)
			}
			asked, goOn := make(chan struct{}), make(chan struct{})
			k.Sandbox.Fault(sandbox.Token, sandbox.Fault{Times: 1, Before: func(*http.Request) { close(asked); <-goOn }})
			var refreshing sync.WaitGroup
			refreshing.Go(func() {
				if _, err := refreshAlice(t, k.Stack); err != nil {
					t.Errorf("refresh: %v", err)
				}
			})
			<-asked
			row.during(k)
			close(goOn)
			refreshing.Wait()
			k.wantOAuth()
			if got, want := credentials(t, k.Stack, "alice", "acme").GetOauth2().GetAccessToken(), k.Sandbox.LastIssued().AccessToken; got != want {
				t.Error("the new token is lost")
			}
			if got := k.state(); got != row.state {
				t.Errorf("the connection is %s, want %s", got, row.state)
			}
		})
	}
}

func TestAMailchimpKeyTellsItsDataCentre(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	if _, err := s.Client.SetAPIKey(t.Context(), &tokenvaultv1.SetAPIKeyRequest{Subject: "alice", Provider: "mailchimp", ApiKey: mailchimpKey}); err != nil {
		t.Fatal(err)
	}
	got := credentials(t, s, "alice", "mailchimp")
	if got.GetSource() != tokenvaultv1.CredentialSource_CREDENTIAL_SOURCE_API_KEY || got.GetExpireTime() != nil || got.GetAccount() != nil {
		t.Errorf("credentials = %v", got)
	}
	for _, row := range []struct{ name, got, want string }{
		{"dc", got.GetMetadata()["dc"], "us6"},
		{"api_base_url", got.GetApiBaseUrl(), s.SandboxURL + "/mailchimp/us6/3.0"},
		{"Authorization", got.GetHeaders()["Authorization"], "Bearer " + mailchimpKey},
	} {
		if row.got != row.want {
			t.Errorf("%s = %q, want %q", row.name, row.got, row.want)
		}
	}
	_, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "mailchimp", RequiredScopes: []string{"any"}})
	if err != nil {
		t.Errorf("a key has no scopes to miss, yet: %v", err)
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	k := newKeyed(t)
	for _, row := range []struct {
		name, provider, key string
		code                codes.Code
		want                string
	}{
		{"empty", "acme", "", codes.InvalidArgument, "INVALID_API_KEY"},
		{"another form", "acme", "canary", codes.InvalidArgument, "INVALID_API_KEY"},
		{"more behind it", "acme", acmeKey0 + "\n", codes.InvalidArgument, "INVALID_API_KEY"},
		{"a data centre that is a host", "mailchimp", mailchimpKey + ".canary.example", codes.InvalidArgument, "INVALID_API_KEY"},
		{"no data centre", "mailchimp", "0123456789abcdef0123456789canary", codes.InvalidArgument, "INVALID_API_KEY"},
		{"too long", "brevo", strings.Repeat("canary", 3000), codes.InvalidArgument, "INVALID_API_KEY"},
		{"two lines", "brevo", "canary\r\nx: y", codes.InvalidArgument, "INVALID_API_KEY"},
		{"no such provider", "nobody", "canary", codes.NotFound, "PROVIDER_UNKNOWN"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := k.Client.SetAPIKey(t.Context(), &tokenvaultv1.SetAPIKeyRequest{Subject: "alice", Provider: row.provider, ApiKey: row.key})
			wantError(t, err, row.code, row.want)
			if err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("error = %v, want one without the key", err)
			}
		})
	}
	k.wantNone()
	if log := k.Log.String(); strings.Contains(log, "canary") {
		t.Errorf("a key is in the log:\n%s", log)
	}
	_, err := k.Client.DeleteAPIKey(t.Context(), &tokenvaultv1.DeleteAPIKeyRequest{Subject: "alice", Provider: "acme"})
	wantError(t, err, codes.NotFound, "NOT_CONNECTED")

	plain := vaulttest.New(t, vaulttest.Config{})
	_, err = plain.Client.SetAPIKey(t.Context(), &tokenvaultv1.SetAPIKeyRequest{Subject: "alice", Provider: "acme", ApiKey: acmeKey0})
	wantError(t, err, codes.FailedPrecondition, "API_KEY_NOT_SUPPORTED")
}

func TestAProviderOfKeysAlone(t *testing.T) {
	k := newKeyed(t)
	_, err := k.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "brevo"})
	wantError(t, err, codes.FailedPrecondition, "GRANT_NOT_SUPPORTED")
	if _, err := k.Client.SetAPIKey(t.Context(), &tokenvaultv1.SetAPIKeyRequest{Subject: "alice", Provider: "brevo", Label: "work", ApiKey: "canary"}); err != nil {
		t.Fatal(err)
	}
	got, err := k.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "brevo", Label: "work"})
	if err != nil || got.GetHeaders()["api-key"] != "canary" || got.GetApiBaseUrl() != "https://api.brevo.com/v3" {
		t.Errorf("credentials = %v, %v", got, err)
	}
	_, err = k.Client.RefreshConnection(t.Context(), &tokenvaultv1.RefreshConnectionRequest{Subject: "alice", Provider: "brevo", Label: "work"})
	wantError(t, err, codes.FailedPrecondition, "NOT_REFRESHABLE")
	_, err = k.Client.Disconnect(t.Context(), &tokenvaultv1.DisconnectRequest{Subject: "alice", Provider: "brevo", Label: "work"})
	wantError(t, err, codes.NotFound, "NOT_CONNECTED")
	_, err = k.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "brevo"})
	wantError(t, err, codes.NotFound, "NOT_CONNECTED") // another label
}

// TestAKeyShowsNowhere sets a key over REST, and looks for it in everything that is
// not GetCredentials.
func TestAKeyShowsNowhere(t *testing.T) {
	k := newKeyed(t)
	address := k.GatewayURL + "/v1/subjects/alice/connections/acme"
	rest := func(method, address, body string, want int) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+k.Token.Reveal())
		req.Header.Set("Content-Type", "application/json")
		resp, err := k.NewBrowser().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text := k.Body(resp)
		if resp.StatusCode != want {
			t.Errorf("%s %s: status %d, want %d:\n%s", method, address, resp.StatusCode, want, text)
		}
		return text
	}
	said := []string{
		rest(http.MethodPut, address+"/api-key", fmt.Sprintf(`{"apiKey": %q}`, acmeKey0), http.StatusOK),
		rest(http.MethodPut, address+"/api-key", `{"apiKey": "canary"}`, http.StatusBadRequest),
		rest(http.MethodGet, address, "", http.StatusOK),
		rest(http.MethodGet, k.GatewayURL+"/v1/connections", "", http.StatusOK),
	}
	k.wantKey(acmeKey0)
	for _, text := range []string{said[0], said[2]} {
		if !strings.Contains(strings.ReplaceAll(text, " ", ""), `"hasApiKey":true`) {
			t.Errorf("there is no key in\n%s", text)
		}
	}
	list, err := k.Client.ListConnections(t.Context(), &tokenvaultv1.ListConnectionsRequest{})
	if err != nil || len(list.GetConnections()) != 1 {
		t.Fatalf("list = %v, %v", list, err)
	}
	said = append(said, protojson.Format(list), k.state(), rest(http.MethodDelete, address+"/api-key", "", http.StatusOK), k.Log.String())
	for _, text := range said {
		if strings.Contains(text, "canary") {
			t.Errorf("the key is in\n%s", text)
		}
	}
	if got := k.state(); got != "NOT_CONNECTED" {
		t.Errorf("after DELETE the connection is %s", got)
	}
	rest(http.MethodDelete, address+"/api-key", "", http.StatusNotFound)
	wantNotInFile(t, k.DatabasePath, acmeKey0)
}
