package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/spf13/pflag"

	"github.com/tokenvault/tokenvault/vault/loopback"
)

// httpFlags say where the server listens, and who may use it.
type httpFlags struct {
	addr, publicURL string
	cert, key       string // files
	allowPlaintext  bool

	issuer, issuerKeys, issuerCA string
	audience, claim              string
	scopes                       []string
	bearer, stateKey             string // references

	listen, signIn *pflag.FlagSet
}

func (f *httpFlags) listenFlags() *pflag.FlagSet {
	f.listen = pflag.NewFlagSet("listen", pflag.ContinueOnError)
	f.listen.StringVar(&f.addr, "http", "", "serve streamable HTTP at this `address`, with the path /mcp, in place of stdio")
	f.listen.StringVar(&f.publicURL, "public-url", "", "where clients reach it, a `URL` without a path\n(default: http or https, and the address, where that is on loopback)")
	f.listen.StringVar(&f.cert, "tls-cert", "", "the server's certificate, a `file` in PEM; it is read anew when it changes")
	f.listen.StringVar(&f.key, "tls-key", "", "the certificate's private key, a `file` in PEM")
	f.listen.BoolVar(&f.allowPlaintext, "allow-plaintext", false, "listen off loopback without TLS, where something else secures the way")
	f.listen.StringVar(&f.stateKey, "state-key", "", "env:NAME or file:PATH with 32 random bytes in base64, the same for all replicas of a server\n(default: a new one for each start)")
	return f.listen
}

func (f *httpFlags) signInFlags() *pflag.FlagSet {
	f.signIn = pflag.NewFlagSet("sign-in", pflag.ContinueOnError)
	f.signIn.StringVar(&f.issuer, "issuer", "", "who makes the access tokens of people, a `URL`; clients are told that they sign in there")
	f.signIn.StringVar(&f.issuerKeys, "issuer-keys", "", "where the issuer's keys are, a `URL` (default: where its OpenID Connect metadata says)")
	f.signIn.StringVar(&f.issuerCA, "issuer-ca", "", "trust the authorities in this `file` alone, in PEM, for the issuer")
	f.signIn.StringVar(&f.audience, "audience", "", "whom access tokens must be made out to (default: this server, by its public URL and /mcp)")
	f.signIn.StringVar(&f.claim, "subject-claim", "sub", "the `claim` of access tokens that is the vault's name for the person")
	f.signIn.StringSliceVar(&f.scopes, "required-scope", nil, "a `scope` that access tokens must have; may be given several times")
	f.signIn.StringVar(&f.bearer, "bearer-token", "", "env:NAME or file:PATH with the token of the one person, --subject, who uses the server")
	return f.signIn
}

// checkUnused refuses flags that mean nothing over stdio: whoever writes them expects
// something of them.
func (f *httpFlags) checkUnused() error {
	var found string
	for _, set := range []*pflag.FlagSet{f.listen, f.signIn} {
		set.VisitAll(func(flag *pflag.Flag) {
			if flag.Changed {
				found = flag.Name
			}
		})
	}
	if found == "" {
		return nil
	}
	return fmt.Errorf("--%s is for HTTP: add --http and an address, such as --http 127.0.0.1:8091, or leave it out", found)
}

// check says what is missing, or too much.
func (f *httpFlags) check(v *vaultFlags) error {
	hasIssuer, hasBearer := f.issuer != "", f.bearer != ""
	switch {
	case !hasIssuer && !hasBearer:
		return errors.New("over HTTP nobody is let in without a token, on loopback neither, since other programs and users of this machine could read the account: let people sign in with --issuer, or make a token for one person with --bearer-token; see `mailchimp-mcp --help`")
	case hasIssuer && hasBearer:
		return errors.New("--issuer is for many people and --bearer-token for one: leave out one of them")
	case hasIssuer && v.usesKey():
		return errors.New("with MAILCHIMP_API_KEY everybody who signs in would use the same account: use a vault, where each person has their own (`tokenvault api-key set` takes keys, too), or --bearer-token for one person")
	case hasIssuer && v.subject != "":
		return errors.New("with --issuer, access tokens say whose account it is: leave out --subject and TOKENVAULT_SUBJECT")
	case hasBearer && v.usesVault() && v.subject == "":
		return errors.New("--bearer-token is for one person: name them with --subject, as the vault does")
	case hasIssuer && f.claim == "":
		return errors.New("--subject-claim is empty: write the claim with the vault's name of people, or leave it out (sub)")
	case (f.cert == "") != (f.key == ""):
		return errors.New("--tls-cert and --tls-key belong together: name both files, or neither")
	}
	for _, name := range []string{"issuer-keys", "issuer-ca", "audience", "subject-claim", "required-scope"} {
		if f.signIn.Changed(name) && !hasIssuer {
			return fmt.Errorf("--%s goes with --issuer: add that, or leave it out", name)
		}
	}
	if err := f.checkURLs(); err != nil {
		return err
	}
	return f.checkWay()
}

func (f *httpFlags) checkURLs() error {
	for _, flag := range []struct{ name, value string }{{"issuer", f.issuer}, {"issuer-keys", f.issuerKeys}} {
		if flag.value == "" {
			continue
		}
		u, err := url.Parse(flag.value)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback.IsAddr(u.Hostname())) {
			return fmt.Errorf("--%s %s: write a URL that begins with https:// (http:// does on a loopback address, such as http://127.0.0.1:8000)", flag.name, flag.value)
		}
	}
	if f.publicURL == "" {
		return nil
	}
	u, err := url.Parse(f.publicURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("--public-url %s: write a URL such as https://mcp.example.com", f.publicURL)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("--public-url %s: write it without what comes after the host: clients find the server at its path /mcp", f.publicURL)
	case u.Scheme == "http" && !loopback.IsHost(u.Hostname()) && !f.allowPlaintext:
		return fmt.Errorf("--public-url %s: tokens would go there without TLS: write https://, or add --allow-plaintext where something else secures the way", f.publicURL)
	}
	return nil
}

// checkWay refuses to listen where tokens could be read on the way.
func (f *httpFlags) checkWay() error {
	host, port, err := net.SplitHostPort(f.addr)
	if err != nil || port == "" {
		return fmt.Errorf("--http %q is not an address: write host:port, such as 127.0.0.1:8091", f.addr)
	}
	switch onMachine := loopback.IsHost(host); {
	case !onMachine && f.cert == "" && !f.allowPlaintext:
		return fmt.Errorf("--http %s is not on loopback, and tokens would go there without TLS: add --tls-cert and --tls-key, or --allow-plaintext where something else secures the way", f.addr)
	case !onMachine && f.publicURL == "" && f.issuer != "":
		return fmt.Errorf("--http %s is not on loopback: say with --public-url where clients reach it, such as https://mcp.example.com", f.addr)
	}
	return nil
}

// origin is where clients reach the server: scheme and host. Empty: nothing says so.
// listening is the address that it listens at.
func (f *httpFlags) origin(listening string) string {
	if f.publicURL != "" {
		u, err := url.Parse(f.publicURL)
		if err != nil {
			return ""
		}
		return u.Scheme + "://" + u.Host
	}
	host, _, err := net.SplitHostPort(f.addr)
	if err != nil || !loopback.IsHost(host) {
		return ""
	}
	_, port, err := net.SplitHostPort(listening) // of --http 127.0.0.1:0, the one that was found
	if err != nil {
		return ""
	}
	scheme := "http"
	if f.cert != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
