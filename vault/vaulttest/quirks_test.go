package vaulttest_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// quirkLifetime is one that expires_in can write as 1e3.
const quirkLifetime = 1000 * time.Second

// asked is what the connections of these tests ask for, and are granted.
func asked() []string { return []string{"contacts.read", "contacts.write"} }

// connectAsking takes alice through a flow that asks for scopes.
func connectAsking(t *testing.T, s *vaulttest.Stack, scopes []string) {
	t.Helper()
	resp, err := s.Client.Connect(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "alice", Provider: "acme", Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	page, err := sandbox.Person{Client: s.NewBrowser()}.Approve(t.Context(), resp.GetConnectUrl(), vaulttest.Ada)
	if err != nil {
		t.Fatal(err)
	}
	if body := s.Body(page); page.StatusCode != http.StatusOK {
		t.Fatalf("the browser ended at %d:\n%s", page.StatusCode, body)
	}
}

func refreshAlice(t *testing.T, s *vaulttest.Stack) (*tokenvaultv1.Connection, error) {
	t.Helper()
	resp, err := s.Client.RefreshConnection(t.Context(), &tokenvaultv1.RefreshConnectionRequest{Subject: "alice", Provider: "acme"})
	return resp.GetConnection(), err
}

// wantIssued checks that the vault hands out what the sandbox has issued last,
// and that it lives and may do what it should.
func wantIssued(t *testing.T, s *vaulttest.Stack, when string, lifetime time.Duration, scopes []string) {
	t.Helper()
	got, want := credentials(t, s, "alice", "acme"), s.Sandbox.LastIssued().AccessToken
	if got.GetOauth2().GetAccessToken() != want || !s.Sandbox.Valid(want) {
		t.Errorf("%s: the vault hands out another token than the last one issued, or it does not work", when)
	}
	if kind := got.GetOauth2().GetTokenType(); kind != "Bearer" {
		t.Errorf("%s: token_type = %q, want Bearer", when, kind)
	}
	if diff := cmp.Diff(scopes, got.GetOauth2().GetScopes()); diff != "" {
		t.Errorf("%s: scopes (-want +got):\n%s", when, diff)
	}
	if id := got.GetAccount().GetId(); id != "31415926" {
		t.Errorf("%s: account = %q, want Ada's", when, id)
	}
	if lifetime == 0 {
		if got.GetExpireTime() != nil {
			t.Errorf("%s: expire_time = %v, want none", when, got.GetExpireTime().AsTime())
		}
		return
	}
	if got.GetExpireTime() == nil {
		t.Errorf("%s: no expire_time, want one", when)
		return
	}
	if left := got.GetExpireTime().AsTime().Sub(s.Clock.Now()); left > lifetime || left < lifetime-time.Minute {
		t.Errorf("%s: %v left, want about %v", when, left, lifetime)
	}
}

// quirkRow is what the vault makes of tokens that come with a quirk.
type quirkRow struct {
	quirk sandbox.Quirk
	// endless: the quirk hides the end of the access token.
	endless bool
	// refreshKeeps: refreshing brings no other refresh token.
	refreshKeeps bool
}

func quirkRows() []quirkRow {
	return []quirkRow{
		// Bodies.
		{quirk: sandbox.FormEncoded},
		{quirk: sandbox.FormAsText},
		{quirk: sandbox.FormAsHTML},
		{quirk: sandbox.JSONAsText},
		{quirk: sandbox.JSONAsHTML},
		{quirk: sandbox.JSONAsForm},
		{quirk: sandbox.NoContentType},
		{quirk: sandbox.ByteOrderMark},
		{quirk: sandbox.BlankLines},
		{quirk: sandbox.TrailingGarbage},
		{quirk: sandbox.Duplicated},
		{quirk: sandbox.Gzip},
		{quirk: sandbox.Chunked},
		{quirk: sandbox.CutOff},
		{quirk: sandbox.Truncated},
		// expires_in.
		{quirk: sandbox.ExpiresInText},
		{quirk: sandbox.ExpiresInFloat},
		{quirk: sandbox.ExpiresInFloatText},
		{quirk: sandbox.ExpiresInExponent},
		{quirk: sandbox.ExpiresInEmpty, endless: true},
		{quirk: sandbox.ExpiresInNull, endless: true},
		{quirk: sandbox.ExpiresInZero, endless: true},
		{quirk: sandbox.ExpiresInNegative, endless: true},
		{quirk: sandbox.ExpiresInMissing, endless: true},
		// The other members.
		{quirk: sandbox.TokenTypeMissing},
		{quirk: sandbox.TokenTypeLower},
		{quirk: sandbox.ScopeNull},
		{quirk: sandbox.ScopeMissing},
		{quirk: sandbox.ScopeList},
		{quirk: sandbox.ScopeCommas},
		{quirk: sandbox.ScopeCommaSpaces},
		{quirk: sandbox.ErrorNull},
		{quirk: sandbox.ErrorEmpty},
		{quirk: sandbox.ErrorOKFalse}, // ok: true
		{quirk: sandbox.RefreshTokenLeftOut, refreshKeeps: true},
		{quirk: sandbox.RefreshTokenNull, refreshKeeps: true},
		{quirk: sandbox.RefreshTokenEmpty, refreshKeeps: true},
		{quirk: sandbox.MetadataLeftOut},
	}
}

func TestNoIssuedTokenIsLostToAQuirk(t *testing.T) {
	for _, row := range quirkRows() {
		t.Run(string(row.quirk), func(t *testing.T) {
			t.Parallel()
			s := vaulttest.New(t, vaulttest.Config{TokenLifetime: quirkLifetime})
			lifetime := quirkLifetime
			if row.endless {
				lifetime = 0
			}
			s.Sandbox.Fault(sandbox.Token, sandbox.Fault{Quirks: []sandbox.Quirk{row.quirk}})
			connectAsking(t, s, asked())
			wantIssued(t, s, "connected", lifetime, asked())
			first := s.Sandbox.LastIssued()

			if _, err := refreshAlice(t, s); err != nil {
				t.Fatalf("refresh: %v", err)
			}
			wantIssued(t, s, "refreshed", lifetime, asked())
			second := s.Sandbox.LastIssued()
			if kept := second.RefreshToken == first.RefreshToken; kept != row.refreshKeeps || second.AccessToken == first.AccessToken {
				t.Errorf("the sandbox kept the refresh token: %v, want %v", kept, row.refreshKeeps)
			}

			// The refresh token is the right one, too: it works once more.
			s.Sandbox.ClearFaults()
			if _, err := refreshAlice(t, s); err != nil {
				t.Fatalf("refresh without the quirk: %v", err)
			}
			wantIssued(t, s, "refreshed without the quirk", quirkLifetime, asked())
			if n := s.Sandbox.RevokedFamilies(); n != 0 {
				t.Errorf("%d families revoked because of reuse, want 0", n)
			}
		})
	}
}

func TestTheRefreshTokenOfAnEarlierConsentIsKept(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{TokenLifetime: quirkLifetime})
	s.Sandbox.Fault(sandbox.Token, sandbox.Fault{Quirks: []sandbox.Quirk{sandbox.RefreshTokenFirstConsentOnly}})
	connectAsking(t, s, asked())
	connectAsking(t, s, asked())
	if s.Sandbox.LastIssued().RefreshToken != "" {
		t.Fatal("the second consent brought a refresh token")
	}
	wantIssued(t, s, "connected again", quirkLifetime, asked())
	if _, err := refreshAlice(t, s); err != nil {
		t.Fatalf("refresh: %v", err)
	}
	wantIssued(t, s, "refreshed", quirkLifetime, asked())
}

func TestRefusalsWithAQuirkMeanWhatTheyMean(t *testing.T) {
	revoke := func(s *vaulttest.Stack) { s.Sandbox.RevokeAll() }
	wrongSecret := func(r *http.Request) {
		if r.ParseForm() == nil {
			r.PostForm.Set("client_secret", "an old one")
		}
	}
	for _, row := range []struct {
		name   string
		fault  sandbox.Fault
		before func(*vaulttest.Stack)
		code   codes.Code
		reason string
	}{
		{"GitHub's bad_refresh_token", sandbox.Fault{Quirks: []sandbox.Quirk{sandbox.ErrorWith200}}, revoke, codes.FailedPrecondition, "REAUTHORIZATION_REQUIRED"},
		{"GitHub's, as a form", sandbox.Fault{Quirks: []sandbox.Quirk{sandbox.ErrorWith200, sandbox.FormEncoded}}, revoke, codes.FailedPrecondition, "REAUTHORIZATION_REQUIRED"},
		{"GitHub's, with a byte order mark", sandbox.Fault{Quirks: []sandbox.Quirk{sandbox.ErrorWith200, sandbox.ByteOrderMark}}, revoke, codes.FailedPrecondition, "REAUTHORIZATION_REQUIRED"},
		{"Slack's invalid_refresh_token", sandbox.Fault{Quirks: []sandbox.Quirk{sandbox.ErrorOKFalse}}, revoke, codes.FailedPrecondition, "REAUTHORIZATION_REQUIRED"},
		{"GitHub's incorrect_client_credentials", sandbox.Fault{Quirks: []sandbox.Quirk{sandbox.ErrorWith200}, Before: wrongSecret}, nil, codes.FailedPrecondition, "PROVIDER_MISCONFIGURED"},
		{"Slack's bad_client_secret", sandbox.Fault{Quirks: []sandbox.Quirk{sandbox.ErrorOKFalse}, Before: wrongSecret}, nil, codes.FailedPrecondition, "PROVIDER_MISCONFIGURED"},
		{"a page with 200", sandbox.Fault{Quirks: []sandbox.Quirk{sandbox.HTMLWith200}}, nil, codes.Unavailable, "PROVIDER_UNAVAILABLE"},
		{"a page with 502", sandbox.Fault{Quirks: []sandbox.Quirk{sandbox.HTMLWith502}}, nil, codes.Unavailable, "PROVIDER_UNAVAILABLE"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := vaulttest.New(t, vaulttest.Config{TokenLifetime: quirkLifetime})
			connectAsking(t, s, asked())
			if row.before != nil {
				row.before(s)
			}
			s.Sandbox.Fault(sandbox.Token, row.fault)
			_, err := refreshAlice(t, s)
			wantError(t, err, row.code, row.reason)
			if row.reason == "REAUTHORIZATION_REQUIRED" {
				return
			}
			// Nothing is lost: what is at hand goes on, and is refreshed once
			// that is possible.
			wantIssued(t, s, "afterwards", quirkLifetime, asked())
			s.Sandbox.ClearFaults()
			s.Clock.Advance(quirkLifetime)
			wantIssuedAfterOutage(t, s)
		})
	}
}

// wantIssuedAfterOutage checks that the vault gets a new token by itself.
func wantIssuedAfterOutage(t *testing.T, s *vaulttest.Stack) {
	t.Helper()
	before := s.Sandbox.LastIssued().AccessToken
	if got := credentials(t, s, "alice", "acme").GetOauth2().GetAccessToken(); got == before || !s.Sandbox.Valid(got) {
		t.Error("no new token that works")
	}
	if n := s.Sandbox.RevokedFamilies(); n != 0 {
		t.Errorf("%d families revoked because of reuse, want 0", n)
	}
}

func TestATokenAtHandIsNotRiskedForALostAnswer(t *testing.T) {
	for _, quirk := range []sandbox.Quirk{sandbox.HTMLWith502Issued, sandbox.TruncatedEarly} {
		t.Run(string(quirk), func(t *testing.T) {
			t.Parallel()
			s := vaulttest.New(t, vaulttest.Config{TokenLifetime: quirkLifetime})
			connectAsking(t, s, asked())
			s.Sandbox.Fault(sandbox.Token, sandbox.Fault{Quirks: []sandbox.Quirk{quirk}, Times: 1})
			_, _ = refreshAlice(t, s) // succeeds if the access token could be read
			for range 3 {
				s.Clock.Advance(quirkLifetime / 4)
				_, _ = refreshAlice(t, s)
				if got := credentials(t, s, "alice", "acme").GetOauth2().GetAccessToken(); !s.Sandbox.Valid(got) {
					t.Error("the token at hand does not work")
				}
			}
			if n := s.Sandbox.RevokedFamilies(); n != 0 {
				t.Errorf("%d families revoked because of reuse while a token was good, want 0", n)
			}
		})
	}
}

func TestEveryQuirkIsProved(t *testing.T) {
	proved := []sandbox.Quirk{
		sandbox.ErrorWith200, sandbox.HTMLWith200, sandbox.HTMLWith502, sandbox.HTMLWith502Issued, sandbox.TruncatedEarly,
		sandbox.RefreshTokenFirstConsentOnly,
	}
	for _, row := range quirkRows() {
		proved = append(proved, row.quirk)
	}
	for _, quirk := range sandbox.Quirks() {
		if !slices.Contains(proved, quirk) {
			t.Errorf("no test has the quirk %s", quirk)
		}
	}
}
