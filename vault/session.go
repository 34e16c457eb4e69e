package vault

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/store"
)

// SessionLifetime is how long a link works, and how long a browser may take from
// opening it to coming back.
const SessionLifetime = 10 * time.Minute

const (
	maxLoginHint = 256 // bytes
	// maxOpenSessions is how many sessions of a subject can be open, and how many of
	// its links to the portal.
	maxOpenSessions = 20
	// maxOpenings is how often a link can be opened. Whoever has a link makes
	// the vault write with every opening.
	maxOpenings = 50
	// maxFailures is how many codes the provider may refuse before the link
	// ends. Whoever has a link makes the vault ask the provider with each.
	maxFailures = 5
)

// ConnectRequest asks for a new flow.
type ConnectRequest struct {
	Key Key
	// Scopes to ask for. Empty: those of the provider's definition.
	Scopes []string
	// ReturnURL is where the browser goes at the end. Empty: a page of the
	// gateway's own. With [BindingConfirm] there has to be one.
	ReturnURL string
	// LoginHint is passed on to the provider. May be empty.
	LoginHint string
	// Params are the values for the provider's variables.
	Params map[string]string
	// Grant is how the provider is asked. Zero: AuthorizationCode.
	Grant ConnectGrant

	portal bool // begun in the portal
}

// ConnectGrant is a way in which a connection comes about.
type ConnectGrant int

// The grants.
const (
	// AuthorizationCode: a person consents in a browser (RFC 6749, section 4.1).
	AuthorizationCode ConnectGrant = iota
	// DeviceCode: a person enters a code somewhere else (RFC 8628).
	DeviceCode
	// ClientCredentials: there is no person (RFC 6749, section 4.4).
	ClientCredentials
)

// name is how definitions name the grant.
func (g ConnectGrant) name() provider.Grant {
	switch g {
	case DeviceCode:
		return provider.GrantDeviceCode
	case ClientCredentials:
		return provider.GrantClientCredentials
	default:
		return provider.GrantAuthorizationCode
	}
}

// ConnectResult is what comes of Connect.
type ConnectResult struct {
	// ConnectURL is the link for the person's browser: with AuthorizationCode the
	// vault's own, with DeviceCode the provider's.
	ConnectURL string
	Session    string
	ExpireTime time.Time
	// UserCode is what the person enters at ConnectURL. With DeviceCode only.
	UserCode string
	// Connection is there already with ClientCredentials, and nil otherwise.
	Connection *Connection
}

// Connect begins a flow. It changes nothing about a connection, except with
// ClientCredentials, where nothing more has to happen.
func (v *Vault) Connect(ctx context.Context, r ConnectRequest) (ConnectResult, error) {
	key, p, err := v.check(r.Key)
	if err != nil {
		return ConnectResult{}, err
	}
	r.Key = key
	if p, err = v.checkConnect(p, r); err != nil {
		return ConnectResult{}, err
	}
	switch r.Grant {
	case DeviceCode:
		return v.connectDevice(ctx, p, r)
	case ClientCredentials:
		return v.connectClient(ctx, p, r)
	}
	session, op, err := v.newSession(r, SessionLifetime)
	if err != nil {
		return ConnectResult{}, err
	}
	if err := v.begin(ctx, session, op); err != nil {
		return ConnectResult{}, err
	}
	return ConnectResult{
		ConnectURL: v.publicURL + "/oauth/" + key.Provider + "/authorize?session=" + url.QueryEscape(session.name),
		Session:    session.name,
		ExpireTime: session.GetExpireTime().AsTime(),
	}, nil
}

// newSession is a session that is to be stored by op.
type newSession struct {
	*storagev1.Session
	name     string // for whoever asked
	storeKey store.Key
}

func (v *Vault) newSession(r ConnectRequest, lifetime time.Duration) (newSession, store.Op, error) {
	now := v.now()
	s := newSession{name: newRandomID(), Session: &storagev1.Session{
		Key:        keyRecord(r.Key),
		Scopes:     r.Scopes,
		ReturnUrl:  r.ReturnURL,
		LoginHint:  r.LoginHint,
		CreateTime: timestamppb.New(now),
		ExpireTime: timestamppb.New(now.Add(lifetime)),
		State:      storagev1.Session_STATE_OPEN,
		Params:     r.Params,
		Portal:     r.portal,
	}}
	id, err := v.blind.session(s.name)
	if err != nil {
		return newSession{}, store.Op{}, err
	}
	s.storeKey = store.Key{Kind: kindSessions, ID: id}
	op, err := v.records.put(s.storeKey, s.Session, store.Absent)
	return s, op, err
}

func checkScopes(reason Reason, field string, scopes []string) error {
	if len(scopes) > provider.MaxScopes {
		return invalid(reason, field, "at most 100")
	}
	for _, scope := range scopes {
		if !provider.ValidScope(scope) {
			return invalid(reason, field, "each 1 to 256 printable ASCII characters without spaces, quotes and backslashes")
		}
	}
	return nil
}

// checkConnect validates a request, and returns the provider with its values.
func (v *Vault) checkConnect(p *provider.Provider, r ConnectRequest) (*provider.Provider, error) {
	if !p.HasOAuth() {
		return nil, &Error{
			Reason:  GrantNotSupported,
			Message: fmt.Sprintf("%s is used with API keys here, not with OAuth. Call SetAPIKey.", p.DisplayName()),
		}
	}
	bound, err := bind(p, r.Params)
	if err != nil {
		return nil, err
	}
	if !p.Grants(r.Grant.name()) {
		return nil, &Error{
			Reason: GrantNotSupported,
			Message: fmt.Sprintf("%s is not used with %s here. If it knows that grant, the operator can add it to the provider's definition: grants: [%s].",
				p.DisplayName(), r.Grant.name(), strings.Join(append(p.Definition().GrantTypes(), string(r.Grant.name())), ", ")),
		}
	}
	if r.Grant == AuthorizationCode {
		if err := v.checkTenant(r.Key.Tenant); err != nil {
			return nil, err
		}
	}
	if err := checkScopes(InvalidScopes, "scopes", r.Scopes); err != nil {
		return nil, err
	}
	if r.ReturnURL != "" && !v.returnTo.allows(r.ReturnURL) {
		return nil, invalid(InvalidReturnURL, "return_url", "is not one of the return_urls in the vault's configuration; ask its operator to add it")
	}
	if r.ReturnURL == "" && v.binding == BindingConfirm && r.Grant == AuthorizationCode && !r.portal {
		return nil, invalid(InvalidReturnURL, "return_url", "is missing: write the page of your application to which the person comes back, "+
			"and have it call ConfirmConnection with the confirmation that comes along (binding: confirm)")
	}
	if len(r.LoginHint) > maxLoginHint || !isPrintable(r.LoginHint) {
		return nil, invalid(InvalidLoginHint, "login_hint", "at most 256 bytes of printable UTF-8")
	}
	return bound, nil
}

// openSession is a session that a flow may still finish.
type openSession struct {
	*storagev1.Session
	storeKey store.Key
	revision store.Revision
}

// openSession reads the session at a store key and refuses one that is past its
// end or used.
func (v *Vault) openSession(ctx context.Context, id string) (openSession, error) {
	return v.sessionIn(ctx, storagev1.Session_STATE_OPEN, id)
}

// sessionIn is openSession for a session in a state of its life.
func (v *Vault) sessionIn(ctx context.Context, state storagev1.Session_State, id string) (openSession, error) {
	s := openSession{Session: new(storagev1.Session), storeKey: store.Key{Kind: kindSessions, ID: id}}
	var err error
	s.revision, err = v.records.get(ctx, s.storeKey, s.Session)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return openSession{}, errSessionExpired(nil)
	case err != nil:
		return openSession{}, err
	case !v.now().Before(s.GetExpireTime().AsTime()):
		return openSession{}, errSessionExpired(nil)
	case s.GetState() != state:
		return openSession{}, errSessionUsed()
	case s.GetFailures() >= maxFailures:
		return openSession{}, errSessionSpent()
	}
	return s, nil
}

func errSessionExpired(cause error) *Error {
	return &Error{
		Reason:  SessionExpired,
		Message: "This link has expired or is not complete. Go back to where you got it and ask for a new one.",
		Err:     cause,
	}
}

func errSessionSpent() *Error {
	return &Error{
		Reason:  SessionExpired,
		Message: "This link was tried too often. Go back to where you got it and ask for a new one.",
	}
}

func errSessionUsed() *Error {
	return &Error{
		Reason:  SessionUsed,
		Message: "This link has been used already. Go back to where you got it to see what is connected, or ask for a new one.",
	}
}

// newRandomID returns 256 random bits as text: 43 characters of base64url.
func newRandomID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// randomIDSize is the length of what newRandomID returns.
const randomIDSize = 43

func isRandomID(s string) bool {
	if len(s) != randomIDSize {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil
}
