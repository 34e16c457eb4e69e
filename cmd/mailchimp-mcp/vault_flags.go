package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/tokenvault/tokenvault/vault/client"
)

// usualVault is where commands look for a vault that has a token and no address, as
// those of tokenvault do.
const usualVault = "127.0.0.1:9090"

// vaultFlags say which vault has the accounts, and whose are asked for. The variables of
// the environment are those of tokenvault's own commands.
type vaultFlags struct {
	addr, tokenFile          string
	ca, cert, key            string // files
	plaintext                bool
	subject, provider, label string
	returnURL                string
	token, apiKey, apiURL    string // of the environment
	set                      *pflag.FlagSet
}

func (f *vaultFlags) flags() *pflag.FlagSet {
	plaintext, err := strconv.ParseBool(os.Getenv("TOKENVAULT_PLAINTEXT"))
	f.set = pflag.NewFlagSet("vault", pflag.ContinueOnError)
	f.set.StringVar(&f.addr, "vault", os.Getenv("TOKENVAULT_ADDR"), "the vault's gRPC `host:port`; TOKENVAULT_ADDR sets it too")
	f.set.StringVar(&f.tokenFile, "token-file", os.Getenv("TOKENVAULT_TOKEN_FILE"), "the `file` with the caller token, read for each call; TOKENVAULT_TOKEN_FILE sets it too,\nand goes before TOKENVAULT_TOKEN, which is the token itself")
	f.set.StringVar(&f.ca, "ca", os.Getenv("TOKENVAULT_CA"), "trust the authorities in this `file` alone, in PEM, for the vault; TOKENVAULT_CA sets it too")
	f.set.StringVar(&f.cert, "cert", os.Getenv("TOKENVAULT_CERT"), "show the vault the client certificate in this `file`; TOKENVAULT_CERT sets it too")
	f.set.StringVar(&f.key, "cert-key", os.Getenv("TOKENVAULT_CERT_KEY"), "the client certificate's private key, a `file`; TOKENVAULT_CERT_KEY sets it too")
	f.set.BoolVar(&f.plaintext, "plaintext", err == nil && plaintext, "send the caller token to the vault without TLS, off loopback too;\nTOKENVAULT_PLAINTEXT=true sets it too")
	f.set.StringVar(&f.subject, "subject", os.Getenv("TOKENVAULT_SUBJECT"), "whose account it is: the `name` that the vault has for the person; TOKENVAULT_SUBJECT sets it too")
	f.set.StringVar(&f.provider, "provider", "mailchimp", "the vault's `name` of Mailchimp")
	f.set.StringVar(&f.label, "label", "", "tells several accounts of one person apart (default \"default\")")
	f.set.StringVar(&f.returnURL, "return-url", "", "where a browser goes after an account was connected, a `URL` of the vault's return_urls\n(default: a page of the vault's)")
	f.token, f.apiKey, f.apiURL = os.Getenv("TOKENVAULT_TOKEN"), os.Getenv("MAILCHIMP_API_KEY"), os.Getenv("MAILCHIMP_API_URL")
	return f.set
}

// usesVault reports whether anything says that there is a vault.
func (f *vaultFlags) usesVault() bool {
	return f.addr != "" || f.token != "" || f.tokenFile != "" || f.cert != ""
}

// usesKey reports whether there is one account for everybody, by its API key.
func (f *vaultFlags) usesKey() bool { return f.apiKey != "" }

// check says what is missing, or too much, of what choose has left.
func (f *vaultFlags) check() error {
	switch {
	case f.usesKey():
		return f.checkKey()
	case f.apiURL != "":
		return errors.New("MAILCHIMP_API_URL is for MAILCHIMP_API_KEY, which is not set: a vault knows the API's URL itself")
	case !f.usesVault():
		return errors.New("nothing says where the Mailchimp account comes from: set TOKENVAULT_ADDR and TOKENVAULT_TOKEN_FILE for a vault, or MAILCHIMP_API_KEY for one account without a vault; see `mailchimp-mcp --help`")
	case f.token == "" && f.tokenFile == "" && f.cert == "":
		return errors.New("there is no credential for the vault: set TOKENVAULT_TOKEN_FILE or --token-file to the file with the caller token, TOKENVAULT_TOKEN to the token, or --cert and --cert-key; for a vault of `tokenvault dev` the file is .tokenvault/caller.token")
	case (f.cert == "") != (f.key == ""):
		return errors.New("--cert and --cert-key belong together: name both files, or neither")
	case f.plaintext && (f.ca != "" || f.cert != ""):
		return errors.New("--plaintext goes without --ca, --cert and --cert-key: leave out the one or the others, and their variables TOKENVAULT_PLAINTEXT, TOKENVAULT_CA, TOKENVAULT_CERT and TOKENVAULT_CERT_KEY")
	case f.provider == "":
		return errors.New("--provider is empty: write the vault's name of Mailchimp, or leave it out")
	}
	return nil
}

// checkKey refuses what only a vault knows about.
func (f *vaultFlags) checkKey() error {
	for _, name := range []string{"subject", "provider", "label", "return-url", "ca", "plaintext"} {
		if f.set.Changed(name) {
			return errors.New("--" + name + " is for a vault, and MAILCHIMP_API_KEY says that there is none: leave out the one or the other")
		}
	}
	return nil
}

// vaultFile is a file that a flag or a variable names.
type vaultFile struct{ flag, variable, path string }

func (f *vaultFlags) files() (files []vaultFile) {
	for _, file := range []vaultFile{
		{"token-file", "TOKENVAULT_TOKEN_FILE", f.tokenFile}, {"ca", "TOKENVAULT_CA", f.ca},
		{"cert", "TOKENVAULT_CERT", f.cert}, {"cert-key", "TOKENVAULT_CERT_KEY", f.key},
	} {
		if file.path != "" {
			files = append(files, file)
		}
	}
	return files
}

// checkPlaces names where an address or a file comes from that will not do. In them may
// still be what the client refuses.
func (f *vaultFlags) checkPlaces() error {
	if _, _, err := client.Target(f.vaultAddr()); err != nil {
		return fmt.Errorf("%s: %w", f.source("vault", "TOKENVAULT_ADDR"), err)
	}
	for _, file := range f.files() {
		opened, err := os.Open(file.path)
		if err != nil {
			return fmt.Errorf("%s: %w: name a file that is there, and that this user may read", f.source(file.flag, file.variable), err)
		}
		_ = opened.Close()
	}
	return nil
}

// newClient returns a client of the vault. It does not wait for it.
func (f *vaultFlags) newClient(ctx context.Context, log *slog.Logger) (*client.Client, error) {
	if err := f.checkPlaces(); err != nil {
		return nil, err
	}
	options := []client.Option{client.WithLogger(log)}
	if f.token != "" {
		options = append(options, client.WithToken(f.token))
	}
	if f.tokenFile != "" {
		options = append(options, client.WithTokenFile(f.tokenFile))
	}
	if f.ca != "" {
		options = append(options, client.WithCAFile(f.ca))
	}
	if f.cert != "" {
		options = append(options, client.WithCertificateFiles(f.cert, f.key))
	}
	if f.plaintext {
		options = append(options, client.WithPlaintext())
	}
	return client.New(ctx, f.vaultAddr(), options...)
}

func (f *vaultFlags) vaultAddr() string {
	if f.addr == "" {
		return usualVault
	}
	return f.addr
}
