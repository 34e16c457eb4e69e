package access

import (
	"testing"
	"time"
)

func TestWhatIsRememberedIsBounded(t *testing.T) {
	r := newRecent[int](time.Now)
	end := time.Now().Add(time.Hour)
	first := GenerateToken()
	r.keep(first, 1, end)
	for range 3 * maxRecent {
		r.keep(GenerateToken(), 2, end)
	}
	if n := len(r.younger) + len(r.older); n > 2*maxRecent {
		t.Errorf("%d tokens are remembered, want at most %d", n, 2*maxRecent)
	}
	if _, ok := r.get(first); ok {
		t.Error("the oldest is still remembered")
	}
	last := GenerateToken()
	r.keep(last, 3, end)
	if got, ok := r.get(last); !ok || got != 3 {
		t.Errorf("the newest is not remembered: %v, %v", got, ok)
	}
}
