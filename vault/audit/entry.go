package audit

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Outcome is what came of a call.
type Outcome string

// The outcomes.
const (
	// Allowed: the call was allowed, and did what it was asked.
	Allowed Outcome = "allowed"
	// Denied: the caller may not do this, or is not known.
	Denied Outcome = "denied"
	// Failed: the call was allowed, and came to nothing for the reason given.
	Failed Outcome = "failed"
)

// Entry is one decision. Empty fields are left out of the line.
type Entry struct {
	Time    time.Time `json:"time"`
	RPC     string    `json:"rpc"`
	Outcome Outcome   `json:"outcome"`
	Reason  string    `json:"reason,omitempty"` // as in google.rpc.ErrorInfo
	// Caller is who called; for what a person does in the portal, who made their link.
	Caller   string `json:"caller,omitempty"`
	Tenant   string `json:"tenant,omitempty"`
	Subject  string `json:"subject,omitempty"`
	Provider string `json:"provider,omitempty"`
	Label    string `json:"label,omitempty"`
	// Generation of the tokens that were handed out.
	Generation int64 `json:"generation,omitempty"`
	// Token is the keyed fingerprint of what was handed out.
	Token string `json:"token,omitempty"`
	Peer  string `json:"peer,omitempty"` // the address of whoever called
	// Count is for how many refusals of unknown callers the line stands, where it
	// is more than one.
	Count int `json:"count,omitempty"`
	// Ended says that this is the end of a stream that was allowed.
	Ended bool `json:"ended,omitempty"`
	// RequestID tells the lines of one call in all logs: the two of a stream have
	// the same.
	RequestID string `json:"request_id,omitempty"`
	TraceID   string `json:"trace_id,omitempty"` // W3C trace context
}

// opening begins a file.
type opening struct {
	Time time.Time `json:"time"`
	// Opened is the format of the file.
	Opened string `json:"opened"`
	// Continues is the hash that the chain goes on from; empty in the first file
	// of all.
	Continues string `json:"continues,omitempty"`
}

// format is the version of the file's layout.
const format = "tokenvault-audit-1"

// Line is a line of a file, taken apart.
type Line struct {
	Sequence uint64
	// Entry is nil for a line that begins a file.
	Entry *Entry
	// Continues is what such a line carries.
	Continues string

	signed []byte // what the hash is made of
	hash   string
}

// text is the line as it stands in a file, without its newline.
func (l Line) text() []byte {
	return fmt.Appendf(nil, `%s%s%s"}`, l.signed, hashField, l.hash)
}

// appendEntry appends the entry's line without its hash: a JSON object that is
// still open. It writes what encoding/json would, of which a test makes sure, in a
// fraction of the time: every read of credentials waits for it.
func appendEntry(line []byte, sequence uint64, e *Entry) []byte {
	line = strconv.AppendUint(append(line, `{"seq":`...), sequence, 10)
	line = e.Time.AppendFormat(append(line, `,"time":"`...), time.RFC3339Nano)
	line = append(line, '"')
	line = appendText(line, `,"rpc":`, e.RPC)
	line = appendText(line, `,"outcome":`, string(e.Outcome))
	line = appendGiven(line, `,"reason":`, e.Reason)
	line = appendGiven(line, `,"caller":`, e.Caller)
	line = appendGiven(line, `,"tenant":`, e.Tenant)
	line = appendGiven(line, `,"subject":`, e.Subject)
	line = appendGiven(line, `,"provider":`, e.Provider)
	line = appendGiven(line, `,"label":`, e.Label)
	if e.Generation != 0 {
		line = strconv.AppendInt(append(line, `,"generation":`...), e.Generation, 10)
	}
	line = appendGiven(line, `,"token":`, e.Token)
	line = appendGiven(line, `,"peer":`, e.Peer)
	if e.Count != 0 {
		line = strconv.AppendInt(append(line, `,"count":`...), int64(e.Count), 10)
	}
	if e.Ended {
		line = append(line, `,"ended":true`...)
	}
	line = appendGiven(line, `,"request_id":`, e.RequestID)
	line = appendGiven(line, `,"trace_id":`, e.TraceID)
	return line
}

// appendOpening appends the line that begins a file, likewise.
func appendOpening(line []byte, sequence uint64, o opening) []byte {
	line = strconv.AppendUint(append(line, `{"seq":`...), sequence, 10)
	line = o.Time.AppendFormat(append(line, `,"time":"`...), time.RFC3339Nano)
	line = appendText(append(line, '"'), `,"opened":`, o.Opened)
	return appendGiven(line, `,"continues":`, o.Continues)
}

// appendGiven appends a member, unless it is empty.
func appendGiven(line []byte, name, value string) []byte {
	if value == "" {
		return line
	}
	return appendText(line, name, value)
}

// appendText appends a member of an object whose value is a text.
func appendText(line []byte, name, value string) []byte {
	line = append(line, name...)
	for i := range len(value) {
		if !plain[value[i]] {
			quoted, err := json.Marshal(value)
			if err != nil {
				return append(line, `""`...) // cannot be: a string can always be quoted
			}
			return append(line, quoted...)
		}
	}
	return append(append(append(line, '"'), value...), '"')
}

// plain are the bytes that stand for themselves in a text of encoding/json.
var plain = func() (plain [256]bool) {
	for c := ' '; c <= '~'; c++ {
		plain[c] = !strings.ContainsRune(`"\<>&`, c)
	}
	return plain
}()
