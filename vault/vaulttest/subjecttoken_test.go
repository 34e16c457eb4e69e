package vaulttest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// users returns a stack whose users have tokens, a caller that has to show them, one
// of another tenant, in which there is an alice too, and a function that makes tokens.
func users(t *testing.T) (s *vaulttest.Stack, bound, other tokenvaultv1.VaultServiceClient, tokenOf func(subject string) string) {
	t.Helper()
	clock := &vaulttest.Clock{}
	issuer := vaulttest.NewIssuer(t, clock.Now)
	token := access.GenerateToken()
	rule, otherToken := otherTenant()
	rule.Providers = []string{"*"}
	s = vaulttest.New(t, vaulttest.Config{
		Audit:         true,
		Issuers:       []access.Issuer{{URL: issuer.URL}},
		SubjectTokens: &access.SubjectTokens{Tenant: "default", Issuer: issuer.URL, Audience: "app"},
		Rules: []access.Rule{{
			Name: "bound", Tenant: "default", Tokens: access.HashTokens(token), NeedsSubjectToken: true,
			RPCs: []string{"*"}, Providers: []string{"*"}, Subjects: []string{"a*"},
		}, rule},
	})
	conn := s.Dial(token)
	t.Cleanup(func() { _ = conn.Close() })
	other = tokenvaultv1.NewVaultServiceClient(s.Dial(otherToken))
	if err := connectAs(t.Context(), s, other, "alice", "mailchimp"); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"alice", "anna", "bob"} {
		s.Connect(subject, "mailchimp", vaulttest.Ada)
	}
	return s, tokenvaultv1.NewVaultServiceClient(conn), other, func(subject string) string {
		return issuer.Token(map[string]any{"aud": "app", "sub": subject}).Reveal()
	}
}

func TestAUsersTokenFixesTheSubject(t *testing.T) {
	s, bound, other, tokenOf := users(t)
	for _, row := range []struct {
		name           string
		client         tokenvaultv1.VaultServiceClient
		subject, token string
		reason         string // empty: credentials
	}{
		{"the token alone", bound, "", tokenOf("alice"), ""},
		{"the token and its subject", bound, "alice", tokenOf("alice"), ""},
		{"no token", bound, "alice", "", "INVALID_SUBJECT_TOKEN"},
		{"the token of another", bound, "alice", tokenOf("anna"), "INVALID_SUBJECT_TOKEN"},
		{"no token at all", bound, "alice", "x", "INVALID_SUBJECT_TOKEN"},
		{"a token of one beyond the caller's rules", bound, "", tokenOf("bob"), "CALLER_FORBIDDEN"},
		{"a caller that need not, without one", s.Client, "alice", "", ""},
		{"a caller that need not, with one", s.Client, "", tokenOf("bob"), ""},
		{"a caller that need not, with that of another", s.Client, "alice", tokenOf("bob"), "INVALID_SUBJECT_TOKEN"},
		{"a caller of another tenant", other, "", tokenOf("alice"), "INVALID_SUBJECT_TOKEN"},
		{"a caller that need not, with one that is none", s.Client, "alice", "x.y.z", "INVALID_SUBJECT_TOKEN"},
	} {
		t.Run(row.name, func(t *testing.T) {
			resp, err := row.client.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Subject: row.subject, Provider: "mailchimp", SubjectToken: row.token})
			if reason(err) != row.reason || (err == nil) != (resp.GetOauth2().GetAccessToken() != "") {
				t.Errorf("error = %v, want %q", err, row.reason)
			}
			if row.reason == "INVALID_SUBJECT_TOKEN" {
				wantError(t, err, codes.InvalidArgument, row.reason)
			}
		})
	}
}

func TestAUsersTokenIsOnRecordAsTheSubjectAlone(t *testing.T) {
	s, bound, _, tokenOf := users(t)
	token := tokenOf("alice")
	if _, err := bound.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Provider: "mailchimp", SubjectToken: token}); err != nil {
		t.Fatal(err)
	}
	if _, err := bound.GetCredentials(t.Context(), &tokenvaultv1.GetCredentialsRequest{Provider: "mailchimp", Subject: "anna", SubjectToken: token}); err == nil {
		t.Fatal("a token of another went through")
	}
	all := entries(t, s)
	read, denied := all[len(all)-2], all[len(all)-1]
	if read.Subject != "alice" || read.Outcome != "allowed" || read.Caller != "bound" {
		t.Errorf("entry = %+v, want alice's", read)
	}
	if denied.Outcome != "denied" || denied.Reason != "INVALID_SUBJECT_TOKEN" || denied.Subject != "anna" {
		t.Errorf("entry = %+v, want a refusal", denied)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), token) || strings.Contains(s.Log.String(), token) {
		t.Error("the token is on record")
	}
}
