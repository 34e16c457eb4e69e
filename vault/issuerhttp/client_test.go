package issuerhttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/vault/issuerhttp"
)

func TestWhatAnIssuerAnswersHasBounds(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/elsewhere":
			http.Redirect(w, r, "/keys", http.StatusTemporaryRedirect)
		case "/large":
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20+1))
		default:
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
		}
	}))
	t.Cleanup(web.Close)
	for _, row := range []struct {
		name, path string
		status     int
		whole      bool
	}{
		{"as large as may be", "/keys", http.StatusOK, true},
		{"larger", "/large", http.StatusOK, false},
		{"a redirect, which is not followed", "/elsewhere", http.StatusTemporaryRedirect, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			resp, err := issuerhttp.NewClient(time.Minute, nil).Get(web.URL + row.path)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.ReadAll(resp.Body); resp.StatusCode != row.status || (err == nil) != row.whole {
				t.Errorf("status %d, read with %v; want status %d, whole = %v", resp.StatusCode, err, row.status, row.whole)
			}
		})
	}
}
