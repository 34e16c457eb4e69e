package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"time"
)

// Interval is how often the files are read.
const Interval = 5 * time.Second

// Files are where a server's certificates are, in PEM.
type Files struct {
	// Certificate is the server's, followed by those between it and its authority.
	Certificate string
	// Key is the certificate's private key.
	Key string
	// ClientAuthorities issue the certificates that clients may show. Empty: clients
	// are not asked for any.
	ClientAuthorities string
}

// Keeper has the certificates in use. It is safe for concurrent use.
type Keeper struct {
	log         *slog.Logger
	pair        kept[tls.Certificate]
	authorities kept[x509.CertPool]
}

// Open reads the files for the first time, and returns an error unless all is well
// with them. A nil logger logs nothing.
func Open(f Files, log *slog.Logger) (*Keeper, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{
		log: log,
		pair: kept[tls.Certificate]{
			names: []string{f.Certificate, f.Key},
			parse: func(data [][]byte) (*tls.Certificate, error) { return ParsePair(data[0], data[1]) },
		},
		authorities: kept[x509.CertPool]{
			names: []string{f.ClientAuthorities},
			parse: func(data [][]byte) (*x509.CertPool, error) { return ParseAuthorities(data[0]) },
		},
	}
	if _, err := k.pair.read(); err != nil {
		return nil, fmt.Errorf("%s and %s: %w", f.Certificate, f.Key, err)
	}
	if !k.asksClients() {
		return k, nil
	}
	if _, err := k.authorities.read(); err != nil {
		return nil, fmt.Errorf("%s: %w", f.ClientAuthorities, err)
	}
	return k, nil
}

func (k *Keeper) asksClients() bool { return k.authorities.names[0] != "" }

// Run reads the files every [Interval] until ctx ends, and returns nil.
func (k *Keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		k.pair.renew(k.log)
		if k.asksClients() {
			k.authorities.renew(k.log)
		}
	}
}

// ServerConfig is for a listener that asks for no client certificates, and speaks one
// of the protocols (ALPN).
func (k *Keeper) ServerConfig(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		NextProtos:     protocols,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.pair.inUse.Load(), nil },
		// A session that is resumed is not verified again: it would outlive the
		// certificates and the authorities it was begun with.
		SessionTicketsDisabled: true,
	}
}

// ServerConfigWithClients is ServerConfig for a listener that verifies the certificates
// of clients that show one. Where no authorities are named, it asks for none.
func (k *Keeper) ServerConfigWithClients(protocols ...string) *tls.Config {
	c := k.ServerConfig(protocols...)
	if !k.asksClients() {
		return c
	}
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := k.ServerConfig(protocols...)
		now.ClientAuth, now.ClientCAs = tls.VerifyClientCertIfGiven, k.authorities.inUse.Load()
		return now, nil
	}
	return c
}
