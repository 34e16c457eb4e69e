package vaulttest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// scanner looks for secrets in whatever a program writes. It is safe for concurrent
// use.
type scanner struct {
	mu      sync.Mutex
	secrets map[string]string // name by value: the first that it was known by
	known   map[string]bool   // names
}

// shortest is how long a secret has to be for its appearance to mean something.
const shortest = 16

func (s *scanner) add(name string, values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets == nil {
		s.secrets, s.known = map[string]string{}, map[string]bool{}
	}
	for _, value := range values {
		if len(value) < shortest {
			continue
		}
		s.known[name] = true
		if s.secrets[value] == "" {
			s.secrets[value] = name
		}
	}
}

// names returns of which kinds secrets are known.
func (s *scanner) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.known))
}

// find returns what was found in a text, as name and form.
func (s *scanner) find(text []byte) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []string
	for value, name := range s.secrets {
		for form, spelled := range formsOf(value) {
			if bytes.Contains(text, []byte(spelled)) {
				found = append(found, name+", "+form)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// formsOf are the ways in which a secret can lie in a text: of a long one, a part
// suffices.
func formsOf(value string) map[string]string {
	marshalled, _ := json.Marshal(value) // a text can always be written
	quoted := string(marshalled[1 : len(marshalled)-1])
	forms := map[string]string{
		"as it is": value, "its beginning": value[:shortest], "its end": value[len(value)-shortest:],
		"hex": hex.EncodeToString([]byte(value)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(value))), "spaced hex": fmt.Sprintf("% x", value), "Go's hex": strings.Trim(fmt.Sprintf("%#v", []byte(value)), "[]byte{}"),
		"bytes": strings.Trim(fmt.Sprint([]byte(value)), "[]"), "a list of bytes": strings.ReplaceAll(strings.Trim(fmt.Sprint([]byte(value)), "[]"), " ", ","),
		"in a URL": url.QueryEscape(value), "in a path": url.PathEscape(value), "JSON": quoted, "quoted": strings.Trim(strconv.Quote(value), `"`), "quoted in ASCII": strings.Trim(strconv.QuoteToASCII(value), `"`), "HTML": html.EscapeString(value),
	}
	for name, encoding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
		for before := range 3 { // bytes that may stand before it in what was encoded
			for kind, text := range map[string]string{"": value, " of JSON": quoted} {
				encoded := encoding.EncodeToString(append(make([]byte, before), text...))
				forms[fmt.Sprintf("%s%s behind %d bytes", name, kind, before)] = encoded[(before*8+5)/6 : len(encoded)-1]
			}
		}
	}
	return forms
}

func TestTheScannerFindsWhatLeaks(t *testing.T) {
	for _, value := range []string{"canary-0123456789abcdef", "tv_AAAA-_BBBB0123456789CCCCDDDD", "a+b/c=&<é>\"'\\ 0123456789", strings.Repeat("k", 500) + "0123456789abcdefX"} {
		var s scanner
		s.add("secret", value)
		quoted, err := json.Marshal(map[string]string{"k": value})
		if err != nil {
			t.Fatal(err)
		}
		for how, text := range map[string]string{
			"as it is": "x" + value + "y", "cut": "x" + value[:shortest] + "…", "the end of it": "…" + value[len(value)-shortest:], "%q": fmt.Sprintf("%q", value), "%x": fmt.Sprintf("%x", value), "%X": fmt.Sprintf("%X", value),
			"% x": fmt.Sprintf("% x", value), "%v of bytes": fmt.Sprint([]byte(value)), "%#v of bytes": fmt.Sprintf("%#v", []byte(value)), "JSON": string(quoted), "a query": url.Values{"token": {value}}.Encode(), "a path": "/" + url.PathEscape(value), "HTML": html.EscapeString(value),
			"basic authentication":     "Basic " + base64.StdEncoding.EncodeToString([]byte("client:"+value)),
			"basic, other name":        "Basic " + base64.StdEncoding.EncodeToString([]byte("client1:"+value+":")),
			"basic, yet another name":  "Basic " + base64.StdEncoding.EncodeToString([]byte("client12:"+value+"::")),
			"base64url":                base64.URLEncoding.EncodeToString([]byte(value)),
			"base64url, in JSON":       base64.RawURLEncoding.EncodeToString(quoted),
			"hex of something with it": hex.EncodeToString([]byte("before" + value + "after")),
		} {
			if found := s.find([]byte(text)); len(found) == 0 {
				t.Errorf("%s of %q is not found in %s", how, value, text)
			}
		}
		if found := s.find([]byte("nothing of the kind 0123456789")); len(found) != 0 {
			t.Errorf("found %v where there is nothing", found)
		}
	}
}
