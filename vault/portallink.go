package vault

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
)

// PortalPath is where the portal is, below the public URL.
const PortalPath = "/portal"

// PortalLinkLifetime is how long a link to the portal works.
const PortalLinkLifetime = 5 * time.Minute

// PortalScope is what a link to the portal shows to a person, and lets them do.
type PortalScope struct {
	Tenant string
	// Caller is the name of who makes the link.
	Caller string
	// Providers are those that they see. Empty: none.
	Providers []string
	// RPCs are those that they may have called for them. Empty: none.
	RPCs []string
}

// PortalLinkRequest asks for a link to the portal.
type PortalLinkRequest struct {
	// Subject is whom the host application has signed in.
	Subject string
	// ReturnURL is where the portal's link back leads. Empty: there is none.
	ReturnURL string
	// Scope is what the caller may reach.
	Scope PortalScope
}

// PortalLink is a link to the portal.
type PortalLink struct {
	// URL is zero where the link itself was asked about.
	URL             secret.String
	Tenant, Subject string
	ExpireTime      time.Time
}

// CreatePortalLink makes a link that opens the portal once, for one person.
func (v *Vault) CreatePortalLink(ctx context.Context, r PortalLinkRequest) (PortalLink, error) {
	if err := checkSubject(r.Subject); err != nil {
		return PortalLink{}, err
	}
	if err := v.checkTenant(r.Scope.Tenant); err != nil {
		return PortalLink{}, err
	}
	if r.ReturnURL != "" && !v.returnTo.allows(r.ReturnURL) {
		return PortalLink{}, invalid(InvalidReturnURL, "return_url", "is not one of the return_urls in the vault's configuration; ask its operator to add it")
	}
	link, end := newRandomID(), v.now().Add(PortalLinkLifetime)
	id, err := v.blind.portalLink(link)
	if err != nil {
		return PortalLink{}, err
	}
	l := &storagev1.PortalLink{
		Tenant: r.Scope.Tenant, Subject: r.Subject, Providers: r.Scope.Providers, Rpcs: r.Scope.RPCs, Caller: r.Scope.Caller,
		ReturnUrl: r.ReturnURL, ExpireTime: timestamppb.New(end),
	}
	op, err := v.records.put(store.Key{Kind: kindPortalLinks, ID: id}, l, store.Absent)
	if err != nil {
		return PortalLink{}, err
	}
	if err := v.beginPortalLink(ctx, id, l, op); err != nil {
		return PortalLink{}, err
	}
	return PortalLink{
		URL:    secret.New(v.publicURL + PortalPath + "/open?link=" + url.QueryEscape(link)),
		Tenant: r.Scope.Tenant, Subject: r.Subject, ExpireTime: end,
	}, nil
}

// LookAtPortalLink says for whom a link is, and does not use it up.
func (v *Vault) LookAtPortalLink(ctx context.Context, link secret.String) (PortalLink, error) {
	l, err := v.portalLink(ctx, link)
	if err != nil {
		return PortalLink{}, err
	}
	return PortalLink{Tenant: l.GetTenant(), Subject: l.GetSubject(), ExpireTime: l.GetExpireTime().AsTime()}, nil
}

// storedPortalLink is a link that still works.
type storedPortalLink struct {
	*storagev1.PortalLink
	storeKey store.Key
	revision store.Revision
}

func (v *Vault) portalLink(ctx context.Context, link secret.String) (storedPortalLink, error) {
	if !isRandomID(link.Reveal()) {
		return storedPortalLink{}, errPortalLinkExpired()
	}
	id, err := v.blind.portalLink(link.Reveal())
	if err != nil {
		return storedPortalLink{}, err
	}
	l := storedPortalLink{PortalLink: new(storagev1.PortalLink), storeKey: store.Key{Kind: kindPortalLinks, ID: id}}
	l.revision, err = v.records.get(ctx, l.storeKey, l.PortalLink)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !v.now().Before(l.GetExpireTime().AsTime()):
		return storedPortalLink{}, errPortalLinkExpired()
	case err == nil && l.GetUsed():
		return l, errPortalLinkUsed()
	}
	return l, err
}

// OpenPortalRequest is a person who wants to see the portal, and what the browser
// brought.
type OpenPortalRequest struct {
	// Link is what is in the link. Zero: the OpenID provider says who it is.
	Link                     secret.String
	FlowCookie, SignInCookie secret.String
	// SignInAgain has the OpenID provider ask who it is, even where it knows.
	SignInAgain bool
}

// PortalOpening is what came of it.
type PortalOpening struct {
	// Tenant and Subject are whom the link is for, also where it was used before.
	Tenant, Subject string
	// Location is where the browser goes to sign in. Empty: it is signed in.
	Location string
	// FlowCookie and SignInCookie are what it is to bring from now on. Either may be
	// zero.
	FlowCookie, SignInCookie secret.String
}

// OpenPortal uses a link up and signs the browser in as whom it is for. With
// [BindingLogin] that is not enough, and the browser goes to the OpenID provider.
func (v *Vault) OpenPortal(ctx context.Context, r OpenPortalRequest) (PortalOpening, error) {
	if r.Link.IsZero() {
		return v.openPortalAtIssuer(ctx, r, nil)
	}
	link, err := v.portalLink(ctx, r.Link)
	if err != nil {
		return PortalOpening{Tenant: link.GetTenant(), Subject: link.GetSubject()}, err
	}
	if v.binding == BindingLogin {
		return v.openPortalAtIssuer(ctx, r, &link)
	}
	opening := PortalOpening{Tenant: link.GetTenant(), Subject: link.GetSubject()}
	used, err := v.usePortalLink(link)
	if err != nil {
		return opening, err
	}
	opening.SignInCookie, err = v.signIn(ctx, &storagev1.SignIn{Tenant: link.GetTenant(), Subject: link.GetSubject(), Portal: link.PortalLink, ByLinkAlone: true}, r.SignInCookie, used)
	return opening, orLinkUsed(err)
}

// openPortalAtIssuer sends the browser to the OpenID provider. With a link, only the
// person it is for gets further.
func (v *Vault) openPortalAtIssuer(ctx context.Context, r OpenPortalRequest, link *storedPortalLink) (PortalOpening, error) {
	if v.binding != BindingLogin || link == nil && len(v.portal) == 0 {
		return PortalOpening{}, errSignInRequired()
	}
	opening := PortalOpening{FlowCookie: r.FlowCookie}
	if !isRandomID(r.FlowCookie.Reveal()) {
		opening.FlowCookie = secret.New(newRandomID())
	}
	l := v.newLogin(PortalPath, opening.FlowCookie)
	var ops []store.Op
	if link != nil {
		opening.Tenant, opening.Subject = link.GetTenant(), link.GetSubject()
		used, err := v.usePortalLink(*link)
		if err != nil {
			return opening, err
		}
		l.Portal, ops = link.PortalLink, append(ops, used)
	}
	op, err := v.loginOp(l)
	if err != nil {
		return opening, err
	}
	// The issuer first: while it does not answer, the link stays as it is.
	if opening.Location, err = v.loginURL(ctx, l, r.SignInAgain); err != nil {
		return opening, err
	}
	_, err = v.store.Commit(ctx, append(ops, op)...)
	return opening, orLinkUsed(err)
}

// usePortalLink returns the Op that uses a link up.
func (v *Vault) usePortalLink(l storedPortalLink) (store.Op, error) {
	return v.records.put(l.storeKey, &storagev1.PortalLink{
		Tenant: l.GetTenant(), Subject: l.GetSubject(), ExpireTime: l.GetExpireTime(), Used: true,
	}, l.revision)
}

func orLinkUsed(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return errPortalLinkUsed() // in another tab, at the same moment
	}
	return err
}

// SignOut ends a browser's sign-in, if there is one.
func (v *Vault) SignOut(ctx context.Context, cookie secret.String) error {
	if !isRandomID(cookie.Reveal()) {
		return nil
	}
	op, err := v.endSignIn(cookie)
	if err != nil {
		return err
	}
	_, err = v.store.Commit(ctx, op)
	return err
}

// Person is who is signed in in the portal, and what they reach there.
type Person struct {
	Tenant, Subject string
	// ReturnURL is where they came from. May be empty.
	ReturnURL string
	// ExpireTime is when the sign-in ends.
	ExpireTime time.Time
	// Caller is the name of who made their link. Empty: they came without one.
	Caller string

	providers, rpcs []string
	allRPCs         bool
	signIn          *storedSignIn
}

// MayUse reports whether the portal shows a provider to the person.
func (p Person) MayUse(provider string) bool { return slices.Contains(p.providers, provider) }

// MayCall reports whether the person may have an RPC called for them: where they came
// with a link, only what the caller who made it may call.
func (p Person) MayCall(rpc string) bool {
	return rpc != "" && (p.allRPCs || slices.Contains(p.rpcs, rpc))
}

// Person returns who is signed in in a browser. The error is SignInRequired where
// nobody is.
func (v *Vault) Person(ctx context.Context, cookie secret.String) (Person, error) {
	s, err := v.signedIn(ctx, cookie, 0)
	if err != nil {
		return Person{}, err
	}
	p, ok := v.person(s)
	if !ok {
		return Person{}, errSignInRequired()
	}
	return p, nil
}

// person says what a sign-in reaches. Who has come without a link reaches what the
// operator has written for that.
func (v *Vault) person(s *storedSignIn) (Person, bool) {
	if !v.isProven(s) {
		return Person{}, false
	}
	p := Person{Subject: s.GetSubject(), ExpireTime: s.GetExpireTime().AsTime(), signIn: s}
	switch link := s.GetPortal(); {
	case link != nil:
		p.Tenant, p.ReturnURL, p.providers = link.GetTenant(), link.GetReturnUrl(), link.GetProviders()
		p.Caller, p.rpcs = link.GetCaller(), link.GetRpcs()
	case len(v.portal) > 0:
		p.Tenant, p.providers, p.allRPCs = s.GetTenant(), v.portal, true
	default:
		return Person{}, false
	}
	return p, true
}

func errPortalLinkExpired() *Error {
	return &Error{Reason: SessionExpired, Message: "This link to your connections has expired or is not complete. Go back to where you got it and ask for a new one."}
}

func errPortalLinkUsed() *Error {
	return &Error{Reason: SessionUsed, Message: "This link to your connections has been used already. Go back to where you got it and ask for a new one."}
}

func errSignInRequired() *Error {
	return &Error{Reason: SignInRequired, Message: "Nobody is signed in here, or not any more. Go back to your program and open your connections from there."}
}

func errPortalOfAnother(link *storagev1.PortalLink, s *storagev1.SignIn) *Error {
	return &Error{
		Reason:  SessionWrongSubject,
		Message: "This link shows the connections of somebody else than the person who has signed in. Nothing was changed. Ask for a link of your own.",
		Err:     fmt.Errorf("the link is for %q of tenant %q, and %q of tenant %q has signed in", link.GetSubject(), link.GetTenant(), s.GetSubject(), s.GetTenant()),
	}
}
