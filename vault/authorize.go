package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

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
	if !isRandomID(cookie.Reveal()) {
		cookie = secret.New(newRandomID())
	}
	state, verifier := newRandomID(), provider.NewVerifier()
	s, err := v.openLink(ctx, id, providerName, state, cookie, verifier)
	if err != nil {
		return Authorization{}, err
	}
	if p, err = bind(p, s.GetParams()); err != nil {
		return Authorization{}, err
	}
	location, err := p.Authorize(ctx, provider.AuthorizationRequest{
		State:     state,
		Verifier:  verifier,
		Scopes:    s.GetScopes(),
		LoginHint: s.GetLoginHint(),
	})
	if err != nil {
		return Authorization{}, redeemError(p, err)
	}
	return Authorization{Location: location, FlowCookie: cookie}, nil
}

// openLink stores a flow, and counts it in its session.
func (v *Vault) openLink(ctx context.Context, sessionID, providerName, state string, cookie, verifier secret.String) (openSession, error) {
	for range maxConflicts {
		s, err := v.openSession(ctx, sessionID)
		if err != nil {
			return openSession{}, err
		}
		if s.GetKey().GetProvider() != providerName {
			return openSession{}, errSessionExpired(nil)
		}
		id, err := v.blind.connection(keyOf(s.GetKey()))
		if err != nil {
			return openSession{}, err
		}
		if _, err := v.notDisconnectedSince(ctx, id, s.Session); err != nil {
			return openSession{}, err
		}
		if s.Openings++; s.GetOpenings() > maxOpenings {
			return openSession{}, errSessionSpent()
		}
		counted, err := v.records.put(s.storeKey, s.Session, s.revision)
		if err != nil {
			return openSession{}, err
		}
		flow, err := v.newFlow(state, s, cookie, verifier)
		if err != nil {
			return openSession{}, err
		}
		if _, err = v.store.Commit(ctx, counted, flow); !errors.Is(err, store.ErrConflict) {
			return s, err
		}
	}
	return openSession{}, fmt.Errorf("open a link: %w, %d times in a row", store.ErrConflict, maxConflicts)
}

func (v *Vault) newFlow(state string, s openSession, cookie, verifier secret.String) (store.Op, error) {
	id, err := v.blind.flow(state)
	if err != nil {
		return store.Op{}, err
	}
	return v.records.put(store.Key{Kind: kindFlows, ID: id}, &storagev1.Flow{
		Session:      []byte(s.storeKey.ID),
		Provider:     s.GetKey().GetProvider(),
		CookieSha256: cookieHash(cookie),
		CodeVerifier: verifier.Reveal(),
		ExpireTime:   timestamppb.New(v.now().Add(SessionLifetime)),
	}, store.Absent)
}

func cookieHash(cookie secret.String) []byte {
	sum := sha256.Sum256([]byte(cookie.Reveal()))
	return sum[:]
}
