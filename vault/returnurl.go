package vault

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/tokenvault/tokenvault/vault/loopback"
)

// maxReturnURL is the longest return URL, in bytes.
const maxReturnURL = 2048

// returnURLs is the list of where browsers may be sent when a flow has ended.
// Anything looser than exact URLs and prefixes below a path would make the vault
// an open redirector (RFC 9700, section 4.11).
type returnURLs struct {
	exact    map[string]bool
	prefixes []string
}

func newReturnURLs(allowed []string) (returnURLs, error) {
	r := returnURLs{exact: make(map[string]bool, len(allowed))}
	for _, entry := range allowed {
		if err := CheckReturnURLPattern(entry); err != nil {
			return returnURLs{}, fmt.Errorf("return URL %q: %w", entry, err)
		}
		if prefix, ok := strings.CutSuffix(entry, "*"); ok {
			r.prefixes = append(r.prefixes, prefix)
		} else {
			r.exact[entry] = true
		}
	}
	return r, nil
}

// CheckReturnURLPattern says what is wrong with an entry of the list of return
// URLs. A "*" may stand at the end only, somewhere after the host's slash, so
// that it cannot stand for a part of the host name.
func CheckReturnURLPattern(entry string) error {
	prefix, _ := strings.CutSuffix(entry, "*")
	if strings.Contains(prefix, "*") {
		return errors.New("only one *, at the end")
	}
	if prefix != entry {
		if _, rest, ok := strings.Cut(prefix, "://"); !ok || !strings.Contains(rest, "/") {
			return errors.New("the * must come after the host and a slash, such as https://app.example.com/*")
		}
	}
	return checkReturnURL(prefix)
}

// checkReturnURL refuses what a browser and this package could read differently.
func checkReturnURL(raw string) error {
	if len(raw) > maxReturnURL {
		return fmt.Errorf("at most %d bytes", maxReturnURL)
	}
	for _, c := range []byte(raw) {
		if c <= ' ' || c > '~' || c == '\\' {
			return errors.New("printable ASCII without spaces or backslashes only; percent-encode the rest")
		}
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return errors.New("a full URL, such as https://app.example.com/connected")
	}
	if u.User != nil || u.Fragment != "" || strings.Contains(raw, "#") {
		return errors.New("without user name, password or fragment")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback.IsHost(u.Hostname())) {
		return errors.New("https (http on loopback addresses only)")
	}
	if p := u.Path; p != "" && p != "/" && strings.TrimSuffix(p, "/") != path.Clean(p) {
		return errors.New("without //, /./ or /../ in the path")
	}
	return nil
}

// allows reports whether a browser may be sent to raw.
func (r returnURLs) allows(raw string) bool {
	return checkReturnURL(raw) == nil && (r.lists(raw) || r.lists(withoutLoopbackPort(raw)))
}

// withoutLoopbackPort takes the port out of a URL on a loopback address, and returns
// any other as it is. A program on the person's machine listens on whatever port is
// free: an entry without a port is for all of them (RFC 8252, section 7.3).
func withoutLoopbackPort(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return raw
	}
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		// Compared as it is written, for what a browser could read in another way.
		if rest, ok := strings.CutPrefix(raw, "http://"+host+":"+u.Port()+"/"); ok {
			return "http://" + host + "/" + rest
		}
	}
	return raw
}

func (r returnURLs) lists(raw string) bool {
	if r.exact[raw] {
		return true
	}
	for _, prefix := range r.prefixes {
		if strings.HasPrefix(raw, prefix) {
			return true
		}
	}
	return false
}

// withOutcome adds the outcome of a flow to a return URL.
func withOutcome(returnURL string, reason Reason) string {
	if reason == "" {
		return withQuery(returnURL, map[string]string{"status": "connected"})
	}
	return withQuery(returnURL, map[string]string{"status": "error", "reason": strings.ToLower(string(reason))})
}

// withConfirmation adds what the host application is to confirm.
func withConfirmation(returnURL, confirmation string) string {
	return withQuery(returnURL, map[string]string{"status": "confirm", "confirmation": confirmation})
}

// withQuery sets parameters of a return URL, whose own others stay.
func withQuery(returnURL string, added map[string]string) string {
	u, err := url.Parse(returnURL)
	if err != nil {
		return returnURL // checked when it was stored
	}
	q := u.Query()
	for name, value := range added {
		q.Set(name, value)
	}
	u.RawQuery = q.Encode()
	return u.String()
}
