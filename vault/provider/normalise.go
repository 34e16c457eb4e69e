package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// normaliser stands between a token endpoint and x/oauth2. Endpoints answer in
// many ways (form encoding, errors with status 200, numbers as text); x/oauth2
// understands some and loses the token of others. The normaliser understands
// them all and hands on one form: RFC 6749, sections 5.1 and 5.2, as JSON.
//
// What it hands on holds nothing of the answer but those fields, and what the
// definition asks for: x/oauth2 puts bodies into its errors.
type normaliser struct {
	next    http.RoundTripper
	pointer string // to the object with the tokens; empty: the answer itself
	asked   tellings
}

func (n normaliser) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := n.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if closeErr := resp.Body.Close(); err == nil {
		err = closeErr
	}
	ok := resp.StatusCode >= 200 && resp.StatusCode <= 299
	fields, whole := answerFields(body)
	answer := normalise(n.tokensIn(fields))
	answer.Partial = !whole || err != nil
	if err != nil && (!ok || answer.AccessToken == "") {
		return nil, errors.New("the answer broke off")
	}
	if !ok || answer.AccessToken == "" {
		answer = tokenAnswer{Error: answer.Error}
		if ok {
			// x/oauth2 takes 2xx for success.
			resp.StatusCode = http.StatusBadRequest
			if answer.Error == "" {
				resp.StatusCode = http.StatusBadGateway
			}
		}
	} else {
		answer.Error = ""
		answer.Told = n.asked.in(fields)
	}
	out, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	resp.Header.Set("Content-Type", "application/json")
	resp.Header.Del("Content-Length")
	resp.Status = http.StatusText(resp.StatusCode)
	resp.ContentLength = int64(len(out))
	resp.Body = io.NopCloser(bytes.NewReader(out))
	return resp, nil
}

// tokensIn returns the members of the object that holds the tokens. An answer
// that has no such object, such as one that a refresh got, is that object.
func (n normaliser) tokensIn(fields map[string]any) map[string]any {
	if n.pointer == "" {
		return fields
	}
	inner, ok := nodeAt(fields, n.pointer).(map[string]any)
	if !ok {
		return fields
	}
	if inner["error"] == nil && inner["access_token"] == nil {
		return fields
	}
	return inner
}

// tokenAnswer is the one form in which answers are handed on.
type tokenAnswer struct {
	AccessToken  string `json:"access_token,omitempty"`
	TokenType    string `json:"token_type,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	ExpiresIn    int64  `json:"expires_in,omitempty"` // seconds; 0: does not expire, or not said
	Scope        string `json:"scope,omitempty"`      // separated by spaces
	Error        string `json:"error,omitempty"`

	// Partial: the answer broke off, and what is not here may have been in it.
	Partial bool `json:"partial,omitempty"`
	// RefreshExpiresIn is the life of the refresh token: seconds; 0: not said.
	RefreshExpiresIn int64 `json:"refresh_expires_in,omitempty"`
	// Told is what the definition asks for besides.
	Told map[string]string `json:"told,omitempty"`
}

// answerFields reads the members of an answer of a token endpoint, and reports
// whether the answer came to its end. It never fails: what it cannot read is left
// out.
func answerFields(body []byte) (fields map[string]any, whole bool) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	switch {
	case len(body) > 0 && body[0] == '{':
		return jsonFields(body)
	case len(body) > 0 && body[0] == '<':
		// A page. That something calls itself one means nothing: PHP calls
		// everything text/html.
		return map[string]any{}, true
	default:
		return formFields(body), true
	}
}

// normalise brings what every answer may hold into one form.
func normalise(fields map[string]any) tokenAnswer {
	answer := tokenAnswer{
		AccessToken:  text(fields["access_token"]),
		TokenType:    tokenType(text(fields["token_type"])),
		RefreshToken: text(fields["refresh_token"]),
		ExpiresIn:    seconds(fields["expires_in"]),
		Scope:        strings.Join(scopes(fields["scope"]), " "),
		Error:        SanitizeCode(text(fields["error"])),
	}
	if answer.Scope == "" {
		answer.Scope = strings.Join(scopes(fields["scopes"]), " ") // HubSpot
	}
	for _, name := range []string{
		"refresh_token_expires_in",   // GitHub, LinkedIn, Google
		"refresh_expires_in",         // Keycloak
		"x_refresh_token_expires_in", // Intuit
	} {
		if answer.RefreshExpiresIn == 0 {
			answer.RefreshExpiresIn = seconds(fields[name])
		}
	}
	return answer
}

// jsonFields reads the members of an object one by one, so that those that can
// be read come out even where the object breaks off or is followed by more. It
// reports whether the object came to its end.
func jsonFields(body []byte) (fields map[string]any, whole bool) {
	fields = map[string]any{}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return fields, false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return fields, false
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return fields, false
		}
		if key, ok := name.(string); ok {
			fields[key] = value
		}
	}
	_, err := d.Token()
	return fields, err == nil
}

func formFields(body []byte) map[string]any {
	fields := map[string]any{}
	values, _ := url.ParseQuery(string(body)) // keeps what it could read
	for name := range values {
		fields[name] = values.Get(name)
	}
	return fields
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// tokenType returns Bearer for what is missing, odd, or Bearer in another case:
// RFC 6750 says the case does not matter, some APIs think that it does.
func tokenType(t string) string {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
	}
	if t == "" || strings.EqualFold(t, "bearer") || len(t) > 32 || strings.ContainsFunc(t, odd) {
		return "Bearer"
	}
	return t
}

// maxSeconds is 100 years. A token of a longer life may as well not expire.
const maxSeconds = 100 * 365 * 24 * 60 * 60

// seconds reads expires_in, which comes as number, text or not at all. Whatever
// is not a time to come is 0.
func seconds(v any) int64 {
	var raw string
	switch v := v.(type) {
	case json.Number:
		raw = v.String()
	case string:
		raw = strings.TrimSpace(v)
	}
	f, err := strconv.ParseFloat(raw, 64)
	if err != nil || !(f > 0) || f > maxSeconds {
		return 0
	}
	return max(1, int64(f))
}

// scopes reads scope: a list in a text, separated by spaces (RFC 6749, section
// 3.3) or commas, or a list proper.
func scopes(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		out = strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\n' })
	case []any:
		for _, entry := range v {
			out = append(out, scopes(text(entry))...)
		}
	}
	valid := out[:0]
	for _, scope := range out {
		if ValidScope(scope) && len(valid) < MaxScopes {
			valid = append(valid, scope)
		}
	}
	return valid
}
