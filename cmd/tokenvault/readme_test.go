package main

import (
	"os"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/server"
)

// TestConfigurationsInDocumentsNeedATokenOnly reads them as serve would.
func TestConfigurationsInDocumentsNeedATokenOnly(t *testing.T) {
	for _, document := range []string{"README.md", "deploy/README.md"} {
		t.Run(document, func(t *testing.T) { needsATokenOnly(t, document) })
	}
}

func needsATokenOnly(t *testing.T, document string) {
	text, err := os.ReadFile("../../" + document)
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "```yaml\n")
	example, _, found := strings.Cut(example, "```")
	if !found {
		t.Fatal("it has no configuration")
	}
	key := keyring.GenerateMasterKey().Reveal()
	source := config.Source{
		LookupEnv: func(string) (string, bool) { return "secret", true },
		ReadFile:  func(string) ([]byte, error) { return []byte(key), nil },
		RPCs:      server.RPCs(),
	}
	_, err = config.Parse("tokenvault.yaml", []byte(example), source)
	if err == nil || strings.Count(err.Error(), "\n") != 0 || !strings.Contains(err.Error(), "this is the README's placeholder") {
		t.Errorf("the configuration as it is: error = %v, want one about the placeholder alone", err)
	}
	example = strings.Replace(example, strings.Repeat("0", 64), access.HashToken(access.GenerateToken()).String(), 1)
	if _, err := config.Parse("tokenvault.yaml", []byte(example), source); err != nil {
		t.Errorf("the configuration with a hash in place of the placeholder: %v", err)
	}
}
