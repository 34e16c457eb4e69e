package vaulttest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/sandbox/playbook"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// drive is one entry of the catalogue, on its way through everything that the
// vault does with it.
type drive struct {
	*vaulttest.Engine
	t     testing.TB
	clock *vaulttest.Clock
	part  playbook.Part
	def   provider.Definition
	key   vault.Key
}

// newDrive plays one definition and gives the vault another: the same, but where a
// test is about the difference.
func newDrive(t testing.TB, name string, played, known provider.Definition) *drive {
	t.Helper()
	if known.DeviceURL != "" && known.Grants == nil {
		known.Grants = []provider.Grant{provider.GrantAuthorizationCode, provider.GrantDeviceCode}
	}
	d := &drive{t: t, clock: &vaulttest.Clock{}, def: played, key: vault.Key{Tenant: vault.DefaultTenant, Subject: "alice", Provider: name}}
	d.Engine = vaulttest.NewEngine(t, vaulttest.EngineConfig{
		Definitions: map[string]provider.Definition{name: played}, Known: map[string]provider.Definition{name: known}, Now: d.clock.Now, Quiet: true,
	})
	d.part = d.Parts[name]
	return d
}

func templates(t *testing.T) map[string]provider.Definition {
	t.Helper()
	all, err := provider.Templates()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryEntryOfTheCatalogueWorks(t *testing.T) {
	t.Parallel()
	for name, definition := range templates(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDrive(t, name, definition, definition)
			if definition.HasOAuth() {
				d.connect()
				d.use()
				d.refresh()
				d.loseAnAnswer()
				d.disconnect()
			}
			if definition.APIKey != nil {
				d.useKey()
			}
		})
	}
}

// connect takes alice through the flow, and checks what is known of her then.
func (d *drive) connect() {
	d.t.Helper()
	scopes := []string{"first", "second"}
	if err := d.ConnectTo(vault.ConnectRequest{Key: d.key, Scopes: scopes, Params: d.part.Params, LoginHint: "ada@example.com"}, vaulttest.Ada); err != nil {
		d.t.Fatalf("connect: %v", err)
	}
	conn := d.connection()
	if conn.Status != vault.Connected || conn.Problem != "" {
		d.t.Errorf("status = %v, problem %q", conn.Status, conn.Problem)
	}
	for _, scope := range d.def.BaseScopes {
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	if diff := cmp.Diff(scopes, conn.Scopes); diff != "" {
		d.t.Errorf("scopes (-want +got):\n%s", diff)
	}
	d.checkKnown(conn.Metadata, conn.Account)
}

// checkKnown compares what is known of the connection with what the provider has
// told.
func (d *drive) checkKnown(metadata map[string]string, account vault.Account) {
	d.t.Helper()
	if diff := cmp.Diff(d.part.Metadata, metadata, cmpopts.EquateEmpty()); diff != "" {
		d.t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(d.wantAccount(), account); diff != "" {
		d.t.Errorf("account (-want +got):\n%s", diff)
	}
}

// wantAccount is Ada, as far as the definition knows where to look. Some providers
// have no id but the one that is captured too, or the address.
func (d *drive) wantAccount() vault.Account {
	told := map[string]string{}
	pointers := d.def.Account
	for _, field := range []struct{ pointer, value string }{
		{pointers.ID, "31415926"}, {pointers.Name, "Analytical Engines Ltd"}, {pointers.Email, "ada@example.com"},
	} {
		told[field.pointer] = field.value
	}
	captures := d.def.TokenCapture
	if d.def.AfterConnect != nil {
		captures = d.def.AfterConnect.Capture
	}
	for name, capture := range captures {
		told[capture.Pointer] = d.part.Metadata[name]
	}
	told[""] = ""
	return vault.Account{ID: told[pointers.ID], Name: told[pointers.Name], Email: told[pointers.Email]}
}

func (d *drive) connection() vault.Connection {
	d.t.Helper()
	conn, err := d.Vault.GetConnection(d.t.Context(), d.key)
	if err != nil {
		d.t.Fatalf("GetConnection: %v", err)
	}
	return conn
}

// use asks for credentials and calls the API with them.
func (d *drive) use() vault.Credentials {
	d.t.Helper()
	creds, err := d.Vault.GetCredentials(d.t.Context(), vault.CredentialsRequest{Key: d.key})
	if err != nil {
		d.t.Fatalf("credentials: %v", err)
	}
	d.checkKnown(creds.Metadata, creds.Account)
	if creds.Source != vault.SourceOAuth || !d.Sandbox.Valid(creds.AccessToken.Reveal()) {
		d.t.Errorf("source = %v; the access token works: %v", creds.Source, d.Sandbox.Valid(creds.AccessToken.Reveal()))
	}
	d.call(creds, map[string]any{"provider": d.key.Provider, "credential": "access_token", "account": "31415926"})
	return creds
}

// get asks the provider's API for a path, with the headers and at the place that the
// credentials say.
func (d *drive) get(creds vault.Credentials, path string) *http.Response {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, creds.APIBaseURL+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	for name, value := range creds.Headers.Reveal() {
		req.Header.Set(name, value)
	}
	resp, err := d.Sandbox.Transport().RoundTrip(req)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp
}

// call uses the provider's API as a program does.
func (d *drive) call(creds vault.Credentials, want map[string]any) {
	d.t.Helper()
	if (creds.APIBaseURL != "") != (d.def.APIBaseURL != "") {
		d.t.Fatalf("api_base_url = %q, want one like %s", creds.APIBaseURL, d.def.APIBaseURL)
	}
	if creds.APIBaseURL == "" {
		return
	}
	resp := d.get(creds, "/things")
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	var got map[string]any
	_ = json.Unmarshal(body, &got) // compared below
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("GET %s/things: status %d (-want +got):\n%s", creds.APIBaseURL, resp.StatusCode, diff)
	}
}

// refresh gets new tokens when asked to, and again when the old ones have ended.
// Where the provider has no refresh tokens, it looks again whose the token is.
func (d *drive) refresh() {
	d.t.Helper()
	before, issued := d.use(), d.Sandbox.LastIssued()
	conn, err := d.Vault.RefreshConnection(d.t.Context(), d.key)
	if d.part.Script.NoRefresh {
		looksUp := d.def.AfterConnect != nil || len(d.def.TokenCapture) > 0 || d.def.Account != provider.AccountPointers{} || len(d.def.Variables) > 0
		if looksUp != (err == nil) || !looksUp && vault.ReasonOf(err) != vault.NotRefreshable {
			d.t.Errorf("RefreshConnection without a refresh token: %v", err)
		}
		d.checkEnd()
		return
	}
	if err != nil || conn.Generation != before.Generation+1 {
		d.t.Fatalf("RefreshConnection: generation %d after %d, error %v", conn.Generation, before.Generation, err)
	}
	after := d.use()
	if after.AccessToken == before.AccessToken {
		d.t.Error("RefreshConnection has brought no other token")
	}
	d.checkRotation(issued)
	if !d.part.Script.Endless {
		d.clock.Advance(d.Sandbox.LastIssued().ExpireTime.Sub(d.clock.Now()))
		if d.use().AccessToken == after.AccessToken {
			d.t.Error("a token that has ended is handed out")
		}
	}
}

// checkEnd checks what is known of the end of a token that nothing refreshes.
func (d *drive) checkEnd() {
	d.t.Helper()
	creds := d.use()
	if d.part.Script.Endless != creds.ExpireTime.IsZero() {
		d.t.Errorf("expire_time = %v; the token is endless: %v", creds.ExpireTime, d.part.Script.Endless)
	}
}

// checkRotation checks that the provider was told of as the definition does: an
// old refresh token is good for the grace, and then for nothing; one that was not
// replaced stays.
func (d *drive) checkRotation(before sandbox.Issued) {
	d.t.Helper()
	if slices.Contains(d.part.Script.Quirks, sandbox.RefreshTokenLeftOut) {
		if !d.Sandbox.RefreshTokenValid(before.RefreshToken) {
			d.t.Error("the refresh token that stays is of no more use")
		}
		return
	}
	grace := d.def.Refresh.Grace
	if valid := d.Sandbox.RefreshTokenValid(before.RefreshToken); valid != (grace > 0) {
		d.t.Errorf("the old refresh token works right after the rotation: %v; the grace is %v", valid, grace)
	}
	d.clock.Advance(grace)
	if d.Sandbox.RefreshTokenValid(before.RefreshToken) {
		d.t.Errorf("the old refresh token works after the grace of %v", grace)
	}
}

// loseAnAnswer has the answer to a refresh get lost. Where the definition knows of
// a grace, or the refresh token stays, the next attempt makes up for it.
func (d *drive) loseAnAnswer() {
	d.t.Helper()
	script := d.part.Script
	if script.NoRefresh || script.Endless || d.def.Refresh.Grace == 0 && !slices.Contains(script.Quirks, sandbox.RefreshTokenLeftOut) {
		return
	}
	d.clock.Advance(24 * time.Hour * 31) // past the end of any access token
	d.Sandbox.Fault(sandbox.Token, sandbox.Fault{DropAfter: true, Times: 1})
	if _, err := d.Vault.GetCredentials(d.t.Context(), vault.CredentialsRequest{Key: d.key}); vault.ReasonOf(err) != vault.ProviderUnavailable {
		d.t.Errorf("credentials while the answer got lost: %v, want PROVIDER_UNAVAILABLE", err)
	}
	d.clock.Advance(10 * time.Second)
	d.use()
	if n := d.Sandbox.RevokedFamilies(); n != 0 {
		d.t.Error("the provider has taken the second attempt for theft")
	}
}

// disconnect ends the connection, and says honestly how.
func (d *drive) disconnect() {
	d.t.Helper()
	creds := d.use()
	result, err := d.Vault.Disconnect(d.t.Context(), d.key)
	if err != nil {
		d.t.Fatalf("disconnect: %v", err)
	}
	revoked := d.def.RevokeURL != ""
	if revoked != (result.Revocation == vault.Revoked) || !revoked && result.Revocation != vault.RevocationNotSupported {
		d.t.Errorf("revocation = %v; there is an endpoint: %v", result.Revocation, revoked)
	}
	if d.Sandbox.Valid(creds.AccessToken.Reveal()) == revoked || d.Sandbox.Revocations().Refused != 0 {
		d.t.Errorf("the token works afterwards: %v; %+v", !revoked, d.Sandbox.Revocations())
	}
	if !revoked && (result.NextStep == "" || d.def.DisconnectHint != "" && result.NextStep != d.def.DisconnectHint) {
		d.t.Errorf("next step = %q, want %q", result.NextStep, d.def.DisconnectHint)
	}
	d.wantNothing()
}

func (d *drive) wantNothing() {
	d.t.Helper()
	if _, err := d.Vault.GetCredentials(d.t.Context(), vault.CredentialsRequest{Key: d.key}); vault.ReasonOf(err) != vault.NotConnected {
		d.t.Errorf("credentials when nothing is left: %v, want NOT_CONNECTED", err)
	}
}

// useKey sets an API key, calls the API with it, and deletes it.
func (d *drive) useKey() {
	d.t.Helper()
	conn, err := d.Vault.SetAPIKey(d.t.Context(), d.key, secret.New(d.part.APIKey), d.part.Params)
	if err != nil || !conn.HasAPIKey {
		d.t.Fatalf("SetAPIKey: %+v, error %v", conn, err)
	}
	creds, err := d.Vault.GetCredentials(d.t.Context(), vault.CredentialsRequest{Key: d.key})
	if err != nil || creds.Source != vault.SourceAPIKey || creds.APIKey.Reveal() != d.part.APIKey {
		d.t.Fatalf("credentials of the key: source %v, error %v", creds.Source, err)
	}
	if diff := cmp.Diff(d.part.KeyMetadata, creds.Metadata, cmpopts.EquateEmpty()); diff != "" {
		d.t.Errorf("metadata of the key (-want +got):\n%s", diff)
	}
	d.call(creds, map[string]any{"provider": d.key.Provider, "credential": "api_key"})
	if !d.def.HasOAuth() {
		if _, err := d.Vault.Connect(d.t.Context(), vault.ConnectRequest{Key: d.key}); vault.ReasonOf(err) != vault.GrantNotSupported {
			d.t.Errorf("Connect where there are keys only: %v, want GRANT_NOT_SUPPORTED", err)
		}
	}
	if _, err := d.Vault.DeleteAPIKey(d.t.Context(), d.key); err != nil {
		d.t.Errorf("DeleteAPIKey: %v", err)
	}
	d.wantNothing()
}
