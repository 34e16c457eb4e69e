package sandbox

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// answer is what the token or revocation endpoint says, until it is written:
// quirks change it in between.
type answer struct {
	status   int
	fields   map[string]any
	metadata map[string]string // those of the fields that are not of RFC 6749
	refresh  bool              // it answers a refresh
	pointer  string            // where in around the fields go; "": at its top
	around   any               // the rest of the answer; nil: nothing

	contentType string // with body: what fields became
	body        []byte
	encoding    string // Content-Encoding
	promised    int    // Content-Length, where it is not the body's
	chunk       int    // bytes to send at a time, with no Content-Length; 0: all
}

// refusal is an error as RFC 6749, section 5.2 has it.
func refusal(status int, code string) answer {
	return answer{status: status, fields: map[string]any{"error": code}}
}

func (a *answer) refused() bool { return a.status >= http.StatusBadRequest }

// encode makes the body of the fields, as JSON, if nothing else has.
func (a *answer) encode() {
	if a.body != nil || a.fields == nil {
		return
	}
	a.contentType = "application/json"
	a.body, _ = json.Marshal(a.fields) // of texts and numbers only
}

func (a *answer) write(w http.ResponseWriter) {
	a.encode()
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if a.contentType != "" {
		h.Set("Content-Type", a.contentType)
	} else if len(a.body) > 0 {
		h["Content-Type"] = nil // else net/http would guess one
	}
	if a.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="sandbox"`)
	}
	if a.encoding != "" {
		h.Set("Content-Encoding", a.encoding)
	}
	switch {
	case a.promised > 0:
		h.Set("Content-Length", strconv.Itoa(a.promised))
	case a.chunk == 0:
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	rest := a.body
	for a.chunk > 0 && len(rest) > a.chunk {
		_, _ = w.Write(rest[:a.chunk])
		rest = rest[a.chunk:]
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
	_, _ = w.Write(rest)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
