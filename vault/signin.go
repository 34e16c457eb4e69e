package vault

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
)

// With BindingLogin the vault asks the operator's OpenID provider who sits before a
// browser, and remembers it for a while under a cookie. It asks before the browser
// leaves for the provider, and looks again when it is back.
//
// The portal stands on the same sign-ins. There, a host application can sign people in
// with a link (portallink.go), unless the OpenID provider is to say who it is.

// IdentityProvider signs people in: the operator's OpenID provider.
type IdentityProvider interface {
	// AuthorizeURL is where a browser goes to sign in; again has it ask who it is
	// even where it knows.
	AuthorizeURL(ctx context.Context, state, nonce string, verifier secret.String, again bool) (string, error)
	// Subject redeems the code that the browser comes back with, and returns who has
	// signed in.
	Subject(ctx context.Context, code secret.String, nonce string, verifier secret.String) (string, error)
}

// SignInLifetime is how long a browser stays signed in.
const SignInLifetime = 30 * time.Minute

// forFlow is how much longer it may become, once, for a flow that was begun in it.
const forFlow = SessionLifetime + 2*time.Minute

// SignInRequest is what a browser brings back from the OpenID provider.
type SignInRequest struct {
	State      string
	Code       secret.String
	Error      string
	FlowCookie secret.String
	// SignInCookie is that of an earlier sign-in, which ends. May be zero.
	SignInCookie secret.String
}

// SignIn is a browser that is signed in.
type SignIn struct {
	// Tenant and Subject are who it is. They are also there where the OpenID provider has
	// said so, and it came to nothing.
	Tenant, Subject string
	// Cookie is what the browser is to bring from now on.
	Cookie secret.String
	// Location is where the browser goes on.
	Location string
}

// beginSignIn sends a browser to sign in, and from there back to its link.
func (v *Vault) beginSignIn(ctx context.Context, sessionID string, r AuthorizeRequest) (Authorization, error) {
	l := v.newLogin("/oauth/"+r.Provider+"/authorize?session="+url.QueryEscape(r.Session), r.FlowCookie)
	_, err := v.openLink(ctx, sessionID, r.Provider, func(openSession) (store.Op, error) { return v.loginOp(l) })
	if err != nil {
		return Authorization{}, err
	}
	location, err := v.loginURL(ctx, l, r.SignInAgain)
	return Authorization{Location: location, FlowCookie: r.FlowCookie}, err
}

// newLogin is a sign-in that is to be stored by loginOp.
type newLogin struct {
	*storagev1.Login
	state string
}

// newLogin returns a sign-in that leads back to a path of the gateway.
func (v *Vault) newLogin(returnTo string, flowCookie secret.String) newLogin {
	return newLogin{state: newRandomID(), Login: &storagev1.Login{
		Tenant:       v.tenant,
		ReturnTo:     returnTo,
		Nonce:        newRandomID(),
		CodeVerifier: provider.NewVerifier().Reveal(),
		CookieSha256: cookieHash(flowCookie),
		ExpireTime:   timestamppb.New(v.now().Add(SessionLifetime)),
	}}
}

func (v *Vault) loginOp(l newLogin) (store.Op, error) {
	id, err := v.blind.login(l.state)
	if err != nil {
		return store.Op{}, err
	}
	return v.records.put(store.Key{Kind: kindLogins, ID: id}, l.Login, store.Absent)
}

// loginURL is where the browser goes.
func (v *Vault) loginURL(ctx context.Context, l newLogin, again bool) (string, error) {
	location, err := v.identity.AuthorizeURL(ctx, l.state, l.GetNonce(), secret.New(l.GetCodeVerifier()), again)
	if err != nil {
		return "", errSignInFailed("The service that signs people in here does not answer as it should. Try again in a few minutes, and tell the operator of this vault if it stays so.", err)
	}
	return location, nil
}

// FinishSignIn signs in the browser that has begun to.
func (v *Vault) FinishSignIn(ctx context.Context, r SignInRequest) (SignIn, error) {
	login, err := v.takeLogin(ctx, r)
	if err != nil {
		return SignIn{}, err
	}
	if r.Error != "" || r.Code.IsZero() {
		return SignIn{}, errSignInFailed("You were not signed in. Nothing was changed. Open the link again to try once more.",
			fmt.Errorf("the issuer answered with error %q", provider.SanitizeCode(r.Error)))
	}
	subject, err := v.identity.Subject(ctx, r.Code, login.GetNonce(), secret.New(login.GetCodeVerifier()))
	if err == nil {
		err = checkSubject(subject)
	}
	if err != nil {
		return SignIn{}, errSignInFailed("Signing in did not work. Nothing was changed. Open the link again, and tell the operator of this vault if it stays so.", err)
	}
	s := &storagev1.SignIn{Tenant: login.GetTenant(), Subject: subject, Portal: login.GetPortal()}
	signedIn := SignIn{Tenant: s.GetTenant(), Subject: subject, Location: v.publicURL + login.GetReturnTo()}
	if link := s.GetPortal(); link != nil && (link.GetTenant() != s.GetTenant() || link.GetSubject() != subject) {
		return signedIn, errPortalOfAnother(link, s)
	}
	signedIn.Cookie, err = v.signIn(ctx, s, r.SignInCookie)
	return signedIn, err
}

// signIn stores who is signed in in a browser, in place of who was, and returns what
// the browser is to bring from now on. with is stored in the same commit.
func (v *Vault) signIn(ctx context.Context, s *storagev1.SignIn, before secret.String, with ...store.Op) (cookie secret.String, err error) {
	cookie = secret.New(newRandomID())
	id, err := v.blind.signIn(cookie.Reveal())
	if err != nil {
		return secret.String{}, err
	}
	s.ExpireTime = timestamppb.New(v.now().Add(SignInLifetime))
	s.LatestExpireTime = timestamppb.New(v.now().Add(SignInLifetime + forFlow))
	op, err := v.records.put(store.Key{Kind: kindSignIns, ID: id}, s, store.Absent)
	if err != nil {
		return secret.String{}, err
	}
	ended, err := v.endSignIn(before)
	if err != nil {
		return secret.String{}, err
	}
	if _, err := v.store.Commit(ctx, append(with, op, ended)...); err != nil {
		return secret.String{}, err
	}
	return cookie, nil
}

// endSignIn returns the Op that ends a sign-in, if there is one.
func (v *Vault) endSignIn(cookie secret.String) (store.Op, error) {
	id, err := v.blind.signIn(cookie.Reveal())
	return store.Delete(store.Key{Kind: kindSignIns, ID: id}, store.Any), err
}

// takeLogin finds the sign-in that a browser has begun, and takes it out of the
// store: its state works once.
func (v *Vault) takeLogin(ctx context.Context, r SignInRequest) (*storagev1.Login, error) {
	if v.identity == nil || !isRandomID(r.State) {
		return nil, errLoginExpired(nil)
	}
	id, err := v.blind.login(r.State)
	if err != nil {
		return nil, err
	}
	key, login := store.Key{Kind: kindLogins, ID: id}, new(storagev1.Login)
	revision, err := v.records.get(ctx, key, login)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, errLoginExpired(errors.New("state of a sign-in is not known: forged, replayed or long expired"))
	case err != nil:
		return nil, err
	case !v.now().Before(login.GetExpireTime().AsTime()):
		return nil, errLoginExpired(errors.New("state of a sign-in has expired"))
	case subtle.ConstantTimeCompare(cookieHash(r.FlowCookie), login.GetCookieSha256()) != 1:
		return nil, errBrowserUnknown()
	}
	if _, err := v.store.Commit(ctx, store.Delete(key, revision)); errors.Is(err, store.ErrConflict) {
		return nil, errLoginExpired(errors.New("state of a sign-in was used at the same moment"))
	} else if err != nil {
		return nil, err
	}
	return login, nil
}

// storedSignIn is a browser's sign-in that has not ended.
type storedSignIn struct {
	*storagev1.SignIn
	storeKey store.Key
	revision store.Revision
}

// signedIn returns who is signed in in a browser, for as long as need be. Nil: nobody
// is.
func (v *Vault) signedIn(ctx context.Context, cookie secret.String, need time.Duration) (*storedSignIn, error) {
	if !isRandomID(cookie.Reveal()) {
		return nil, nil
	}
	id, err := v.blind.signIn(cookie.Reveal())
	if err != nil {
		return nil, err
	}
	s := &storedSignIn{SignIn: new(storagev1.SignIn), storeKey: store.Key{Kind: kindSignIns, ID: id}}
	s.revision, err = v.records.get(ctx, s.storeKey, s.SignIn)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil || !v.now().Add(need).Before(s.GetExpireTime().AsTime()) {
		return nil, err
	}
	return s, nil
}

// isProven reports whether the OpenID provider has said who it is, where that matters.
func (v *Vault) isProven(s *storedSignIn) bool {
	return s != nil && (v.binding != BindingLogin || !s.GetByLinkAlone() && s.GetTenant() == v.tenant)
}

// checkTenant refuses to begin what a person of that tenant would have to sign in for,
// where nobody of it can. It is only about links: a grant without a browser has no
// sign-in.
func (v *Vault) checkTenant(tenant string) error {
	if v.binding != BindingLogin || tenant == v.tenant {
		return nil
	}
	return errSignInFailed("Nobody of this caller's tenant can sign in here, so there is no link for them. The people who sign in (binding: login) belong to another tenant; "+
		"the operator can look at login.tenant, and at the caller's tenant.", nil)
}

// personBefore returns who opens a link. Nil: nobody is signed in. With
// [BindingLogin], one whose sign-in could end before they are back signs in anew.
func (v *Vault) personBefore(ctx context.Context, r AuthorizeRequest) (*storedSignIn, error) {
	if v.binding != BindingLogin {
		return v.signedIn(ctx, r.SignInCookie, 0)
	}
	if r.SignInAgain {
		return nil, nil
	}
	s, err := v.signedIn(ctx, r.SignInCookie, SessionLifetime)
	if !v.isProven(s) {
		return nil, err
	}
	return s, err
}

// checkPersonAfter compares once more when the browser is back. If somebody else is
// signed in there, or nobody, the code is left alone, and the link stays for the one
// it is for.
func (v *Vault) checkPersonAfter(ctx context.Context, f checkedFlow, cookie secret.String) error {
	if v.binding != BindingLogin && !f.session.GetPortal() {
		return nil
	}
	person, err := v.signedIn(ctx, cookie, 0)
	if err != nil {
		return err
	}
	if err := v.checkPerson(f.session.Session, person); err != nil {
		return errors.Join(err, v.spend(context.WithoutCancel(ctx), f))
	}
	return nil
}

// checkPerson refuses a person for whom the flow was not begun, where that matters:
// with [BindingLogin], and always if it was begun in the portal.
func (v *Vault) checkPerson(s *storagev1.Session, signedIn *storedSignIn) error {
	key := keyOf(s.GetKey())
	switch {
	case s.GetPortal():
		if p, ok := v.person(signedIn); ok && p.Tenant == key.Tenant && p.Subject == key.Subject && p.MayUse(key.Provider) {
			return nil
		}
	case v.binding != BindingLogin || v.isProven(signedIn) && signedIn.GetTenant() == key.Tenant && signedIn.GetSubject() == key.Subject:
		return nil
	}
	who := "nobody"
	if signedIn != nil {
		who = fmt.Sprintf("%q of tenant %q", signedIn.GetSubject(), signedIn.GetTenant())
	}
	return &Error{
		Reason: SessionWrongSubject,
		Message: "This link is to connect an account for somebody else than the person who is signed in here. Nothing was connected. " +
			"If it is meant for you, open the link again and sign in as yourself. If you did not ask for it, somebody may be trying to get at your account: close this window.",
		Err: fmt.Errorf("the flow was begun for %q of tenant %q, and %s is signed in", key.Subject, key.Tenant, who),
	}
}

func errLoginExpired(cause error) *Error {
	return &Error{
		Reason:  SessionExpired,
		Message: "This sign-in is over already, or took too long. Open the link again.",
		Err:     cause,
	}
}

func errSignInFailed(message string, cause error) *Error {
	return &Error{Reason: SignInFailed, Message: message, Err: cause}
}
