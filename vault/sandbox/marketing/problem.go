package marketing

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
)

// Problem is an error of the Marketing API (RFC 7807).
type Problem struct {
	Status        int
	Title, Detail string
	Errors        []FieldError // nil: none
}

// FieldError is what is wrong with one field or parameter.
type FieldError struct {
	Field   string `json:"field"` // "": of the whole
	Message string `json:"message"`
}

// Error implements error.
func (p *Problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Title, p.Detail) }

// Write answers with the problem.
func (p *Problem) Write(w http.ResponseWriter) {
	body := object{
		"type": "https://mailchimp.com/developer/marketing/docs/errors/", "title": p.Title,
		"status": p.Status, "detail": p.Detail, "instance": instance(),
	}
	if p.Errors != nil {
		body["errors"] = p.Errors
	}
	w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(body)
}

// instance is an id that support can find the request by, in the form of a UUID.
func instance() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// KeyInvalid is the answer to credentials that are not of the account's data
// center, or of no account.
func KeyInvalid() *Problem {
	return problem(http.StatusUnauthorized, "API Key Invalid", "Your API key may be invalid, or you've attempted to access the wrong datacenter.")
}

// KeyMissing is the answer to a request without credentials.
func KeyMissing() *Problem {
	return problem(http.StatusUnauthorized, "API Key Invalid", "Your request did not include an API key.")
}

// TooManyRequests is the answer to a connection over the account's limit.
func TooManyRequests(limit int) *Problem {
	return problem(http.StatusTooManyRequests, "Too Many Requests", fmt.Sprintf("You have exceeded the limit of %d simultaneous connections.", limit))
}

func problem(status int, title, detail string) *Problem {
	return &Problem{Status: status, Title: title, Detail: detail}
}

func notFound() *Problem {
	return problem(http.StatusNotFound, "Resource Not Found", "The requested resource could not be found.")
}

func methodNotAllowed(detail string) *Problem {
	return problem(http.StatusMethodNotAllowed, "Method Not Allowed", detail)
}

func badRequest(detail string) *Problem {
	return problem(http.StatusBadRequest, "Bad Request", detail)
}

// invalid is a body or a parameter that does not have the form it should have.
func invalid(errs ...FieldError) *Problem {
	p := problem(http.StatusBadRequest, "Invalid Resource", "The resource submitted could not be validated. For field-specific details, see the 'errors' array.")
	p.Errors = errs
	return p
}

func internal(err error) *Problem {
	return problem(http.StatusInternalServerError, "Internal Server Error", "The sandbox is broken: "+err.Error())
}
