package marketing

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
)

// Path is a place in the API, such as lists/a1b2c3d4e5. The zero value is the API's
// root, which tells of the account.
type Path struct {
	text string
}

// maxPart is how long a part of a path can be, in bytes. Mailchimp's own are 32 at most.
const maxPart = 64

// NewPath makes a Path of its parts: names of the API's, and IDs that somebody has given.
// An ID has letters, digits, - and _, and nothing else: none can lead to another place.
func NewPath(parts ...string) (Path, error) {
	for _, part := range parts {
		if !isPart(part) {
			return Path{}, fmt.Errorf("%q is no ID of Mailchimp's: write it as another tool has given it, letters and digits such as a1b2c3d4e5", shorten(clean(part), maxPart))
		}
	}
	return Path{text: strings.Join(parts, "/")}, nil
}

func isPart(s string) bool {
	if s == "" || len(s) > maxPart {
		return false
	}
	for _, r := range s {
		isAllowed := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
		if !isAllowed {
			return false
		}
	}
	return true
}

// String returns the path, without a slash in front.
func (p Path) String() string { return p.text }

// Parts returns what the path is made of.
func (p Path) Parts() []string {
	if p.text == "" {
		return nil
	}
	return strings.Split(p.text, "/")
}

// isEverybodys reports whether every account has what is there.
func (p Path) isEverybodys() bool { return p.text == "" || p.text == "ping" }

// url returns the path below the API's base URL, without a host.
func (p Path) url(query url.Values) *url.URL {
	return &url.URL{Path: "/" + p.text, RawQuery: query.Encode()}
}

// maxAddress is how long an e-mail address can be, in bytes (RFC 5321, section 4.5.3.1).
const maxAddress = 254

// SubscriberHash returns the ID that the API has for an e-mail address in an audience:
// the MD5 of the address in lower case.
func SubscriberHash(address string) (string, error) {
	address = strings.TrimSpace(address)
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || len(address) > maxAddress {
		return "", fmt.Errorf("%q is no e-mail address: write one such as urist@example.com, without a name", shorten(clean(address), maxAddress))
	}
	sum := md5.Sum([]byte(strings.ToLower(address)))
	return hex.EncodeToString(sum[:]), nil
}
