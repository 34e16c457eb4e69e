package vaulttest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// tenancy is a vault with callers of two tenants.
type tenancy struct {
	*vaulttest.Stack
	t                       *testing.T
	ours, narrow, neighbour tokenvaultv1.VaultServiceClient
}

func newTenancy(t *testing.T) *tenancy {
	t.Helper()
	narrow, neighbour := access.GenerateToken(), access.GenerateToken()
	s := vaulttest.New(t, vaulttest.Config{Rules: []access.Rule{
		{Name: "narrow", Tokens: access.HashTokens(narrow), Tenant: "default", RPCs: []string{"*"}, Providers: []string{"mail*"}, Subjects: []string{"team-*"}},
		{Name: "neighbour", Tokens: access.HashTokens(neighbour), Tenant: "neighbour", RPCs: []string{"*"}, Providers: []string{"*"}, Subjects: []string{"*"}},
	}})
	client := func(token secret.String) tokenvaultv1.VaultServiceClient {
		conn := s.Dial(token)
		t.Cleanup(func() { _ = conn.Close() })
		return tokenvaultv1.NewVaultServiceClient(conn)
	}
	return &tenancy{Stack: s, t: t, ours: s.Client, narrow: client(narrow), neighbour: client(neighbour)}
}

func (y *tenancy) connect(c tokenvaultv1.VaultServiceClient, subject, provider string) {
	y.t.Helper()
	if err := connectAs(y.t.Context(), y.Stack, c, subject, provider); err != nil {
		y.t.Fatal(err)
	}
}

func (y *tenancy) refresh(c tokenvaultv1.VaultServiceClient, subject string) {
	y.t.Helper()
	if _, err := c.RefreshConnection(y.t.Context(), &tokenvaultv1.RefreshConnectionRequest{Subject: subject, Provider: "acme"}); err != nil {
		y.t.Fatal(err)
	}
}

func (y *tenancy) disconnect(c tokenvaultv1.VaultServiceClient, subject, provider string) {
	y.t.Helper()
	if _, err := c.Disconnect(y.t.Context(), &tokenvaultv1.DisconnectRequest{Subject: subject, Provider: provider}); err != nil {
		y.t.Fatal(err)
	}
}

// die has the grants at the provider end, and the vault find it out of one.
func (y *tenancy) die(c tokenvaultv1.VaultServiceClient, subject string) {
	y.t.Helper()
	y.Sandbox.RevokeAll()
	_, err := c.RefreshConnection(y.t.Context(), &tokenvaultv1.RefreshConnectionRequest{Subject: subject, Provider: "acme"})
	wantError(y.t, err, codes.FailedPrecondition, "REAUTHORIZATION_REQUIRED")
}

// change makes changes of all kinds in both tenants. The last ones are seen by
// one or the other of all watchers.
func (y *tenancy) change() {
	for _, c := range []tokenvaultv1.VaultServiceClient{y.ours, y.neighbour} {
		for _, subject := range []string{"alice", "team-1"} {
			y.connect(c, subject, "acme")
			y.connect(c, subject, "mailchimp")
			y.refresh(c, subject)
		}
	}
	y.die(y.neighbour, "team-1")
	y.disconnect(y.neighbour, "alice", "mailchimp")
	y.die(y.ours, "team-1")
	y.disconnect(y.ours, "alice", "mailchimp")
	y.disconnect(y.ours, "team-1", "mailchimp")
	y.die(y.ours, "alice")
	y.die(y.neighbour, "alice")
}

// read returns the next so many changes, in words.
func read(t *testing.T, stream watchStream, n int) (changes []string) {
	t.Helper()
	for len(changes) < n {
		if answer := receive(t, stream); answer.GetEvent() != checkpoint {
			c := answer.GetConnection()
			event := strings.TrimPrefix(answer.GetEvent().String(), "CONNECTION_EVENT_")
			changes = append(changes, c.GetSubject()+"/"+c.GetProvider()+" "+event)
		}
	}
	return changes
}

func TestAWatcherSeesWhatItAskedForAndMaySeeAndNothingElse(t *testing.T) {
	y := newTenancy(t)
	const (
		aliceAcme, aliceMail = "alice/acme ", "alice/mailchimp "
		teamAcme, teamMail   = "team-1/acme ", "team-1/mailchimp "
		dead                 = tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_REAUTHORIZATION_REQUIRED
	)
	rows := []struct {
		name    string
		caller  tokenvaultv1.VaultServiceClient
		request *tokenvaultv1.WatchConnectionsRequest
		want    []string
	}{
		{"everything", y.ours, &tokenvaultv1.WatchConnectionsRequest{}, []string{
			aliceAcme + "CONNECTED", aliceMail + "CONNECTED", aliceAcme + "REFRESHED",
			teamAcme + "CONNECTED", teamMail + "CONNECTED", teamAcme + "REFRESHED",
			teamAcme + "REAUTHORIZATION_REQUIRED", aliceMail + "DISCONNECTED", teamMail + "DISCONNECTED", aliceAcme + "REAUTHORIZATION_REQUIRED",
		}},
		{"a subject's", y.ours, &tokenvaultv1.WatchConnectionsRequest{Subject: "alice"}, []string{
			aliceAcme + "CONNECTED", aliceMail + "CONNECTED", aliceAcme + "REFRESHED", aliceMail + "DISCONNECTED", aliceAcme + "REAUTHORIZATION_REQUIRED",
		}},
		{"a provider's", y.ours, &tokenvaultv1.WatchConnectionsRequest{Provider: "mailchimp"}, []string{
			aliceMail + "CONNECTED", teamMail + "CONNECTED", aliceMail + "DISCONNECTED", teamMail + "DISCONNECTED",
		}},
		{"into a status", y.ours, &tokenvaultv1.WatchConnectionsRequest{Status: dead}, []string{
			teamAcme + "REAUTHORIZATION_REQUIRED", aliceAcme + "REAUTHORIZATION_REQUIRED",
		}},
		{"all three", y.ours, &tokenvaultv1.WatchConnectionsRequest{Subject: "alice", Provider: "acme", Status: dead}, []string{
			aliceAcme + "REAUTHORIZATION_REQUIRED",
		}},
		{"what a narrow caller may see", y.narrow, &tokenvaultv1.WatchConnectionsRequest{}, []string{
			teamMail + "CONNECTED", teamMail + "DISCONNECTED",
		}},
		{"a narrow caller, its subject's", y.narrow, &tokenvaultv1.WatchConnectionsRequest{Subject: "team-1"}, []string{
			teamMail + "CONNECTED", teamMail + "DISCONNECTED",
		}},
		{"another tenant's", y.neighbour, &tokenvaultv1.WatchConnectionsRequest{}, []string{
			aliceAcme + "CONNECTED", aliceMail + "CONNECTED", aliceAcme + "REFRESHED",
			teamAcme + "CONNECTED", teamMail + "CONNECTED", teamAcme + "REFRESHED",
			teamAcme + "REAUTHORIZATION_REQUIRED", aliceMail + "DISCONNECTED", aliceAcme + "REAUTHORIZATION_REQUIRED",
		}},
	}
	live := make([]watchStream, len(rows))
	resume := make([]string, len(rows))
	for i, row := range rows {
		live[i], resume[i] = watch(t, row.caller, row.request)
	}
	y.change()
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, read(t, live[i], len(row.want))); diff != "" {
				t.Errorf("as it happens (-want +got):\n%s", diff)
			}
			row.request.ResumeToken = resume[i]
			stream := mustWatch(t, row.caller, row.request)
			if diff := cmp.Diff(row.want, read(t, stream, len(row.want))); diff != "" {
				t.Errorf("afterwards (-want +got):\n%s", diff)
			}
			if answer := receive(t, stream); answer.GetEvent() != checkpoint {
				t.Errorf("afterwards there is one more change: %v", answer)
			}
		})
	}
}

func TestANarrowCallerWatchesNothingOfOthers(t *testing.T) {
	y := newTenancy(t)
	for name, request := range map[string]*tokenvaultv1.WatchConnectionsRequest{
		"another subject's":  {Subject: "alice"},
		"another provider's": {Provider: "acme"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := mustWatch(t, y.narrow, request).Recv()
			wantError(t, err, codes.PermissionDenied, "CALLER_FORBIDDEN")
		})
	}
}
