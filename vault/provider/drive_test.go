package provider

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp/syntax"
	"strconv"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// sample returns a text that a pattern matches; "sample" where there is none.
func sample(t *testing.T, pattern string) string {
	t.Helper()
	if pattern == "" {
		return "sample"
	}
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	text := generate(re.Simplify())
	if !matcher(pattern).MatchString(text) {
		t.Fatalf("the sample %q does not match %s", text, pattern)
	}
	return text
}

// generate returns the plainest text that an expression matches.
func generate(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		return string(re.Rune[len(re.Rune)-2]) // a letter, where there are any
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "x"
	case syntax.OpCapture, syntax.OpPlus:
		return generate(re.Sub[0])
	case syntax.OpConcat:
		var all strings.Builder
		for _, sub := range re.Sub {
			all.WriteString(generate(sub))
		}
		return all.String()
	case syntax.OpAlternate:
		return generate(re.Sub[0])
	default:
		return ""
	}
}

// setAt returns the node with a value where the steps of a JSON pointer lead to.
// Steps that are numbers make lists.
func setAt(node any, steps []string, value string) any {
	if len(steps) == 0 {
		return value
	}
	if i, err := strconv.Atoi(steps[0]); err == nil {
		list, _ := node.([]any)
		for len(list) <= i {
			list = append(list, nil)
		}
		list[i] = setAt(list[i], steps[1:], value)
		return list
	}
	members, ok := node.(map[string]any)
	if !ok {
		members = map[string]any{}
	}
	members[steps[0]] = setAt(members[steps[0]], steps[1:], value)
	return members
}

// stage plays the provider of a definition: each document has all that the
// definition asks of it.
type stage struct {
	t        *testing.T
	provider *Provider // with its variables filled in
	asked    []string
}

func (s *stage) tokenResponse() any {
	d := s.provider.Definition()
	document := any(map[string]any{})
	for name, value := range map[string]string{"access_token": "at", "refresh_token": "rt"} {
		document = setAt(document, strings.Split(d.TokenPointer+"/"+name, "/")[1:], value)
	}
	if d.AfterConnect == nil && d.Account.ID != "" {
		document = setAt(document, strings.Split(d.Account.ID, "/")[1:], "account-1")
	}
	for _, capture := range d.TokenCapture {
		document = setAt(document, strings.Split(capture.Pointer, "/")[1:], sample(s.t, capture.Pattern))
	}
	return document
}

func (s *stage) accountDocument() any {
	d := s.provider.Definition()
	var document any
	if d.Account.ID != "" {
		document = setAt(document, strings.Split(d.Account.ID, "/")[1:], "account-1")
	}
	for _, capture := range d.AfterConnect.Capture {
		document = setAt(document, strings.Split(capture.Pointer, "/")[1:], sample(s.t, capture.Pattern))
	}
	return document
}

func (s *stage) serve(w http.ResponseWriter, r *http.Request) {
	d := s.provider.Definition()
	switch r.URL.String() {
	case d.TokenURL:
		s.asked = append(s.asked, "token")
		s.write(w, s.tokenResponse())
	case d.RevokeURL:
		s.asked = append(s.asked, "revoke")
	default:
		s.asked = append(s.asked, "account")
		carried := false
		for _, values := range r.Header {
			carried = carried || strings.HasSuffix(values[0], "at")
		}
		if r.URL.Scheme != "https" || !carried {
			s.t.Errorf("asked %s without the token", r.URL)
		}
		s.write(w, s.accountDocument())
	}
}

func (s *stage) write(w http.ResponseWriter, document any) {
	if err := json.NewEncoder(w).Encode(document); err != nil {
		s.t.Error(err)
	}
}

func TestEveryEntryOfTheCatalogueIsConnected(t *testing.T) {
	for name, d := range templates(t) {
		if !d.HasOAuth() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := &stage{t: t}
			p, err := New(Config{Name: name, Definition: d, ClientID: "id", ClientSecret: canary(), Transport: inProcess(s.serve)})
			if err != nil {
				t.Fatal(err)
			}
			if p, err = p.With(sampleParams(t, d)); err != nil {
				t.Fatal(err)
			}
			s.provider = p
			token, err := p.Exchange(t.Context(), secret.New("code"), NewVerifier())
			if err != nil {
				t.Fatal(err)
			}
			captured, err := p.CaptureWith(t.Context(), token.AccessToken, token.Captured)
			if err != nil || d.Account.ID != "" && captured.Account.ID == "" {
				t.Fatalf("captured %+v, error %v", captured, err)
			}
			checkCredentials(t, p, captured.Metadata, p.Headers(token.AccessToken, token.TokenType, captured.Metadata))
			if _, err := p.Refresh(t.Context(), token.RefreshToken); err != nil {
				t.Error(err)
			}
			if err := p.Revoke(t.Context(), token); (err == nil) != (d.RevokeURL != "") {
				t.Errorf("revocation: error = %v", err)
			}
		})
	}
}

func TestEveryEntryOfTheCatalogueTakesItsAPIKeys(t *testing.T) {
	for name, d := range templates(t) {
		if d.APIKey == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p, err := New(Config{Name: name, Definition: d})
			if err != nil {
				t.Fatal(err)
			}
			if p, err = p.With(sampleParams(t, d)); err != nil {
				t.Fatal(err)
			}
			key := secret.New(sample(t, d.APIKey.Pattern))
			metadata, err := p.APIKeyMetadata(key)
			if err != nil {
				t.Fatal(err)
			}
			headers, err := p.APIKeyHeaders(key)
			if err != nil {
				t.Fatal(err)
			}
			checkCredentials(t, p, metadata, headers)
		})
	}
}

// checkCredentials checks what a caller would be handed.
func checkCredentials(t *testing.T, p *Provider, metadata, headers map[string]string) {
	t.Helper()
	base, err := p.APIBaseURL(metadata)
	if err != nil {
		t.Error(err)
	}
	if base != "" {
		u, err := url.Parse(base)
		if err != nil || u.Scheme != "https" || u.Host == "" || strings.ContainsAny(base, "{}") {
			t.Errorf("base = %q, error %v", base, err)
		}
	}
	if len(headers) == 0 {
		t.Error("there are no headers")
	}
	for name, value := range headers {
		if value == "" || strings.ContainsAny(value, "{}\r\n") {
			t.Errorf("header %s = %q", name, value)
		}
	}
}
