package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/secret"
)

const canary = "canary-4f1d"

// holder keeps a secret where fmt cannot call its methods: in an unexported field.
type holder struct {
	token secret.String
	Name  string
}

func TestASecretIsNeverPrinted(t *testing.T) {
	s := secret.New(canary)
	values := map[string]any{
		"plain":             s,
		"pointer":           &s,
		"unexported field":  holder{token: s, Name: "x"},
		"pointer to holder": &holder{token: s},
		"slice":             []secret.String{s},
		"map":               map[string]secret.String{"k": s},
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
				reject(t, verb, fmt.Sprintf(verb, v))
			}
			out, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			reject(t, "json", string(out))
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
			slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
			reject(t, "slog", log.String())
		})
	}
}

func reject(t *testing.T, how, out string) {
	t.Helper()
	if strings.Contains(out, canary) || strings.Contains(out, fmt.Sprintf("%x", canary)) {
		t.Errorf("%s prints the secret: %s", how, out)
	}
}

func TestRevealReturnsTheText(t *testing.T) {
	if got := secret.New(canary).Reveal(); got != canary {
		t.Errorf("Reveal() = %q, want %q", got, canary)
	}
	var zero secret.String
	if zero.Reveal() != "" || !zero.IsZero() || !secret.New("").IsZero() {
		t.Error("the zero secret is not empty")
	}
}

func TestEqualComparesTheText(t *testing.T) {
	if !secret.New(canary).Equal(secret.New(canary)) {
		t.Error("equal secrets differ")
	}
	if secret.New(canary).Equal(secret.New("other")) {
		t.Error("different secrets are equal")
	}
}
