package login

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/oauth2"
)

// Limits of what is said to the issuer.
const (
	answerTime = 15 * time.Second
	maxCause   = 300 // bytes of an error, for the log
)

// codes are those that a token endpoint may answer with (RFC 6749, section 5.2).
func codes() []string {
	return []string{"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}
}

// brief cuts an error to what a log bears. What the token endpoint has answered may
// hold secrets: of that, there is the status, and the error code if it is a known one.
func brief(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil {
		code := refused.ErrorCode
		if !slices.Contains(codes(), code) {
			code = "not_shown"
		}
		return fmt.Errorf("the token endpoint answered with status %d, error %q", refused.Response.StatusCode, code)
	}
	if text := err.Error(); len(text) > maxCause {
		return errors.New(text[:maxCause] + "…")
	}
	return err
}
