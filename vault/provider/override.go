package provider

import (
	"cmp"
	"maps"
)

// Override returns d with every field replaced that over sets. What d sets can
// be changed but not unset, except for maps and lists, where an empty one (not a
// missing one) empties. Maps of structures are merged name by name.
func (d Definition) Override(over Definition) Definition {
	set(&d.DisplayName, over.DisplayName)
	set(&d.Issuer, over.Issuer)
	set(&d.AuthorizeURL, over.AuthorizeURL)
	set(&d.TokenURL, over.TokenURL)
	set(&d.RevokeURL, over.RevokeURL)
	set(&d.DeviceURL, over.DeviceURL)
	set(&d.ClientAuth, over.ClientAuth)
	set(&d.PKCE, over.PKCE)
	set(&d.ScopeSeparator, over.ScopeSeparator)
	set(&d.TokenFormat, over.TokenFormat)
	set(&d.TokenPointer, over.TokenPointer)
	set(&d.APIBaseURL, over.APIBaseURL)
	set(&d.DisconnectHint, over.DisconnectHint)
	set(&d.AllowPrivateNetwork, over.AllowPrivateNetwork)
	set(&d.Refresh.Lifetime, over.Refresh.Lifetime)
	set(&d.Refresh.Grace, over.Refresh.Grace)
	set(&d.Refresh.IdleLimit, over.Refresh.IdleLimit)
	set(&d.Account.ID, over.Account.ID)
	set(&d.Account.Name, over.Account.Name)
	set(&d.Account.Email, over.Account.Email)
	if over.Scopes != nil {
		d.Scopes = over.Scopes
	}
	if over.Grants != nil {
		d.Grants = over.Grants
	}
	if over.BaseScopes != nil {
		d.BaseScopes = over.BaseScopes
	}
	replace(&d.AuthorizeParams, over.AuthorizeParams)
	replace(&d.TokenParams, over.TokenParams)
	replace(&d.APIHeaders, over.APIHeaders)
	d.Variables = merge(d.Variables, over.Variables)
	d.TokenCapture = merge(d.TokenCapture, over.TokenCapture)
	d.AfterConnect = d.AfterConnect.override(over.AfterConnect)
	d.APIKey = d.APIKey.override(over.APIKey)
	return d
}

func set[T comparable](field *T, value T) {
	var zero T
	if value != zero {
		*field = value
	}
}

func replace(field *map[string]string, value map[string]string) {
	if value != nil {
		*field = value
	}
}

// merge leaves both of its operands as they are.
func merge[T any](all, over map[string]T) map[string]T {
	switch {
	case over == nil:
		return all
	case len(over) == 0:
		return over
	}
	merged := make(map[string]T, len(all)+len(over))
	maps.Copy(merged, all)
	maps.Copy(merged, over)
	return merged
}

// override leaves both of its operands as they are.
func (a *AfterConnect) override(over *AfterConnect) *AfterConnect {
	if a == nil || over == nil {
		return cmp.Or(over, a)
	}
	merged := *a
	set(&merged.URL, over.URL)
	set(&merged.Method, over.Method)
	set(&merged.Authorization, over.Authorization)
	set(&merged.Body, over.Body)
	replace(&merged.Headers, over.Headers)
	merged.Capture = merge(a.Capture, over.Capture)
	return &merged
}

// override leaves both of its operands as they are.
func (k *APIKey) override(over *APIKey) *APIKey {
	if k == nil || over == nil {
		return cmp.Or(over, k)
	}
	merged := *k
	set(&merged.Pattern, over.Pattern)
	set(&merged.Header, over.Header)
	set(&merged.Authorization, over.Authorization)
	set(&merged.Basic, over.Basic)
	return &merged
}
