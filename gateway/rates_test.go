package gateway

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestAnAddressHasItsShareOfRequests(t *testing.T) {
	now := time.Now()
	r := newRates(2, 10)
	addr := netip.MustParseAddr("192.0.2.1")
	for i := range 10 {
		if wait := r.take(addr, now); wait != 0 {
			t.Fatalf("request %d: wait %v", i, wait)
		}
	}
	for range 3 { // refused requests cost nothing
		if wait := r.take(addr, now); wait != 500*time.Millisecond {
			t.Fatalf("the eleventh: wait %v, want half a second", wait)
		}
	}
	if wait := r.take(netip.MustParseAddr("192.0.2.2"), now); wait != 0 {
		t.Errorf("another address: wait %v", wait)
	}
	now = now.Add(500 * time.Millisecond)
	if wait := r.take(addr, now); wait != 0 {
		t.Errorf("half a second later: wait %v", wait)
	}
	if wait := r.take(addr, now); wait == 0 {
		t.Error("half a second later two were let through, want one")
	}
}

func TestWhatCountsAsOneAddress(t *testing.T) {
	for _, row := range []struct {
		name, one, other      string
		sameNetwork, sameSite bool
	}{
		{"IPv4", "192.0.2.1", "192.0.2.2", false, false},
		{"IPv6 of one network", "2001:db8::1", "2001:db8::ffff:1:2:3", true, true},
		{"IPv6 of two networks", "2001:db8::1", "2001:db8:0:1::1", false, true},
		{"IPv6 of two sites", "2001:db8::1", "2001:db8:1::1", false, false},
		{"IPv6 with a zone", "fe80::1%eth0", "fe80::2%eth1", true, true},
	} {
		network, site := networks(netip.MustParseAddr(row.one))
		otherNetwork, otherSite := networks(netip.MustParseAddr(row.other))
		if same := network == otherNetwork; same != row.sameNetwork {
			t.Errorf("%s: the same network is %v, want %v", row.name, same, row.sameNetwork)
		}
		if same := site == otherSite; same != row.sameSite {
			t.Errorf("%s: the same site is %v, want %v", row.name, same, row.sameSite)
		}
	}
	if network, site := networks(netip.Addr{}); network != (netip.Prefix{}) || site != network {
		t.Error("no address is some address")
	}
}

func TestTheNetworksOfASiteHaveAShareTogether(t *testing.T) {
	now := time.Now()
	r := newRates(2, 10)
	let := 0
	for i := range 50 {
		addr := netip.MustParseAddr(fmt.Sprintf("2001:db8:1:%x::1", i))
		for range 10 {
			if r.take(addr, now) == 0 {
				let++
			}
		}
	}
	if let != 10*siteFactor {
		t.Errorf("%d requests of 50 networks were let through, want %d", let, 10*siteFactor)
	}
	if wait := r.take(netip.MustParseAddr("2001:db8:2::1"), now); wait != 0 {
		t.Errorf("another site: wait %v", wait)
	}
	if wait := r.take(netip.MustParseAddr("2001:db8:1:31::1"), now); wait != 50*time.Millisecond {
		t.Errorf("one that was refused: wait %v, want that of its site, since refused requests cost nothing", wait)
	}
}

func TestManyAddressesTakeLittleAndAreNotForgottenAtOnce(t *testing.T) {
	now := time.Now()
	r := newRates(1, 1)
	busy := netip.MustParseAddr("192.0.2.1")
	r.take(busy, now)
	addr := netip.MustParseAddr("10.0.0.0")
	for i := range 5 * maxAddresses {
		addr = addr.Next()
		r.take(addr, now)
		if i%(maxAddresses/2) == 0 && r.take(busy, now) == 0 {
			t.Fatalf("forgotten after %d others", i)
		}
	}
	if n := len(r.younger) + len(r.elder); n > 2*maxAddresses {
		t.Errorf("%d addresses are known, want at most %d", n, 2*maxAddresses)
	}
}

func TestTheUsualShareIsThatOfAnOffice(t *testing.T) {
	r := newRates(0, 0)
	if got := fmt.Sprint(r.limit, r.burst); got != "5 100" {
		t.Errorf("limit and burst = %s, want 5 100", got)
	}
}
