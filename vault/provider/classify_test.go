package provider

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// answering returns a provider whose token endpoint always gives one answer.
func answering(t *testing.T, status int, body string) *Provider {
	t.Helper()
	return transported(t, roundTrip(func(*http.Request) (*http.Response, error) {
		rec := httptest.NewRecorder()
		rec.Header().Set("Content-Type", "application/json")
		rec.WriteHeader(status)
		_, _ = rec.WriteString(body)
		return rec.Result(), nil
	}))
}

type roundTrip func(*http.Request) (*http.Response, error)

func (rt roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return rt(req) }

func transported(t *testing.T, transport http.RoundTripper) *Provider {
	t.Helper()
	p, err := New(Config{
		Name: "acme", ClientID: "id", ClientSecret: secret.New("s"), RedirectURL: "https://vault.example/oauth/acme/callback", Transport: transport,
		Definition: Definition{AuthorizeURL: "https://id.example/authorize", TokenURL: "https://id.example/token", ClientAuth: ClientAuthPost},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryCodeOfTheTableMeansWhatItSays(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range meanings() {
		if seen[row.code] || row.source == "" {
			t.Errorf("%s is there twice, or without a source", row.code)
		}
		seen[row.code] = true
		for _, status := range []int{200, 400, 401, 500} {
			_, err := answering(t, status, `{"error":"`+row.code+`"}`).Refresh(t.Context(), secret.New("r"))
			if got := KindOf(err); err == nil || got != row.kind {
				t.Errorf("%s with status %d is %v, want %v (%s)", row.code, status, got, row.kind, row.source)
			}
		}
	}
}

func TestWhatIsNotInTheTableIsTransient(t *testing.T) {
	for _, row := range []struct {
		name   string
		status int
		body   string
		want   Kind
	}{
		{"a code of nobody's", 400, `{"error":"out_of_coffee"}`, Transient},
		{"no code", 400, `{}`, Transient},
		{"forbidden, without a code", 403, `<html>`, Transient},
		{"too many requests", 429, `{"error":"rate_limited"}`, Transient},
		{"the client was not accepted", 401, `{}`, Misconfigured},
		{"a code in another case", 400, `{"error":"Invalid_Grant"}`, Transient},
		{"a page", 200, `<html>invalid_grant</html>`, Transient},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := answering(t, row.status, row.body).Refresh(t.Context(), secret.New("r"))
			if got := KindOf(err); err == nil || got != row.want {
				t.Errorf("got %v (%v), want %v", got, err, row.want)
			}
		})
	}
}

func TestAnErrorTellsWhetherTheRequestMayHaveBeenCarriedOut(t *testing.T) {
	for _, row := range []struct {
		name   string
		status int
		body   string
		want   bool
	}{
		{"refused", 400, `{"error":"invalid_grant"}`, false},
		{"not now", 503, ``, false},
		{"too many", 429, ``, false},
		{"server error", 500, ``, true},
		{"the proxy did not wait", 504, ``, true},
		{"the proxy heard nonsense", 502, `<html>`, true},
		{"half an answer", 200, `{"access_tok`, true},
		{"a page in place of an answer", 200, `<html>`, true},
		{"a token that cannot be one", 200, `{"access_token":"a b"}`, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := answering(t, row.status, row.body).Refresh(t.Context(), secret.New("r"))
			if got := Unanswered(err); err == nil || got != row.want {
				t.Errorf("Unanswered(%v) = %v, want %v", err, got, row.want)
			}
		})
	}
}

func TestARequestThatNeverLeftWasNotCarriedOut(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	address := srv.URL
	srv.Close() // nobody listens there now
	p, err := New(Config{
		Name: "acme", ClientID: "id", ClientSecret: secret.New("s"), RedirectURL: "https://vault.example/oauth/acme/callback",
		Definition: Definition{AuthorizeURL: address, TokenURL: address, ClientAuth: ClientAuthPost, AllowPrivateNetwork: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Refresh(t.Context(), secret.New("r"))
	if err == nil || Unanswered(err) {
		t.Errorf("Unanswered(%v) = true for a connection that was refused", err)
	}
	hung := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer hung.Close()
	p.definition.TokenURL = hung.URL
	_, err = p.Refresh(context.WithoutCancel(t.Context()), secret.New("r"))
	if err == nil || !Unanswered(err) {
		t.Errorf("Unanswered(%v) = false for a connection that was closed after the request", err)
	}
}
