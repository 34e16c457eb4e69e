package loopback_test

import (
	"testing"

	"github.com/tokenvault/tokenvault/vault/loopback"
)

func TestWhatIsThisMachine(t *testing.T) {
	for _, row := range []struct {
		name, host     string
		isAddr, isHost bool
	}{
		{"the usual address", "127.0.0.1", true, true},
		{"another of the block", "127.255.255.254", true, true},
		{"that of IPv6", "::1", true, true},
		{"IPv4 in IPv6", "::ffff:127.0.0.1", true, true},
		{"localhost", "localhost", false, true},
		{"an address with a zone", "::1%lo", false, false},
		{"brackets", "[::1]", false, false},
		{"a name below localhost", "a.localhost", false, false},
		{"a name above it", "localhost.evil.example", false, false},
		{"an address as the beginning of a name", "127.0.0.1.evil.example", false, false},
		{"an address that some read in octal", "0177.0.0.1", false, false},
		{"an address as one number", "2130706433", false, false},
		{"a short form", "127.1", false, false},
		{"any address", "0.0.0.0", false, false},
		{"a private address", "10.0.0.1", false, false},
		{"nothing", "", false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := loopback.IsAddr(row.host); got != row.isAddr {
				t.Errorf("IsAddr(%q) = %t, want %t", row.host, got, row.isAddr)
			}
			if got := loopback.IsHost(row.host); got != row.isHost {
				t.Errorf("IsHost(%q) = %t, want %t", row.host, got, row.isHost)
			}
		})
	}
}
