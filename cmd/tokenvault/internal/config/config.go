package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"

	"github.com/tokenvault/tokenvault/gateway/brand"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/certs"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/login"
	"github.com/tokenvault/tokenvault/vault/provider"
)

// Config is a configuration that can work, with its secrets resolved.
type Config struct {
	GRPCAddress string // host:port
	HTTPAddress string // host:port
	PublicURL   string // without a final slash
	// TLS is what both listeners are secured with. Zero: nothing, they are plaintext.
	TLS       certs.Files
	BoltPath  string
	AuditPath string // empty: no audit log is kept
	MasterKey keyring.MasterKey
	// MasterKeySource says for people where the master key was read from.
	MasterKeySource string
	Binding         vault.Binding
	// Login is who signs people in. Nil: nobody does.
	Login *login.Config
	// LoginTenant is the tenant of those people.
	LoginTenant string
	ConsentPage bool
	// Portal are the providers that people see who sign in without a link.
	Portal     []string
	Brand      brand.Brand
	ReturnURLs []string
	// TrustedProxies are believed where a request came from.
	TrustedProxies []netip.Prefix
	Providers      []provider.Config
	// Templates are the names of the templates that providers are made of, by
	// the provider's.
	Templates map[string]string
	// Access says who may call, and what.
	Access access.Config
	// Warnings are what can work but should not be so, a line each.
	Warnings []string
}

// Source is where values come from.
type Source struct {
	// LookupEnv is os.LookupEnv, or a stand-in.
	LookupEnv func(string) (string, bool)
	// ReadFile is os.ReadFile, or a stand-in.
	ReadFile func(string) ([]byte, error)
	// Stat is os.Stat, or a stand-in. Nil: nobody looks who may read a secret.
	Stat func(string) (fs.FileInfo, error)
	// RPCs are the names that a caller's rules may use.
	RPCs []string
}

// System returns the Source of a real start.
func System(rpcs []string) Source {
	return Source{LookupEnv: os.LookupEnv, ReadFile: os.ReadFile, Stat: os.Stat, RPCs: rpcs}
}

// maxSize is the largest configuration, in bytes.
const maxSize = 1 << 20

// Load reads the configuration at path. Its error is a [*Error] where the file
// could be read.
func Load(path string, src Source) (*Config, error) {
	data, err := readFile(path, src)
	if err != nil {
		return nil, err
	}
	return Parse(path, data, src)
}

func readFile(path string, src Source) ([]byte, error) {
	data, err := src.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no configuration %s: name it with --config; `tokenvault serve --help` shows what to write", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w; name another with --config", err)
	}
	return data, nil
}

// LoadAuditPath reads where the configuration at path keeps the audit log; what is
// wrong elsewhere in it, such as a secret that is not at hand, does not matter. Empty:
// none is kept.
func LoadAuditPath(path string, src Source) (string, error) {
	data, err := readFile(path, src)
	if err != nil {
		return "", err
	}
	r, f, err := open(path, data, src)
	if err != nil || f.Audit.Path == "" {
		return "", err
	}
	return r.path(f.Audit.Path), nil
}

// LoadAudit reads what verifying the audit log takes: where it is, where the database
// is, and the master key. What is wrong elsewhere does not matter. Where no log is
// kept, the others are empty too.
func LoadAudit(path string, src Source) (*Config, error) {
	data, err := readFile(path, src)
	if err != nil {
		return nil, err
	}
	r, f, err := open(path, data, src)
	if err != nil || f.Audit.Path == "" {
		return &Config{}, err
	}
	r.problems = nil // so far they are keys that there are not
	c := &Config{AuditPath: r.path(f.Audit.Path), BoltPath: r.boltPath(f.Storage.Bolt.Path)}
	c.MasterKey, c.MasterKeySource = r.masterKey(f.MasterKey)
	if len(r.problems) > 0 {
		return nil, &Error{Problems: r.problems}
	}
	return c, nil
}

// Parse reads a configuration from memory. name stands in messages for the file;
// relative paths in it are relative to name's folder.
func Parse(name string, data []byte, src Source) (*Config, error) {
	r, f, err := open(name, data, src)
	if err != nil {
		return nil, err
	}
	c := r.read(f)
	if len(r.problems) > 0 {
		return nil, &Error{Problems: r.problems}
	}
	c.Warnings = r.warnings
	return c, nil
}

// open reads a file whose values are of the kinds that they should be. Keys that
// there are not are among the reader's problems, and passed over.
func open(name string, data []byte, src Source) (*reader, file, error) {
	if len(data) > maxSize {
		return nil, file{}, &Error{Problems: []Problem{{File: name, Line: 1, Text: "a configuration has at most 1 MiB"}}}
	}
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, file{}, &Error{Problems: []Problem{syntaxProblem(name, err)}}
	}
	r := &reader{name: name, dir: filepath.Dir(name), src: src, tree: tree, meant: map[string]bool{}}
	if len(tree.Docs) > 0 {
		r.shape(tree.Docs[0].Body, reflect.TypeFor[file](), nil)
	}
	options, isReadable := provider.DecodeOptions(), len(r.problems) == r.unknown
	if r.unknown > 0 {
		options = provider.LenientDecodeOptions()
	}
	var f file
	err = yaml.UnmarshalWithOptions(data, &f, options...)
	if err != nil && isReadable {
		r.problems = append(r.problems, syntaxProblem(name, err))
	}
	if err != nil || !isReadable {
		return nil, file{}, &Error{Problems: r.problems}
	}
	return r, f, nil
}

// Problem is one fault of a configuration.
type Problem struct {
	File string
	Line int    // from 1
	Key  string // such as providers.acme.token_url; may be empty
	Text string // what is wrong and what to write
}

// String returns the problem as editors and compilers write it.
func (p Problem) String() string {
	if p.Key == "" {
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", p.File, p.Line, p.Key, p.Text)
}

// Error says what is wrong with a configuration.
type Error struct {
	Problems []Problem
}

// Error returns a line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// syntaxProblem words what the YAML reader has found. Its own messages quote the
// file, and so might quote a secret: they are not used.
func syntaxProblem(name string, err error) Problem {
	p := Problem{File: name, Line: 1, Text: "is not YAML as it should be; check indentation, colons and quotes"}
	var unknown *yaml.UnknownFieldError
	var duplicate *yaml.DuplicateKeyError
	var wrongType *yaml.TypeError
	var wrongNode *yaml.UnexpectedNodeTypeError
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &unknown):
		p.Line = unknown.Token.Position.Line
		p.Text = fmt.Sprintf("there is no key %q here; see `tokenvault serve --help` for the keys", unknown.Token.Value)
	case errors.As(err, &duplicate):
		p.Line = duplicate.Token.Position.Line
		p.Text = fmt.Sprintf("the key %q is there twice; keep one", duplicate.Token.Value)
	case errors.As(err, &wrongType):
		p.Line = wrongType.Token.Position.Line
		p.Text = "the value is of another kind than this key takes (a text, a list, or keys of its own)"
	case errors.As(err, &wrongNode):
		p.Line = wrongNode.Token.Position.Line
		p.Text = "the value is of another kind than this key takes (a text, a list, or keys of its own)"
	case errors.As(err, &syntax):
		p.Line = syntax.Token.Position.Line
		if strings.Contains(syntax.Message, "already defined") {
			p.Text = fmt.Sprintf("the key %q is there twice; keep one", syntax.Token.Value)
		}
	}
	return p
}
