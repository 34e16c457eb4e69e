package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// neighbour is a user without privileges, and a folder that is theirs: the vault
// runs as this user, and so does whoever tries to read its memory.
type neighbour struct {
	uid     int
	folder  string
	program string // tokenvault
}

// newNeighbour is whoever runs the tests; for root, to whom everything is open,
// somebody else.
func newNeighbour(t *testing.T) neighbour {
	t.Helper()
	n := neighbour{uid: os.Getuid(), folder: t.TempDir()}
	n.program = filepath.Join(n.folder, "tokenvault")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(self)
	if err := errors.Join(err, os.WriteFile(n.program, content, 0o700)); err != nil {
		t.Fatal(err)
	}
	if n.uid == 0 {
		n.uid = 65534 // nobody
		if err := errors.Join(os.Chmod(filepath.Dir(n.folder), 0o755), os.Chown(n.folder, n.uid, n.uid), os.Chown(n.program, n.uid, n.uid)); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// command is a program that the user starts.
func (n neighbour) command(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = n.folder, append(os.Environ(), "HOME="+n.folder)
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(n.uid), Gid: uint32(n.uid)}}
	}
	return cmd
}

// start starts a tokenvault, and returns when it serves.
func (n neighbour) start(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := n.command(t, n.program, args...)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	err = errors.Join(cmd.Start(), in.Close())
	t.Cleanup(func() { _ = out.Close() })
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "Stop with Ctrl-C") || strings.Contains(lines.Text(), "msg=serving") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return cmd
		}
	}
	t.Fatalf("%v does not serve: %v", args, cmd.Wait())
	return nil
}

func (n neighbour) interrupt(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
		t.Error(err)
	}
}

// reads reports whether another program of the same user can read the environment
// of a process, which takes the same permission as its memory.
func (n neighbour) reads(t *testing.T, pid int) bool {
	t.Helper()
	return n.command(t, "cat", fmt.Sprintf("/proc/%d/environ", pid)).Run() == nil
}

// allowCores has programs that are started from here on begin with as large core
// dumps as this one may have.
func allowCores(t *testing.T) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: before.Max, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &before) })
}

func TestNobodyElseReadsTheMemoryOfAVault(t *testing.T) {
	allowCores(t)
	n := newNeighbour(t)
	open := n.command(t, "cat") // which waits for its input
	wait, err := open.StdinPipe()
	if err := errors.Join(err, open.Start()); err != nil {
		t.Fatal(err)
	}
	if !n.reads(t, open.Process.Pid) {
		t.Error("not even an open process can be read: this test shows nothing")
	}
	if err := errors.Join(wait.Close(), open.Wait()); err != nil {
		t.Error(err)
	}

	addresses, err := freeAddresses(3)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"dev", "--dir", n.folder, "--grpc", addresses[0], "--http", addresses[1], "--sandbox", addresses[2]},
		{"serve", "--config", filepath.Join(n.folder, devConfig)}, // which dev has written
	} {
		t.Run(args[0], func(t *testing.T) {
			vault := n.start(t, args...)
			defer n.interrupt(t, vault)
			if n.reads(t, vault.Process.Pid) {
				t.Error("another program of the same user reads the vault's environment")
			}
			memory, err := os.Stat(fmt.Sprintf("/proc/%d/mem", vault.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			if owner := memory.Sys().(*syscall.Stat_t).Uid; int(owner) == n.uid {
				t.Error("the vault's memory belongs to the user who runs it")
			}
			limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", vault.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(limits)) {
				if fields := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (fields[4] != "0" || fields[5] != "0") {
					t.Errorf("core dumps are allowed: %s", line)
				}
			}
		})
	}
}
