package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash"
	"sync"
)

// Key makes the hashes of a chain. It is safe for concurrent use; the zero value is
// of no use.
type Key struct {
	hashers *sync.Pool // of *hasher
}

// hasher is a keyed hash, with room for what goes into it and comes out.
type hasher struct {
	mac  hash.Hash
	head []byte
	sum  [sha256.Size]byte
}

// NewKey returns the key of 32 secret bytes, which it keeps.
func NewKey(secret []byte) (Key, error) {
	if len(secret) != sha256.Size {
		return Key{}, errors.New("audit: a key has 32 bytes")
	}
	kept := bytes.Clone(secret)
	return Key{&sync.Pool{New: func() any { return &hasher{mac: hmac.New(sha256.New, kept)} }}}, nil
}

// sum returns the keyed hash of texts and what comes after them, in base64url.
func (k Key) sum(size int, after []byte, texts ...string) string {
	h := k.hashers.Get().(*hasher)
	defer k.hashers.Put(h)
	h.head = h.head[:0]
	for _, text := range texts {
		h.head = append(h.head, text...)
	}
	h.mac.Reset()
	h.mac.Write(h.head)
	h.mac.Write(after)
	clear(h.head) // one of them may be a token
	var encoded [44]byte
	return string(base64.RawURLEncoding.AppendEncode(encoded[:0], h.mac.Sum(h.sum[:0])[:size]))
}

// Head is the end of a chain: the number and the hash of its last line. The zero
// value is that of a chain without lines.
type Head struct {
	Sequence uint64
	Hash     string
}

// hashField stands before the hash of a line.
const hashField = `,"hash":"`

// link returns the hash of a line that comes after another.
func (k Key) link(before string, signed []byte) string {
	// Neither a hash nor a line holds a newline, so no two pairs are the same.
	return k.sum(sha256.Size, signed, "line\n", before, "\n")
}

// Fingerprint tells whether two tokens are the same, and nothing else of them.
func (k Key) Fingerprint(token string) string {
	return k.sum(12, nil, "token\n", token)
}

// appendHash closes the line that begins at begin with its hash: it is the next after
// head, and becomes the head.
func (k Key) appendHash(lines []byte, begin int, head *Head) []byte {
	*head = Head{Sequence: head.Sequence + 1, Hash: k.link(head.Hash, lines[begin:])}
	lines = append(lines, hashField...)
	lines = append(lines, head.Hash...)
	return append(lines, "\"}\n"...)
}

// errNotALine says that a line is not one of a log.
var errNotALine = errors.New("is not a line of an audit log")

// ParseLine takes a line apart, without its newline. It does not check the hash.
func ParseLine(text []byte) (Line, error) {
	at := bytes.LastIndex(text, []byte(hashField))
	if at < 0 || !bytes.HasSuffix(text, []byte(`"}`)) {
		return Line{}, errNotALine
	}
	var body struct {
		Sequence  uint64 `json:"seq"`
		Hash      string `json:"hash"`
		Opened    string `json:"opened"`
		Continues string `json:"continues"`
		Entry
	}
	if err := json.Unmarshal(text, &body); err != nil || body.Sequence == 0 {
		return Line{}, errNotALine
	}
	line := Line{Sequence: body.Sequence, Continues: body.Continues, signed: bytes.Clone(text[:at]), hash: string(text[at+len(hashField) : len(text)-2])}
	if body.Opened == "" {
		line.Entry = &body.Entry
	} else if body.Opened != format {
		return Line{}, errors.New("is of another version of tokenvault")
	}
	if line.hash != body.Hash {
		return Line{}, errNotALine
	}
	return line, nil
}

// follows reports whether the line comes after a head.
func (k Key) follows(line Line, head Head) bool {
	return line.Sequence == head.Sequence+1 && hmac.Equal([]byte(line.hash), []byte(k.link(head.Hash, line.signed)))
}
