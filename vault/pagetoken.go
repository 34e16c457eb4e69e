package vault

import (
	"encoding/base64"
	"fmt"
)

// A page token is the store key of the last record that was looked at, sealed: it
// shows callers nothing of how names are hidden, and is of use with the tenant and
// the filter alone for which it was made.

// pageTokens is no kind of record: kinds have no spaces.
const pageTokens = "page token"

func (v *Vault) pageToken(r ListRequest, after string) (string, error) {
	sealed, err := v.records.keyring.Seal(pageTokens, r.filter(), []byte(after))
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

func (v *Vault) parsePageToken(r ListRequest) (after string, err error) {
	if r.PageToken == "" {
		return "", nil
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(r.PageToken)
	if err == nil {
		var raw []byte
		raw, err = v.records.keyring.Open(pageTokens, r.filter(), sealed)
		after = string(raw)
	}
	if err != nil {
		return "", invalid(InvalidPageToken, "page_token", "is not a next_page_token of an earlier answer to the same question")
	}
	return after, nil
}

// filter is what must stay the same from page to page.
func (r ListRequest) filter() string {
	return fmt.Sprintf("%q %q %q %d", r.Tenant, r.Subject, r.Provider, r.Status)
}
