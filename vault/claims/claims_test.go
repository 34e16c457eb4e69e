package claims_test

import (
	"context"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/tokenvault/tokenvault/vault/claims"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// token returns what the library makes of a token with these claims.
func token(t *testing.T, said map[string]any) *oidc.IDToken {
	t.Helper()
	issuer := vaulttest.NewIssuer(t, nil)
	provider, err := oidc.NewProvider(context.Background(), issuer.URL)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := provider.Verifier(&oidc.Config{SkipClientIDCheck: true}).Verify(t.Context(), issuer.Token(said).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return verified
}

func TestNamesThatTheLibraryTakesForOthersAreRefused(t *testing.T) {
	for _, name := range []string{"Sub", "SUB", "ſub", "Aud", "Email_Verified"} {
		t.Run(name, func(t *testing.T) {
			value := any("alice")
			if strings.EqualFold(name, "email_verified") {
				value = true
			}
			said := map[string]any{"sub": "mallory", "aud": "app", name: value}
			if _, err := claims.Of(token(t, said)); err == nil || !strings.Contains(err.Error(), "beside or in place of") {
				t.Errorf("error = %v, want a refusal", err)
			}
		})
	}
}

func TestTheSubjectIsATextOfOneClaim(t *testing.T) {
	for _, row := range []struct {
		name  string
		claim string
		said  map[string]any
		want  string // empty: none
	}{
		{"sub", "sub", map[string]any{"sub": "alice"}, "alice"},
		{"another claim", "upn", map[string]any{"sub": "1", "upn": "alice"}, "alice"},
		{"a claim of another case", "upn", map[string]any{"sub": "1", "UPN": "alice"}, ""},
		{"an empty one", "upn", map[string]any{"sub": "1", "upn": ""}, ""},
		{"a list", "groups", map[string]any{"sub": "1", "groups": []string{"alice"}}, ""},
		{"a verified email", "email", map[string]any{"sub": "1", "email": "a@example.com", "email_verified": true}, "a@example.com"},
		{"an email", "email", map[string]any{"sub": "1", "email": "a@example.com"}, ""},
		{"an email that is almost verified", "email", map[string]any{"sub": "1", "email": "a@example.com", "email_verified": "true"}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			said, err := claims.Of(token(t, row.said))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := said.Subject(row.claim); got != row.want || (err == nil) == (row.want == "") {
				t.Errorf("subject = %q, %v; want %q", got, err, row.want)
			}
		})
	}
}
