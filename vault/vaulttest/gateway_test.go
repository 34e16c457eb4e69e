package vaulttest_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/server"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func ask(t *testing.T, browser *http.Client, method, address string, header map[string]string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestHEADUsesNothingUp(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	resp, err := s.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	browser, callback := stoppedAt(t, s, s.NewBrowser(), resp.GetConnectUrl())
	for _, address := range []string{resp.GetConnectUrl(), callback} {
		answer := ask(t, browser, http.MethodHead, address, nil)
		s.Body(answer)
		if answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != "GET" || answer.Header.Get("Set-Cookie") != "" {
			t.Errorf("HEAD answered %d with Allow %q and a cookie %q, want 405, GET and none", answer.StatusCode, answer.Header.Get("Allow"), answer.Header.Get("Set-Cookie"))
		}
	}
	if n := s.Sandbox.Requests(sandbox.Token); n != 0 {
		t.Errorf("%d codes were redeemed, want none", n)
	}
	if code, page := open(t, s, browser, callback); code != http.StatusOK {
		t.Errorf("GET afterwards ended at %d:\n%s", code, page)
	}
}

func TestAddressesThatLeadNowhere(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	for _, row := range []struct {
		name, method, path, accept string
		status                     int
		allow, contentType, want   string
	}{
		{"unknown, for a browser", http.MethodGet, "/nowhere", "text/html,*/*", 404, "", "text/html", "There is nothing here"},
		{"unknown, for a program", http.MethodGet, "/nowhere", "application/json", 404, "", "application/json", "/openapi.json"},
		{"unknown, below /oauth/", http.MethodGet, "/oauth/acme/nowhere", "", 404, "", "text/html", "There is nothing here"},
		{"wrong method, for a browser", http.MethodPost, "/oauth/acme/authorize", "", 405, "GET", "text/html", "There is nothing here"},
		{"wrong method, for a program", http.MethodPut, "/v1/connections", "", 405, "GET", "application/json", "takes GET only"},
		{"wrong method, of several", http.MethodPatch, "/v1/subjects/a/connections/acme", "", 405, "DELETE, GET", "application/json", "takes DELETE, GET only"},
	} {
		t.Run(row.name, func(t *testing.T) {
			resp := ask(t, s.NewBrowser(), row.method, s.GatewayURL+row.path, map[string]string{"Accept": row.accept})
			body := s.Body(resp)
			if resp.StatusCode != row.status || resp.Header.Get("Allow") != row.allow || !strings.HasPrefix(resp.Header.Get("Content-Type"), row.contentType) || !strings.Contains(body, row.want) {
				t.Errorf("answer = %d, Allow %q, %s\n%s", resp.StatusCode, resp.Header.Get("Allow"), resp.Header.Get("Content-Type"), body)
			}
		})
	}
}

func TestRefusalsAreLoggedWithWhereTheyCameFrom(t *testing.T) {
	const spoofed = "203.0.113.7:1"
	s := vaulttest.New(t, vaulttest.Config{})
	resp := ask(t, s.NewBrowser(), http.MethodGet, s.GatewayURL+"/v1/connections", map[string]string{
		"Grpc-Metadata-" + server.ClientAddressKey: spoofed, server.ClientAddressKey: spoofed, "X-Forwarded-For": spoofed,
	})
	if s.Body(resp); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("status = %d, want 401", resp.StatusCode)
	}
	if log := s.Log.String(); !strings.Contains(log, "peer=127.0.0.1:") || strings.Contains(log, "bufconn") || strings.Contains(log, spoofed) {
		t.Errorf("the log does not say where the REST call came from:\n%s", log)
	}

	conn := s.Dial(secret.String{})
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(t.Context(), server.ClientAddressKey, spoofed)
	_, err := tokenvaultv1.NewVaultServiceClient(conn).ListConnections(ctx, &tokenvaultv1.ListConnectionsRequest{})
	wantError(t, err, codes.Unauthenticated, "CALLER_UNKNOWN")
	if log := s.Log.String(); strings.Contains(log, spoofed) || strings.Count(log, "peer=127.0.0.1:") != 2 {
		t.Errorf("the log does not say where the gRPC call came from:\n%s", log)
	}
}

func TestTheRecordHasTheAddressThatATrustedProxyTells(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{Audit: true, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	resp := ask(t, s.NewBrowser(), http.MethodGet, s.GatewayURL+"/v1/connections", map[string]string{"X-Forwarded-For": "1.2.3.4, 203.0.113.7"})
	if s.Body(resp); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("status = %d, want 401", resp.StatusCode)
	}
	for name, text := range map[string]string{"log": s.Log.String(), "record": string(record(t, s))} {
		if !strings.Contains(text, "203.0.113.7") || strings.Contains(text, "1.2.3.4") {
			t.Errorf("the %s does not say that the call came from 203.0.113.7:\n%s", name, text)
		}
	}
}

func TestABrowserThatAsksTooOftenIsToldToWaitAndCanGoOn(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{BrowserRate: 1, BrowserBurst: 2})
	resp, err := s.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	browser, callback := stoppedAt(t, s, s.NewBrowser(), resp.GetConnectUrl()) // the first request
	s.Body(ask(t, browser, http.MethodHead, resp.GetConnectUrl(), nil))        // the second
	code, page := open(t, s, browser, callback)
	for ; code == http.StatusTooManyRequests; code, page = open(t, s, browser, callback) {
		if !strings.Contains(page, "Wait a moment, then load this page again.") {
			t.Fatalf("the page does not say what to do:\n%s", page)
		}
	}
	if code != http.StatusOK {
		t.Errorf("the callback ended at %d:\n%s", code, page)
	}
}

func TestPagesSayWhatToDoNext(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	s.Connect("alice", "mailchimp", vaulttest.Ada)
	if _, page := s.Connect("alice", "mailchimp", vaulttest.Grace); !strings.Contains(page, "That is another account") || !strings.Contains(page, "under a label of its own") {
		t.Errorf("the page of another account does not speak of labels:\n%s", page)
	}
	resp, err := s.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "bob", Provider: "mailchimp"})
	if err != nil {
		t.Fatal(err)
	}
	declined, err := sandbox.Person{Client: s.NewBrowser()}.Deny(t.Context(), resp.GetConnectUrl())
	if err != nil {
		t.Fatal(err)
	}
	if page := s.Body(declined); !strings.Contains(page, "Changed your mind? Open the link again.") {
		t.Errorf("the page of a person who declined does not say what to do next:\n%s", page)
	}
}
