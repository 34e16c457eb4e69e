package config

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/loopback"
	"github.com/tokenvault/tokenvault/vault/provider"
)

// access reads who may call, and what.
func (r *reader) access(f file) access.Config {
	c := access.Config{Rules: r.callers(f.Callers, f.Providers)}
	if len(f.Callers) == 0 {
		r.fail([]string{"callers"}, "is missing: without a caller nobody can use this vault; make a token with `tokenvault token generate`")
	}
	const asIss = "write what the tokens have as iss"
	used := map[string]bool{}
	for i, rule := range c.Rules {
		if rule.JWT != nil {
			used[r.issuerURL([]string{"callers", strconv.Itoa(i), "jwt", "issuer"}, rule.JWT.Issuer, asIss)] = true
		}
		for _, shown := range [...]struct{ key, name string }{{"spiffe_id", rule.SPIFFEID}, {"dns_name", rule.DNSName}} {
			if shown.name != "" && f.TLS.ClientCAFile == "" {
				r.fail([]string{"callers", strconv.Itoa(i), shown.key}, "needs tls: {client_ca_file: ...}, which says whose client certificates are believed")
			}
		}
		if t := f.SubjectTokens; rule.JWT != nil && t != nil && rule.JWT.Issuer == t.Issuer && rule.JWT.Audience == t.Audience {
			r.warn([]string{"callers", strconv.Itoa(i), "jwt", "audience"}, "is that of subject_tokens, too: the caller's own token passes for a user's; give each its own")
		}
	}
	c.SubjectTokens = r.subjectTokens(f.SubjectTokens, c.Rules)
	if t := c.SubjectTokens; t != nil {
		used[r.issuerURL([]string{"subject_tokens", "issuer"}, t.Issuer, asIss)] = true
	}
	delete(used, "") // told as missing
	c.Issuers = r.issuers(f.Issuers, used)
	return c
}

// subjectTokens reads which tokens of users are believed. Nil: none are.
func (r *reader) subjectTokens(f *fileSubjectTokens, rules []access.Rule) *access.SubjectTokens {
	var t *access.SubjectTokens
	if f != nil {
		if f.Audience == "" {
			r.fail([]string{"subject_tokens", "audience"}, "is missing: write what the tokens have as aud, such as the client id of your application")
		}
		t = &access.SubjectTokens{Tenant: cmp.Or(f.Tenant, vault.DefaultTenant), Issuer: f.Issuer, Audience: f.Audience, Claim: f.Claim}
	}
	for i, rule := range rules {
		path := []string{"callers", strconv.Itoa(i), "require_subject_token"}
		switch {
		case !rule.NeedsSubjectToken:
		case t == nil:
			r.fail(path, "needs subject_tokens: {issuer: ..., audience: ...}, which says whose tokens are meant")
		case rule.Tenant != t.Tenant:
			r.fail(path, "cannot be met: the users are those of tenant %s (subject_tokens.tenant), and this caller is of tenant %s", t.Tenant, rule.Tenant)
		}
	}
	return t
}

func (r *reader) callers(all []fileCaller, providers map[string]fileProvider) []access.Rule {
	seen := map[string]bool{}
	var rules []access.Rule
	for i, c := range all {
		path := []string{"callers", strconv.Itoa(i)}
		rule := access.Rule{
			Name: c.Name, Tenant: c.Tenant, RPCs: c.RPCs, Providers: c.Providers, Subjects: c.Subjects, NeedsSubjectToken: c.RequireSubjectToken,
		}
		if c.Name == "" || seen["name "+c.Name] {
			r.fail(append(path, "name"), "every caller needs a name of its own")
		}
		seen["name "+c.Name] = true
		if rule.Tenant == "" {
			rule.Tenant = vault.DefaultTenant
		}
		r.credentials(path, c, &rule, seen)
		r.globs(append(path, "rpcs"), c.RPCs, r.src.RPCs)
		r.globs(append(path, "providers"), c.Providers, slices.Sorted(maps.Keys(providers)))
		r.subjects(append(path, "subjects"), c.Subjects)
		if c.RequireSubjectToken && !mayCall(rule, "GetCredentials") {
			r.warn(append(path, "require_subject_token"), "means nothing without GetCredentials among rpcs")
		}
		rules = append(rules, rule)
	}
	return rules
}

// confirming warns of callers that may begin what nobody may end: with binding: confirm, a
// flow ends with ConfirmConnection, by whichever caller of the tenant.
func (r *reader) confirming(c *Config) {
	if c.Binding != vault.BindingConfirm {
		return
	}
	confirmed := map[string]bool{} // tenants
	for _, rule := range c.Access.Rules {
		if mayCall(rule, "ConfirmConnection") {
			confirmed[rule.Tenant] = true
		}
	}
	for i, rule := range c.Access.Rules {
		connects := mayCall(rule, "Connect") && slices.ContainsFunc(c.Providers, func(p provider.Config) bool {
			return hasLinks(p) && slices.ContainsFunc(rule.Providers, func(glob string) bool { return access.Matches(glob, p.Name) })
		})
		if connects && !confirmed[rule.Tenant] {
			r.warn([]string{"callers", strconv.Itoa(i), "rpcs"}, "Connect leads nowhere without ConfirmConnection, with which accounts are connected where binding is confirm: add it here, or to another caller of tenant %s", rule.Tenant)
		}
	}
}

func mayCall(rule access.Rule, rpc string) bool {
	return slices.ContainsFunc(rule.RPCs, func(glob string) bool { return access.Matches(glob, rpc) })
}

// credentials reads what a caller shows. seen has what others show.
func (r *reader) credentials(path []string, c fileCaller, rule *access.Rule, seen map[string]bool) {
	own := func(path []string, kind, value string) {
		if seen[kind+" "+value] {
			r.fail(path, "another caller has the same %s; each needs its own", kind)
		}
		seen[kind+" "+value] = true
	}
	for i, text := range c.TokenSHA256 {
		at := append(slices.Clone(path), "token_sha256")
		if len(c.TokenSHA256) > 1 {
			at = append(at, strconv.Itoa(i))
		}
		hash, err := access.ParseTokenHash(text)
		if err != nil {
			r.fail(at, "%v", err)
			continue
		}
		own(at, "token", hash.String())
		rule.Tokens = append(rule.Tokens, hash)
	}
	if c.SPIFFEID != "" {
		rule.SPIFFEID = c.SPIFFEID
		if err := access.CheckSPIFFEID(c.SPIFFEID); err != nil {
			r.fail(append(path, "spiffe_id"), "is no SPIFFE ID (%v): write spiffe://TRUST-DOMAIN/PATH", err)
		}
		own(append(path, "spiffe_id"), "SPIFFE ID", c.SPIFFEID)
	}
	if c.DNSName != "" {
		rule.DNSName = c.DNSName
		if strings.ContainsAny(c.DNSName, "*/: ") {
			r.fail(append(path, "dns_name"), "write one name, as the certificate has it, such as mcp.internal.example")
		}
		own(append(path, "dns_name"), "DNS name", strings.ToLower(c.DNSName))
	}
	if c.JWT != nil {
		rule.JWT = &access.JWT{Issuer: c.JWT.Issuer, Audience: c.JWT.Audience, Subject: c.JWT.Subject}
		if c.JWT.Audience == "" {
			r.fail(append(path, "jwt", "audience"), "is missing: write what the caller's tokens have as aud; it should name this vault alone")
		}
		if c.JWT.Subject == "" {
			r.fail(append(path, "jwt", "subject"), "is missing: write what the caller's tokens have as sub, such as system:serviceaccount:NAMESPACE:NAME")
		}
		own(append(path, "jwt"), "issuer, audience and subject", strings.Join([]string{c.JWT.Issuer, c.JWT.Audience, c.JWT.Subject}, " "))
	}
	if len(c.TokenSHA256) == 0 && c.SPIFFEID == "" && c.DNSName == "" && c.JWT == nil {
		r.fail(append(path, "token_sha256"), "is missing: make a token and its hash with `tokenvault token generate`; or write spiffe_id, dns_name or jwt")
	}
}

// issuerURL checks the URL of an issuer (RFC 8414, section 2), and returns it. missing
// says what to write where there is none.
func (r *reader) issuerURL(path []string, value, missing string) string {
	switch {
	case value == "":
		r.fail(path, "is missing: %s", missing)
	case !isWebURL(value) || strings.Contains(value, "?"):
		r.fail(path, "is no issuer's URL: write it to the letter as the issuer names itself, which tokens have as iss, beginning with https:// (http:// on loopback addresses only)")
	}
	return value
}

// isWebURL reports whether a value leads to a server, which nobody on the way can
// stand in for.
func isWebURL(value string) bool {
	u, err := url.Parse(value)
	return err == nil && u.Host != "" && u.User == nil && u.Fragment == "" &&
		(u.Scheme == "https" || u.Scheme == "http" && loopback.IsHost(u.Hostname()))
}

// issuers reads what is said of those that are used.
func (r *reader) issuers(all map[string]fileIssuer, used map[string]bool) []access.Issuer {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !used[name] {
			r.warn([]string{"issuers", name}, "is used nowhere: neither by the jwt of a caller nor by subject_tokens")
		}
	}
	var issuers []access.Issuer
	for _, name := range slices.Sorted(maps.Keys(used)) {
		path, said := []string{"issuers", name}, all[name]
		issuer := access.Issuer{URL: name, KeysURL: said.JWKSURI}
		if said.JWKSURI != "" && !isWebURL(said.JWKSURI) {
			r.fail(append(path, "jwks_uri"), "write where the issuer's keys are, beginning with https:// (http:// on loopback addresses only)")
		}
		if said.TokenFile != "" {
			issuer.TokenFile = r.path(said.TokenFile)
		}
		if said.CAFile != "" {
			issuer.RootCAs = r.authorities(append(path, "ca_file"), r.path(said.CAFile))
		}
		issuers = append(issuers, issuer)
	}
	return issuers
}

// globs checks that each entry can match one of the names there are. That there are
// none is a problem of another place.
func (r *reader) globs(path []string, entries, names []string) {
	if len(entries) == 0 {
		r.fail(path, `is missing: list what the caller may use; ["*"] is everything`)
	}
	for i, entry := range entries {
		if len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool { return access.Matches(entry, name) }) {
			r.fail(append(slices.Clone(path), strconv.Itoa(i)), "matches nothing; there are: %s", strings.Join(names, ", "))
		}
	}
}

// subjects checks that each entry can match what a subject may be.
func (r *reader) subjects(path, entries []string) {
	if len(entries) == 0 {
		r.fail(path, `is missing: list the subjects the caller may use; ["*"] is everyone`)
	}
	for i, entry := range entries {
		fixed := strings.ReplaceAll(entry, "*", "")
		if entry == "" || len(fixed) > vault.MaxSubject || strings.ContainsFunc(fixed, func(c rune) bool { return !unicode.IsPrint(c) }) {
			r.fail(append(slices.Clone(path), strconv.Itoa(i)), "matches nothing: a subject has 1 to %d bytes of printable text", vault.MaxSubject)
		}
	}
}
