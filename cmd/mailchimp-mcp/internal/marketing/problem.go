package marketing

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// ErrRefused is the error where Mailchimp takes the credentials for nothing any more: it
// has refused them twice, also for a request that everybody may make. It comes with an
// [*Error].
var ErrRefused = errors.New("the credentials are refused by Mailchimp")

// Error is what Mailchimp has answered where it has not done what was asked.
type Error struct {
	// Status is that of HTTP.
	Status int
	// Method and Path are what was asked for.
	Method string
	Path   Path
	// Title and Detail are Mailchimp's words, cleaned and cut. Empty: it has said nothing.
	Title, Detail string
	// Fields are those that Mailchimp does not take.
	Fields []FieldError
	// RetryAfter is how long Mailchimp wants to be left alone. 0: it has not said.
	RetryAfter time.Duration

	isProblem bool // the body was JSON
	refused   bool
	baseURL   string // what the API's base URL is called
}

// FieldError says what is wrong with a field.
type FieldError struct {
	Field, Message string
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("Mailchimp answered %d", e.Status)
	if said := e.said(); said != "" {
		text += " (" + said + ")"
	}
	if advice := e.advice(); advice != "" {
		text += ": " + advice
	}
	return text
}

// Is makes an Error an [ErrRefused] where it is one.
func (e *Error) Is(target error) bool { return target == ErrRefused && e.refused }

// said is what Mailchimp has said.
func (e *Error) said() string {
	var parts []string
	for _, part := range []string{e.Title, e.Detail} {
		// With fields, the detail says no more than that there are fields.
		if isEmpty := part == "" || part == e.Detail && len(e.Fields) > 0; !isEmpty {
			parts = append(parts, part)
		}
	}
	for _, f := range e.Fields {
		parts = append(parts, strings.TrimPrefix(f.Field+": "+f.Message, ": "))
	}
	return strings.Join(parts, "; ")
}

// advice is what can be done about it.
func (e *Error) advice() string {
	switch {
	case e.refused:
		return "it refuses the credentials: access may have been taken back at Mailchimp, or they are for another data centre; connect the account anew, or use another API key"
	case e.Status == http.StatusUnauthorized:
		return "it has refused this request, though it takes the credentials otherwise: try again, and if that does not help, connect the account anew"
	case e.Status == http.StatusForbidden && !e.isProblem, e.Status == http.StatusTooManyRequests:
		return "too many requests at a time for this account: " + e.later()
	case e.Status == http.StatusForbidden && e.Title == "Wrong Datacenter":
		return "the account has moved: connect it anew, or use the API key that it has now"
	case e.Status == http.StatusForbidden:
		return "the person's role in this Mailchimp account may lack the right to do this; an owner or admin of the account can give it"
	case e.isElsewhere():
		return e.baseURL + " may be wrong, since this is no answer of Mailchimp's API: it is of the form " + formOfBaseURL + ", without more after the 3.0"
	case e.Status == http.StatusNotFound:
		return "there is no such thing in this account"
	case e.Status == http.StatusBadRequest && e.Title == "Member In Compliance State":
		return "who has left cannot be subscribed for them; with the status pending, Mailchimp asks them"
	case e.Status == http.StatusBadRequest, e.Status == http.StatusUnprocessableEntity:
		return "change what it names, and try again"
	case e.Status >= 500 && e.Status != statusCompliance && e.Method != http.MethodGet:
		return "Mailchimp has a fault at the moment, and may have done it or not: look before you try again"
	case e.Status >= 500 && e.Status != statusCompliance:
		return "Mailchimp has a fault at the moment: " + e.later()
	case e.Status == http.StatusSwitchingProtocols:
		return "it wants another protocol, for which nobody has asked: check " + e.baseURL + ", and what stands between"
	case e.Status >= 300 && e.Status < 400:
		return "it sends requests elsewhere, which is not followed with credentials: check " + e.baseURL
	}
	return ""
}

// isElsewhere reports whether the API does not seem to be there at all: what every account
// has is not found, or what says so is no JSON.
func (e *Error) isElsewhere() bool {
	switch e.Status {
	case http.StatusNotFound:
		return !e.isProblem || e.Path.isEverybodys()
	case http.StatusBadRequest, http.StatusMethodNotAllowed:
		return !e.isProblem
	}
	return false
}

// IsMissing reports whether Mailchimp has said that what was asked for is not there.
func (e *Error) IsMissing() bool { return e.Status == http.StatusNotFound && !e.isElsewhere() }

func (e *Error) later() string {
	if e.RetryAfter > 0 {
		return fmt.Sprintf("try again in %d seconds", int(e.RetryAfter.Seconds()+0.5))
	}
	return "try again in a minute"
}

// statusCompliance is Mailchimp's own: the account has to be reviewed first.
const statusCompliance = 599

// Limits of what is told of an answer, in runes; and how many fields are named.
const (
	maxTitle  = 100
	maxDetail = 500
	maxFields = 10
)

// parseProblem makes an Error of an answer (application/problem+json).
func parseProblem(status int, contentType string, body []byte) *Error {
	e := &Error{Status: status, baseURL: theBaseURL}
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "application/problem+json" && kind != "application/json" {
		return e
	}
	var p struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
		Errors []struct {
			Field   string `json:"field"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &p) != nil {
		return e
	}
	e.isProblem = true
	e.Title, e.Detail = tellable(p.Title, maxTitle), tellable(p.Detail, maxDetail)
	for _, f := range p.Errors[:min(len(p.Errors), maxFields)] {
		e.Fields = append(e.Fields, FieldError{Field: tellable(f.Field, maxTitle), Message: tellable(f.Message, maxDetail)})
	}
	return e
}

// keyShape is what API keys look like.
var keyShape = regexp.MustCompile(`[0-9a-fA-F]{32}-[a-z]+[0-9]+`)

// tellable is a text of Mailchimp's as an error can have it.
func tellable(s string, limit int) string {
	return shorten(keyShape.ReplaceAllString(clean(s), "[redacted]"), limit)
}

// clean makes of everything that does not print, or shows nothing, a space, and of
// several one.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar || unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// shorten cuts a text after some runes.
func shorten(s string, limit int) string {
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return s
}
