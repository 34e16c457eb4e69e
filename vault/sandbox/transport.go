package sandbox

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// recorder keeps an answer until it is sent.
type recorder struct {
	status int
	header http.Header
	pieces [][]byte // parted where the handler flushed
}

func newRecorder() *recorder { return &recorder{header: http.Header{}, pieces: [][]byte{nil}} }

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	last := len(r.pieces) - 1
	r.pieces[last] = append(r.pieces[last], p...)
	return len(p), nil
}

// Flush implements http.Flusher.
func (r *recorder) Flush() { r.pieces = append(r.pieces, nil) }

// send writes the answer as the handler has.
func (r *recorder) send(w http.ResponseWriter) {
	r.WriteHeader(http.StatusOK)
	for name, values := range r.header {
		w.Header()[name] = values
	}
	w.WriteHeader(r.status)
	for i, piece := range r.pieces {
		if f, ok := w.(http.Flusher); ok && i > 0 {
			f.Flush()
		}
		_, _ = w.Write(piece)
	}
}

// Transport returns an http.RoundTripper that leads to the sandbox, whatever the
// address, without sockets: for tests under testing/synctest. As with a socket, a
// client that leaves gets its context's error at once while the request goes on,
// and a connection that closes early is io.EOF or io.ErrUnexpectedEOF. Each
// request has a goroutine, which ends with it.
func (s *Sandbox) Transport() http.RoundTripper { return transport{s} }

type transport struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	in.RequestURI, in.RemoteAddr = req.URL.RequestURI(), "127.0.0.1:1"
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	in.Body = http.NoBody
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		_ = req.Body.Close()
		if err != nil {
			return nil, err
		}
		in.Body = io.NopCloser(bytes.NewReader(body))
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	answered := make(chan *recorder, 1)
	go func() { answered <- serve(t.handler, in) }()
	select {
	case <-req.Context().Done():
		return nil, req.Context().Err()
	case answer := <-answered:
		if answer == nil {
			return nil, fmt.Errorf("the sandbox closed the connection: %w", io.EOF)
		}
		return answer.response(req)
	}
}

// serve has a handler answer. It returns nil if the connection was closed.
func serve(h http.Handler, r *http.Request) (answer *recorder) {
	answer = newRecorder()
	defer func() {
		if reason := recover(); reason == http.ErrAbortHandler {
			answer = nil
		} else if reason != nil {
			panic(reason)
		}
	}()
	h.ServeHTTP(answer, r)
	return answer
}

// response makes of the answer what a client with http.Transport gets.
func (r *recorder) response(req *http.Request) (*http.Response, error) {
	r.WriteHeader(http.StatusOK)
	body := bytes.Join(r.pieces, nil)
	resp := &http.Response{
		Status: strconv.Itoa(r.status) + " " + http.StatusText(r.status), StatusCode: r.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.header.Clone(), Request: req, ContentLength: int64(len(body)),
	}
	for name, values := range resp.Header {
		if values == nil {
			delete(resp.Header, name)
		}
	}
	content := io.Reader(bytes.NewReader(body))
	if promised, err := strconv.Atoi(r.header.Get("Content-Length")); err == nil && promised > len(body) {
		content = io.MultiReader(content, brokenOff{})
	}
	if r.header.Get("Content-Encoding") == "gzip" && req.Header.Get("Accept-Encoding") == "" {
		z, err := gzip.NewReader(content)
		if err != nil {
			return nil, err
		}
		content, resp.ContentLength, resp.Uncompressed = z, -1, true
		resp.Header.Del("Content-Encoding")
		resp.Header.Del("Content-Length")
	}
	resp.Body = io.NopCloser(content)
	return resp, nil
}

// brokenOff is the end of a body that has none.
type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
