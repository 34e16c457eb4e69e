// Package secret has the type in which the vault carries what must not be
// printed: tokens, client secrets, authorization codes, code verifiers and keys.
//
// It must never grow a way to turn a secret into text by accident. The one way
// out is [String.Reveal], which is easy to search for in review.
package secret

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// Redacted is what a secret looks like wherever it is printed.
const Redacted = "[redacted]"

// String is a secret text. The zero value is the empty secret. It prints as
// [Redacted] through fmt (every verb), log/slog, encoding/json and
// encoding.TextMarshaler.
//
// The text sits behind a pointer, because fmt reads unexported fields of a
// surrounding struct by reflection, without asking their methods; what it finds
// there is an address. For the same reason two Strings must be compared with
// [String.Equal]. A String is immutable and safe for concurrent use.
type String struct {
	text *string
}

// New returns s as a secret.
func New(s string) String {
	if s == "" {
		return String{}
	}
	return String{text: &s}
}

// Reveal returns the text. Callers hand it straight to what needs it: a request
// to the provider, an encrypted record, the answer to an authorised caller.
func (s String) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether the secret is empty.
func (s String) IsZero() bool { return s.text == nil || *s.text == "" }

// Equal reports whether two secrets are the same, in time that does not depend
// on where they differ.
func (s String) Equal(other String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Format implements [fmt.Formatter], so that no verb reaches the text.
func (s String) Format(f fmt.State, _ rune) { fmt.Fprint(f, Redacted) }

// String implements [fmt.Stringer].
func (s String) String() string { return Redacted }

// GoString implements [fmt.GoStringer].
func (s String) GoString() string { return Redacted }

// LogValue implements [slog.LogValuer].
func (s String) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText implements [encoding.TextMarshaler], and so serves encoding/json.
func (s String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// Map is a secret map of texts, such as headers. The zero value is the empty map. It
// prints as String does. It sits in a function, since fmt follows pointers to maps. It
// is safe for concurrent use as long as nobody changes the map.
type Map struct {
	texts func() map[string]string
}

// NewMap returns m, which belongs to the Map from then on, as a secret.
func NewMap(m map[string]string) Map {
	return Map{texts: func() map[string]string { return m }}
}

// Reveal returns the map. It must not be changed.
func (m Map) Reveal() map[string]string {
	if m.texts == nil {
		return nil
	}
	return m.texts()
}

// Format implements [fmt.Formatter], so that no verb reaches the texts.
func (m Map) Format(f fmt.State, _ rune) { fmt.Fprint(f, Redacted) }

// String implements [fmt.Stringer].
func (m Map) String() string { return Redacted }

// GoString implements [fmt.GoStringer].
func (m Map) GoString() string { return Redacted }

// LogValue implements [slog.LogValuer].
func (m Map) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText implements [encoding.TextMarshaler], and so serves encoding/json.
func (m Map) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
