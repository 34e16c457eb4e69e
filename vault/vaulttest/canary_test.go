package vaulttest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/audit"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// canaries is a stack whose every secret is known to a scanner, and all that anybody
// outside gets to see of it.
type canaries struct {
	*villain
	t *testing.T
	scanner
	client tokenvaultv1.VaultServiceClient
	admin  tokenvaultv1.AdminServiceClient

	mu   sync.Mutex
	seen map[string][]byte // by where
	// belongs is how often a secret was where it belongs.
	belongs map[string]int
}

func newCanaries(t *testing.T) *canaries {
	t.Helper()
	c := &canaries{villain: newVillain(t, nil), t: t, seen: map[string][]byte{}, belongs: map[string]int{}}
	for name, value := range c.Secrets() {
		c.add(name, value)
	}
	c.add("what the villain issues", villainCode, villainAccess, villainRefresh)
	conn := c.Dial(c.Token, grpc.WithUnaryInterceptor(c.listen))
	t.Cleanup(func() { _ = conn.Close() })
	c.client, c.admin = tokenvaultv1.NewVaultServiceClient(conn), tokenvaultv1.NewAdminServiceClient(conn)
	c.faults(sandbox.Fault{})
	return c
}

// note keeps what was seen, to be scanned at the end, when all secrets are known.
func (c *canaries) note(where string, text []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[where] = append(c.seen[where], text...)
}

// belonged counts a secret that was where it belongs, and makes it known.
func (c *canaries) belonged(name, value string) {
	c.add(name, value)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.belongs[name]++
}

// faults has the endpoints of the sandbox fail so, and learns what they are sent.
func (c *canaries) faults(f sandbox.Fault) {
	f.Before = func(r *http.Request) {
		_ = r.ParseForm()
		for _, name := range []string{"code", "code_verifier", "client_secret", "refresh_token", "device_code", "token"} {
			c.add(name+" in a request", r.PostForm.Get(name))
		}
		if token := r.Header.Get("Authorization"); token != "" {
			c.add("token in a request", token[strings.Index(token, " ")+1:])
		}
	}
	for _, e := range []sandbox.Endpoint{sandbox.Token, sandbox.Revoke, sandbox.UserInfo, sandbox.Metadata, sandbox.Device} {
		c.Sandbox.Fault(e, f)
	}
}

// listen keeps what gRPC clients see: answers, but for credentials, and errors with
// their details, headers and trailers.
func (c *canaries) listen(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	var header, trailer metadata.MD
	err := invoke(ctx, method, req, reply, conn, append(options, grpc.Header(&header), grpc.Trailer(&trailer))...)
	where := "gRPC " + method[strings.LastIndex(method, "/")+1:]
	c.note(where, fmt.Appendln(nil, header, trailer, err))
	if err != nil {
		c.note(where+" (details)", []byte(prototext.Format(status.Convert(err).Proto())))
		return err
	}
	shown := proto.Clone(reply.(proto.Message))
	if creds, ok := shown.(*tokenvaultv1.GetCredentialsResponse); ok {
		if token := creds.GetOauth2().GetAccessToken(); token != "" {
			c.belonged("access token in credentials", token)
		}
		creds.Credential, creds.Headers = nil, nil
	}
	c.note(where, []byte(prototext.Format(shown)))
	return nil
}

// browser is one whose every answer of the vault's is kept, without the flow cookie
// and the state in the two places where they belong.
func (c *canaries) browser() *http.Client {
	b := c.NewBrowser()
	b.Transport = recording{c}
	return b
}

type recording struct{ *canaries }

func (r recording) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil || "http://"+req.URL.Host != r.GatewayURL {
		return resp, err
	}
	if state := req.URL.Query().Get("state"); state != "" {
		r.add("code in a callback", req.URL.Query().Get("code"))
	}
	shown := *resp
	shown.Header = resp.Header.Clone()
	if strings.HasSuffix(req.URL.Path, "/authorize") && resp.StatusCode == http.StatusFound {
		for _, cookie := range resp.Cookies() {
			r.belonged("flow cookie", cookie.Value)
		}
		shown.Header.Del("Set-Cookie")
		location, err := resp.Location()
		if err != nil {
			return nil, err
		}
		q := location.Query()
		r.belonged("state", q.Get("state"))
		q.Del("state")
		location.RawQuery = q.Encode()
		shown.Header.Set("Location", location.String())
	}
	text, err := httputil.DumpResponse(&shown, true)
	resp.Body = shown.Body
	r.note("browser at "+req.URL.Path, text)
	return resp, err
}

// leaks scans all that was seen, and all that the vault has written.
func (c *canaries) leaks() {
	c.t.Helper()
	c.add("issued by the sandbox", c.Sandbox.Secrets()...)
	for name, path := range map[string]string{"database": c.DatabasePath, "audit log": c.AuditPath, "journal of the audit log": audit.JournalPath(c.AuditPath)} {
		content, err := os.ReadFile(path)
		if err != nil {
			c.t.Fatal(err)
		}
		c.note(name, content)
	}
	c.note("log", []byte(c.Log.String()))
	c.mu.Lock()
	defer c.mu.Unlock()
	for where, text := range c.seen {
		if found := c.find(text); len(found) > 0 {
			c.t.Errorf("%s shows: %s", where, strings.Join(found, "; "))
			for line := range bytes.Lines(text) {
				if len(c.find(line)) > 0 && len(line) < 2000 {
					c.t.Logf("%s: %q", where, line)
				}
			}
		}
	}
}

func (c *canaries) flow(provider, subject string) {
	c.t.Helper()
	resp, err := c.client.Connect(c.t.Context(), &tokenvaultv1.ConnectRequest{Subject: subject, Provider: provider, ReturnUrl: c.URL + "/returned"})
	if err != nil {
		return
	}
	if provider == "villain" {
		page, err := c.browser().Get(resp.GetConnectUrl())
		if err != nil {
			c.t.Fatal(err)
		}
		c.Body(page)
		return
	}
	page, err := sandbox.Person{Client: c.browser()}.Approve(c.t.Context(), resp.GetConnectUrl(), vaulttest.Ada)
	if err != nil {
		c.t.Fatal(err)
	}
	c.Body(page)
}

// everything calls every RPC about a connection.
func (c *canaries) everything(provider, subject string) {
	ctx := c.t.Context()
	_, _ = c.client.GetCredentials(ctx, &tokenvaultv1.GetCredentialsRequest{Subject: subject, Provider: provider})
	_, _ = c.client.RefreshConnection(ctx, &tokenvaultv1.RefreshConnectionRequest{Subject: subject, Provider: provider})
	_, _ = c.client.GetConnection(ctx, &tokenvaultv1.GetConnectionRequest{Subject: subject, Provider: provider})
	_, _ = c.client.ListConnections(ctx, &tokenvaultv1.ListConnectionsRequest{})
	_, _ = c.admin.ListProviders(ctx, &tokenvaultv1.ListProvidersRequest{})
	_, _ = c.client.Disconnect(ctx, &tokenvaultv1.DisconnectRequest{Subject: subject, Provider: provider})
	for _, path := range []string{"/v1/connections", "/v1/subjects/" + subject + "/connections/" + provider} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.GatewayURL+path, nil)
		if err != nil {
			c.t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+c.Token.Reveal())
		if resp, err := c.browser().Do(r); err == nil {
			c.Body(resp)
		}
	}
}

// devices connects one device, and leaves another one waiting.
func (c *canaries) devices() {
	for _, subject := range []string{"dora", "dan"} {
		resp, err := c.client.Connect(c.t.Context(), &tokenvaultv1.ConnectRequest{Subject: subject, Provider: "acme", Grant: tokenvaultv1.ConnectGrant_CONNECT_GRANT_DEVICE_CODE})
		c.add("device code", c.Sandbox.Secrets()...)
		if err == nil && subject == "dora" {
			_ = c.Sandbox.EnterCode(resp.GetUserCode(), vaulttest.Ada)
		}
	}
}

// wanted fails if a kind of secret was not among those looked for.
func (c *canaries) wanted(names ...string) {
	c.t.Helper()
	known := c.names()
	for _, name := range names {
		if !slices.Contains(known, name) {
			c.t.Errorf("no %q was looked for: this test shows nothing of it; known are %q", name, known)
		}
	}
}

func TestNoSecretShowsWhileAllGoesWell(t *testing.T) {
	t.Parallel()
	c := newCanaries(t)
	for _, name := range []string{"acme", "mailchimp", "villain"} {
		c.flow(name, "alice")
		c.everything(name, "alice")
		c.flow(name, "alice")
	}
	c.devices()
	c.Clock.Advance(time.Minute)
	c.Restart() // which asks for the devices' tokens, and sweeps
	c.faults(sandbox.Fault{})
	_, _ = c.client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "robot", Provider: "acme", Grant: tokenvaultv1.ConnectGrant_CONNECT_GRANT_CLIENT_CREDENTIALS})
	key := "0123456789abcdef0123456789abcdef-us6"
	c.add("API key", key)
	for _, name := range []string{"villain", "mailchimp", "acme"} {
		_, _ = c.client.SetAPIKey(t.Context(), &tokenvaultv1.SetAPIKeyRequest{Subject: "kim", Provider: name, ApiKey: key})
		_, _ = c.client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: "kim", Provider: name})
	}
	c.leaks()
	c.wanted("caller token", "client_secret in a request", "master key", "what the villain issues", "issued by the sandbox", "code in a request", "code_verifier in a request",
		"refresh_token in a request", "device code", "API key", "flow cookie", "state", "access token in credentials", "token in a request", "code in a callback")
}

// echoes answer with all that they were sent, in every place of an answer.
func echoes() map[string]http.HandlerFunc {
	sent := func(r *http.Request) (form url.Values, all string) {
		_ = r.ParseForm()
		secrets := slices.Concat(r.Form["code"], r.Form["client_secret"], r.Form["refresh_token"], r.Form["code_verifier"], r.Form["token"], r.Header["Authorization"])
		return r.Form, strings.Join(append(secrets, base64.StdEncoding.EncodeToString([]byte(strings.Join(secrets, ":")))), " ")
	}
	all := map[string]http.HandlerFunc{}
	for _, code := range []int{200, 307, 400, 401, 500} { // after 401 the vault waits for another client secret, for a while
		for name, write := range map[string]func(w http.ResponseWriter, form url.Values, all string){
			"in JSON": func(w http.ResponseWriter, form url.Values, all string) {
				w.WriteHeader(code)
				_ = json.NewEncoder(w).Encode(map[string]any{"error": all, "error_description": all, "error_uri": "https://x/?" + form.Encode(), "message": form, all: all})
			},
			"as an error each": func(w http.ResponseWriter, form url.Values, _ string) {
				w.WriteHeader(code)
				for _, name := range []string{"refresh_token", "code", "client_secret", "token"} {
					if form.Has(name) {
						_ = json.NewEncoder(w).Encode(map[string]any{"error": form.Get(name), "error_description": form.Get(name)})
						return
					}
				}
			},
			"in HTML": func(w http.ResponseWriter, _ url.Values, all string) {
				w.Header().Set("Content-Type", "text/html")
				w.WriteHeader(code)
				_, _ = io.WriteString(w, "<html><title>"+all+"</title>")
			},
			"in a form": func(w http.ResponseWriter, form url.Values, all string) {
				w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
				w.WriteHeader(code)
				_, _ = io.WriteString(w, url.Values{"error": {all}, "error_description": {form.Encode()}}.Encode())
			},
			"in headers": func(w http.ResponseWriter, form url.Values, all string) {
				w.Header().Set("Location", "/x?"+form.Encode())
				w.Header().Set("Retry-After", all)
				w.Header().Set("WWW-Authenticate", `Bearer error="`+all+`"`)
				w.Header().Set("Content-Type", all)
				w.WriteHeader(code)
			},
			"in JSON that is none": func(w http.ResponseWriter, _ url.Values, all string) {
				w.WriteHeader(code)
				_, _ = io.WriteString(w, `{"error":"`+all+`","expires_in":"`+all+`",`+all)
			},
			"in fields of a token": func(w http.ResponseWriter, _ url.Values, all string) {
				w.WriteHeader(code)
				_ = json.NewEncoder(w).Encode(map[string]any{"access_token": all, "token_type": all, "refresh_token": all, "expires_in": all, "scope": all, "id": "1\n" + all, "dc": all})
			},
		} {
			if code == http.StatusUnauthorized && name != "in JSON" {
				continue
			}
			all[fmt.Sprintf("%d %s", code, name)] = func(w http.ResponseWriter, r *http.Request) {
				form, text := sent(r)
				write(w, form, text)
			}
		}
	}
	return all
}

func TestNoSecretShowsWhateverAProviderAnswers(t *testing.T) {
	t.Parallel()
	c := newCanaries(t)
	honest := map[string]http.HandlerFunc{"/token": c.handlers["/token"], "/me": c.handlers["/me"], "/revoke": says("{}")}
	for path := range honest {
		for _, way := range echoes() {
			for path, handler := range honest {
				c.turn(path, handler)
			}
			c.Clock.Advance(10 * time.Minute)
			c.flow("villain", "alice")
			c.turn(path, way)
			c.flow("villain", "alice")
			c.everything("villain", "alice")
		}
	}
	for _, f := range []sandbox.Fault{
		{Drop: true}, {DropAfter: true}, {Status: 500, Processed: true}, {Status: 302}, {Status: 400, Body: `{"error":"invalid_grant"}`},
		{Quirks: []sandbox.Quirk{sandbox.Quirks()[0]}},
	} {
		c.faults(f)
		c.Clock.Advance(10 * time.Minute)
		for _, name := range []string{"acme", "mailchimp"} {
			c.flow(name, "bob")
			c.everything(name, "bob")
		}
		c.devices()
	}
	c.Restart()
	c.leaks()
	c.wanted("what the villain issues", "issued by the sandbox", "code in a request", "code_verifier in a request", "client_secret in a request")
}

func TestNoSecretShowsWhateverARequestHolds(t *testing.T) {
	t.Parallel()
	c := newCanaries(t)
	const canary = "canary-in-a-request-0123456789"
	c.add("what a request holds", canary)
	ctx := t.Context()
	_, _ = c.client.SetAPIKey(ctx, &tokenvaultv1.SetAPIKeyRequest{Subject: "alice", Provider: "villain", ApiKey: canary})
	_, _ = c.client.SetAPIKey(ctx, &tokenvaultv1.SetAPIKeyRequest{Subject: "alice", Provider: "acme", ApiKey: canary})
	_, _ = c.client.SetAPIKey(ctx, &tokenvaultv1.SetAPIKeyRequest{Subject: "\n", Provider: "mailchimp", ApiKey: canary})
	_, _ = c.admin.RotateClientSecret(ctx, &tokenvaultv1.RotateClientSecretRequest{Provider: "acme", ClientSecret: canary})
	c.flow("acme", "alice")
	_, _ = c.admin.RotateClientSecret(ctx, &tokenvaultv1.RotateClientSecretRequest{Provider: "acme", ClientSecret: canary + "\n"})
	_, _ = c.admin.RotateClientSecret(ctx, &tokenvaultv1.RotateClientSecretRequest{Provider: "none", ClientSecret: canary})
	_, _ = c.admin.RotateClientSecret(ctx, &tokenvaultv1.RotateClientSecretRequest{Provider: "acme", ClientSecret: strings.Repeat(canary, 1000)})
	for _, token := range []string{canary, "Bearer", " " + canary, canary + "\x7f"} {
		conn := c.Dial(secret.New(token), grpc.WithUnaryInterceptor(c.listen))
		_, _ = tokenvaultv1.NewVaultServiceClient(conn).GetConnection(ctx, &tokenvaultv1.GetConnectionRequest{Subject: "alice", Provider: "acme"})
		_ = conn.Close()
	}
	other := access.GenerateToken()
	c.add("unknown caller token", other.Reveal())
	for _, path := range []string{
		"/oauth/acme/callback?state=" + canary + "&code=" + canary + "&error=" + canary + "&error_description=" + canary, "/oauth/acme/callback?code=" + canary, "/oauth/acme/callback?state=x&code=" + canary + "&state=y",
		"/oauth/acme/authorize?session=" + canary, "/oauth/" + canary + "/callback?state=x", "/oauth/acme/" + canary, "/v1/connections?page_token=" + canary, "/v1/connections?page_size=" + canary, "/v1/" + canary, "/" + canary,
		"/v1/subjects/alice/connections/acme?x=" + canary, "/oauth/acme/callback?code=" + canary + "&x=%ff", "/oauth/acme/callback?%ff=" + canary,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, "BREW"} {
			for _, authorization := range []string{"", "Bearer " + canary, "Basic " + canary, canary, "Bearer " + other.Reveal()} {
				r, err := http.NewRequestWithContext(ctx, method, c.GatewayURL+path, strings.NewReader(`{"api_key":"`+canary+`",`))
				if err != nil {
					t.Fatal(err)
				}
				if authorization != "" {
					r.Header.Set("Authorization", authorization)
				}
				r.Header.Set("Cookie", "tokenvault-flow="+canary)
				r.Header.Set("Content-Type", canary)
				if resp, err := c.browser().Do(r); err == nil {
					c.Body(resp)
				}
			}
		}
	}
	// A real flow whose answer comes to the wrong place, and twice.
	link, err := c.client.Connect(ctx, &tokenvaultv1.ConnectRequest{Subject: "bob", Provider: "villain"})
	if err != nil {
		t.Fatal(err)
	}
	b := c.browser()
	page, err := b.Get(link.GetConnectUrl())
	if err != nil {
		t.Fatal(err)
	}
	c.Body(page)
	for _, address := range []string{page.Request.URL.String(), strings.Replace(page.Request.URL.String(), "/villain/", "/acme/", 1)} {
		for _, b := range []*http.Client{b, c.browser()} {
			if resp, err := b.Get(address); err == nil {
				c.Body(resp)
			}
		}
	}
	c.leaks()
	c.wanted("what a request holds", "flow cookie", "state")
}
