package issuerhttp

import (
	"errors"
	"io"
	"net/http"
	"testing"
)

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestAnIssuerDoesNotSwitchProtocols: what follows a 101 is the connection itself, of
// which nothing ends a read.
func TestAnIssuerDoesNotSwitchProtocols(t *testing.T) {
	body, never := io.Pipe()
	l := limited{next: roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: body}, nil
	})}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://id.example.com/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := l.RoundTrip(req); err == nil {
		_ = resp.Body.Close()
		t.Errorf("got %d, want an error", resp.StatusCode)
	}
	if _, err := never.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v from a write to the connection, want it closed", err)
	}
}
