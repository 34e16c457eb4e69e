package provider

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/secret"
)

func templates(t *testing.T) map[string]Definition {
	t.Helper()
	all, err := Templates()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTheCatalogueHasEveryEndpointOfTheLibrary reads the library's source, so
// that a new version with more providers is noticed.
func TestTheCatalogueHasEveryEndpointOfTheLibrary(t *testing.T) {
	folder, err := exec.Command("go", "list", "-f", "{{.Dir}}", "golang.org/x/oauth2/endpoints").Output()
	if err != nil {
		t.Fatalf("the go command lists no packages: %v", err)
	}
	named := map[string]bool{}
	all, err := entries()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		named[e.Endpoint] = true
	}
	sources, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(folder)), "*.go"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("no source of the library: %v", err)
	}
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range exported(file) {
			if _, ok := libraryEndpoints()[name]; !ok {
				t.Errorf("the library has %s, libraryEndpoints has not", name)
			}
			if !named[name] {
				t.Errorf("the library has %s, the catalogue has not", name)
			}
		}
	}
}

// exported returns what a file exports: variables and functions.
func exported(file *ast.File) []string {
	var names []string
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv == nil && decl.Name.IsExported() {
				names = append(names, decl.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				value, ok := spec.(*ast.ValueSpec)
				if !ok {
					continue
				}
				for _, name := range value.Names {
					if name.IsExported() {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}

// TestEveryEntryNamesItsSource looks for the address of a page in each entry.
func TestEveryEntryNamesItsSource(t *testing.T) {
	files, err := fs.Glob(catalog, "catalog/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	begin := regexp.MustCompile(`(?m)^([a-z0-9][a-z0-9-]*):$`)
	for _, file := range files {
		data, err := catalog.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		places := begin.FindAllSubmatchIndex(data, -1)
		for i, at := range places {
			end := len(data)
			if i+1 < len(places) {
				end = places[i+1][0]
			}
			if name := string(data[at[2]:at[3]]); !strings.Contains(string(data[at[1]:end]), "  # https://") {
				t.Errorf("%s: %s has no source", file, name)
			}
		}
	}
}

// sampleParams returns values for the variables of a definition.
func sampleParams(t *testing.T, d Definition) map[string]string {
	t.Helper()
	params := map[string]string{}
	for name, variable := range d.Variables {
		for _, sample := range []string{variable.Default, "acme"} {
			if sample != "" && matcher(variable.Pattern).MatchString(sample) {
				params[name] = sample
				break
			}
		}
		if params[name] == "" {
			t.Fatalf("no sample for the variable %s", name)
		}
	}
	return params
}

func TestEveryEntryOfTheCatalogueCanBeUsed(t *testing.T) {
	for name, d := range templates(t) {
		t.Run(name, func(t *testing.T) {
			if !ValidName(name) || d.DisplayName == "" {
				t.Errorf("the name or the name for people, %q, is not one", d.DisplayName)
			}
			if problems := d.Validate(); len(problems) > 0 {
				t.Fatalf("problems: %v", problems)
			}
			c := Config{Name: name, Definition: d, RedirectURL: "https://v.example/cb"}
			if d.HasOAuth() {
				c.ClientID, c.ClientSecret = "id", secret.New("secret")
			}
			p, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			if p, err = p.With(sampleParams(t, d)); err != nil {
				t.Fatal(err)
			}
			if !d.HasOAuth() {
				return
			}
			location, err := p.Authorize(t.Context(), AuthorizationRequest{State: "s", Verifier: NewVerifier()})
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(location)
			if err != nil || u.Scheme != "https" || u.Query().Get("state") != "s" || strings.ContainsAny(u.Host+u.Path, "{}") {
				t.Errorf("location = %s, error %v", location, err)
			}
			if strings.ContainsAny(p.Definition().TokenURL+p.Definition().RevokeURL, "{}") {
				t.Errorf("a variable is left in %+v", p.Definition())
			}
		})
	}
}

func TestMailchimpIsExact(t *testing.T) {
	d := templates(t)["mailchimp"]
	p, err := New(Config{Name: "mailchimp", Definition: d, ClientID: "id", ClientSecret: canary()})
	if err != nil {
		t.Fatal(err)
	}
	key := secret.New("0123456789abcdef0123456789abcdef-us6")
	metadata, err := p.APIKeyMetadata(key)
	if err != nil {
		t.Fatal(err)
	}
	base, err := p.APIBaseURL(metadata)
	if err != nil || base != "https://us6.api.mailchimp.com/3.0" {
		t.Errorf("base = %q, error %v", base, err)
	}
	headers, err := p.APIKeyHeaders(key)
	if err != nil || headers["Authorization"] != "Bearer "+key.Reveal() {
		t.Errorf("headers = %v, error %v", headers, err)
	}
	for _, wrong := range []string{"0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef-us6.evil.example", "0123456789abcdef0123456789abcdef-US6"} {
		if _, err := p.APIKeyMetadata(secret.New(wrong)); err == nil {
			t.Errorf("%s is accepted", wrong)
		}
	}
	if d.ClientAuth != ClientAuthPost || d.PKCE != PKCENone || d.RevokeURL != "" || d.AfterConnect.Authorization != "OAuth {access_token}" {
		t.Errorf("definition = %+v", d)
	}
}
