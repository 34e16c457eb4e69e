package vaulttest_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// failing is a test that may fail: it takes down why, and what is to be done at its end.
type failing struct {
	testing.TB
	why  []string
	ends []func()
}

func (f *failing) Cleanup(end func()) { f.ends = append(f.ends, end) }

func (f *failing) Errorf(format string, args ...any) {
	f.why = append(f.why, fmt.Sprintf(format, args...))
}

func (f *failing) Fatal(args ...any) {
	f.why = append(f.why, fmt.Sprint(args...))
	runtime.Goexit()
}

// run does a part of the test, up to its end or what is fatal.
func (f *failing) run(part func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		part()
	}()
	<-done
}

func TestAStackThatDoesNotStartAgainSaysWhyAndNoMore(t *testing.T) {
	f := &failing{TB: t}
	s := vaulttest.New(f, vaulttest.Config{Audit: true})
	f.run(func() {
		s.AuditPath = t.TempDir() // a folder is no log
		s.Restart()
		t.Error("the stack runs without its audit log")
	})
	for _, end := range slices.Backward(f.ends) {
		end()
	}
	if len(f.why) != 1 || !strings.Contains(f.why[0], s.AuditPath) {
		t.Errorf("the test says %q, want that the audit log cannot be opened, once", f.why)
	}
}
