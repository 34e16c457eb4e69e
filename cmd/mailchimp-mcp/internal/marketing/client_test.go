package marketing_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
	"github.com/tokenvault/tokenvault/vault/secret"
)

func wantWords(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one with %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("got %q, want %q in it", err, word)
		}
	}
}

func TestOne401ProvesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		replies []reply
		refused bool
		works   bool
		seen    []string
	}{
		"the ping is refused too":     {[]reply{problem(401), problem(401)}, true, false, []string{"POST /campaigns", "GET /ping"}},
		"the ping works, and then it": {[]reply{problem(401), ok("{}"), ok("{}")}, false, true, []string{"POST /campaigns", "GET /ping", "POST /campaigns"}},
		"only the ping works":         {[]reply{problem(401), ok("{}"), problem(401)}, false, false, []string{"POST /campaigns", "GET /ping", "POST /campaigns"}},
		"the ping fails otherwise":    {[]reply{problem(401), broken(errors.New("no way"))}, false, false, []string{"POST /campaigns", "GET /ping"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := play(t, tt.replies...)
			_, err := c.Do(t.Context(), marketing.Request{Method: http.MethodPost, Path: pathOf(t, "campaigns"), Body: map[string]any{}})
			if got := errors.Is(err, marketing.ErrRefused); got != tt.refused || (err == nil) != tt.works {
				t.Errorf("got %v, want refused: %v, works: %v", err, tt.refused, tt.works)
			}
			if diff := cmp.Diff(tt.seen, s.seen); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnAnswerHasToBeAnObject(t *testing.T) {
	for name, tt := range map[string]struct {
		body, want string
	}{
		"a page of HTML": {"<html>", "no JSON object"},
		"a list":         {"[]", "no JSON object"},
		"too long":       {`{"a":"` + strings.Repeat("x", 4<<20) + `"}`, "more than 4 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := play(t, ok(tt.body))
			_, err := c.Get(t.Context(), pathOf(t, "lists"), nil)
			wantWords(t, err, tt.want)
		})
	}
}

// TestAWrongBaseURLIsNotTakenForAnAccountThatLacksSomething covers what servers say that
// are not the API.
func TestAWrongBaseURLIsNotTakenForAnAccountThatLacksSomething(t *testing.T) {
	const page, json = "text/html", "application/problem+json"
	for _, row := range []struct {
		name        string
		path        []string
		status      int
		contentType string
		elsewhere   bool
	}{
		{"no ping", []string{"ping"}, 404, json, true},
		{"no ping, in HTML", []string{"ping"}, 404, page, true},
		{"no root", nil, 404, json, true},
		{"no lists, in HTML", []string{"lists"}, 404, page, true},
		{"what cannot be asked for, in HTML", []string{"lists"}, 405, page, true},
		{"plaintext where TLS is spoken", []string{"lists"}, 400, page, true},
		{"a page in place of an answer", []string{"lists"}, 200, page, true},
		{"no such list", []string{"lists", "a1"}, 404, json, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", row.contentType)
				w.WriteHeader(row.status)
				body := "<html>"
				if row.contentType == json {
					body = `{"title":"Resource Not Found"}`
				}
				_, _ = w.Write([]byte(body))
			}))
			defer server.Close()
			c, err := marketing.NewWithAPIKey(secret.New(apiKey), server.URL)
			if err != nil {
				t.Fatal(err)
			}
			var path marketing.Path
			if len(row.path) > 0 {
				path = pathOf(t, row.path...)
			}
			_, err = c.Get(t.Context(), path, nil)
			if !row.elsewhere {
				wantWords(t, err, "no such thing in this account")
				return
			}
			wantWords(t, err, "base URL (MAILCHIMP_API_URL)", "https://us6.api.mailchimp.com/3.0")
			if strings.Contains(err.Error(), "no such thing") {
				t.Errorf("got %q, want nothing about the account", err)
			}
		})
	}
}

func TestAnEmptyAnswerIsOne(t *testing.T) {
	c, _ := play(t, reply{status: 204})
	if got, err := c.Do(t.Context(), marketing.Request{Method: http.MethodDelete, Path: pathOf(t, "lists")}); got != nil || err != nil {
		t.Errorf("got %v, %v; want nothing", got, err)
	}
}

// TestNothingRepeatsTheSecret has what stands before Mailchimp, perhaps, answer with the
// headers that it was sent.
func TestNothingRepeatsTheSecret(t *testing.T) {
	const token = "canary/4f1d+92e0"
	for name, answer := range map[string]reply{
		"an error":                  {status: 400, body: `{"title":"Bad","detail":"your token canary/4f1d+92e0"}`},
		"an error, as PHP has it":   {status: 400, body: `{"title":"Bad","detail":"your token canary\/4f1d+92e0"}`},
		"an answer":                 {status: 200, body: `{"headers":"Bearer canary/4f1d+92e0"}`},
		"an answer, as PHP has it":  {status: 200, body: `{"headers":"Bearer canary\/4f1d+92e0"}`},
		"an answer, as a list's":    {status: 200, body: `{"headers":[{"canary/4f1d+92e0":1}]}`},
		"an error, in the field":    {status: 400, body: `{"errors":[{"field":"canary/4f1d+92e0","message":"no"}]}`},
		"an error, at its very end": {status: 400, body: `{"detail":"` + strings.Repeat("x", 495) + `canary/4f1d+92e0"}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{replies: []reply{answer}}
			c, err := marketing.New(marketing.Config{HTTP: &http.Client{Transport: s}, Limiter: marketing.NewLimiter(), Secrets: []secret.String{{}, secret.New(token)}})
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Get(t.Context(), pathOf(t, "lists"), nil)
			if text := fmt.Sprint(got, err); strings.Contains(text, "cana") || !strings.Contains(text, "[r") {
				t.Errorf("got %q, want no token", text)
			}
		})
	}
}

func TestAKeyIsNotRepeatedInTheHeaderThatHasIt(t *testing.T) {
	for name, status := range map[string]int{"an error": 400, "an answer": 200} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(status)
				fmt.Fprintf(w, `{"detail":"you sent %s"}`, r.Header.Get("Authorization"))
			}))
			defer server.Close()
			c, err := marketing.NewWithAPIKey(secret.New(apiKey), server.URL)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Get(t.Context(), pathOf(t, "lists"), nil)
			text := fmt.Sprint(got, err)
			if encoded := base64.StdEncoding.EncodeToString([]byte("tokenvault:" + apiKey)); strings.Contains(text, encoded[:20]) || !strings.Contains(text, "Basic [redacted]") {
				t.Errorf("got %q, want Basic [redacted]", text)
			}
		})
	}
}

const apiKey = "0123456789abcdef0123456789abcdef-us6"

func TestAKeyGoesToItsDataCentreOnly(t *testing.T) {
	for name, tt := range map[string]struct{ key, base, want string }{
		"no data centre":        {"0123456789abcdef", "", "data centre"},
		"a host":                {"0123456789abcdef-evil.example/", "", "data centre"},
		"a host with a number":  {"0123456789abcdef-us6.evil1", "", "data centre"},
		"upper case":            {"0123456789abcdef-US6", "", "data centre"},
		"only a data centre":    {"-us6", "", "data centre"},
		"a line more":           {"0123456789abcdef-us6\nx", "", "data centre"},
		"empty":                 {"", "", "data centre"},
		"plaintext":             {apiKey, "http://mailchimp.example/3.0", "https"},
		"another scheme":        {apiKey, "ftp://127.0.0.1/3.0", "https"},
		"no host":               {apiKey, "/3.0", "base URL"},
		"a user in it":          {apiKey, "https://a:b@mailchimp.example/3.0", "base URL"},
		"a query in it":         {apiKey, "https://mailchimp.example/3.0?a=b", "base URL"},
		"loopback in name only": {apiKey, "http://127.0.0.1.evil.example/3.0", "https"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := marketing.NewWithAPIKey(secret.New(tt.key), tt.base)
			wantWords(t, err, tt.want)
			if tt.key == apiKey && strings.Contains(err.Error(), apiKey) {
				t.Errorf("the error has the key: %v", err)
			}
		})
	}
	if _, err := marketing.NewWithAPIKey(secret.New(apiKey), ""); err != nil {
		t.Errorf("got %v for a key as they are, want none", err)
	}
}

func TestAKeyIsSentAsBasicAndNotElsewhere(t *testing.T) {
	var elsewhere int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != apiKey {
			t.Errorf("got the password %q, want the key", password)
		}
		if r.URL.Path == "/3.0/away" {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
			return
		}
		if got, want := r.URL.String(), "/3.0/lists?count=1"; got != want {
			t.Errorf("got a request of %q, want %q", got, want)
		}
		_, _ = w.Write([]byte(`{"n":12345678901234567890}`))
	}))
	defer server.Close()
	c, err := marketing.NewWithAPIKey(secret.New(apiKey), server.URL+"/3.0")
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Get(t.Context(), pathOf(t, "lists"), map[string][]string{"count": {"1"}})
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := got["n"].(interface{ String() string }); n == nil || n.String() != "12345678901234567890" {
		t.Errorf("got the number %v, want it exactly", got["n"])
	}
	_, err = c.Get(t.Context(), pathOf(t, "away"), nil)
	wantWords(t, err, "307")
	if elsewhere != 0 {
		t.Error("followed a redirect to another host")
	}
}

func TestABaseURLNeedsNoPath(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/lists" && r.URL.Path != "/" {
			t.Errorf("got a request of %s", r.URL)
		}
		_, _ = w.Write([]byte("{}"))
	}))
	defer server.Close()
	c, err := marketing.NewWithAPIKey(secret.New(apiKey), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []marketing.Path{pathOf(t, "lists"), {}} {
		if _, err := c.Get(t.Context(), path, nil); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
}
