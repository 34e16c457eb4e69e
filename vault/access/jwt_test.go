package access_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// workload is what a Kubernetes service account's token says.
const workload = "system:serviceaccount:mcp:mailchimp"

// jwtPolicy knows one caller by its tokens, and users by theirs.
func jwtPolicy(t *testing.T, clock *vaulttest.Clock) (*access.Policy, *vaulttest.Issuer) {
	t.Helper()
	issuer := vaulttest.NewIssuer(t, clock.Now)
	p, err := access.NewPolicy(access.Config{
		Now:           clock.Now,
		Issuers:       []access.Issuer{{URL: issuer.URL}},
		SubjectTokens: &access.SubjectTokens{Tenant: "default", Issuer: issuer.URL, Audience: "app"},
		Rules: []access.Rule{
			{Name: "mcp", Tenant: "t", JWT: &access.JWT{Issuer: issuer.URL, Audience: "tokenvault", Subject: workload}},
			{Name: "other", Tenant: "t", JWT: &access.JWT{Issuer: issuer.URL, Audience: "other", Subject: workload}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, issuer
}

func claims(pairs ...any) map[string]any {
	all := map[string]any{"aud": "tokenvault", "sub": workload}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i].(string)] = pairs[i+1]
	}
	return all
}

func TestAJWTIsItsCallersAlone(t *testing.T) {
	clock := &vaulttest.Clock{}
	p, issuer := jwtPolicy(t, clock)
	stranger := vaulttest.NewIssuer(t, clock.Now)
	in := func(d time.Duration) int64 { return clock.Now().Add(d).Unix() }
	good := issuer.Token(claims())
	head, rest, _ := strings.Cut(good.Reveal(), ".")
	payload, signature, _ := strings.Cut(rest, ".")
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + payload + "."
	for _, row := range []struct {
		name  string
		token secret.String
		want  string // empty: nobody
	}{
		{"as it should be", good, "mcp"},
		{"for several audiences", issuer.Token(claims("aud", []string{"x", "tokenvault"})), "mcp"},
		{"for the audiences of two callers", issuer.Token(claims("aud", []string{"other", "tokenvault"})), ""},
		{"for another audience", issuer.Token(claims("aud", "api")), ""},
		{"for none", issuer.Token(claims("aud", nil)), ""},
		{"of another subject", issuer.Token(claims("sub", workload+"2")), ""},
		{"of no subject", issuer.Token(claims("sub", nil)), ""},
		{"with another subject in another case", issuer.Token(claims("sub", "mallory", "Sub", workload)), ""},
		{"with its subject twice", issuer.Token(claims("SUB", workload)), ""},
		{"that has ended", issuer.Token(claims("exp", in(-time.Second))), ""},
		{"that does not end", issuer.Token(claims("exp", nil)), ""},
		{"that is not yet in force", issuer.Token(claims("nbf", in(10*time.Minute))), ""},
		{"of another issuer", stranger.Token(claims()), ""},
		{"of another issuer in its name", stranger.Token(claims("iss", issuer.URL)), ""},
		{"without its signature", secret.New(head + "." + payload + "."), ""},
		{"with the signature of another", secret.New(head + "." + payload + "." + strings.ToUpper(signature)), ""},
		{"not signed", secret.New(unsigned), ""},
		{"signed with the public key as a secret", issuer.TokenOf(confused(t, issuer), claims()), ""},
		{"that is three words", secret.New("a.b.c"), ""},
		{"that is nothing", secret.New(".."), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := ""
			caller, err := p.Authenticate(t.Context(), bearer(row.token))
			if caller != nil {
				got = caller.Name()
			} else if !errors.Is(err, access.ErrUnknown) {
				t.Errorf("error = %v, want ErrUnknown", err)
			}
			if got != row.want {
				t.Errorf("caller = %q, want %q (%v)", got, row.want, err)
			}
			if err != nil && len(signature) > 0 && strings.Contains(err.Error(), signature) {
				t.Errorf("the error holds the token: %v", err)
			}
		})
	}
}

// confused returns the public key made a secret for HMAC: what a verifier that
// believes the token's algorithm would take.
func confused(t *testing.T, issuer *vaulttest.Issuer) jose.JSONWebKey {
	t.Helper()
	key := issuer.OldKey()
	public := key.Public()
	text, err := public.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: text, KeyID: public.KeyID, Algorithm: string(jose.HS256)}
}

func TestAVerifiedJWTIsRememberedUntilItEnds(t *testing.T) {
	clock := &vaulttest.Clock{}
	p, issuer := jwtPolicy(t, clock)
	token := issuer.Token(claims("exp", clock.Now().Add(10*time.Minute).Unix()))
	if p.Recall(bearer(token)) != nil {
		t.Fatal("a token is known before it was verified")
	}
	if _, err := p.Authenticate(t.Context(), bearer(token)); err != nil {
		t.Fatal(err)
	}
	asked := issuer.Asked()
	issuer.Answer(http.StatusInternalServerError)
	if p.Recall(bearer(token)) == nil || issuer.Asked() != asked {
		t.Error("the token is not remembered")
	}
	clock.Advance(10*time.Minute + time.Second)
	if p.Recall(bearer(token)) != nil {
		t.Error("the token is remembered beyond its end")
	}
	if _, err := p.Authenticate(t.Context(), bearer(token)); !errors.Is(err, access.ErrUnknown) {
		t.Errorf("after its end: %v, want ErrUnknown", err)
	}
}

func TestKeysAreRotated(t *testing.T) {
	clock := &vaulttest.Clock{}
	p, issuer := jwtPolicy(t, clock)
	known := func(token secret.String) error {
		_, err := p.Authenticate(t.Context(), bearer(token))
		return err
	}
	if err := known(issuer.Token(claims())); err != nil {
		t.Fatal(err)
	}
	issuer.AddKey()
	clock.Advance(11 * time.Second)
	if err := known(issuer.Token(claims())); err != nil {
		t.Errorf("a token of the new key: %v", err)
	}
	if err := known(issuer.TokenOf(issuer.OldKey(), claims("jti", "1"))); err != nil {
		t.Errorf("a token of the old key, which is still published: %v", err)
	}
	issuer.WithdrawOldKeys()
	clock.Advance(61 * time.Minute)
	if err := known(issuer.TokenOf(issuer.OldKey(), claims("jti", "2"))); !errors.Is(err, access.ErrUnknown) {
		t.Errorf("an hour after the key was withdrawn: %v, want ErrUnknown", err)
	}
}

// TestANewKeyIsNotTakenForAForgedOne: somebody has the issuer asked just before it
// has a new key, so that it may not be asked again for a moment.
func TestANewKeyIsNotTakenForAForgedOne(t *testing.T) {
	clock := &vaulttest.Clock{}
	p, issuer := jwtPolicy(t, clock)
	forged := vaulttest.NewIssuer(t, clock.Now).Token(claims("iss", issuer.URL))
	if _, err := p.Authenticate(t.Context(), bearer(forged)); !errors.Is(err, access.ErrUnknown) {
		t.Fatalf("a forged token: %v, want ErrUnknown", err)
	}
	issuer.AddKey()
	good := issuer.Token(claims())
	if _, err := p.Authenticate(t.Context(), bearer(good)); !errors.Is(err, access.ErrUnavailable) {
		t.Errorf("a token of the new key: %v, want ErrUnavailable: its caller calls again", err)
	}
	clock.Advance(11 * time.Second)
	if _, err := p.Authenticate(t.Context(), bearer(good)); err != nil {
		t.Errorf("a moment later: %v", err)
	}
}

func TestForgedTokensCauseFewQuestions(t *testing.T) {
	clock := &vaulttest.Clock{}
	p, issuer := jwtPolicy(t, clock)
	stranger := vaulttest.NewIssuer(t, clock.Now)
	var all sync.WaitGroup
	for i := range 64 { // more would not wait
		token := stranger.Token(claims("iss", issuer.URL, "jti", fmt.Sprint(i)))
		all.Go(func() {
			if _, err := p.Authenticate(t.Context(), bearer(token)); !errors.Is(err, access.ErrUnknown) {
				t.Errorf("a forged token: %v", err)
			}
		})
	}
	all.Wait()
	if asked := issuer.Asked(); asked > 2 {
		t.Errorf("the issuer was asked %d times, want 2: for its metadata and its keys", asked)
	}
}

func TestAnIssuerThatDoesNotAnswerKeepsNobodyOutForLong(t *testing.T) {
	clock := &vaulttest.Clock{}
	p, issuer := jwtPolicy(t, clock)
	issuer.Answer(http.StatusServiceUnavailable)
	known := func(i int) error {
		_, err := p.Authenticate(t.Context(), bearer(issuer.Token(claims("jti", fmt.Sprint(i)))))
		return err
	}
	if err := known(1); !errors.Is(err, access.ErrUnavailable) {
		t.Fatalf("before the keys were ever read: %v, want ErrUnavailable", err)
	}
	issuer.Answer(0)
	if err := known(2); !errors.Is(err, access.ErrUnavailable) {
		t.Errorf("within the pause: %v, want ErrUnavailable", err)
	}
	clock.Advance(11 * time.Second)
	if err := known(3); err != nil {
		t.Errorf("after the pause: %v", err)
	}
	issuer.Answer(http.StatusServiceUnavailable)
	clock.Advance(23 * time.Hour)
	if err := known(4); err != nil {
		t.Errorf("in an outage of a day: %v; the keys that are there serve on", err)
	}
	clock.Advance(2 * time.Hour)
	if err := known(5); !errors.Is(err, access.ErrUnavailable) {
		t.Errorf("after an outage of more than a day: %v, want ErrUnavailable", err)
	}
}

func TestAUsersTokenNamesTheUser(t *testing.T) {
	clock := &vaulttest.Clock{}
	p, issuer := jwtPolicy(t, clock)
	byEmail, err := access.NewPolicy(access.Config{
		Now: clock.Now, Issuers: []access.Issuer{{URL: issuer.URL, KeysURL: issuer.URL + "/keys"}},
		SubjectTokens: &access.SubjectTokens{Tenant: "default", Issuer: issuer.URL, Audience: "app", Claim: "email"},
	})
	if err != nil {
		t.Fatal(err)
	}
	without, err := newPolicy()
	if err != nil {
		t.Fatal(err)
	}
	user := func(pairs ...any) secret.String {
		return issuer.Token(claims(append([]any{"aud", "app", "sub", "alice"}, pairs...)...))
	}
	ofAcme, err := access.NewPolicy(access.Config{
		Now: clock.Now, Issuers: []access.Issuer{{URL: issuer.URL, KeysURL: issuer.URL + "/keys"}},
		SubjectTokens: &access.SubjectTokens{Tenant: "acme", Issuer: issuer.URL, Audience: "app"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		policy *access.Policy
		token  secret.String
		want   string // empty: none
	}{
		{"by sub", p, user(), "alice"},
		{"for another audience", p, user("aud", "tokenvault"), ""},
		{"that has ended", p, user("exp", clock.Now().Add(-time.Second).Unix()), ""},
		{"of another issuer", p, vaulttest.NewIssuer(t, clock.Now).Token(claims("aud", "app")), ""},
		{"no JWT", p, access.GenerateToken(), ""},
		{"none", p, secret.String{}, ""},
		{"without a subject", p, user("sub", nil), ""},
		{"by email", byEmail, user("email", "ada@example.com", "email_verified", true), "ada@example.com"},
		{"by an email that is not verified", byEmail, user("email", "ada@example.com"), ""},
		{"by an email that is not quite verified", byEmail, user("email", "ada@example.com", "email_verified", "true"), ""},
		{"by an email that is a number", byEmail, user("email", 7, "email_verified", true), ""},
		{"of another tenant than the caller", ofAcme, user(), ""},
		{"where none is believed", without, user(), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			for range 2 { // the second time from memory
				got, err := row.policy.Subject(t.Context(), "default", row.token)
				if got != row.want || (err == nil) == (row.want == "") || err != nil && !errors.Is(err, access.ErrSubjectToken) {
					t.Errorf("subject = %q, %v; want %q", got, err, row.want)
				}
			}
		})
	}
}

// FuzzJWT looks for a token that is believed without a signature, and for panics.
func FuzzJWT(f *testing.F) {
	f.Add("a.b.c")
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + ".e30.")
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"0"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://id.example","aud":["a"],"sub":"s","exp":1e300}`)) + ".AAAA")
	p, err := access.NewPolicy(access.Config{
		Issuers:       []access.Issuer{{URL: "https://id.example", KeysURL: "http://127.0.0.1:1/keys"}},
		SubjectTokens: &access.SubjectTokens{Tenant: "default", Issuer: "https://id.example", Audience: "a"},
		Rules:         []access.Rule{{Name: "a", Tenant: "t", JWT: &access.JWT{Issuer: "https://id.example", Audience: "a", Subject: "s"}}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if caller, err := p.Authenticate(t.Context(), bearer(secret.New(token))); caller != nil || err == nil {
			t.Errorf("a token without a key is believed: %q", token)
		}
		if _, err := p.Subject(t.Context(), "default", secret.New(token)); err == nil {
			t.Errorf("a token without a key is believed: %q", token)
		}
	})
}

func TestAnIssuerThatHangsHoldsOnlySoManyCalls(t *testing.T) {
	answer := make(chan struct{})
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-answer
		http.NotFound(w, r)
	}))
	t.Cleanup(issuer.Close)
	p, err := access.NewPolicy(access.Config{
		Issuers: []access.Issuer{{URL: issuer.URL}},
		Rules:   []access.Rule{{Name: "mcp", Tenant: "t", JWT: &access.JWT{Issuer: issuer.URL, Audience: "tokenvault", Subject: workload}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	part := base64.RawURLEncoding.EncodeToString
	forged := part([]byte(`{"alg":"ES256"}`)) + "." + part(fmt.Appendf(nil, `{"iss":%q,"exp":9999999999}`, issuer.URL)) + "." + part(make([]byte, 64))
	const most, more = 64, 10
	ended := make(chan error)
	for range most + more {
		go func() {
			_, err := p.Authenticate(t.Context(), access.Presented{Bearer: secret.New(forged)})
			ended <- err
		}()
	}
	for i := range most + more {
		if i == more {
			close(answer)
		}
		err := <-ended
		if refused := strings.Contains(fmt.Sprint(err), "many calls wait"); !errors.Is(err, access.ErrUnavailable) || refused != (i < more) {
			t.Errorf("call %d ended with %v", i, err)
		}
	}
}
