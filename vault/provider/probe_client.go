package provider

import (
	"context"
	"net/http"
)

// A token endpoint that is shown a made-up code says whether it accepts the
// client: if so it refuses the code (invalid_grant), if not the client
// (invalid_client; RFC 6749, section 5.2). Some look at the code first: a made-up
// secret tells those apart.

// client asks the token endpoint for tokens that there are not.
func (b *probe) client(ctx context.Context, e Endpoints) {
	observed, seen := observe(ctx)
	err := b.p.showMadeUp(observed, e)
	status, code := StatusOf(err), CodeOf(err)
	switch {
	case err == nil:
		b.find(CheckToken, VerdictProblem, e.TokenURL, "gives tokens for a code that is made up: this is no token endpoint to rely on")
		return
	case status == 0:
		b.find(CheckToken, VerdictProblem, e.TokenURL, "%s", reasonFor(err))
		return
	case code == "" && isRedirect(status):
		b.find(CheckToken, VerdictProblem, e.TokenURL, "leads elsewhere (status %d): write the address that it leads to in token_url", status)
		return
	case code == "" && isMissing(status):
		b.find(CheckToken, VerdictProblem, e.TokenURL, "is no token endpoint (status %d): correct token_url", status)
		return
	case code == "" && status >= http.StatusInternalServerError:
		b.find(CheckToken, VerdictProblem, e.TokenURL, "does not answer as a token endpoint does (status %d): it is not in order at the moment, or token_url is the address of something else", status)
		return
	}
	b.find(CheckToken, VerdictOK, e.TokenURL, "answers%s", seen)
	b.judgeClient(ctx, e, err)
}

func (b *probe) judgeClient(ctx context.Context, e Endpoints, err error) {
	status, code := StatusOf(err), CodeOf(err)
	switch {
	case KindOf(err) == InvalidGrant:
		b.accepted(ctx, e, code)
	case ClientRefused(err):
		b.refused(ctx, e, describeRefusal(status, code))
	case code == "redirect_uri_mismatch", code == "bad_redirect_uri":
		b.find(CheckClient, VerdictUnknown, "", "the provider does not take the redirect URI (%s): register it exactly, and test again", code)
	case code == "unauthorized_client":
		b.find(CheckClient, VerdictProblem, "", "the provider does not know the client, or does not allow it this grant (%s): compare client_id, and allow the grant at the provider", code)
	case status == http.StatusTooManyRequests:
		b.find(CheckClient, VerdictUnknown, "", "the provider has had too many requests (status 429): try again later")
	default:
		b.find(CheckClient, VerdictUnknown, "", "the provider refuses a code that is made up (%s), which does not tell whether it accepts the client", describeRefusal(status, code))
	}
}

// accepted makes sure that a provider that has refused the code has looked at the
// client first.
func (b *probe) accepted(ctx context.Context, e Endpoints, code string) {
	if e.ClientAuth == ClientAuthBasic || e.ClientAuth == ClientAuthPost {
		err := b.p.WithSecret(madeUp()).showMadeUp(ctx, e)
		switch {
		case ClientRefused(err), CodeOf(err) == "unauthorized_client":
			b.find(CheckClient, VerdictOK, "", "is accepted with its secret: the provider refuses a code that is made up (%s), and another secret (%s)", code, describeRefusal(StatusOf(err), CodeOf(err)))
			return
		case KindOf(err) == InvalidGrant:
			b.find(CheckClient, VerdictUnknown, "", "the provider refuses a code that is made up (%s) whatever the secret: whether it accepts this one, the first person who connects will show", code)
			return
		}
	}
	b.find(CheckClient, VerdictOK, "", "is accepted: the provider refuses a code that is made up as such (%s)", code)
}

// refused says what to do about a client that is not accepted.
func (b *probe) refused(ctx context.Context, e Endpoints, refusal string) {
	other := map[ClientAuth]ClientAuth{ClientAuthBasic: ClientAuthPost, ClientAuthPost: ClientAuthBasic}[e.ClientAuth]
	switch {
	case other != "" && KindOf(b.p.withClientAuth(other).showMadeUp(ctx, e)) == InvalidGrant:
		b.find(CheckClient, VerdictProblem, "", "is not accepted with client_auth: %s (%s), but with %s: write client_auth: %[3]s", e.ClientAuth, refusal, other)
	case e.ClientAuth == ClientAuthPrivateKeyJWT:
		b.find(CheckClient, VerdictProblem, "", "is not accepted with its key (%s): compare client_id and client_key_id with what the provider shows, and register the public key of client_key there", refusal)
	case e.ClientAuth == ClientAuthNone:
		b.find(CheckClient, VerdictProblem, "", "is not accepted without a secret (%s): compare client_id with what the provider shows, and register the client as public, or write client_auth and client_secret", refusal)
	default:
		b.find(CheckClient, VerdictProblem, "", "is not accepted (%s): compare client_id and client_secret with what the provider shows; of a secret that was replaced there, only the new one may work", refusal)
	}
}

// withClientAuth returns the provider with another way to authenticate. It shares
// all else with p.
func (p *Provider) withClientAuth(auth ClientAuth) *Provider {
	other := *p
	other.definition.ClientAuth = auth
	return &other
}

// showMadeUp shows the token endpoint a code and, where what it says of that does
// not tell whether it accepts the client, a refresh token.
func (p *Provider) showMadeUp(ctx context.Context, e Endpoints) error {
	var first error
	if e.AuthorizeURL != "" {
		_, first = p.Exchange(ctx, madeUp(), NewVerifier())
		if first == nil || StatusOf(first) == 0 || isTelling(first) {
			return first
		}
	}
	_, err := p.Refresh(ctx, madeUp())
	if first != nil && !isTelling(err) {
		return first
	}
	return err
}

// isTelling reports whether an answer says that the client was accepted, or that
// it was not.
func isTelling(err error) bool {
	return KindOf(err) == InvalidGrant || ClientRefused(err) || CodeOf(err) == "unauthorized_client"
}
