package provider

import (
	"errors"
	"net/http"
)

// meaning is a row of the table of what token endpoints say.
type meaning struct {
	code   string
	kind   Kind
	source string
}

// The sources of the table.
const (
	rfc6749  = "RFC 6749, section 5.2"
	rfc6749a = "RFC 6749, section 4.1.2.1"
	rfc8628  = "RFC 8628, section 3.5"
	github   = "https://docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors"
	slack    = "https://docs.slack.dev/reference/methods/oauth.v2.access"
)

// meanings is the table. A code that is not in it is transient: wrongly declaring
// a grant dead costs a person's time, wrongly trying again costs a request. What
// the operator can mend is never the connection's fault.
func meanings() []meaning {
	return []meaning{
		{"invalid_grant", InvalidGrant, rfc6749},
		{"bad_refresh_token", InvalidGrant, github},
		{"bad_verification_code", InvalidGrant, github},
		{"invalid_refresh_token", InvalidGrant, slack},
		{"token_revoked", InvalidGrant, slack},
		{"invalid_code", InvalidGrant, slack},
		{"code_already_used", InvalidGrant, slack},
		{"invalid_client", Misconfigured, rfc6749},
		{"unauthorized_client", Misconfigured, rfc6749},
		{"unsupported_grant_type", Misconfigured, rfc6749},
		{"invalid_scope", Misconfigured, rfc6749},
		{"invalid_request", Misconfigured, rfc6749},
		{"incorrect_client_credentials", Misconfigured, github},
		{"redirect_uri_mismatch", Misconfigured, github},
		{"invalid_client_id", Misconfigured, slack},
		{"bad_client_secret", Misconfigured, slack},
		{"bad_redirect_uri", Misconfigured, slack},
		{"access_denied", Denied, rfc6749a},
		{"authorization_pending", Pending, rfc8628},
		{"slow_down", Pending, rfc8628},
		{"expired_token", InvalidGrant, rfc8628},
		{"server_error", Transient, rfc6749a},
		{"temporarily_unavailable", Transient, rfc6749a},
	}
}

// classify says what an answer of the token endpoint means.
func classify(code string, status int) Kind {
	for _, row := range meanings() {
		if row.code == code {
			return row.kind
		}
	}
	if code == "" && status == http.StatusUnauthorized {
		return Misconfigured // the client was not accepted (RFC 6749, section 5.2)
	}
	return Transient
}

// mayHaveActed reports whether a status leaves open if a token endpoint has done
// what it was asked: a server that failed on the way, or a proxy that has not
// waited for the server's answer. 503 says that it has not begun.
func mayHaveActed(status int) bool {
	return status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable
}

// ClientRefused reports whether err says that the client's id or secret was not
// accepted. Then nothing else was looked at: the code or refresh token is as good
// as before.
func ClientRefused(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.Kind != Misconfigured {
		return false
	}
	switch e.Code {
	case "invalid_client", "incorrect_client_credentials", "invalid_client_id", "bad_client_secret":
		return true
	case "":
		return e.Status == http.StatusUnauthorized
	}
	return false
}
