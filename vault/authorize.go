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
	// Key is the connection that the link is for, also where that is another person's
	// than the one's who is signed in. Zero with other errors, and for a sign-in.
	Key Key
	// Location is the provider's authorization endpoint with its parameters.
	Location string
	// FlowCookie is what the browser is to bring back with the callback.
	FlowCookie secret.String
	// ConsentPage is set where a page is to say before whose account is to be connected
	// (Config.ConsentPage).
	ConsentPage bool
	// ProviderName is for that page.
	ProviderName string
}

// AuthorizeRequest is a link that was opened, and what the browser brought.
type AuthorizeRequest struct {
	Provider, Session string
	// FlowCookie is the flow cookie that the browser has already, if any. It is
	// kept, so that one browser can have several flows open at once.
	FlowCookie secret.String
	// SignInCookie is that of its sign-in, if any.
	SignInCookie secret.String
	// SignInAgain has the person sign in anew, as somebody else.
	SignInAgain bool
}

// Authorize opens a session's link in one browser: it makes a state and a code
// verifier for that browser alone. The link is not used up by it, since chat
// programs open links to preview them. With [BindingLogin], the browser has to sign in
// first, and then opens the link once more.
func (v *Vault) Authorize(ctx context.Context, r AuthorizeRequest) (Authorization, error) {
	p, ok := v.providers[r.Provider]
	if !ok || !isRandomID(r.Session) {
		return Authorization{}, errSessionExpired(nil)
	}
	id, err := v.blind.session(r.Session)
	if err != nil {
		return Authorization{}, err
	}
	if !isRandomID(r.FlowCookie.Reveal()) {
		r.FlowCookie = secret.New(newRandomID())
	}
	person, err := v.personBefore(ctx, r)
	if err != nil {
		return Authorization{}, err
	}
	if person == nil && v.binding == BindingLogin {
		return v.beginSignIn(ctx, id, r)
	}
	state, verifier := newRandomID(), provider.NewVerifier()
	s, err := v.openLink(ctx, id, r.Provider, func(s openSession) (store.Op, error) {
		if err := v.checkPerson(s.Session, person); err != nil {
			return store.Op{}, err
		}
		return v.newFlow(state, s, r.FlowCookie, verifier)
	})
	if err != nil {
		return Authorization{Key: keyOf(s.GetKey())}, err
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
	consentPage := v.consentPage && !s.GetPortal() // which has said whose it is
	return Authorization{Key: keyOf(s.GetKey()), Location: location, FlowCookie: r.FlowCookie, ConsentPage: consentPage, ProviderName: p.DisplayName()}, nil
}

// openLink stores what is begun with a link, a flow or a sign-in, and counts it in
// the link's session. It counts as well where begin refuses to.
func (v *Vault) openLink(ctx context.Context, sessionID, providerName string, begin func(openSession) (store.Op, error)) (openSession, error) {
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
		ops := []store.Op{counted}
		begun, refused := begin(s)
		if refused == nil {
			ops = append(ops, begun)
		}
		if _, err = v.store.Commit(ctx, ops...); !errors.Is(err, store.ErrConflict) {
			return s, errors.Join(refused, err)
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
