package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// maxBody is the longest body of a request, in bytes.
const maxBody = 64 << 10

// checked stands before grpc-gateway. It refuses requests that no message can
// carry, and passes on of the others only what the server is meant to see.
func (g *gateway) checked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := checkAddress(r.URL); err != nil {
			g.answerError(w, r, http.StatusBadRequest, err)
			return
		}
		body, err := readBody(w, r)
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			g.answerError(w, r, http.StatusRequestEntityTooLarge, status.Newf(codes.ResourceExhausted, "The body is longer than %d bytes.", maxBody))
			return
		}
		if err != nil {
			g.answerError(w, r, http.StatusBadRequest, status.Newf(codes.InvalidArgument, "%v", err))
			return
		}
		next.ServeHTTP(w, stripped(r, body))
	})
}

// checkAddress refuses other bytes than UTF-8, and slashes in disguise, which
// grpc-gateway takes for real ones.
func checkAddress(u *url.URL) *status.Status {
	query, err := url.QueryUnescape(u.RawQuery)
	if err != nil || !utf8.ValidString(query) || !utf8.ValidString(u.Path) {
		return status.New(codes.InvalidArgument, "The address holds something else than UTF-8.")
	}
	if strings.Contains(strings.ToLower(u.EscapedPath()), "%2f") {
		return status.New(codes.InvalidArgument, "The address has an escaped slash, %2F. Subjects with a slash can be used over gRPC only.")
	}
	return nil
}

// readBody reads the body into memory before anything is made of it.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	}
	if r.ContentLength != 0 { // -1: of unknown length
		return nil, fmt.Errorf("%s requests have no body here; send what you ask for in the address", r.Method)
	}
	return nil, nil
}

// passedOn are the headers that a request keeps: the credential, the cookie, and
// the types of what it sends and wants.
func passedOn() []string { return []string{"Authorization", "Cookie", "Content-Type", "Accept"} }

// annotateAddress tells the server who is calling.
func (g *gateway) annotateAddress(ctx context.Context, _ *http.Request) metadata.MD {
	from := clientOf(ctx).text
	if from == "" || g.addressKey == "" {
		return nil
	}
	return metadata.Pairs(g.addressKey, from)
}

// stripped returns the request without all that grpc-gateway would make metadata
// or deadlines of: X-Forwarded-For and -Host, Grpc-Timeout, Grpc-Metadata-*, the
// host asked for, the peer's address.
func stripped(r *http.Request, body []byte) *http.Request {
	out := *r
	out.Header = make(http.Header)
	for _, name := range passedOn() {
		if values := r.Header.Values(name); len(values) > 0 {
			out.Header[name] = values
		}
	}
	out.Host, out.RemoteAddr = "", ""
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return &out
}
