package vaulttest_test

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func credentials(t *testing.T, s *vaulttest.Stack, subject, provider string) *tokenvaultv1.GetCredentialsResponse {
	t.Helper()
	resp, err := s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: subject, Provider: provider})
	if err != nil {
		t.Fatalf("GetCredentials(%s, %s): %v", subject, provider, err)
	}
	return resp
}

// reason returns the ErrorInfo reason of an error.
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == "tokenvault" {
			return info.GetReason()
		}
	}
	return ""
}

func wantError(t *testing.T, err error, code codes.Code, want string) {
	t.Helper()
	if status.Code(err) != code || reason(err) != want {
		t.Errorf("got %v with reason %q, want %v with reason %q (%v)", status.Code(err), reason(err), code, want, err)
	}
}

func TestAConnectedMailchimpAccountGivesWorkingCredentials(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	code, page := s.Connect("alice", "mailchimp", vaulttest.Ada)
	if code != http.StatusOK || !strings.Contains(page, "Mailchimp is connected") || !strings.Contains(page, "Analytical Engines Ltd") {
		t.Fatalf("the browser ended at %d:\n%s", code, page)
	}
	creds := credentials(t, s, "alice", "mailchimp")
	if creds.GetExpireTime() != nil {
		t.Errorf("expire_time = %v, want none: Mailchimp's expires_in 0 means never", creds.GetExpireTime())
	}
	if got := creds.GetMetadata()["dc"]; got != "us6" {
		t.Errorf("dc = %q, want us6", got)
	}
	if got, want := creds.GetApiBaseUrl(), s.SandboxURL+"/mailchimp/us6/3.0"; got != want {
		t.Errorf("api_base_url = %q, want %q", got, want)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, creds.GetApiBaseUrl()+"/ping", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range creds.GetHeaders() {
		req.Header.Set(name, value)
	}
	resp, err := new(http.Client).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if body := s.Body(resp); resp.StatusCode != http.StatusOK || !strings.Contains(body, "Chimpy") {
		t.Errorf("GET /ping with the credentials = %d %s", resp.StatusCode, body)
	}
}

func TestConnectionsSurviveARestart(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	s.Connect("alice", "mailchimp", vaulttest.Ada)
	before := credentials(t, s, "alice", "mailchimp").GetOauth2().GetAccessToken()
	s.Restart()
	if after := credentials(t, s, "alice", "mailchimp").GetOauth2().GetAccessToken(); after != before {
		t.Error("the token after the restart is another")
	}
}

func TestTheDatabaseShowsNeitherWhoNorWhat(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	s.Connect("alice@example.com", "acme", vaulttest.Ada)
	token := credentials(t, s, "alice@example.com", "acme").GetOauth2().GetAccessToken()
	file, err := os.ReadFile(s.DatabasePath)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"alice", "acme", "Ada", "ada@example.com", token, "offline_access"} {
		if strings.Contains(string(file), text) {
			t.Errorf("the database holds %q in the clear", text)
		}
	}
	for _, secretText := range []string{token, s.Token.Reveal()} {
		if strings.Contains(s.Log.String(), secretText) {
			t.Error("the log holds a token")
		}
	}
}

func TestListAndDisconnect(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	s.Connect("alice", "mailchimp", vaulttest.Ada)
	s.Connect("bob", "acme", vaulttest.Grace)
	token := credentials(t, s, "bob", "acme").GetOauth2().GetAccessToken()

	list, err := s.Client.ListConnections(t.Context(), &tokenvaultv1.ListConnectionsRequest{Subject: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(list.GetConnections()); n != 1 {
		t.Fatalf("bob has %d connections, want 1", n)
	}
	conn := list.GetConnections()[0]
	if conn.GetStatus() != tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_CONNECTED || conn.GetAccount().GetEmail() != "grace@example.com" || conn.GetLastUsedTime() == nil {
		t.Errorf("connection = %v", conn)
	}

	for _, row := range []struct {
		subject, provider string
		want              tokenvaultv1.Revocation
	}{
		{"alice", "mailchimp", tokenvaultv1.Revocation_REVOCATION_NOT_SUPPORTED},
		{"bob", "acme", tokenvaultv1.Revocation_REVOCATION_REVOKED},
	} {
		resp, err := s.Client.Disconnect(t.Context(), &tokenvaultv1.DisconnectRequest{Subject: row.subject, Provider: row.provider})
		if err != nil {
			t.Fatal(err)
		}
		if resp.GetRevocation() != row.want || (row.want != tokenvaultv1.Revocation_REVOCATION_REVOKED) != (resp.GetNextStep() != "") {
			t.Errorf("Disconnect(%s) = %v, want %v", row.provider, resp, row.want)
		}
		_, err = s.Client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: row.subject, Provider: row.provider})
		wantError(t, err, codes.NotFound, "NOT_CONNECTED")
	}
	if s.Sandbox.Valid(token) {
		t.Error("the token still works at the provider")
	}
}

func TestPagesOfAListHoldEachConnectionOnce(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	subjects := []string{"a", "b", "c", "d", "e"}
	for _, subject := range subjects {
		s.Connect(subject, "mailchimp", vaulttest.Ada)
	}
	seen := map[string]int{}
	req := &tokenvaultv1.ListConnectionsRequest{PageSize: 2}
	for {
		page, err := s.Client.ListConnections(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.GetConnections() {
			seen[c.GetSubject()]++
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	for _, subject := range subjects {
		if seen[subject] != 1 {
			t.Errorf("subject %s was listed %d times", subject, seen[subject])
		}
	}
}

func TestTheBrowserGoesBackToTheReturnURL(t *testing.T) {
	const home = "http://127.0.0.1:1/done"
	s := vaulttest.New(t, vaulttest.Config{ReturnURLs: []string{home}})
	link := func() string {
		resp, err := s.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "mailchimp", ReturnUrl: home})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetConnectUrl()
	}
	browser := s.NewBrowser()
	browser.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(req.URL.String(), home) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	person := sandbox.Person{Client: browser}
	for _, row := range []struct {
		name string
		end  func(link string) (*http.Response, error)
		want url.Values
	}{
		{"approved", func(l string) (*http.Response, error) { return person.Approve(t.Context(), l, vaulttest.Ada) }, url.Values{"status": {"connected"}}},
		{"declined", func(l string) (*http.Response, error) { return person.Deny(t.Context(), l) }, url.Values{"status": {"error"}, "reason": {"access_denied"}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			resp, err := row.end(link())
			if err != nil {
				t.Fatal(err)
			}
			s.Body(resp)
			if got, want := resp.Header.Get("Location"), home+"?"+row.want.Encode(); got != want {
				t.Errorf("Location = %q, want %q", got, want)
			}
		})
	}
}

func TestAnotherAccountIsRefusedAndTheConnectionGoesOn(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{})
	s.Connect("alice", "mailchimp", vaulttest.Ada)
	before := credentials(t, s, "alice", "mailchimp")
	code, page := s.Connect("alice", "mailchimp", vaulttest.Grace)
	if code != http.StatusBadRequest || !strings.Contains(page, "another account") {
		t.Errorf("the browser ended at %d:\n%s", code, page)
	}
	after := credentials(t, s, "alice", "mailchimp")
	if after.GetOauth2().GetAccessToken() != before.GetOauth2().GetAccessToken() || after.GetGeneration() != before.GetGeneration() {
		t.Error("the working connection was touched")
	}
	if code, _ := s.Connect("alice", "mailchimp", vaulttest.Ada); code != http.StatusOK {
		t.Errorf("connecting the same account again ended with %d", code)
	}
}
