package sandbox

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// What quirks do to an answer: first to its members, then to the way they become
// a body, then to the body.

// errorPage is what proxies and maintenance pages say.
const errorPage = "<!DOCTYPE html>\n<html><head><title>Just a moment</title></head><body><h1>We will be back soon</h1></body></html>\n"

func htmlAnswer(status int) answer {
	return answer{status: status, contentType: "text/html; charset=utf-8", body: []byte(errorPage)}
}

// instead returns the answer that is given in place of the token endpoint's.
func (s quirkSet) instead() (answer, bool) {
	switch {
	case s.has(HTMLWith200):
		return htmlAnswer(http.StatusOK), true
	case s.has(HTMLWith502):
		return htmlAnswer(http.StatusBadGateway), true
	default:
		return answer{}, false
	}
}

func (s quirkSet) apply(a *answer) {
	if s.has(HTMLWith502Issued) {
		*a = htmlAnswer(http.StatusBadGateway)
	}
	if a.fields != nil {
		for _, quirk := range s {
			a.applyToError(quirk)
			a.applyToExpiresIn(quirk)
			a.applyToScope(quirk)
			a.applyToTokens(quirk)
		}
		a.wrap()
		for _, quirk := range s {
			a.applyToForm(quirk)
		}
	}
	a.encode()
	for _, quirk := range s {
		a.applyToBody(quirk)
	}
}

func (a *answer) applyToError(q Quirk) {
	switch {
	case q == ErrorWith200 && a.refused():
		own := map[string]string{"invalid_client": "incorrect_client_credentials", "invalid_grant": "bad_verification_code"}
		if a.refresh {
			own["invalid_grant"] = "bad_refresh_token"
		}
		a.refuseIn(own)
		a.fields["error_description"] = "The request was not accepted."
		a.fields["error_uri"] = "https://docs.github.com/"
	case q == ErrorOKFalse && a.refused():
		own := map[string]string{"invalid_client": "bad_client_secret", "invalid_grant": "invalid_code"}
		if a.refresh {
			own["invalid_grant"] = "invalid_refresh_token"
		}
		a.refuseIn(own)
		a.fields["ok"] = false
	case q == ErrorOKFalse:
		a.fields["ok"] = true
	case q == ErrorNull && !a.refused():
		a.fields["error"] = nil
	case q == ErrorEmpty && !a.refused():
		a.fields["error"] = ""
	}
}

// refuseIn gives a refusal status 200 and a provider's own word for it.
func (a *answer) refuseIn(own map[string]string) {
	a.status = http.StatusOK
	if word, ok := own[fmt.Sprint(a.fields["error"])]; ok {
		a.fields["error"] = word
	}
}

func (a *answer) applyToExpiresIn(q Quirk) {
	seconds, ok := a.fields["expires_in"].(int)
	if !ok {
		return
	}
	switch q {
	case ExpiresInText:
		a.fields["expires_in"] = strconv.Itoa(seconds)
	case ExpiresInEmpty:
		a.fields["expires_in"] = ""
	case ExpiresInFloat:
		a.fields["expires_in"] = json.Number(fmt.Sprintf("%d.0", seconds))
	case ExpiresInFloatText:
		a.fields["expires_in"] = fmt.Sprintf("%d.0", seconds)
	case ExpiresInExponent: // 1000 is 1e3
		a.fields["expires_in"] = json.Number(strings.Replace(strconv.FormatFloat(float64(seconds), 'e', -1, 64), "e+0", "e", 1))
	case ExpiresInNull:
		a.fields["expires_in"] = nil
	case ExpiresInZero:
		a.fields["expires_in"] = 0
	case ExpiresInNegative:
		a.fields["expires_in"] = -1
	case ExpiresInMissing:
		delete(a.fields, "expires_in")
	}
}

func (a *answer) applyToScope(q Quirk) {
	scope, ok := a.fields["scope"].(string)
	if !ok {
		return
	}
	switch q {
	case ScopeNull:
		a.fields["scope"] = nil
	case ScopeMissing:
		delete(a.fields, "scope")
	case ScopeList:
		a.fields["scope"] = strings.Fields(scope)
	case ScopeCommas:
		a.fields["scope"] = strings.Join(strings.Fields(scope), ",")
	case ScopeCommaSpaces:
		a.fields["scope"] = strings.Join(strings.Fields(scope), ", ")
	}
}

func (a *answer) applyToTokens(q Quirk) {
	_, typed := a.fields["token_type"]
	_, refreshToken := a.fields["refresh_token"]
	switch {
	case q == TokenTypeMissing:
		delete(a.fields, "token_type")
	case q == TokenTypeLower && typed:
		a.fields["token_type"] = "bearer"
	case q == RefreshTokenLeftOut && a.refresh:
		delete(a.fields, "refresh_token")
	case q == RefreshTokenNull && a.refresh && refreshToken:
		a.fields["refresh_token"] = nil
	case q == RefreshTokenEmpty && a.refresh && refreshToken:
		a.fields["refresh_token"] = ""
	case q == MetadataLeftOut && a.refresh:
		for name := range a.metadata {
			delete(a.fields, name)
		}
	}
}

// applyToForm makes the body, or changes what it is called.
func (a *answer) applyToForm(q Quirk) {
	switch q {
	case FormEncoded:
		a.contentType, a.body = "application/x-www-form-urlencoded; charset=utf-8", a.form()
	case FormAsText:
		a.contentType, a.body = "text/plain;charset=UTF-8", a.form()
	case FormAsHTML:
		a.contentType, a.body = "text/html; charset=UTF-8", a.form()
	case JSONAsText, JSONAsHTML, JSONAsForm:
		a.encode()
		a.contentType = map[Quirk]string{JSONAsText: "text/plain", JSONAsHTML: "text/html; charset=UTF-8", JSONAsForm: "application/x-www-form-urlencoded"}[q]
	case NoContentType:
		a.encode()
		a.contentType = ""
	}
}

func (a *answer) form() []byte {
	form := url.Values{}
	for name, value := range a.fields {
		switch value := value.(type) {
		case nil:
			form.Set(name, "")
		case []string:
			form[name] = value
		default:
			form.Set(name, fmt.Sprint(value))
		}
	}
	return []byte(form.Encode())
}

// applyToBody changes the bytes, and how they are sent.
func (a *answer) applyToBody(q Quirk) {
	object := bytes.HasPrefix(a.body, []byte("{"))
	switch q {
	case ByteOrderMark:
		a.body = append([]byte("\xef\xbb\xbf"), a.body...)
	case BlankLines:
		a.body = append([]byte("\r\n\r\n"), append(a.body, "\r\n\r\n"...)...)
	case TrailingGarbage:
		a.body = append(a.body, "\n<!-- served by node 7 -->\n"...)
	case Duplicated:
		if object {
			a.body = append(append(bytes.TrimSuffix(a.body, []byte("}")), ','), a.body[1:]...)
		}
	case Gzip:
		a.body, a.encoding = compress(a.body), "gzip"
	case Chunked:
		a.chunk = 16
	case CutOff:
		a.body = a.body[:pastTokens(a.body)]
	case Truncated:
		a.promised = len(a.body)
		a.body = a.body[:pastTokens(a.body)]
	case TruncatedEarly:
		if at := bytes.Index(a.body, []byte("refresh_token")); at > 0 {
			a.promised, a.body = len(a.body), a.body[:at]
		}
	}
}

// pastTokens returns how much of a body to keep so that the tokens, which come
// before scope in the alphabet, are whole and nothing else is.
func pastTokens(body []byte) int {
	if at := bytes.Index(body, []byte("scope")); at >= 0 {
		return at + len("sc")
	}
	return len(body)
}

func compress(body []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	return out.Bytes()
}
