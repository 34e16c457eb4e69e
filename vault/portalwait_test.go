package vault

import "testing"

func TestOnePersonDoesNotTakeThePlacesOfOthers(t *testing.T) {
	v, _ := twoVaults(t)
	alice, bob := Person{Tenant: DefaultTenant, Subject: "alice"}, Person{Tenant: DefaultTenant, Subject: "bob"}
	for range maxWaitingOfOne {
		if !v.waiting.enter(alice) {
			t.Fatal("there is no room")
		}
	}
	if v.waiting.enter(alice) {
		t.Error("one person waits more often than they may")
	}
	now, err := v.portalVersion(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	// Nothing changes: this would wait.
	for version, want := range map[string]bool{now: false, "an older one": true} {
		if changed, err := v.waitPortal(t.Context(), alice, version); changed != want || err != nil {
			t.Errorf("without room, WaitPortal(%q) = %v, %v", version, changed, err)
		}
	}
	if !v.waiting.enter(bob) {
		t.Error("another person does not find room")
	}
	v.waiting.leave(bob)
	v.waiting.leave(alice)
	if !v.waiting.enter(alice) {
		t.Error("who leaves does not make room")
	}
	for range maxWaitingOfOne {
		v.waiting.leave(alice)
	}
	if v.waiting.all != 0 || len(v.waiting.of) != 0 {
		t.Errorf("nobody waits, and %d are counted of %d people", v.waiting.all, len(v.waiting.of))
	}
}

func TestTheRoomOfThoseWhoWaitIsBounded(t *testing.T) {
	var w portalWaiters
	for i := range maxWaiting {
		if !w.enter(Person{Subject: string(rune(i + 1))}) {
			t.Fatalf("there is no room for number %d", i+1)
		}
	}
	if w.enter(Person{Subject: "one more"}) {
		t.Error("there is room for one more")
	}
}
