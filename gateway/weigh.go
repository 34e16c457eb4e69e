package gateway

import (
	"io"
	"net/http"
	"sync"

	"github.com/tokenvault/tokenvault/vault/httpserve"
	"github.com/tokenvault/tokenvault/vault/netlimit"
)

// weighed has a connection count for more while the body of its request comes: anybody
// can send one that nearly does, and until then the vault keeps it, and its headers.
func weighed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		release := sync.OnceFunc(netlimit.Weigh(httpserve.Connection(r.Context()), sizeOf(r)))
		defer release()
		r.Body = weighedBody{r.Body, release}
		next.ServeHTTP(w, r)
	})
}

// sizeOf is what a request takes in bytes, at most and about: headers and bodies are
// copied as they come.
func sizeOf(r *http.Request) int {
	size := maxBody
	if r.ContentLength > 0 {
		size = int(min(r.ContentLength, maxBody))
	}
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	return 2 * size
}

// weighedBody is done once it has been read.
type weighedBody struct {
	io.ReadCloser
	done func()
}

// Read implements io.Reader.
func (b weighedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.done()
	}
	return n, err
}
