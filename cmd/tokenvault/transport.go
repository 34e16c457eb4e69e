package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/vault/certs"
	"github.com/tokenvault/tokenvault/vault/client"
)

// transportFlags say how the way to a vault is secured.
type transportFlags struct {
	ca, cert, key string // files
	plaintext     bool
}

func (f *transportFlags) add(cmd *cobra.Command) {
	usual := usualTransport()
	cmd.Flags().StringVar(&f.ca, "ca", usual.ca, "trust the authorities in this `file` alone, in PEM; TOKENVAULT_CA sets it too")
	cmd.Flags().StringVar(&f.cert, "cert", usual.cert, "show the client certificate in this `file`; TOKENVAULT_CERT sets it too")
	cmd.Flags().StringVar(&f.key, "cert-key", usual.key, "the client certificate's private key, a `file`; TOKENVAULT_CERT_KEY sets it too")
	cmd.Flags().BoolVar(&f.plaintext, "plaintext", usual.plaintext, "send the caller token without TLS, off loopback too; TOKENVAULT_PLAINTEXT=true sets it too")
}

// usualTransport is what commands use anyway.
func usualTransport() transportFlags {
	plaintext, err := strconv.ParseBool(os.Getenv("TOKENVAULT_PLAINTEXT"))
	return transportFlags{
		ca: os.Getenv("TOKENVAULT_CA"), cert: os.Getenv("TOKENVAULT_CERT"), key: os.Getenv("TOKENVAULT_CERT_KEY"),
		plaintext: err == nil && plaintext,
	}
}

// elsewhere are the flags that differ from what commands use anyway.
func (f *transportFlags) elsewhere() []string {
	var flags []string
	usual := usualTransport()
	for _, flag := range []struct{ name, value, usual string }{{"--ca", f.ca, usual.ca}, {"--cert", f.cert, usual.cert}, {"--cert-key", f.key, usual.key}} {
		if flag.value != flag.usual {
			flags = append(flags, flag.name, flag.value)
		}
	}
	if f.plaintext && !usual.plaintext {
		flags = append(flags, "--plaintext")
	}
	return flags
}

// config chooses TLS except where the token does not leave the machine, or may do so in
// plaintext. Nil: plaintext.
func (f *transportFlags) config(onMachine bool) (*tls.Config, error) {
	wantsTLS := f.ca != "" || f.cert != "" || f.key != ""
	switch {
	case f.plaintext && wantsTLS:
		return nil, errors.New("--plaintext goes without --ca, --cert and --cert-key: leave out the one or the others, and their variables TOKENVAULT_PLAINTEXT, TOKENVAULT_CA, TOKENVAULT_CERT and TOKENVAULT_CERT_KEY")
	case (f.cert == "") != (f.key == ""):
		return nil, errors.New("--cert and --cert-key belong together: name both files, or neither")
	case f.plaintext, onMachine && !wantsTLS:
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}} // a proxy's, perhaps
	if f.ca != "" {
		data, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		if c.RootCAs, err = certs.ParseAuthorities(data); err != nil {
			return nil, fmt.Errorf("--ca: %s %w", f.ca, err)
		}
	}
	if f.cert == "" {
		return c, nil
	}
	pair, err := f.pair()
	if err != nil {
		return nil, err
	}
	// Shown whatever authorities the server names: it says then what is wrong.
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	return c, nil
}

// pair reads the client certificate.
func (f *transportFlags) pair() (*tls.Certificate, error) {
	certificate, err := os.ReadFile(f.cert)
	if err != nil {
		return nil, fmt.Errorf("--cert: %w", err)
	}
	key, err := os.ReadFile(f.key)
	if err != nil {
		return nil, fmt.Errorf("--cert-key: %w", err)
	}
	pair, err := certs.ParsePair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("--cert %s with --cert-key %s: %w", f.cert, f.key, err)
	}
	return pair, nil
}

// dialTarget reads an address, and says whether it is on this machine.
func dialTarget(addr string) (target string, onMachine bool, err error) {
	if target, onMachine, err = client.Target(addr); err != nil {
		return "", false, fmt.Errorf("--addr %q is not an address: write host:port, such as 127.0.0.1:9090", addr)
	}
	return target, onMachine, nil
}
