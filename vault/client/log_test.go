package client_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// lineWriter hands on each line of a log.
type lineWriter chan<- string

func (w lineWriter) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

func logTo(lines chan<- string) *slog.Logger {
	return slog.New(slog.NewTextHandler(lineWriter(lines), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func nextLine(t testing.TB, lines <-chan string) string {
	t.Helper()
	select {
	case line := <-lines:
		return line
	case <-time.After(patience):
		t.Fatal("nothing is logged")
		return ""
	}
}

// wantText fails unless a text has something in it, and none of the secrets.
func wantText(t testing.TB, text, want string, secrets ...string) {
	t.Helper()
	if !strings.Contains(text, want) {
		t.Errorf("got %q, want it to have %q", text, want)
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%q holds a secret", text)
		}
	}
}
