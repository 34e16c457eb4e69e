package provider

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what an error means for a connection.
type Kind int

// The kinds.
const (
	// Transient: trying again may help. Everything not known is transient.
	Transient Kind = iota
	// InvalidGrant: the code or refresh token is dead.
	InvalidGrant
	// Misconfigured: the operator has to act.
	Misconfigured
	// Denied: the person or the provider has said no.
	Denied
	// Pending: the person has not decided yet.
	Pending
)

// String names the kind in the log.
func (k Kind) String() string {
	switch k {
	case InvalidGrant:
		return "invalid grant"
	case Misconfigured:
		return "misconfigured"
	case Denied:
		return "denied"
	case Pending:
		return "pending"
	default:
		return "transient"
	}
}

// ErrNotSupported says that the definition has no endpoint for the request.
var ErrNotSupported = errors.New("provider: the provider does not support this")

// Error is what went wrong at a provider. It holds no secret and nothing of the
// provider's answer but a checked error code.
type Error struct {
	Kind Kind
	// Op is what was being done, such as "refresh".
	Op string
	// Code is the OAuth error code (RFC 6749, section 5.2). May be empty.
	Code string
	// Status is the HTTP status. 0: there was no answer.
	Status int
	// RetryAfter is what the provider asked for. 0: nothing.
	RetryAfter time.Duration
	// Unanswered: the request may have been carried out. It was sent, and what
	// came back, if anything, does not tell.
	Unanswered bool
	// Err is the cause, if it is one that may be logged.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("provider: %s failed (%s)", e.Op, e.Kind)
	if e.Status != 0 {
		text += fmt.Sprintf(", status %d", e.Status)
	}
	if e.Code != "" {
		text += ", code " + e.Code
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the Kind of err; Transient where it has none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Transient
}

// RetryAfter returns the pause that the provider has asked for. 0: none.
func RetryAfter(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}

// CodeOf returns the OAuth error code of err. Empty: there was none.
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// StatusOf returns the HTTP status of the answer that err is about. 0: there was
// none.
func StatusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// Unanswered reports whether the request that failed may have been carried out.
func Unanswered(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Unanswered
}

// notShown stands for an error code that does not look like one.
const notShown = "not_shown"

// SanitizeCode returns an error code that is safe to log: one of at most 64 letters of
// one case, '_', '-' and '.'. An endpoint can write anything in its place, such as the
// token that it was sent, which has digits or letters of both cases; for that it returns
// "not_shown".
func SanitizeCode(code string) string {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_' && r != '-' && r != '.'
	}
	if len(code) > 64 || strings.ContainsFunc(code, odd) || strings.ToLower(code) != code && strings.ToUpper(code) != code {
		return notShown
	}
	return code
}
