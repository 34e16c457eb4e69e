package main

import (
	"fmt"
	"strings"
)

// choose settles what is said twice. MCP clients hand their whole environment on, with
// variables that were exported for something else, and show nobody why a server has ended:
// an error would be of no use there. It returns sentences that say what is left out.
//
// A file goes before TOKENVAULT_TOKEN, and a vault before MAILCHIMP_API_KEY. The vault has
// to be one that can be used, so that the variables of another program's vault do not take
// the place of a key: it has a flag, or somebody whose account it is. manyPeople says that
// access tokens name them.
func (f *vaultFlags) choose(manyPeople bool) (leftOut []string) {
	switch {
	case f.usesKey() && f.usesVault() && (manyPeople || f.subject != "" || f.hasVaultFlag()):
		leftOut = append(leftOut, "MAILCHIMP_API_KEY is left out, since there is a vault: that of "+strings.Join(f.vaultSources(), ", "))
		f.apiKey, f.apiURL = "", ""
	case f.usesKey() && f.usesVault():
		leftOut = append(leftOut, fmt.Sprintf("%s left out, since neither --subject nor TOKENVAULT_SUBJECT says whose account in the vault it is: MAILCHIMP_API_KEY is used", areSources(f.vaultSources())))
		f.addr, f.token, f.tokenFile, f.ca, f.cert, f.key, f.plaintext = "", "", "", "", "", "", false
	case f.apiURL != "" && f.usesVault():
		leftOut = append(leftOut, "MAILCHIMP_API_URL is left out: it is for MAILCHIMP_API_KEY, and a vault knows the API's URL itself")
		f.apiURL = ""
	}
	if f.token != "" && f.tokenFile != "" {
		leftOut = append(leftOut, fmt.Sprintf("TOKENVAULT_TOKEN is left out: the file that %s names goes before it", f.source("token-file", "TOKENVAULT_TOKEN_FILE")))
		f.token = ""
	}
	return leftOut
}

// hasVaultFlag reports whether the command line names a vault. It was written for this
// program, and the environment perhaps for another.
func (f *vaultFlags) hasVaultFlag() bool {
	return f.set.Changed("vault") || f.set.Changed("token-file") || f.set.Changed("cert")
}

// vaultSources are the flags and variables that say that there is a vault.
func (f *vaultFlags) vaultSources() (names []string) {
	for _, s := range []struct{ value, flag, variable string }{
		{f.addr, "vault", "TOKENVAULT_ADDR"}, {f.token, "", "TOKENVAULT_TOKEN"},
		{f.tokenFile, "token-file", "TOKENVAULT_TOKEN_FILE"}, {f.cert, "cert", "TOKENVAULT_CERT"},
	} {
		if s.value != "" {
			names = append(names, f.source(s.flag, s.variable))
		}
	}
	return names
}

// source is where a value comes from: the flag, or else the variable.
func (f *vaultFlags) source(flag, variable string) string {
	if f.set.Changed(flag) {
		return "--" + flag
	}
	return variable
}

func areSources(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return strings.Join(names, ", ") + " are"
}
