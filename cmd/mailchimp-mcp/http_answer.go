package main

import (
	"context"
	"net/http"
	"strings"
	"time"
)

const (
	// writePatience is how long a client may take to read what is sent to it.
	writePatience = 30 * time.Second
	// restPatience is how long the rest of a body may take to come that is not wanted:
	// net/http reads it before it answers.
	restPatience = 5 * time.Second
)

// withAnswerTime bounds how long each write takes. A bound for the whole answer, as
// http.Server has, would end streams.
func withAnswerTime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &answer{ResponseWriter: w, control: http.NewResponseController(w), hadToken: r.Header.Get("Authorization") != ""}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("X-Accel-Buffering", "no") // nginx would keep what is streamed
		next.ServeHTTP(a, r.WithContext(context.WithValue(r.Context(), answerKey{}, a)))
		_ = a.control.SetWriteDeadline(time.Now().Add(writePatience)) // for what is still buffered
		_ = a.control.SetReadDeadline(time.Now().Add(restPatience))   // for what was not read
	})
}

type answer struct {
	http.ResponseWriter
	control  *http.ResponseController
	hadToken bool // in the request
	began    bool
	// passing says that a fault of the server's is over soon.
	passing bool
}

type answerKey struct{}

// willPass says that a request fails for a reason that passes: the SDK knows one status
// for all faults of a verifier.
func willPass(r *http.Request) {
	if a, ok := r.Context().Value(answerKey{}).(*answer); ok {
		a.passing = true
	}
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if !a.began {
		a.began = true
		a.challenge(status)
		if a.passing && status == http.StatusInternalServerError {
			status = http.StatusServiceUnavailable
			a.Header().Set("Retry-After", "10")
		}
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.began = true
	defer a.bounded()()
	return a.ResponseWriter.Write(b)
}

// FlushError is for http.ResponseController.
func (a *answer) FlushError() error {
	defer a.bounded()()
	return a.control.Flush()
}

// bounded has what is written until end is called come to its end in time. Between
// writes there is no bound: over HTTP/2 it would end the stream.
func (a *answer) bounded() (end func()) {
	_ = a.control.SetWriteDeadline(time.Now().Add(writePatience))
	return func() { _ = a.control.SetWriteDeadline(time.Time{}) }
}

// challenge completes what the SDK says to requests without a token that will do: which
// scheme it is, and what is wrong with the token (RFC 6750, section 3).
func (a *answer) challenge(status int) {
	said := a.Header().Get("WWW-Authenticate")
	fault := ""
	switch {
	case status == http.StatusUnauthorized && a.hadToken:
		fault = `error="invalid_token"`
	case status == http.StatusForbidden && said != "":
		fault = `error="insufficient_scope"`
	case status != http.StatusUnauthorized:
		return
	}
	params := strings.TrimPrefix(strings.TrimPrefix(said, "Bearer"), " ")
	if params != "" && fault != "" {
		fault += ", "
	}
	a.Header().Set("WWW-Authenticate", strings.TrimSpace("Bearer "+fault+params))
}
