package nodetest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// approve opens a link in a browser without scripts and consents as Ada.
func approve(t *testing.T, s *vaulttest.Stack, link string) {
	t.Helper()
	page, err := sandbox.Person{Client: s.NewBrowser()}.Approve(t.Context(), link, vaulttest.Ada)
	if err != nil {
		t.Fatal(err)
	}
	if body := s.Body(page); page.StatusCode != http.StatusOK {
		t.Fatalf("the page at the end has status %d:\n%s", page.StatusCode, body)
	}
}

// refusal is how a program sees an error.
type refusal struct {
	Code, Message string
	Info          struct {
		Reason, Domain string
		Metadata       map[string]string
	}
}

// change is how it sees an answer of WatchConnections.
type change struct {
	Event, Status string
	Resumable     bool
}

// credentials are how it sees an answer of GetCredentials.
type credentials struct {
	Credential, Type, Base, Source, Token string
	Headers, Metadata                     map[string]string
	Account                               struct{ ID, Name, Email string }
	Expires                               bool
}

func TestTheProtosAreAllThatNodeNeeds(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, vaulttest.Config{})
	program := Start(t, script(t, "contract.mjs", at(s)...))
	for _, want := range []string{"UNAUTHENTICATED CALLER_UNKNOWN", "NOT_FOUND NOT_CONNECTED", "NOT_FOUND PROVIDER_UNKNOWN"} {
		var got refusal
		program.Read(&got)
		if seen := got.Code + " " + got.Info.Reason; seen != want || got.Info.Domain != "tokenvault" || got.Message == "" {
			t.Errorf("refused with %+v, want %s of the domain tokenvault, and a message", got, want)
		}
	}
	wantChange(t, program, change{Event: "CONNECTION_EVENT_CHECKPOINT", Resumable: true})
	var link struct{ Link string }
	program.Read(&link)
	approve(t, s, link.Link)
	wantChange(t, program, change{"CONNECTION_EVENT_CONNECTED", "CONNECTION_STATUS_CONNECTED", true})

	var got credentials
	program.Read(&got)
	if !s.Sandbox.Valid(got.Token) {
		t.Errorf("the token %q is not one that works", got.Token)
	}
	account, want := sandbox.DefaultAccounts()[0], credentials{
		Credential: "oauth2", Type: "Bearer", Source: "CREDENTIAL_SOURCE_OAUTH", Token: got.Token,
		Headers: map[string]string{"Authorization": "Bearer " + got.Token},
	}
	want.Base, want.Metadata = fmt.Sprintf("%s/mailchimp/%s/3.0", s.SandboxURL, account.DataCenter), got.Metadata
	want.Account.ID, want.Account.Name, want.Account.Email = fmt.Sprint(account.ID), account.Name, account.Email
	if diff := cmp.Diff(want, got); diff != "" || got.Metadata["dc"] != account.DataCenter {
		t.Errorf("the credentials, with the data center %q (-want +got):\n%s", got.Metadata["dc"], diff)
	}

	var listed struct{ Connections []string }
	program.Read(&listed)
	if got := strings.Join(listed.Connections, ", "); got != "alice CONNECTION_STATUS_CONNECTED" {
		t.Errorf("the connections are %s, want alice's", got)
	}
	var revoked struct{ Revocation string }
	program.Read(&revoked)
	if revoked.Revocation != "REVOCATION_NOT_SUPPORTED" {
		t.Errorf("the revocation is %s, want REVOCATION_NOT_SUPPORTED", revoked.Revocation)
	}
	wantChange(t, program, change{"CONNECTION_EVENT_DISCONNECTED", "CONNECTION_STATUS_DISCONNECTED", true})
	program.End()
}

func wantChange(t *testing.T, program *Process, want change) {
	t.Helper()
	var got change
	program.Read(&got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the change (-want +got):\n%s", diff)
	}
}
