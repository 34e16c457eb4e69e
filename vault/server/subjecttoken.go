package server

import (
	"context"
	"errors"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// fixSubject has the user's own token say whose credentials a request is for. It
// takes the token out of the request: nobody after it needs it.
func (g guard) fixSubject(ctx context.Context, req any) error {
	r, ok := req.(*tokenvaultv1.GetCredentialsRequest)
	if !ok {
		return nil
	}
	token := secret.New(r.GetSubjectToken())
	r.SubjectToken = ""
	caller := callerFrom(ctx)
	if token.IsZero() {
		if caller.NeedsSubjectToken() {
			return subjectTokenError("is missing: this caller has to send the token that the user has signed in with", nil)
		}
		return nil
	}
	subject, err := g.policy.Subject(ctx, caller.Tenant(), token)
	switch {
	case errors.Is(err, access.ErrUnavailable):
		return err
	case err != nil:
		return subjectTokenError("is not a token of a user of the caller's tenant that this vault accepts, or has ended: get a new one from the issuer that its configuration names (subject_tokens)", err)
	case r.GetSubject() != "" && r.GetSubject() != subject:
		return subjectTokenError("is that of another subject: leave subject empty, or send the token of that user", nil)
	}
	r.Subject = subject
	return nil
}

func subjectTokenError(message string, cause error) error {
	return &vault.Error{Reason: vault.InvalidSubjectToken, Field: "subject_token", Message: "subject_token: " + message, Err: cause}
}
