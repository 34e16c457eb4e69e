package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
)

// Bounds of what is sent.
const (
	maxBody      = 1 << 20 // bytes of one request
	bodyPatience = 30 * time.Second
	// maxBodies is in bytes, of all that is under way of one person. What is made of it is
	// many times as large.
	maxBodies = 8 << 20
)

// readBodies is for requests of people who have shown who they are, and reads what they
// send as a whole before it is looked at.
func readBodies(next http.Handler) http.Handler {
	bodies := &perPerson{most: maxBodies}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			r.Body = http.NoBody
			next.ServeHTTP(w, r)
			return
		}
		user, size := nameOf(auth.TokenInfoFromContext(r.Context())), sizeOf(r)
		if !bodies.take(user, size) {
			tooMany(w, "too much of what you have sent is under way")
			return
		}
		data, err := readBody(w, r)
		bodies.giveBack(user, size-int64(len(data)))
		defer bodies.giveBack(user, int64(len(data)))
		switch _, tooMuch := errors.AsType[*http.MaxBytesError](err); {
		case tooMuch:
			http.Error(w, "the request's body is too large", http.StatusRequestEntityTooLarge)
		case err != nil:
			http.Error(w, "the request's body has not come in time", http.StatusBadRequest)
		case bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")):
			http.Error(w, "send one message in each request: later revisions of MCP know no batches, and this server takes none", http.StatusBadRequest)
		default:
			r.Body = io.NopCloser(bytes.NewReader(data))
			next.ServeHTTP(w, r)
		}
	})
}

// sizeOf is how large a body may get.
func sizeOf(r *http.Request) int64 {
	if r.ContentLength < 0 {
		return maxBody
	}
	return min(r.ContentLength, maxBody)
}

// readBody reads the body as a whole, and for so long: a request that trickles in would
// hold a handler. http.Server's own ReadTimeout goes on while an answer is streamed, and
// would end that.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(bodyPatience)); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	return data, control.SetReadDeadline(time.Time{})
}
