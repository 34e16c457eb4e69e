package vault

import "testing"

func TestOnlyListedReturnURLsAreAllowed(t *testing.T) {
	r, err := newReturnURLs([]string{"https://app.example.com/connected", "https://app.example.com/done/*", "http://127.0.0.1:3000/*", "http://127.0.0.1/any/*", "http://[::1]/done"})
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]bool{
		"https://app.example.com/connected":           true,
		"https://app.example.com/done/":               true,
		"https://app.example.com/done/42?tab=a%20b":   true,
		"http://127.0.0.1:3000/x":                     true,
		"https://app.example.com/connected/":          false,
		"https://app.example.com/connected?x=1":       false,
		"https://app.example.com/done":                false,
		"https://app.example.com/done/../admin":       false,
		"https://app.example.com/done/%2e%2e/admin":   false,
		"https://app.example.com/done/..%2fadmin":     false,
		"https://app.example.com/done//evil.example":  false,
		"https://app.example.com/done/\\evil.example": false,
		"https://app.example.com/done/#x":             false,
		"https://app.example.com/done/\n":             false,
		"https://app.example.com.evil.example/done/":  false,
		"https://app.example.com@evil.example/done/":  false,
		"http://app.example.com/connected":            false,
		"HTTPS://app.example.com/connected":           false,
		"javascript:alert(1)":                         false,
		"//app.example.com/connected":                 false,
		"/connected":                                  false,
		"":                                            false,
		"http://127.0.0.1:3001/x":                     false,
		"http://127.0.0.1:3001/any/x":                 true,
		"http://127.0.0.1/any/x":                      true,
		"http://[::1]:3001/done":                      true,
		"http://127.0.0.1:3001/any":                   false,
		"http://127.0.0.1:x/any/x":                    false,
		"http://127.0.0.1:1/any/x":                    true,
		"http://127.0.0.1:65535/any/x":                true,
		"http://127.0.0.1:65536/any/x":                false,
		"http://127.0.0.1:0/any/x":                    false,
		"http://127.0.0.1:/any/x":                     false,
		"http://127.0.0.1:80;/any/x":                  false,
		"http://127.0.0.1:80?x/any/x":                 false,
		"http://127.0.0.1:80?/any/x":                  false,
		"http://[::1]:80?/done":                       false,
		"http://[::1]:/done":                          false,
		"http://127.0.0.1:80@evil.example/any/x":      false,
		"http://127.0.0.1:3001.evil.example/any/x":    false,
		"http://127.0.0.2:3001/any/x":                 false,
		"http://localhost:3001/any/x":                 false,
		"https://127.0.0.1:3001/any/x":                false,
	} {
		if got := r.allows(raw); got != want {
			t.Errorf("allows(%q) = %v, want %v", raw, got, want)
		}
	}
}

func TestAReturnURLPatternCannotStandForAHost(t *testing.T) {
	for raw, want := range map[string]bool{
		"https://app.example.com/":  true,
		"https://app.example.com/*": true,
		"http://localhost:3000/*":   true,
		"https://app.example.com*":  false,
		"https://*":                 false,
		"https://*/x":               false,
		"*":                         false,
		"https://a.example/*/b*":    false,
		"http://app.example.com/*":  false,
		"https://u@a.example/*":     false,
	} {
		if got := CheckReturnURLPattern(raw) == nil; got != want {
			t.Errorf("CheckReturnURLPattern(%q) passes = %v, want %v", raw, got, want)
		}
	}
}

func TestTheOutcomeIsAddedToTheReturnURL(t *testing.T) {
	for _, row := range []struct {
		url    string
		reason Reason
		want   string
	}{
		{"https://a.example/x", "", "https://a.example/x?status=connected"},
		{"https://a.example/x?tab=1", AccessDenied, "https://a.example/x?reason=access_denied&status=error&tab=1"},
		{"https://a.example/x?status=forged", "", "https://a.example/x?status=connected"},
	} {
		if got := withOutcome(row.url, row.reason); got != row.want {
			t.Errorf("withOutcome(%q, %q) = %q, want %q", row.url, row.reason, got, row.want)
		}
	}
}
