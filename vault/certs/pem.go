package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// ParsePair reads a certificate, followed by those between it and its authority, and its
// private key, both in PEM. Errors do not repeat what they hold.
func ParsePair(certificate, key []byte) (*tls.Certificate, error) {
	if _, err := blocks(certificate); err != nil {
		return nil, fmt.Errorf("the certificate %w", err)
	}
	if _, err := blocks(key); err != nil {
		return nil, fmt.Errorf("the key %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("the certificate and the key are no pair: %w", err)
	}
	return &pair, nil
}

// ParseAuthorities reads the certificates of authorities, in PEM: one or more, and
// nothing else.
func ParseAuthorities(data []byte) (*x509.CertPool, error) {
	all, err := blocks(data)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for i, block := range all {
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("holds something else beside certificates")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read: %w", i+1, err)
		}
		pool.AddCert(c)
	}
	return pool, nil
}

// blocks reads PEM that is whole. The decoder passes over what it cannot read, and so
// takes a file that is half written for a shorter one.
func blocks(data []byte) ([]*pem.Block, error) {
	var all []*pem.Block
	begun := bytes.Count(data, []byte("-----BEGIN "))
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		all = append(all, block)
	}
	switch {
	case begun == 0:
		return nil, errors.New("is not in PEM, which has a line with -----BEGIN")
	case len(all) != begun:
		return nil, errors.New("breaks off, or is damaged")
	}
	return all, nil
}
