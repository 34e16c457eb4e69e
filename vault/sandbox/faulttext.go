package sandbox

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseFault reads a fault as flags have it: token:status=503,times=3.
func ParseFault(text string) (Endpoint, Fault, error) {
	name, rest, _ := strings.Cut(text, ":")
	endpoint := Endpoint(name)
	if !slices.Contains(endpoints(), endpoint) {
		return "", Fault{}, fmt.Errorf("fault %q: begin with authorize, token, metadata, api, revoke, userinfo, device or discovery and a colon, as in token:status=503,times=3", text)
	}
	var f Fault
	for _, part := range strings.Split(rest, ",") {
		key, value, _ := strings.Cut(part, "=")
		if err := f.set(key, value); err != nil {
			return "", Fault{}, fmt.Errorf("fault %q: %w", text, err)
		}
	}
	if len(f.Quirks) > 0 && endpoint != Token {
		return "", Fault{}, fmt.Errorf("fault %q: quirks are of the token endpoint only", text)
	}
	return endpoint, f, nil
}

// set reads one part of a fault's text.
func (f *Fault) set(key, value string) (err error) {
	switch key {
	case "delay":
		f.Delay, err = time.ParseDuration(value)
	case "status":
		f.Status, err = strconv.Atoi(value)
		if err == nil && (f.Status < 200 || f.Status > 599) {
			err = fmt.Errorf("%d is not an HTTP status", f.Status)
		}
	case "retry-after":
		f.RetryAfter, err = time.ParseDuration(value)
	case "times":
		f.Times, err = strconv.Atoi(value)
	case "processed":
		f.Processed = true
	case "drop":
		f.Drop = true
	case "drop-after":
		f.DropAfter = true
	case "malformed":
		f.Body = `{"access_token": "half an ans`
	case "quirk":
		f.Quirks = append(f.Quirks, Quirk(value))
		err = checkQuirks(f.Quirks)
	default:
		err = fmt.Errorf("%q is not one of delay=2s, status=503, retry-after=30s, processed, times=3, drop, drop-after, malformed, quirk=NAME", key)
	}
	return err
}
