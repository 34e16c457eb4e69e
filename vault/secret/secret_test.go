package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
	"text/template"

	"github.com/tokenvault/tokenvault/vault/secret"
)

const canary = "canary-4f1d"

// holder keeps secrets where fmt cannot call their methods: in unexported fields.
type holder struct {
	token   secret.String
	headers secret.Map
	Name    string
}

// open keeps them where encoders look.
type open struct {
	Token   secret.String
	Headers secret.Map
	Name    string
}

func values() map[string]any {
	s, m := secret.New(canary), secret.NewMap(map[string]string{"Authorization": "Bearer " + canary})
	return map[string]any{
		"plain": s, "plain map": m,
		"pointer": &s, "pointer to map": &m,
		"unexported fields":  holder{token: s, headers: m, Name: "x"},
		"pointer to holder":  &holder{token: s, headers: m},
		"exported fields":    open{Token: s, Headers: m, Name: "x"},
		"slice":              []secret.String{s},
		"map":                map[string]secret.String{"k": s},
		"any":                []any{s, m, holder{token: s}},
		"error":              fmt.Errorf("redeem %v with %v", s, m),
		"struct in a struct": struct{ inner holder }{holder{token: s, headers: m}},
	}
}

func TestASecretIsNeverPrinted(t *testing.T) {
	for name, v := range values() {
		t.Run(name, func(t *testing.T) {
			for verb := ' '; verb <= '~'; verb++ {
				for _, flags := range []string{"", "+", "#", " ", "-20.40", "0"} {
					reject(t, "%"+flags+string(verb), fmt.Sprintf("%"+flags+string(verb), v))
				}
			}
			reject(t, "Print", fmt.Sprint(v))
			for _, level := range []slog.Level{slog.LevelDebug, slog.LevelError} {
				var log bytes.Buffer
				options := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
				for _, handler := range []slog.Handler{slog.NewTextHandler(&log, options), slog.NewJSONHandler(&log, options)} {
					slog.New(handler).With("before", v).WithGroup("g").Log(t.Context(), level, "m", "v", v)
				}
				reject(t, "slog", log.String())
			}
		})
	}
}

func TestASecretIsNeverEncoded(t *testing.T) {
	for name, v := range values() {
		t.Run(name, func(t *testing.T) {
			for how, encode := range map[string]func(io.Writer) error{
				"json": func(w io.Writer) error { return json.NewEncoder(w).Encode(v) },
				"xml":  func(w io.Writer) error { return xml.NewEncoder(w).Encode(v) },
				"gob":  func(w io.Writer) error { return gob.NewEncoder(w).Encode(v) },
				"template": func(w io.Writer) error {
					return template.Must(template.New("").Parse("{{.}} {{printf `%s %x %v` . . .}} {{html .}}")).Execute(w, v)
				},
			} {
				var out bytes.Buffer
				_ = encode(&out) // not every form is possible; none may leak
				reject(t, how, out.String())
			}
		})
	}
}

// reject fails if the secret can be read out of a text.
func reject(t *testing.T, how, out string) {
	t.Helper()
	for _, form := range []string{
		canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("% x", canary), strings.Trim(fmt.Sprint([]byte(canary)), "[]"),
		base64.StdEncoding.EncodeToString([]byte(canary))[:12],
	} {
		if strings.Contains(out, form) {
			t.Errorf("%s prints the secret: %s", how, out)
		}
	}
}

// crashes are ways in which a process ends with secrets at hand.
func crashes() map[string]func(secret.String) {
	ways := map[string]func(secret.String){
		"with a nil pointer": func(s secret.String) { _ = *(*string)(nil) + s.Reveal() },
		"in another goroutine": func(s secret.String) {
			go func() { panic(s) }()
			select {}
		},
	}
	for name, v := range values() {
		ways["with "+name] = func(secret.String) { panic(v) }
	}
	return ways
}

func TestMain(m *testing.M) {
	if crash := crashes()[os.Getenv("SECRET_TEST_CRASH")]; crash != nil {
		debug.SetTraceback("all")
		crash(secret.New(canary))
	}
	os.Exit(m.Run())
}

func TestACrashShowsNoSecret(t *testing.T) {
	for name := range crashes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crash := exec.CommandContext(t.Context(), os.Args[0])
			crash.Env = append(os.Environ(), "SECRET_TEST_CRASH="+name)
			out, err := crash.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "goroutine 1") {
				t.Fatalf("the process has not crashed: %v\n%s", err, out)
			}
			reject(t, "the trace", string(out))
		})
	}
}

func TestAPanicIsDescribedWithoutItsValue(t *testing.T) {
	described := func(panics func()) (text string) {
		defer func() { text = secret.DescribePanic(recover()) }()
		panics()
		return ""
	}
	for _, row := range []struct {
		name   string
		panics func()
		want   string
	}{
		{"a text", func() { panic(canary) }, "panic with a string, at "},
		{"an error", func() { panic(errors.New(canary)) }, "panic with a *errors.errorString, at "},
		{"nil", func() { panic(nil) }, "panic: panic called with nil argument"},
		{"Go's own", func() { _ = *(*string)(nil) }, "panic: runtime error: invalid memory address or nil pointer dereference, at "},
	} {
		t.Run(row.name, func(t *testing.T) {
			text := described(row.panics)
			if !strings.HasPrefix(text, row.want) || !strings.Contains(text, "TestAPanicIsDescribedWithoutItsValue") || !strings.Contains(text, "(secret_test.go:") {
				t.Errorf("got %q, want %q and the place", text, row.want)
			}
			reject(t, "the description", text)
		})
	}
}

func TestRevealReturnsTheText(t *testing.T) {
	if got := secret.New(canary).Reveal(); got != canary {
		t.Errorf("Reveal() = %q, want %q", got, canary)
	}
	if got := secret.NewMap(map[string]string{"k": canary}).Reveal()["k"]; got != canary {
		t.Errorf("Reveal() = %q, want %q", got, canary)
	}
	if got := (secret.Map{}).Reveal(); got != nil {
		t.Errorf("the zero map is %v", got)
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
