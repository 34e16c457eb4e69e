package vault

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
)

// CallbackRequest is what a browser brings back from the provider (RFC 6749,
// sections 4.1.2 and 4.1.2.1; RFC 9207 for Issuer).
type CallbackRequest struct {
	Provider   string // from the path
	State      string
	Code       secret.String
	Issuer     string
	Error      string
	FlowCookie secret.String
	// SignInCookie is that of the browser's sign-in, if any.
	SignInCookie secret.String
}

// CallbackResult is how a flow ended.
type CallbackResult struct {
	// Key is the connection that the flow was for. Zero where the flow is not
	// known.
	Key Key
	// Location is where the browser goes. Empty: show a page.
	Location string
	// ProviderName and AccountName are for that page. AccountName may be empty.
	ProviderName string
	AccountName  string
	// Portal is set where the flow was begun in the portal, to which Location leads.
	Portal bool
}

// Callback ends a flow. Everything that can be checked is checked before the
// code is redeemed, and the tokens are stored before anything else can fail. With
// [BindingConfirm] the code is held, and its redemption is left to Confirm.
//
// It may return a result with a Location together with an error: the browser is
// sent there, with the reason, and the error is for the log. An error without
// Location is for a page.
func (v *Vault) Callback(ctx context.Context, r CallbackRequest) (CallbackResult, error) {
	f, err := v.checkFlow(ctx, r)
	if err != nil {
		// Nobody has proven to be the one the session is for, so the
		// browser is not sent to the session's return URL either.
		return CallbackResult{}, err
	}
	result := CallbackResult{Key: keyOf(f.session.GetKey()), ProviderName: f.provider.DisplayName()}
	if err := v.checkPersonAfter(ctx, f, r.SignInCookie); err != nil {
		return result, err // nor here
	}
	conn, confirmation, err := v.finish(ctx, f, r)
	switch {
	case confirmation != "":
		result.Location = withConfirmation(f.session.GetReturnUrl(), confirmation)
		return result, nil
	case f.session.GetPortal():
		result.Location, result.Portal = v.publicURL+PortalPath, true
	case f.session.GetReturnUrl() != "":
		result.Location = withOutcome(f.session.GetReturnUrl(), OutcomeOf(err))
	}
	if err != nil {
		return result, err
	}
	result.AccountName = conn.GetAccount().GetName()
	v.log.LogAttrs(ctx, slog.LevelInfo, "account connected", append(keyAttrs(keyOf(f.session.GetKey())), slog.Int64("generation", conn.GetGeneration()))...)
	return result, nil
}

// OutcomeOf is what the host application and the audit log learn of how a flow
// ended: its reason, or INTERNAL. Empty: well.
func OutcomeOf(err error) Reason {
	if err == nil {
		return ""
	}
	if reason := ReasonOf(err); reason != "" {
		return reason
	}
	return "INTERNAL"
}

// checkedFlow is a callback's flow whose browser, session and provider are
// known to belong together.
type checkedFlow struct {
	*storagev1.Flow
	storeKey store.Key
	revision store.Revision
	session  openSession
	provider *provider.Provider
}

func (v *Vault) checkFlow(ctx context.Context, r CallbackRequest) (checkedFlow, error) {
	p, ok := v.providers[r.Provider]
	if !ok || !isRandomID(r.State) {
		return checkedFlow{}, errSessionExpired(nil)
	}
	id, err := v.blind.flow(r.State)
	if err != nil {
		return checkedFlow{}, err
	}
	f := checkedFlow{Flow: new(storagev1.Flow), storeKey: store.Key{Kind: kindFlows, ID: id}, provider: p}
	f.revision, err = v.records.get(ctx, f.storeKey, f.Flow)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return checkedFlow{}, errSessionExpired(errors.New("state is not known: forged, replayed or long expired"))
	case err != nil:
		return checkedFlow{}, err
	case !v.now().Before(f.GetExpireTime().AsTime()):
		return checkedFlow{}, errSessionExpired(errors.New("state has expired"))
	case subtle.ConstantTimeCompare(cookieHash(r.FlowCookie), f.GetCookieSha256()) != 1:
		return checkedFlow{}, errBrowserUnknown()
	case f.GetProvider() != r.Provider:
		return checkedFlow{}, errMixedUp(fmt.Errorf("state belongs to a flow at %q", f.GetProvider()))
	}
	f.session, err = v.openSession(ctx, string(f.GetSession()))
	if err == nil && f.GetUsed() {
		return checkedFlow{}, errStateUsed()
	}
	return f, err
}

// useUp returns the operation after which a flow's state redeems no more.
func (v *Vault) useUp(f checkedFlow) (store.Op, error) {
	return v.records.put(f.storeKey, &storagev1.Flow{
		Session: f.GetSession(), Provider: f.GetProvider(), CookieSha256: f.GetCookieSha256(), ExpireTime: f.GetExpireTime(), Used: true,
	}, f.revision)
}

// spend uses a flow's state up, and leaves its session as it is.
func (v *Vault) spend(ctx context.Context, f checkedFlow) error {
	used, err := v.useUp(f)
	if err != nil {
		return err
	}
	_, err = v.store.Commit(ctx, used)
	return err
}

func errStateUsed() *Error {
	return &Error{
		Reason:  AuthorizationFailed,
		Message: "This answer of the provider has been taken in already, and did not connect the account. To try once more, open the link again.",
		Err:     errors.New("state has been used, and its session is still open"),
	}
}

func errBrowserUnknown() *Error {
	return &Error{
		Reason: BrowserUnknown,
		Message: "This browser did not start this connection, or does not keep cookies. " +
			"Open the link again in one browser, with cookies allowed, and finish there.",
		Err: errors.New("flow cookie is missing or belongs to another browser"),
	}
}

func errMixedUp(cause error) *Error {
	return &Error{
		Reason:  AuthorizationFailed,
		Message: "The answer did not come from the provider that was asked. Nothing was changed. Ask for a new link and try again.",
		Err:     cause,
	}
}

// finish uses the flow up, redeems its code and stores the tokens; or it holds the
// code, and returns what confirms it.
func (v *Vault) finish(ctx context.Context, f checkedFlow, r CallbackRequest) (conn *storagev1.Connection, confirmation string, err error) {
	// From here on the browser may leave: neither the state nor the code is
	// of any use to anyone after this.
	ctx, done := v.detached(ctx)
	defer done()

	if f.provider, err = bind(f.provider, f.session.GetParams()); err != nil {
		return nil, "", err
	}
	if err := checkAnswer(ctx, f.provider, r); err != nil {
		// The state is used up; the session stays, so that the person can
		// change their mind with the same link.
		return nil, "", errors.Join(err, v.spend(ctx, f))
	}
	id, err := v.blind.connection(keyOf(f.session.GetKey()))
	if err != nil {
		return nil, "", err
	}
	if _, err := v.notDisconnectedSince(ctx, id, f.session.Session); err != nil {
		return nil, "", err
	}
	if v.binding == BindingConfirm && !f.session.GetPortal() {
		confirmation, err = v.hold(ctx, f, r.Code)
		return nil, confirmation, err
	}
	if err := v.claim(ctx, &f, storagev1.Session_STATE_REDEEMING); err != nil {
		return nil, "", err
	}
	conn, err = v.redeemCode(ctx, f.provider, id, f.session, r.Code, secret.New(f.GetCodeVerifier()))
	return conn, "", err
}

// redeemCode redeems the code of a session that was claimed for it, and stores the
// tokens.
func (v *Vault) redeemCode(ctx context.Context, p *provider.Provider, id string, s openSession, code, verifier secret.String) (*storagev1.Connection, error) {
	asked := v.now()
	token, err := redeem(ctx, v, p, func(ctx context.Context, p *provider.Provider) (provider.Token, error) {
		return p.Exchange(ctx, code, verifier)
	})
	if err != nil {
		return nil, errors.Join(redeemError(p, err), v.unclaim(ctx, s))
	}
	return v.keep(ctx, p, id, s, newGrant(p, s.Session, token, asked))
}

// checkAnswer looks at what the provider says in the redirect.
func checkAnswer(ctx context.Context, p *provider.Provider, r CallbackRequest) error {
	if err := p.VerifyIssuer(ctx, r.Issuer); err != nil {
		return errMixedUp(err)
	}
	switch {
	case r.Error == "access_denied":
		return &Error{
			Reason:  AccessDenied,
			Message: fmt.Sprintf("%s was not connected, because access was declined there. Nothing was changed.", p.DisplayName()),
		}
	case r.Error != "":
		return &Error{
			Reason:  AuthorizationFailed,
			Message: fmt.Sprintf("%s refused the request. Nothing was changed. Try again, and tell the operator of this vault if it stays so.", p.DisplayName()),
			Err:     fmt.Errorf("authorization endpoint answered with error %q", provider.SanitizeCode(r.Error)),
		}
	case r.Code.IsZero():
		return errMixedUp(errors.New("neither code nor error in the callback"))
	}
	return nil
}

// claim uses up the state and takes the session into its next state, so that of two
// callbacks of one session only one goes on.
func (v *Vault) claim(ctx context.Context, f *checkedFlow, next storagev1.Session_State, with ...store.Op) error {
	for range maxConflicts {
		f.session.State = next
		op, err := v.records.put(f.session.storeKey, f.session.Session, f.session.revision)
		if err != nil {
			return err
		}
		used, err := v.useUp(*f)
		if err != nil {
			return err
		}
		_, err = v.store.Commit(ctx, append(with[:len(with):len(with)], used, op)...)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		// Another callback was faster, or the link was only opened once more.
		if rec, err := v.store.Get(ctx, f.storeKey); errors.Is(err, store.ErrNotFound) || err == nil && rec.Revision != f.revision {
			return errSessionUsed()
		}
		if f.session, err = v.openSession(ctx, f.session.storeKey.ID); err != nil {
			return err
		}
	}
	return fmt.Errorf("claim a session: %w, %d times in a row", store.ErrConflict, maxConflicts)
}

// unclaim opens the session again after a code that could not be redeemed. Nobody
// else changes a session that is being redeemed.
func (v *Vault) unclaim(ctx context.Context, s openSession) error {
	s.State = storagev1.Session_STATE_OPEN
	s.Failures++
	op, err := v.records.put(s.storeKey, s.Session, store.Any)
	if err != nil {
		return err
	}
	_, err = v.store.Commit(ctx, op)
	return err
}
