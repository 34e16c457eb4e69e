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
const SignInLifetime = 15 * time.Minute

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
	// Subject is who it is.
	Subject string
	// Cookie is what the browser is to bring from now on.
	Cookie secret.String
	// Location is where the browser goes on.
	Location string
}

// beginSignIn sends a browser to sign in, and from there back to its link.
func (v *Vault) beginSignIn(ctx context.Context, sessionID string, r AuthorizeRequest) (Authorization, error) {
	state, nonce, verifier := newRandomID(), newRandomID(), provider.NewVerifier()
	_, err := v.openLink(ctx, sessionID, r.Provider, func(openSession) (store.Op, error) {
		id, err := v.blind.login(state)
		if err != nil {
			return store.Op{}, err
		}
		return v.records.put(store.Key{Kind: kindLogins, ID: id}, &storagev1.Login{
			ReturnTo:     "/oauth/" + r.Provider + "/authorize?session=" + url.QueryEscape(r.Session),
			Nonce:        nonce,
			CodeVerifier: verifier.Reveal(),
			CookieSha256: cookieHash(r.FlowCookie),
			ExpireTime:   timestamppb.New(v.now().Add(SessionLifetime)),
		}, store.Absent)
	})
	if err != nil {
		return Authorization{}, err
	}
	location, err := v.identity.AuthorizeURL(ctx, state, nonce, verifier, r.SignInAgain)
	if err != nil {
		return Authorization{}, errSignInFailed("The service that signs people in here does not answer as it should. Try again in a few minutes, and tell the operator of this vault if it stays so.", err)
	}
	return Authorization{Location: location, FlowCookie: r.FlowCookie}, nil
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
	cookie := secret.New(newRandomID())
	id, err := v.blind.signIn(cookie.Reveal())
	if err != nil {
		return SignIn{}, err
	}
	before, err := v.blind.signIn(r.SignInCookie.Reveal())
	if err != nil {
		return SignIn{}, err
	}
	op, err := v.records.put(store.Key{Kind: kindSignIns, ID: id}, &storagev1.SignIn{
		Subject: subject, ExpireTime: timestamppb.New(v.now().Add(SignInLifetime)),
	}, store.Absent)
	if err != nil {
		return SignIn{}, err
	}
	if _, err := v.store.Commit(ctx, op, store.Delete(store.Key{Kind: kindSignIns, ID: before}, store.Any)); err != nil {
		return SignIn{}, err
	}
	return SignIn{Subject: subject, Cookie: cookie, Location: v.publicURL + login.GetReturnTo()}, nil
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

// signedIn returns who is signed in in a browser, for as long as need be. Empty:
// nobody is.
func (v *Vault) signedIn(ctx context.Context, cookie secret.String, need time.Duration) (subject string, err error) {
	if !isRandomID(cookie.Reveal()) {
		return "", nil
	}
	id, err := v.blind.signIn(cookie.Reveal())
	if err != nil {
		return "", err
	}
	signIn := new(storagev1.SignIn)
	_, err = v.records.get(ctx, store.Key{Kind: kindSignIns, ID: id}, signIn)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil || !v.now().Add(need).Before(signIn.GetExpireTime().AsTime()) {
		return "", err
	}
	return signIn.GetSubject(), nil
}

// personBefore returns who opens a link, where that matters. Empty: they have to
// sign in. One whose sign-in could end before they are back signs in anew.
func (v *Vault) personBefore(ctx context.Context, r AuthorizeRequest) (string, error) {
	if v.binding != BindingLogin || r.SignInAgain {
		return "", nil
	}
	return v.signedIn(ctx, r.SignInCookie, SessionLifetime)
}

// checkPersonAfter compares once more when the browser is back. If somebody else is
// signed in there, or nobody, the code is left alone, and the link stays for the one
// it is for.
func (v *Vault) checkPersonAfter(ctx context.Context, f checkedFlow, cookie secret.String) error {
	if v.binding != BindingLogin {
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

// checkPerson refuses a person for whom the flow was not begun, where that matters.
func (v *Vault) checkPerson(s *storagev1.Session, person string) error {
	if v.binding != BindingLogin || person == s.GetKey().GetSubject() {
		return nil
	}
	return &Error{
		Reason: SessionWrongSubject,
		Message: "This link is to connect an account for somebody else than the person who is signed in here. Nothing was connected. " +
			"If it is meant for you, open the link again and sign in as yourself. If you did not ask for it, somebody may be trying to get at your account: close this window.",
		Err: fmt.Errorf("the flow was begun for %q, and %q is signed in", s.GetKey().GetSubject(), person),
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
