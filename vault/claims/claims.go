// Package claims reads what a verified token says, for those who go by it: of
// callers and users in access, of people who sign in in login.
package claims

import (
	"errors"
	"fmt"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Claims are those of one token, by their exact names.
type Claims map[string]any

// registered are the claims that decide whose a token is, and for whom.
func registered() []string {
	return []string{"iss", "sub", "aud", "exp", "nbf", "nonce", "email", "email_verified"}
}

// Of returns the claims of a token that was verified. A name that differs from a
// registered one in its case alone is an error: the library takes it for that one
// (encoding/json), so that whoever may choose the name of a claim could choose whose
// token it is.
func Of(token *oidc.IDToken) (Claims, error) {
	c := Claims{}
	if err := token.Claims(&c); err != nil {
		return nil, errors.New("the token's claims cannot be read")
	}
	for name := range c {
		for _, known := range registered() {
			if name != known && strings.EqualFold(name, known) {
				return nil, fmt.Errorf("the token has a claim %q beside or in place of %s", name, known)
			}
		}
	}
	return c, nil
}

// Subject returns the text of a claim, which is not empty. An email counts only if
// its issuer says that the address is verified: otherwise anybody may have written it
// there.
func (c Claims) Subject(name string) (string, error) {
	if name == "email" && c["email_verified"] != true {
		return "", errors.New("the issuer does not say that the email is verified (email_verified)")
	}
	subject, ok := c[name].(string)
	if !ok || subject == "" {
		return "", fmt.Errorf("the token has no claim %q that is a text", name)
	}
	return subject, nil
}
