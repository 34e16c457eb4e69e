package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/audit"
)

type noHead struct{}

func (noHead) LoadHead(context.Context) (audit.Head, error) { return audit.Head{}, nil }
func (noHead) SaveHead(context.Context, audit.Head) error   { return nil }

func TestAnEntryCannotSpeakToTheTerminal(t *testing.T) {
	key, err := audit.NewKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	log, err := audit.Open(t.Context(), audit.Config{Path: path, Key: key, Keeper: noHead{}})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for subject, want := range map[string]string{
		"alice":              "for alice at",
		"søren":              "for søren at",
		"\x1b[2Jbob":         `for "\x1b[2Jbob at`,
		"bob\nall is well":   `for "bob\nall is well at`,
		"bob\u202eat evil":   `for "bob\u202eat evil at`,
		"bob\u009b2Jcleared": `for "bob\u009b2Jcleared at`,
	} {
		if err := log.Append(audit.Entry{RPC: "GetCredentials", Outcome: audit.Failed, Subject: subject, Provider: "mailchimp"}); err != nil {
			t.Fatal(err)
		}
		if _, err := log.Verify(); err != nil { // has the file hold everything
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		last := bytes.LastIndexByte(content[:len(content)-1], '\n') + 1
		if err := new(tailFlags).show(&out, content[last:]); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("subject %q is shown in %q, want %s", subject, out.String(), want)
		}
	}
}
