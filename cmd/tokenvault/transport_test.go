package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestPlaintextStaysOnTheMachineUnlessItIsAskedFor(t *testing.T) {
	certificates := scriptCertificates(t) + "/"
	for _, row := range []struct {
		name, addr string
		env        map[string]string
		args       []string
		want       string // plaintext, tls, or a part of the error
	}{
		{"on loopback", "127.0.0.1:1", nil, nil, "plaintext"},
		{"on this machine", ":1", nil, nil, "plaintext"},
		{"elsewhere", "vault.example.com:1", nil, nil, "tls"},
		{"at an address elsewhere", "10.0.0.1:1", nil, nil, "tls"},
		{"elsewhere, asked for", "vault.example.com:1", nil, []string{"--plaintext"}, "plaintext"},
		{"elsewhere, by the environment", "vault.example.com:1", map[string]string{"TOKENVAULT_PLAINTEXT": "true"}, nil, "plaintext"},
		{"elsewhere, by nonsense", "vault.example.com:1", map[string]string{"TOKENVAULT_PLAINTEXT": "maybe"}, nil, "tls"},
		{"elsewhere, taken back", "vault.example.com:1", map[string]string{"TOKENVAULT_PLAINTEXT": "1"}, []string{"--plaintext=false"}, "tls"},
		{"on loopback with an authority", "127.0.0.1:1", nil, []string{"--ca", certificates + "ca.crt"}, "tls"},
		{"and by the environment", "127.0.0.1:1", map[string]string{"TOKENVAULT_CA": certificates + "ca.crt"}, nil, "tls"},
		{"on loopback with a certificate", "127.0.0.1:1", map[string]string{"TOKENVAULT_CERT": certificates + "client.crt", "TOKENVAULT_CERT_KEY": certificates + "client.key"}, nil, "tls"},
		{"both", "127.0.0.1:1", map[string]string{"TOKENVAULT_CA": certificates + "ca.crt"}, []string{"--plaintext"}, "goes without --ca"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, name := range []string{"TOKENVAULT_PLAINTEXT", "TOKENVAULT_CA", "TOKENVAULT_CERT", "TOKENVAULT_CERT_KEY"} {
				t.Setenv(name, row.env[name])
			}
			var f transportFlags
			cmd := &cobra.Command{}
			f.add(cmd)
			if err := cmd.ParseFlags(row.args); err != nil {
				t.Fatal(err)
			}
			_, onMachine, err := dialTarget(row.addr)
			if err != nil {
				t.Fatal(err)
			}
			config, err := f.config(onMachine)
			got := "tls"
			switch {
			case err != nil:
				got = err.Error()
			case config == nil:
				got = "plaintext"
			}
			if !strings.Contains(got, row.want) || err == nil && got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
			if config != nil && (config.RootCAs != nil) != (f.ca != "") {
				t.Errorf("authorities of the client's own: %v", config.RootCAs != nil)
			}
		})
	}
}
