package access_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func newVerifier(t *testing.T, clock *vaulttest.Clock, claim string) (*access.Verifier, *vaulttest.Issuer) {
	t.Helper()
	issuer := vaulttest.NewIssuer(t, clock.Now)
	v, err := access.NewVerifier(access.VerifierConfig{Issuer: access.Issuer{URL: issuer.URL}, Audience: "app", Claim: claim, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return v, issuer
}

func TestAVerifierBelievesTokensOfItsIssuerForItsAudience(t *testing.T) {
	clock := &vaulttest.Clock{}
	v, issuer := newVerifier(t, clock, "")
	stranger := vaulttest.NewIssuer(t, clock.Now)
	alice := func(more ...any) map[string]any {
		return claims(append([]any{"aud", "app", "sub", "alice"}, more...)...)
	}
	for _, row := range []struct {
		name  string
		token secret.String
		want  string // empty: nobody
	}{
		{"as it should be", issuer.Token(alice()), "alice"},
		{"for several audiences", issuer.Token(alice("aud", []string{"x", "app"})), "alice"},
		{"for another audience", issuer.Token(alice("aud", "api")), ""},
		{"for none", issuer.Token(alice("aud", nil)), ""},
		{"of no subject", issuer.Token(alice("sub", nil)), ""},
		{"that has ended", issuer.Token(alice("exp", clock.Now().Add(-time.Second).Unix())), ""},
		{"that does not end", issuer.Token(alice("exp", nil)), ""},
		{"of another issuer", stranger.Token(alice()), ""},
		{"of another issuer in its name", stranger.Token(alice("iss", issuer.URL)), ""},
		{"of the type of access tokens", issuer.TokenOfType("at+jwt", alice()), "alice"},
		{"of that type in full", issuer.TokenOfType("application/AT+JWT", alice()), "alice"},
		{"of the type of all JWTs", issuer.TokenOfType("JWT", alice()), "alice"},
		{"of the type of a sign-out", issuer.TokenOfType("logout+jwt", alice()), ""},
		{"of the type of a proof", issuer.TokenOfType("dpop+jwt", alice()), ""},
		{"that is bound to a key", issuer.Token(alice("cnf", map[string]string{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})), ""},
		{"that is no JWT", secret.New("tv_opaque"), ""},
		{"that is nothing", secret.String{}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := ""
			user, err := v.Verify(t.Context(), row.token)
			if user != nil {
				got = user.Subject
			}
			if got != row.want || (row.want == "") != errors.Is(err, access.ErrSubjectToken) {
				t.Errorf("subject = %q, %v; want %q", got, err, row.want)
			}
		})
	}
}

func TestAVerifierReadsScopesHoweverTheyCome(t *testing.T) {
	v, issuer := newVerifier(t, &vaulttest.Clock{}, "")
	for _, row := range []struct {
		name string
		said map[string]any
		want []string
	}{
		{"none", map[string]any{}, nil},
		{"a text", map[string]any{"scope": "read  write"}, []string{"read", "write"}},
		{"a list", map[string]any{"scp": []string{"read", "write"}}, []string{"read", "write"}},
		{"a text by the older name", map[string]any{"scp": "read"}, []string{"read"}},
		{"something else", map[string]any{"scope": 7, "scp": []any{7, "read"}}, []string{"read"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.said["aud"], row.said["sub"] = "app", "alice"
			user, err := v.Verify(t.Context(), issuer.Token(row.said))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, user.Scopes); diff != "" {
				t.Errorf("scopes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAVerifiedTokenEndsWhenItSays(t *testing.T) {
	clock := &vaulttest.Clock{}
	v, issuer := newVerifier(t, clock, "")
	token := issuer.Token(map[string]any{"aud": "app", "sub": "alice"})
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Hour + time.Second)
	if user, err := v.Verify(t.Context(), token); !errors.Is(err, access.ErrSubjectToken) {
		t.Errorf("an ended token: %v, %v; want %v", user, err, access.ErrSubjectToken)
	}
}

func TestAVerifierGoesByTheClaimItIsTold(t *testing.T) {
	v, issuer := newVerifier(t, &vaulttest.Clock{}, "email")
	user, err := v.Verify(t.Context(), issuer.Token(map[string]any{"aud": "app", "sub": "1", "email": "a@example.com", "email_verified": true}))
	if err != nil || user.Subject != "a@example.com" {
		t.Errorf("subject = %v, %v; want a@example.com", user, err)
	}
	if user, err := v.Verify(t.Context(), issuer.Token(map[string]any{"aud": "app", "sub": "1", "email": "b@example.com"})); !errors.Is(err, access.ErrSubjectToken) {
		t.Errorf("an email that is not verified: %v, %v; want %v", user, err, access.ErrSubjectToken)
	}
}

func TestAVerifierTellsAnIssuerThatDoesNotAnswerFromAForgedToken(t *testing.T) {
	v, issuer := newVerifier(t, &vaulttest.Clock{}, "")
	issuer.Answer(http.StatusServiceUnavailable)
	if _, err := v.Verify(t.Context(), issuer.Token(map[string]any{"aud": "app", "sub": "alice"})); !errors.Is(err, access.ErrUnavailable) {
		t.Errorf("error = %v, want %v", err, access.ErrUnavailable)
	}
}

func TestAVerifierNeedsAnIssuerAndAnAudience(t *testing.T) {
	for _, c := range []access.VerifierConfig{
		{},
		{Issuer: access.Issuer{URL: "https://id.example.com"}},
		{Audience: "app"},
	} {
		if _, err := access.NewVerifier(c); err == nil {
			t.Errorf("NewVerifier(%+v) returns no error", c)
		}
	}
}
