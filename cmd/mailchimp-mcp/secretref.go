package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// readSecret reads what a flag refers to: env:NAME or file:PATH. Other users of the
// machine can see command lines: a secret itself is refused, and not repeated.
func readSecret(flag, reference string) (secret.String, error) {
	kind, name, _ := strings.Cut(reference, ":")
	var text string
	switch {
	case kind == "env" && name != "":
		value, ok := os.LookupEnv(name)
		if !ok {
			return secret.String{}, fmt.Errorf("%s: the environment variable is not set", flag)
		}
		text = value
	case kind == "file" && name != "":
		data, err := os.ReadFile(name)
		if err != nil {
			return secret.String{}, fmt.Errorf("%s: %w", flag, err)
		}
		text = string(data)
	default:
		return secret.String{}, fmt.Errorf("%s takes a reference, not the secret itself, which other users could see: write %[1]s env:NAME or %[1]s file:PATH", flag)
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return secret.String{}, fmt.Errorf("%s: what it refers to is empty", flag)
	}
	return secret.New(text), nil
}
