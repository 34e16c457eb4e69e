package vaulttest_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// FuzzCallback sends anything at all to the callback. Without a state and the
// cookie of its browser nothing is redeemed, nobody is redirected, and the page
// is one of ours.
func FuzzCallback(f *testing.F) {
	s := vaulttest.New(f, vaulttest.Config{ReturnURLs: []string{"http://127.0.0.1:1/done"}})
	for _, seed := range []string{
		"code=c&state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "error=access_denied&state=x", "state=&state=", "code=%00&state=%ff",
		"provider=acme&code=c&state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&iss=https://evil.example", "%zz", "a=b;c=d", "flow_cookie=x&return_url=https://evil.example",
	} {
		f.Add(seed, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	f.Fuzz(func(t *testing.T, query, cookie string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.GatewayURL+"/oauth/acme/callback", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.RawQuery = query
		req.AddCookie(&http.Cookie{Name: "tokenvault-flow", Value: cookie})
		resp, err := client.Do(req)
		if err != nil {
			return // not a request that HTTP can carry
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("status %d for %q", resp.StatusCode, query)
		}
		if n := s.Sandbox.Requests(sandbox.Token); n != 0 {
			t.Errorf("%d token requests", n)
		}
	})
}
