package vault

import (
	"errors"
	"fmt"
	"time"
)

// Reason says, for programs, why a call failed. The values are part of the
// public contract (google.rpc.ErrorInfo.reason).
type Reason string

// The reasons that the engine gives.
const (
	NotConnected            Reason = "NOT_CONNECTED"
	ReauthorizationRequired Reason = "REAUTHORIZATION_REQUIRED"
	ProviderUnavailable     Reason = "PROVIDER_UNAVAILABLE"
	ProviderMisconfigured   Reason = "PROVIDER_MISCONFIGURED"
	ProviderUnknown         Reason = "PROVIDER_UNKNOWN"
	InvalidSubject          Reason = "INVALID_SUBJECT"
	InvalidProvider         Reason = "INVALID_PROVIDER"
	InvalidLabel            Reason = "INVALID_LABEL"
	InvalidScopes           Reason = "INVALID_SCOPES"
	InvalidReturnURL        Reason = "INVALID_RETURN_URL"
	InvalidLoginHint        Reason = "INVALID_LOGIN_HINT"
	InvalidPageSize         Reason = "INVALID_PAGE_SIZE"
	InvalidPageToken        Reason = "INVALID_PAGE_TOKEN"
	InvalidStatus           Reason = "INVALID_STATUS"
	InvalidMinTTL           Reason = "INVALID_MIN_TTL"
	InvalidParams           Reason = "INVALID_PARAMS"
	InvalidAPIKey           Reason = "INVALID_API_KEY"
	InvalidClientSecret     Reason = "INVALID_CLIENT_SECRET"
	InvalidConnectGrant     Reason = "INVALID_CONNECT_GRANT"
	InvalidGrace            Reason = "INVALID_GRACE"
	InvalidRequiredScopes   Reason = "INVALID_REQUIRED_SCOPES"
	InvalidResumeToken      Reason = "INVALID_RESUME_TOKEN"
	InvalidConfirmation     Reason = "INVALID_CONFIRMATION"
	// InvalidSubjectToken: the user's own token is missing, is not one, or is that
	// of somebody else.
	InvalidSubjectToken Reason = "INVALID_SUBJECT_TOKEN"
	// ScopesMissing: the person has granted less than is required.
	ScopesMissing Reason = "SCOPES_MISSING"
	// NotRefreshable: there is nothing to refresh the connection with.
	NotRefreshable Reason = "NOT_REFRESHABLE"
	// GrantNotSupported: the provider, or its definition here, does not know the
	// grant that was asked for.
	GrantNotSupported Reason = "GRANT_NOT_SUPPORTED"
	// APIKeyNotSupported: the provider's definition knows no API keys.
	APIKeyNotSupported Reason = "API_KEY_NOT_SUPPORTED"
	// TokenRefused: the provider has refused an access token just now, which may
	// pass.
	TokenRefused Reason = "TOKEN_REFUSED"
	// ResumeTokenExpired: the change log does not go back that far.
	ResumeTokenExpired Reason = "RESUME_TOKEN_EXPIRED"
	SessionExpired     Reason = "SESSION_EXPIRED"
	SessionUsed        Reason = "SESSION_USED"
	// SessionWrongSubject: the flow was begun for somebody else.
	SessionWrongSubject Reason = "SESSION_WRONG_SUBJECT"
	// SignInFailed: the operator's OpenID provider has not told who it is, or those
	// whom it knows are of another tenant than the caller.
	SignInFailed Reason = "SIGN_IN_FAILED"
	// SignInRequired: nobody is signed in in the portal, or not any more.
	SignInRequired Reason = "SIGN_IN_REQUIRED"
	// BrowserUnknown: the callback came in a browser that did not open the link.
	BrowserUnknown Reason = "BROWSER_UNKNOWN"
	// AccessDenied: the person, or the provider for the person, said no.
	AccessDenied Reason = "ACCESS_DENIED"
	// AuthorizationFailed: the provider's answer is not one to go on with.
	AuthorizationFailed Reason = "AUTHORIZATION_FAILED"
	// AccountMismatch: the person used another account than the connection's.
	AccountMismatch Reason = "ACCOUNT_MISMATCH"
)

// Error is every error of the engine that a caller may be told of. Any other
// error is internal: its text is for the log alone.
type Error struct {
	Reason Reason
	// Message tells a person what to do next. It holds nothing secret and
	// nothing of what the caller did not already know.
	Message string
	// Field is the request field at fault, as the protos name it. Empty where
	// the request is not at fault.
	Field string
	// Metadata is for programs (google.rpc.ErrorInfo.metadata). May be nil.
	Metadata map[string]string
	// RetryAfter is how long to wait before the call is worth trying again.
	// Zero: not said.
	RetryAfter time.Duration
	// Err is the cause, for the log. It may be nil.
	Err error
}

// Error implements error, for the log.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s: %s", e.Reason, e.Message)
	}
	return fmt.Sprintf("%s: %s: %v", e.Reason, e.Message, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ReasonOf returns the Reason of err, or "" where it has none.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// invalid returns the error for a request field that cannot be used.
func invalid(reason Reason, field, message string) *Error {
	return &Error{Reason: reason, Field: field, Message: field + ": " + message}
}
