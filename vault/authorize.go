package vault

import (
	"context"
	"crypto/sha256"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
)

// Authorization is where a browser goes to ask the person for consent.
type Authorization struct {
	// Location is the provider's authorization endpoint with its parameters.
	Location string
	// FlowCookie is what the browser is to bring back with the callback.
	FlowCookie secret.String
}

// Authorize opens a session's link in one browser: it makes a state and a code
// verifier for that browser alone. The link is not used up by it, since chat
// programs open links to preview them.
//
// cookie is the flow cookie that the browser has already, if any. It is kept, so
// that one browser can have several flows open at once.
func (v *Vault) Authorize(ctx context.Context, providerName, session string, cookie secret.String) (Authorization, error) {
	p, ok := v.providers[providerName]
	if !ok || !isRandomID(session) {
		return Authorization{}, errSessionExpired(nil)
	}
	id, err := v.blind.session(session)
	if err != nil {
		return Authorization{}, err
	}
	s, err := v.openSession(ctx, id)
	if err != nil {
		return Authorization{}, err
	}
	if s.GetKey().GetProvider() != providerName {
		return Authorization{}, errSessionExpired(nil)
	}
	if !isRandomID(cookie.Reveal()) {
		cookie = secret.New(newRandomID())
	}
	state, verifier := newRandomID(), provider.NewVerifier()
	if err := v.storeFlow(ctx, state, s, cookie, verifier); err != nil {
		return Authorization{}, err
	}
	return Authorization{
		Location: p.AuthorizationURL(provider.AuthorizationRequest{
			State:     state,
			Verifier:  verifier,
			Scopes:    s.GetScopes(),
			LoginHint: s.GetLoginHint(),
		}),
		FlowCookie: cookie,
	}, nil
}

func (v *Vault) storeFlow(ctx context.Context, state string, s openSession, cookie, verifier secret.String) error {
	id, err := v.blind.flow(state)
	if err != nil {
		return err
	}
	op, err := v.records.put(store.Key{Kind: kindFlows, ID: id}, &storagev1.Flow{
		Session:      []byte(s.storeKey.ID),
		Provider:     s.GetKey().GetProvider(),
		CookieSha256: cookieHash(cookie),
		CodeVerifier: verifier.Reveal(),
		ExpireTime:   timestamppb.New(v.now().Add(SessionLifetime)),
	}, store.Absent)
	if err != nil {
		return err
	}
	_, err = v.store.Commit(ctx, op)
	return err
}

func cookieHash(cookie secret.String) []byte {
	sum := sha256.Sum256([]byte(cookie.Reveal()))
	return sum[:]
}
