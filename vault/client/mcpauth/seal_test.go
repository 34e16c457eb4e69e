package mcpauth

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testSealer has the same key always, so that seeds of a fuzz test stay good.
func testSealer(t testing.TB, secret byte) *sealer {
	t.Helper()
	s, err := newSealer(bytes.Repeat([]byte{secret}, keySize))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testState() *state {
	end := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	return &state{
		Subject: "alice", Provider: "mailchimp", Label: "default", Tool: "ping", Arguments: []byte{1, 2, 3},
		URL: "https://vault.example/oauth/mailchimp/authorize?session=secret", LinkEnd: end, Refused: 5, End: end.Add(time.Hour),
	}
}

func TestAStateComesBackAsItWas(t *testing.T) {
	s := testSealer(t, 1)
	text, err := s.seal(testState())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
		t.Errorf("the state has characters that need escaping: %s", text)
	}
	got, err := s.open(text)
	if diff := cmp.Diff(testState(), got); err != nil || diff != "" {
		t.Errorf("it comes back (%v) with (-want +got)\n%s", err, diff)
	}
	if again, _ := s.seal(testState()); again == text {
		t.Error("the same state looks the same twice, want it to tell nothing")
	}
}

func TestEveryByteOfAStateCounts(t *testing.T) {
	s := testSealer(t, 1)
	text, err := s.seal(testState())
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		for _, other := range []byte{'A', 'b', '-', '.', '=', '\n'} {
			if other == text[i] {
				continue
			}
			if _, err := s.open(text[:i] + string(other) + text[i+1:]); err == nil {
				t.Errorf("with %q in place of %q at %d it opens", other, text[i], i)
			}
			if _, err := s.open(text[:i] + string(other) + text[i:]); err == nil {
				t.Errorf("with %q before %d it opens", other, i)
			}
		}
	}
	if _, err := testSealer(t, 2).open(text); err == nil {
		t.Error("it opens with another key")
	}
}

// FuzzState: whatever a client sends, what opens was sealed here.
func FuzzState(f *testing.F) {
	s := testSealer(f, 1)
	for _, st := range []*state{testState(), {}, {Subject: strings.Repeat("ü", 128)}} {
		text, err := s.seal(st)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(text + "A")
		f.Add(text[:len(text)-4])
		f.Add(strings.Replace(text, ".1.", ".2.", 1))
	}
	f.Add("")
	f.Add(statePrefix)
	f.Add(statePrefix + "eyJzdWJqZWN0IjoiYWxpY2UifQ")
	f.Fuzz(func(t *testing.T, text string) {
		st, err := s.open(text)
		if err != nil {
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows what is sealed: %v", err)
			}
			return
		}
		if !isOurs(text) || len(text) > maxState {
			t.Errorf("%q has opened", text)
		}
		again, err := s.seal(st)
		if err != nil {
			t.Fatal(err)
		}
		reopened, err := s.open(again)
		if diff := cmp.Diff(st, reopened); err != nil || diff != "" {
			t.Errorf("sealed again it is (%v) (-first +second)\n%s", err, diff)
		}
	})
}

func TestArgumentsAreTheSameHoweverTheyAreWritten(t *testing.T) {
	hash := func(text string) [32]byte {
		t.Helper()
		h, err := hashArguments(json.RawMessage(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return h
	}
	for _, row := range []struct {
		name, a, b string
		same       bool
	}{
		{"the order of fields", `{"a":1,"b":{"c":2,"d":3}}`, `{ "b": {"d":3, "c":2}, "a": 1 }`, true},
		{"how a character is written", `{"a":"é"}`, `{"a":"\u00e9"}`, true},
		{"none and an empty object", ``, `{}`, true},
		{"another value", `{"a":1}`, `{"a":2}`, false},
		{"a text that looks like a number", `{"a":1}`, `{"a":"1"}`, false},
		{"a big number", `{"a":9007199254740993}`, `{"a":9007199254740992}`, false},
		{"the order of a list", `{"a":[1,2]}`, `{"a":[2,1]}`, false},
		{"one field more", `{"a":1}`, `{"a":1,"b":null}`, false},
	} {
		if got := hash(row.a) == hash(row.b); got != row.same {
			t.Errorf("%s: the same = %t, want %t", row.name, got, row.same)
		}
	}
	if _, err := hashArguments(json.RawMessage(`{`)); err == nil {
		t.Error("broken JSON has a hash")
	}
}
