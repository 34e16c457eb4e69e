package vault

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
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
	maxScopes    = 100
	maxScope     = 256 // bytes
	maxLoginHint = 256 // bytes
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
	// gateway's own.
	ReturnURL string
	// LoginHint is passed on to the provider. May be empty.
	LoginHint string
	// Params are the values for the provider's variables.
	Params map[string]string
}

// ConnectResult is a link for one person's browser.
type ConnectResult struct {
	ConnectURL string
	Session    string
	ExpireTime time.Time
}

// Connect begins a flow. It changes nothing about the connection.
func (v *Vault) Connect(ctx context.Context, r ConnectRequest) (ConnectResult, error) {
	key, p, err := v.check(r.Key)
	if err != nil {
		return ConnectResult{}, err
	}
	if err := v.checkConnect(p, r); err != nil {
		return ConnectResult{}, err
	}
	session := newRandomID()
	id, err := v.blind.session(session)
	if err != nil {
		return ConnectResult{}, err
	}
	expire := v.now().Add(SessionLifetime)
	op, err := v.records.put(store.Key{Kind: kindSessions, ID: id}, &storagev1.Session{
		Key:        keyRecord(key),
		Scopes:     r.Scopes,
		ReturnUrl:  r.ReturnURL,
		LoginHint:  r.LoginHint,
		ExpireTime: timestamppb.New(expire),
		CreateTime: timestamppb.New(expire.Add(-SessionLifetime)),
		State:      storagev1.Session_STATE_OPEN,
		Params:     r.Params,
	}, store.Absent)
	if err != nil {
		return ConnectResult{}, err
	}
	if _, err := v.store.Commit(ctx, op); err != nil {
		return ConnectResult{}, err
	}
	return ConnectResult{
		ConnectURL: v.publicURL + "/oauth/" + key.Provider + "/authorize?session=" + url.QueryEscape(session),
		Session:    session,
		ExpireTime: expire,
	}, nil
}

// scopeToken is RFC 6749, section 3.3.
var scopeToken = regexp.MustCompile(`\A[\x21\x23-\x5B\x5D-\x7E]+\z`)

func checkScopes(reason Reason, field string, scopes []string) error {
	if len(scopes) > maxScopes {
		return invalid(reason, field, "at most 100")
	}
	for _, scope := range scopes {
		if len(scope) > maxScope || !scopeToken.MatchString(scope) {
			return invalid(reason, field, "each 1 to 256 printable ASCII characters without spaces, quotes and backslashes")
		}
	}
	return nil
}

func (v *Vault) checkConnect(p *provider.Provider, r ConnectRequest) error {
	if !p.HasOAuth() {
		return &Error{
			Reason:  GrantNotSupported,
			Message: fmt.Sprintf("%s is used with API keys here, not with OAuth. Call SetAPIKey.", p.DisplayName()),
		}
	}
	if _, err := bind(p, r.Params); err != nil {
		return err
	}
	if err := checkScopes(InvalidScopes, "scopes", r.Scopes); err != nil {
		return err
	}
	if r.ReturnURL != "" && !v.returnTo.allows(r.ReturnURL) {
		return invalid(InvalidReturnURL, "return_url", "is not one of the return_urls in the vault's configuration; ask its operator to add it")
	}
	if len(r.LoginHint) > maxLoginHint || !isPrintable(r.LoginHint) {
		return invalid(InvalidLoginHint, "login_hint", "at most 256 bytes of printable UTF-8")
	}
	return nil
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
	case s.GetState() != storagev1.Session_STATE_OPEN:
		return openSession{}, errSessionUsed()
	case s.GetFailures() >= maxFailures:
		return openSession{}, errSessionSpent()
	}
	return s, nil
}

func errSessionExpired(cause error) *Error {
	return &Error{
		Reason:  SessionExpired,
		Message: "This link has expired or is not complete. Nothing was changed. Go back to where you got it and ask for a new one.",
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

func keyRecord(k Key) *storagev1.ConnectionKey {
	return &storagev1.ConnectionKey{Tenant: k.Tenant, Subject: k.Subject, Provider: k.Provider, Label: k.Label}
}

func keyOf(r *storagev1.ConnectionKey) Key {
	return Key{Tenant: r.GetTenant(), Subject: r.GetSubject(), Provider: r.GetProvider(), Label: r.GetLabel()}
}
