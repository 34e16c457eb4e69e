package marketing

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

const problemJSON = "application/problem+json; charset=utf-8"

func TestAnErrorIsInWords(t *testing.T) {
	for name, tt := range map[string]struct {
		method      string
		path        []string
		status      int
		contentType string
		body        string
		retryAfter  time.Duration
		want        []string
	}{
		"title and detail": {
			path: []string{"lists", "a1"}, status: 404, contentType: problemJSON, body: `{"type":"x","title":"Resource Not Found","status":404,"detail":"The requested resource could not be found.","instance":"1"}`,
			want: []string{"404", "Resource Not Found", "could not be found", "no such thing"},
		},
		"fields": {
			status: 400, contentType: problemJSON, body: `{"title":"Invalid Resource","detail":"See errors.","errors":[{"field":"merge_fields.AGE","message":"Please enter a number"},{"field":"","message":"Schema"}]}`,
			want: []string{"Invalid Resource", "merge_fields.AGE: Please enter a number", "; Schema", "change what it names"},
		},
		"compliance of a member": {
			status: 400, contentType: problemJSON, body: `{"title":"Member In Compliance State","detail":"urist@example.com cannot be subscribed."}`,
			want: []string{"urist@example.com", "status pending"},
		},
		"role":                {status: 403, contentType: problemJSON, body: `{"title":"Forbidden"}`, want: []string{"role", "lack the right"}},
		"data centre":         {status: 403, contentType: problemJSON, body: `{"title":"Wrong Datacenter"}`, want: []string{"connect it anew"}},
		"far too much":        {status: 403, contentType: "text/html", body: "<html>", want: []string{"too many requests", "in a minute"}},
		"too much":            {status: 429, contentType: problemJSON, body: `{"title":"Too Many Requests"}`, retryAfter: 90 * time.Second, want: []string{"too many requests", "in 90 seconds"}},
		"a fault":             {status: 500, contentType: "text/html", body: "<html>", want: []string{"fault at the moment"}},
		"a fault of a change": {method: http.MethodPost, status: 500, want: []string{"may have done it or not"}},
		"compliance":          {status: 599, contentType: problemJSON, body: `{"title":"Compliance Related","detail":"Log in."}`, want: []string{"Compliance Related", "Log in."}},
		"elsewhere":           {status: 302, want: []string{"base URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := parseProblem(tt.status, tt.contentType, []byte(tt.body))
			e.Method, e.RetryAfter, e.Path.text = tt.method, tt.retryAfter, strings.Join(tt.path, "/")
			if tt.method == "" {
				e.Method = http.MethodGet
			}
			for _, want := range tt.want {
				if !strings.Contains(e.Error(), want) {
					t.Errorf("got %q, want %q in it", e.Error(), want)
				}
			}
		})
	}
}

func TestFieldsSayMoreThanTheDetail(t *testing.T) {
	got := parseProblem(400, problemJSON, []byte(`{"title":"Invalid Resource","detail":"See the 'errors' array.","errors":[{"field":"a","message":"b"}]}`)).Error()
	if strings.Contains(got, "errors") {
		t.Errorf("got %q, want nothing of the array", got)
	}
}

func TestAnErrorHasNothingToHideIn(t *testing.T) {
	body := `{"title":"A\u001b[31m\u202e\u0000\u2062\u3164\udb40\udd01\u200bB","detail":"the key 0123456789abcdef0123456789abcdef-us6 is wrong` + strings.Repeat("x", 10_000) + `"}`
	got := parseProblem(400, problemJSON, []byte(body)).Error()
	if strings.ContainsAny(got, "\x1b\u202e\x00\u2062\u3164\U000E0101\u200b") {
		t.Errorf("got %q, want no control characters", got)
	}
	if strings.Contains(got, "0123456789abcdef") {
		t.Errorf("got %q, want no key", got)
	}
	if len(got) > 1000 {
		t.Errorf("got %d bytes, want it cut", len(got))
	}
}

func FuzzParseProblem(f *testing.F) {
	for _, seed := range []struct {
		status            int
		contentType, body string
	}{
		{400, problemJSON, `{"title":"Invalid Resource","detail":"d","errors":[{"field":"f","message":"m"}]}`},
		{403, "text/html", "<html>"}, {404, "application/json", `{"title":null,"errors":{}}`}, {429, problemJSON, ""}, {500, "", "{"},
		{401, problemJSON, `{"title":1}`}, {400, problemJSON, `[]`}, {400, "a/b; c", `{"title":"\u001b"}`}, {599, problemJSON, `{"detail":"\ud800"}`},
		{403, problemJSON, `{"title":"Forbidden","detail":"key 0123456789abcdef0123456789abcdef-us6"}`},
	} {
		f.Add(seed.status, seed.contentType, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		text := parseProblem(status, contentType, body).Error()
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("got %q, want a text that prints", text)
		}
		if most := 2*maxFields*(maxTitle+maxDetail)*utf8.UTFMax + 1000; len(text) > most {
			t.Errorf("got %d bytes, want %d at most", len(text), most)
		}
		if keyShape.MatchString(text) {
			t.Errorf("got %q, want no key", text)
		}
	})
}

func TestRetryAfterIsRead(t *testing.T) {
	now := time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		value string
		want  time.Duration
	}{
		"seconds": {"7", 7 * time.Second}, "a date": {"Wed, 01 Jul 2026 09:00:30 GMT", 30 * time.Second}, "a date of before": {"Wed, 01 Jul 2026 08:00:30 GMT", 0},
		"nothing": {"", 0}, "nonsense": {"soon", 0}, "negative": {"-5", 0}, "too long": {"4000000000", time.Hour}, "far too long": {"99999999999999999999", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := retryAfter(http.Header{"Retry-After": {tt.value}}, now); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
