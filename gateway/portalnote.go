package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// note says once, on the next page, how an action has ended. The browser carries it
// there in a cookie, sealed with that of its sign-in, so that nobody else can put
// words into the portal's mouth.
type note struct {
	// Key is that of a text, or Reason one of the server's.
	Key    string `json:"k,omitempty"`
	Reason string `json:"r,omitempty"`
	// Provider and Label are what it is about. May be empty.
	Provider string `json:"p,omitempty"`
	Label    string `json:"l,omitempty"`
	// Detail is a sentence more. May be empty.
	Detail string `json:"d,omitempty"`
}

const (
	noteLifetime = time.Minute
	maxNote      = 2 << 10 // bytes; browsers take cookies of 4 KiB
)

// derived is a value that only who knows the cookie of a sign-in can make.
func derived(purpose, signIn, text string) string {
	mac := hmac.New(sha256.New, []byte(signIn))
	_, _ = mac.Write([]byte(purpose + "\x00" + text)) // never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// formToken is what the forms of a sign-in's pages carry.
func formToken(signIn string) string { return derived("form", signIn, "") }

// leave has the browser carry a note to the next page.
func (p *portal) leave(w http.ResponseWriter, signIn string, n note) {
	if len(n.Detail) > maxNote {
		n.Detail = ""
	}
	raw, err := json.Marshal(n)
	if err != nil {
		return // strings alone: cannot be
	}
	text := base64.RawURLEncoding.EncodeToString(raw)
	p.note.set(w, text+"."+derived("note", signIn, text))
}

// take returns the note that a browser carries, and has it carry it no longer.
func (p *portal) take(w http.ResponseWriter, r *http.Request, signIn string) *note {
	value := p.note.of(r)
	if value == "" {
		return nil
	}
	p.note.remove(w)
	text, mac, _ := strings.Cut(value, ".")
	if !hmac.Equal([]byte(mac), []byte(derived("note", signIn, text))) {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	var n note
	if err != nil || json.Unmarshal(raw, &n) != nil {
		return nil
	}
	return &n
}
