package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Error is what the vault, or the way to it, has said. It wraps the gRPC status.
type Error struct {
	// Reason says why, for programs: NOT_CONNECTED, PROVIDER_UNAVAILABLE and so on
	// (google.rpc.ErrorInfo). Empty: the vault has given none, or was not reached.
	Reason string
	// Code is the gRPC status code.
	Code codes.Code
	// Message says what to do, to people.
	Message string
	// Metadata is more for programs, such as missing_scopes. May be nil.
	Metadata map[string]string
	// RetryAfter is how long to wait before another call. 0: not said.
	RetryAfter time.Duration
	// Subject, Provider and Label name the connection that it is about. May be empty.
	Subject, Provider, Label string

	err error
}

// Error implements error.
func (e *Error) Error() string {
	text := "tokenvault: "
	if e.Subject != "" || e.Provider != "" {
		text += strings.Trim(e.Subject+" at "+e.Provider, " ") + ": "
	}
	text += e.Message
	if e.Reason != "" {
		text += " (" + e.Reason + ")"
	}
	return text
}

// Unwrap returns the gRPC status.
func (e *Error) Unwrap() error { return e.err }

// ConnectRequired is the error where only the person can help: there is no connection
// (NOT_CONNECTED), or its grant is dead (REAUTHORIZATION_REQUIRED). It wraps an [*Error].
type ConnectRequired struct {
	// Err says which of the two it is, and of which connection.
	Err *Error

	client *Client

	mu   sync.Mutex
	link *Link
}

// Error implements error.
func (e *ConnectRequired) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ConnectRequired) Unwrap() error { return e.Err }

// URL returns the link that the person is to open, for a return URL of [WithReturnURL].
// It calls Connect, and does so again only when that link is about to end.
func (e *ConnectRequired) URL(ctx context.Context) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.link == nil || time.Until(e.link.ExpireTime) < time.Minute {
		link, err := e.Connect(ctx, ConnectOptions{})
		if err != nil {
			return "", err
		}
		e.link = link
	}
	return e.link.URL, nil
}

// Connect is [Client.Connect] for the connection that is missing. An empty label means
// that connection's.
func (e *ConnectRequired) Connect(ctx context.Context, o ConnectOptions) (*Link, error) {
	if o.Label == "" {
		o.Label = e.Err.Label
	}
	return e.client.Connect(ctx, e.Err.Subject, e.Err.Provider, o)
}

// fail makes an error of the package's of what a call has come to, about a connection.
func (c *Client) fail(n name, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Subject: n.subject, Provider: n.provider, Label: n.label, RetryAfter: retryAfter(err), err: err}
	st := statusOf(err)
	e.Code, e.Message = st.Code(), st.Message()
	if info := infoOf(err); info != nil {
		e.Reason, e.Metadata = info.GetReason(), info.GetMetadata()
	}
	switch {
	case e.Reason == "NOT_CONNECTED", e.Reason == "REAUTHORIZATION_REQUIRED":
		return &ConnectRequired{Err: e, client: c}
	case e.Reason != "":
	case e.Code == codes.Unavailable:
		e.Message = fmt.Sprintf("the vault at %s cannot be reached: see that it runs there, and that the address and the TLS options are right (%s)", c.addr, e.Message)
	case e.Code == codes.DeadlineExceeded:
		e.Message = fmt.Sprintf("the vault at %s has not answered in time: see that it runs there, or give the call more time (%s)", c.addr, e.Message)
	}
	return e
}

// statusOf returns the status as the vault has sent it, without what gRPC has wrapped
// around it.
func statusOf(err error) *status.Status {
	if inner, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err); ok {
		return inner.GRPCStatus()
	}
	return status.FromContextError(err)
}

// infoOf returns what the vault says for programs in a gRPC status. Nil: nothing.
func infoOf(err error) *errdetails.ErrorInfo {
	if err == nil {
		return nil
	}
	for _, detail := range statusOf(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}

// reasonOf returns the vault's reason, or "".
func reasonOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ""
}
