package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tokenvault/tokenvault/"

// TestPackagesImportOnlyWhatTheyMay keeps the layers apart: each package's
// dependencies within the module, direct or not, are those listed.
func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	storage := "proto/tokenvault/storage/v1"
	engine := []string{"vault", "vault/store", "vault/keyring", "vault/provider", "vault/secret", storage}
	for pkg, allowed := range map[string][]string{
		"vault/secret":          {},
		"vault/store":           {},
		"vault/store/boltstore": {"vault/store"},
		"vault/keyring":         {"vault/secret", storage},
		"vault/provider":        {"vault/secret"},
		"vault/access":          {"vault/secret"},
		"vault/sandbox":         {},
		"vault":                 engine,
		"vault/server":          append([]string{"vault/access", "proto/tokenvault/v1"}, engine...),
		"gateway":               {"proto/tokenvault/v1"},
		"proto/tokenvault/v1":   {},
	} {
		t.Run(pkg, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+pkg).Output()
			if err != nil {
				t.Fatal(err)
			}
			usesGRPC := false
			for _, dep := range strings.Fields(string(out)) {
				usesGRPC = usesGRPC || dep == "google.golang.org/grpc"
				own, ok := strings.CutPrefix(dep, module)
				if ok && own != pkg && !slices.Contains(allowed, own) {
					t.Errorf("imports %s", own)
				}
			}
			mayUseGRPC := pkg == "vault/server" || pkg == "gateway" || strings.HasPrefix(pkg, "proto/")
			if usesGRPC && !mayUseGRPC {
				t.Error("imports gRPC")
			}
		})
	}
}
