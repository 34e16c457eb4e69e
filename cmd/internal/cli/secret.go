package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// maxSecret is how much of standard input is read, in bytes.
const maxSecret = 64 << 10

// ReadSecret reads what a flag refers to: file:PATH, env:NAME, or - for stdin. Nil: the
// command reads nothing from there. Line ends behind the secret are left out. Other users
// of the machine can see command lines: a secret itself is refused, and not repeated.
// Errors begin with the flag's name, and say how a reference is written.
func ReadSecret(flag, reference string, stdin io.Reader) (secret.String, error) {
	kind, name, _ := strings.Cut(reference, ":")
	var text, place string
	switch {
	case reference == "":
		return secret.String{}, fmt.Errorf("%s is missing: write %s", flag, waysOf(flag, stdin))
	case reference == "-" && stdin != nil:
		data, err := io.ReadAll(io.LimitReader(stdin, maxSecret))
		if err != nil {
			return secret.String{}, fmt.Errorf("%s: read standard input: %w", flag, err)
		}
		text, place = string(data), "standard input"
	case kind == "env" && name != "":
		value, ok := os.LookupEnv(name)
		if !ok {
			return secret.String{}, fmt.Errorf("%s: the environment variable is not set", flag)
		}
		text, place = value, "the environment variable"
	case kind == "file" && name != "":
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return secret.String{}, fmt.Errorf("%s: there is no file %s", flag, name)
		}
		if err != nil {
			return secret.String{}, fmt.Errorf("%s: %w", flag, err)
		}
		text, place = string(data), "the file "+name
	default:
		return secret.String{}, fmt.Errorf("%s takes a reference, not the secret itself, which other users could see: write %s", flag, waysOf(flag, stdin))
	}
	text = strings.TrimRight(text, "\r\n")
	if text == "" {
		return secret.String{}, fmt.Errorf("%s: %s is empty", flag, place)
	}
	return secret.New(text), nil
}

// waysOf are the forms of a reference.
func waysOf(flag string, stdin io.Reader) string {
	if stdin == nil {
		return fmt.Sprintf("%s file:PATH or %[1]s env:NAME", flag)
	}
	return fmt.Sprintf("%s file:PATH, %[1]s env:NAME, or %[1]s - for standard input", flag)
}
