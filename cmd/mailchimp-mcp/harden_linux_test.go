package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestTheProcessLeavesNoCoreDumps stands for harden.Process, which tokenvault's tests
// know more about: it has to be called here, too.
func TestTheProcessLeavesNoCoreDumps(t *testing.T) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	if before.Max == 0 {
		t.Skip("no program of this user may leave core dumps: this would show nothing")
	}
	s := newSite(t)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", s.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (fields[4] != "0" || fields[5] != "0") {
			t.Errorf("core dumps are allowed: %s", line)
		}
	}
}
