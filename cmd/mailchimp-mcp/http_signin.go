package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"golang.org/x/time/rate"

	"github.com/tokenvault/tokenvault/cmd/internal/cli"
	"github.com/tokenvault/tokenvault/vault/access"
	"github.com/tokenvault/tokenvault/vault/certs"
	"github.com/tokenvault/tokenvault/vault/client/mcpauth"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// signIn is how people show who they are.
type signIn struct {
	verify  auth.TokenVerifier
	subject mcpauth.Subject
	// one says that there is a single person.
	one bool
	// issuer makes the tokens of many. Its zero value: there is none.
	issuer access.Issuer
}

// newSignIn returns how people show who they are. resource is the URL of this server's
// MCP endpoint.
func (f *httpFlags) newSignIn(v *vaultFlags, resource string, log *slog.Logger) (*signIn, error) {
	if f.issuer == "" {
		token, err := cli.ReadSecret("--bearer-token", f.bearer, nil)
		if err != nil {
			return nil, err
		}
		if err := checkBearer(token.Reveal()); err != nil {
			return nil, err
		}
		return &signIn{verify: verifyOne(token, v.subject), subject: mcpauth.Fixed(v.subject), one: true}, nil
	}
	roots, err := f.issuerRoots()
	if err != nil {
		return nil, err
	}
	issuer := access.Issuer{URL: f.issuer, KeysURL: f.issuerKeys, RootCAs: roots}
	verifier, err := access.NewVerifier(access.VerifierConfig{Issuer: issuer, Audience: cmp.Or(f.audience, resource), Claim: f.claim})
	if err != nil {
		return nil, err
	}
	return &signIn{verify: verifyPeople(verifier, log), subject: mcpauth.FromToken, issuer: issuer}, nil
}

// checkIssuer warns where the issuer cannot be asked for its keys, long before the first
// person comes. It may be there then, so that this ends nothing.
func (s *signIn) checkIssuer(ctx context.Context, log *slog.Logger) {
	if s.issuer.URL == "" {
		return
	}
	if err := access.CheckIssuer(ctx, s.issuer); err != nil && ctx.Err() == nil {
		log.WarnContext(ctx, "nobody can sign in at the moment, since the issuer cannot be asked for its keys: see that --issuer (and --issuer-keys, --issuer-ca) is right and can be reached from here", slog.Any("cause", err))
	}
}

func (f *httpFlags) issuerRoots() (*x509.CertPool, error) {
	if f.issuerCA == "" {
		return nil, nil
	}
	data, err := os.ReadFile(f.issuerCA)
	if err != nil {
		return nil, fmt.Errorf("--issuer-ca: %w", err)
	}
	roots, err := certs.ParseAuthorities(data)
	if err != nil {
		return nil, fmt.Errorf("--issuer-ca: %s %w", f.issuerCA, err)
	}
	return roots, nil
}

// leastBearer is as much as 128 random bits need in base64.
const leastBearer = 22

// checkBearer refuses what can be guessed, or cannot be sent (RFC 6750, section 2.1).
func checkBearer(token string) error {
	const advice = "make one with `openssl rand -hex 32` or `tokenvault token generate`"
	switch {
	case len(token) >= len("Bearer ") && strings.EqualFold(token[:len("Bearer ")], "Bearer "):
		return errors.New("--bearer-token: it begins with \"Bearer \": write the token alone")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("--bearer-token: it holds white space or other characters that no token has: " + advice)
	case len(token) < leastBearer:
		return fmt.Errorf("--bearer-token: it has %d characters, and could be guessed: %s", len(token), advice)
	}
	return nil
}

// verifyOne lets in whoever has the one token.
func verifyOne(token secret.String, subject string) auth.TokenVerifier {
	want := access.HashToken(token)
	user := cmp.Or(subject, "the one account")
	return func(_ context.Context, shown string, _ *http.Request) (*auth.TokenInfo, error) {
		// Equal hashes are equal tokens, and how long it takes to tell hashes apart says
		// nothing about the token.
		if access.HashToken(secret.New(shown)) != want {
			return nil, fmt.Errorf("%w: it is not the one that this server was started with", auth.ErrInvalidToken)
		}
		return &auth.TokenInfo{UserID: user}, nil
	}
}

// firstLines is how many tokens that will not do are logged, before it is one each second:
// strangers may send any number.
const firstLines = 20

// verifyPeople lets in whom their issuer knows.
func verifyPeople(v *access.Verifier, log *slog.Logger) auth.TokenVerifier {
	refused, failing := &rate.Sometimes{First: firstLines, Interval: time.Second}, &rate.Sometimes{First: firstLines, Interval: time.Second}
	return func(ctx context.Context, shown string, r *http.Request) (*auth.TokenInfo, error) {
		user, err := v.Verify(ctx, secret.New(shown))
		switch {
		case errors.Is(err, access.ErrUnavailable):
			failing.Do(func() {
				log.WarnContext(ctx, "access tokens cannot be verified: see that the issuer can be reached", slog.Any("cause", err))
			})
			willPass(r)
			return nil, errors.New("access tokens cannot be verified at the moment: try again later")
		case err != nil:
			refused.Do(func() { log.InfoContext(ctx, "access token refused", slog.Any("cause", err)) })
			return nil, fmt.Errorf("%w: sign in again", auth.ErrInvalidToken)
		}
		return &auth.TokenInfo{UserID: user.Subject, Scopes: user.Scopes, Expiration: user.Expiry}, nil
	}
}

// readStateKey returns the key that all replicas have. Nil: there is none.
func (f *httpFlags) readStateKey() ([]byte, error) {
	if f.stateKey == "" {
		return nil, nil
	}
	text, err := cli.ReadSecret("--state-key", f.stateKey, nil)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(text.Reveal())
	if err != nil || len(key) < 32 {
		return nil, errors.New("--state-key: it must be 32 random bytes in base64, as `openssl rand -base64 32` makes them")
	}
	return key, nil
}
