package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tokenvault/tokenvault/"

// mayImport is what a package may depend on.
type mayImport struct {
	own  []string // within the module, directly or not; "*" is everything
	grpc bool
}

// layers say for each package of the module what it may depend on. A package that
// wants more is in the wrong place.
func layers() map[string]mayImport {
	const storage, api = "proto/tokenvault/storage/v1", "proto/tokenvault/v1"
	engine := []string{"vault", "vault/store", "vault/keyring", "vault/provider", "vault/loopback", "vault/secret", "vault/audit", storage}
	everything := mayImport{own: []string{"*"}, grpc: true}
	return map[string]mayImport{
		"vault/secret":                   {},
		"vault/loopback":                 {},
		"vault/certs":                    {},
		"vault/store":                    {},
		"vault/store/boltstore":          {own: []string{"vault/store"}},
		"vault/store/etcdstore":          {own: []string{"vault/store"}, grpc: true}, // etcd's client brings it
		"vault/store/storetest":          {own: []string{"vault/store"}},
		"vault/keyring":                  {own: []string{"vault/secret", storage}},
		"vault/provider":                 {own: []string{"vault/loopback", "vault/secret"}},
		"vault/claims":                   {},
		"vault/httpserve":                {own: []string{"vault/netlimit", "vault/secret"}},
		"vault/issuerhttp":               {},
		"vault/access":                   {own: []string{"vault/claims", "vault/issuerhttp", "vault/loopback", "vault/secret"}},
		"vault/login":                    {own: []string{"vault/claims", "vault/issuerhttp", "vault/secret"}},
		"vault/audit":                    {},
		"vault/netlimit":                 {},
		"vault/sandbox":                  {own: []string{"vault/sandbox/marketing"}},
		"vault/sandbox/marketing":        {},
		"vault/sandbox/playbook":         {own: []string{"vault/sandbox", "vault/sandbox/marketing", "vault/provider", "vault/loopback", "vault/secret"}},
		"vault":                          {own: engine},
		"vault/server":                   {own: append([]string{"vault/access", "vault/claims", "vault/issuerhttp", "vault/netlimit", api}, engine...), grpc: true},
		"vault/client":                   {own: []string{"vault/loopback", "vault/secret", "vault/certs", api}, grpc: true},
		"vault/client/mcpauth":           {own: []string{"vault/client", "vault/loopback", "vault/secret", "vault/certs", api}, grpc: true},
		"vault/vaulttest":                everything,
		"vault/vaulttest/browsertest":    everything,
		"vault/vaulttest/nodetest":       everything,
		"vault/vaulttest/mcptest":        {},
		"gateway":                        {own: []string{"gateway/brand", "vault/httpserve", "vault/netlimit", "vault/secret", api}, grpc: true},
		"gateway/brand":                  {},
		api:                              {grpc: true},
		storage:                          {},
		"cmd/tokenvault":                 everything,
		"cmd/mailchimp-mcp":              everything,
		"cmd/tokenvault/internal/config": {own: append([]string{"vault/access", "vault/claims", "vault/issuerhttp", "vault/certs", "vault/login", "gateway/brand", "cmd/internal/nearest"}, engine...)},
		"cmd/internal/nearest":           {},
		"cmd/internal/cli":               {own: []string{"cmd/internal/nearest", "vault/secret"}},
		"cmd/internal/harden":            {},

		"cmd/mailchimp-mcp/internal/marketing": {own: []string{"vault/loopback", "vault/secret"}},
		"cmd/mailchimp-mcp/internal/tools":     {own: []string{"cmd/mailchimp-mcp/internal/marketing", "vault/client/mcpauth", "vault/client", "vault/loopback", "vault/secret", "vault/certs", api}, grpc: true},
	}
}

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := layers()
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		pkg, deps := strings.TrimPrefix(words[0], module), words[1:]
		t.Run(pkg, func(t *testing.T) {
			may, listed := allowed[pkg]
			if !listed {
				t.Fatal("no rule says what this package may import: decide, and add one")
			}
			if slices.Contains(deps, "google.golang.org/grpc") && !may.grpc {
				t.Error("imports gRPC")
			}
			for _, dep := range deps {
				own, ok := strings.CutPrefix(dep, module)
				if ok && !slices.Contains(may.own, own) && !slices.Contains(may.own, "*") {
					t.Errorf("imports %s", own)
				}
				if strings.HasPrefix(own, "vault/vaulttest") && !strings.HasPrefix(pkg, "vault/vaulttest/") {
					t.Error("imports the tests' harness")
				}
			}
		})
	}
}

// TestTheClientBringsNothingOfTheVaultsOwn guards the programs that import it: they get
// gRPC, oauth2 and how SPIFFE verifies certificates, and no database, encryption at rest
// or configuration. The SPIFFE Workload API, which reads JWTs too, is for those programs
// to import that use it. Only those that are MCP servers get the SDK for that.
func TestTheClientBringsNothingOfTheVaultsOwn(t *testing.T) {
	const spiffe = "github.com/spiffe/go-spiffe/v2/"
	client := []string{
		module + "vault/client", module + "vault/loopback", module + "vault/secret", module + "vault/certs", module + "proto/tokenvault/v1",
		"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto", "golang.org/x/", "github.com/grpc-ecosystem/grpc-gateway/v2/",
		spiffe + "spiffeid", spiffe + "spiffetls/tlsconfig", spiffe + "svid/x509svid", spiffe + "bundle/x509bundle", spiffe + "internal/",
	}
	sdk := []string{"github.com/modelcontextprotocol/go-sdk/", "github.com/google/jsonschema-go/", "github.com/segmentio/", "github.com/yosida95/uritemplate/"}
	for pkg, may := range map[string][]string{
		"vault/client":         client,
		"vault/client/mcpauth": append(sdk, client...),
	} {
		t.Run(pkg, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+pkg).Output()
			if err != nil {
				t.Fatal(err)
			}
			for dep := range strings.Lines(string(out)) {
				dep = strings.TrimSpace(dep)
				first, _, _ := strings.Cut(dep, "/")
				if strings.Contains(first, ".") && !slices.ContainsFunc(may, func(prefix string) bool { return strings.HasPrefix(dep, prefix) }) {
					t.Errorf("brings %s", dep)
				}
			}
		})
	}
}
