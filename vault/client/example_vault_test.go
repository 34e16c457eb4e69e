package client_test

import (
	"context"
	"log"
	"os"
	"sync"
	"testing"

	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// example is a stack for an example, and stands in for the test that it would have.
type example struct {
	testing.TB
	stack          *vaulttest.Stack
	address, token string
	cleanups       []func()
	browsing       sync.WaitGroup
}

func startVault() *example { return startVaultWith(vaulttest.Config{}) }

func startVaultWith(c vaulttest.Config) *example {
	e := new(example)
	e.stack = vaulttest.New(e, c)
	e.address, e.token = e.stack.GRPCAddress, e.stack.Token.Reveal()
	return e
}

// browse has a person open a link and consent.
func (e *example) browse(link string) {
	e.browsing.Add(1)
	defer e.browsing.Done()
	page, err := sandbox.Person{Client: e.stack.NewBrowser()}.Approve(context.Background(), link, vaulttest.Ada)
	if err != nil {
		log.Fatal(err)
	}
	_ = page.Body.Close()
}

// stop stops it, when the person has seen the last page.
func (e *example) stop() {
	e.browsing.Wait()
	for len(e.cleanups) > 0 {
		last := e.cleanups[len(e.cleanups)-1]
		e.cleanups = e.cleanups[:len(e.cleanups)-1]
		last()
	}
}

func (e *example) Helper()                        {}
func (e *example) Context() context.Context       { return context.Background() }
func (e *example) Cleanup(f func())               { e.cleanups = append(e.cleanups, f) }
func (e *example) Fatal(args ...any)              { log.Fatal(args...) }
func (e *example) Errorf(format string, a ...any) { log.Fatalf(format, a...) }

func (e *example) TempDir() string {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	e.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
