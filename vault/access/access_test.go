package access_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/secret"
)

func TestPatternsMatchAsWritten(t *testing.T) {
	for _, row := range []struct {
		glob, name string
		want       bool
	}{
		{"*", "", true}, {"*", "a/b", true}, {"*", "a\nb", true},
		{"alice", "alice", true}, {"alice", "alice2", false}, {"alice", "Alice", false},
		{"team-*", "team-", true}, {"team-*", "team-1/x", true}, {"team-*", "a-team-1", false},
		{"*@example.com", "ada@example.com", true}, {"*@example.com", "ada@exampleXcom", false}, {"*@example.com", "ada@example.com.evil", false},
		{"a*b*c", "a-b-c", true}, {"a*b*c", "a-c", false},
		{"[a-z]", "b", false}, {"?", "b", false}, {".*", "b", false}, {"", "", true}, {"", "a", false},
	} {
		if got := access.Matches(row.glob, row.name); got != row.want {
			t.Errorf("Matches(%q, %q) = %v, want %v", row.glob, row.name, got, row.want)
		}
	}
}

func rule(name string, token secret.String) access.Rule {
	return access.Rule{Name: name, Tenant: "default", Tokens: access.HashTokens(token)}
}

func newPolicy(rules ...access.Rule) (*access.Policy, error) {
	return access.NewPolicy(access.Config{Rules: rules})
}

func bearer(token secret.String) access.Presented { return access.Presented{Bearer: token} }

func TestATokenIsItsCallersAlone(t *testing.T) {
	a, b := access.GenerateToken(), access.GenerateToken()
	p, err := newPolicy(rule("a", a), rule("b", b))
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]secret.String{"a": a, "b": b} {
		if c, err := p.Authenticate(t.Context(), bearer(token)); err != nil || c.Name() != name {
			t.Errorf("Authenticate(%s's token) = %v, %v", name, c, err)
		}
		if c := p.Recall(bearer(token)); c == nil || c.Name() != name {
			t.Errorf("Recall(%s's token) = %v", name, c)
		}
	}
	for name, token := range map[string]secret.String{"empty": {}, "another": access.GenerateToken(), "the hash": secret.New(access.HashToken(a).String())} {
		if _, err := p.Authenticate(t.Context(), bearer(token)); !errors.Is(err, access.ErrUnknown) || p.Recall(bearer(token)) != nil {
			t.Errorf("Authenticate(%s) = %v, want ErrUnknown", name, err)
		}
	}
}

func TestACallerWithoutRulesMayDoNothing(t *testing.T) {
	token := access.GenerateToken()
	p, err := newPolicy(rule("a", token))
	if err != nil {
		t.Fatal(err)
	}
	c := p.Recall(bearer(token))
	if c.MayCall("GetCredentials") || c.MaySee("alice", "mailchimp") || c.MayUseSubject("") || c.MayUseProvider("") {
		t.Error("something is allowed")
	}
}

func TestRulesThatCannotBeToldApartAreRefused(t *testing.T) {
	token := access.GenerateToken()
	for name, rules := range map[string][]access.Rule{
		"nothing to show":   {{Name: "a", Tenant: "default"}},
		"a SPIFFE ID twice": {{Name: "a", Tenant: "t", SPIFFEID: "spiffe://example.org/a"}, {Name: "b", Tenant: "t", SPIFFEID: "spiffe://example.org/a"}},
		"no SPIFFE ID":      {{Name: "a", Tenant: "t", SPIFFEID: "https://example.org/a"}},
		"a DNS name twice":  {{Name: "a", Tenant: "t", DNSName: "a.example"}, {Name: "b", Tenant: "t", DNSName: "A.example"}},
		"a JWT of nobody":   {{Name: "a", Tenant: "t", JWT: &access.JWT{Issuer: "https://id.example", Audience: "a", Subject: "s"}}},
		"a name twice":      {rule("a", access.GenerateToken()), rule("a", access.GenerateToken())},
		"a token twice":     {rule("a", token), rule("b", token)},
		"no token":          {{Name: "a", Tenant: "default", Tokens: []access.TokenHash{{}}}},
		"empty token":       {rule("a", secret.String{})},
		"no tenant":         {{Name: "a", Tokens: access.HashTokens(token)}},
	} {
		if _, err := newPolicy(rules...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTokenHashesAreReadAsWritten(t *testing.T) {
	token := access.GenerateToken()
	if !strings.HasPrefix(token.Reveal(), "tv_") {
		t.Errorf("token = %q..., want the prefix tv_", token.Reveal()[:3])
	}
	hash := access.HashToken(token)
	if again, err := access.ParseTokenHash(hash.String()); err != nil || again != hash {
		t.Errorf("ParseTokenHash(%s) = %v, %v", hash, again, err)
	}
	empty := access.HashToken(secret.String{}).String()
	for _, text := range []string{"", "ab", empty, strings.ToUpper(empty), strings.Repeat("g", 64), hash.String() + "00"} {
		if _, err := access.ParseTokenHash(text); err == nil {
			t.Errorf("ParseTokenHash(%q) was accepted", text)
		}
	}
}

// BenchmarkAuthenticate is what a call pays to be let in, by the number of
// callers that are configured.
func BenchmarkAuthenticate(b *testing.B) {
	for _, callers := range []int{1, 1000} {
		b.Run(fmt.Sprintf("of %d callers", callers), func(b *testing.B) {
			var token secret.String
			rules := make([]access.Rule, callers)
			for i := range rules {
				token = access.GenerateToken()
				rules[i] = rule(fmt.Sprintf("caller-%d", i), token)
				rules[i].RPCs, rules[i].Providers, rules[i].Subjects = []string{"GetCredentials"}, []string{"mailchimp"}, []string{"team-*"}
			}
			p, err := newPolicy(rules...)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				c := p.Recall(bearer(token))
				if c == nil || !c.MayCall("GetCredentials") || !c.MaySee("team-1", "mailchimp") {
					b.Fatal("not let in")
				}
			}
		})
	}
}

func TestWhatIsNoTokenHashIsTold(t *testing.T) {
	token := access.GenerateToken()
	for _, row := range []struct{ name, text, want string }{
		{"nothing", "", "is missing"},
		{"too short", "abcd", "must be 64 hex digits"},
		{"no hex digits", strings.Repeat("x", 64), "must be 64 hex digits"},
		{"the token itself", token.Reveal(), "this is the token; write its hash, " + access.HashToken(token).String()},
		{"the placeholder", strings.Repeat("0", 64), "this is the README's placeholder"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := access.ParseTokenHash(row.text)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("error = %v, want one with %q", err, row.want)
			}
			if row.text != "" && strings.Contains(err.Error(), row.text) {
				t.Errorf("the error repeats what may be a secret: %v", err)
			}
		})
	}
}
