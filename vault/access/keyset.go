package access

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

// Times of an issuer's keys.
const (
	keyTime  = time.Hour        // after which they are asked for again: some may have been withdrawn
	keyGrace = 24 * time.Hour   // after which they are not believed any more, though the issuer does not answer
	askPause = 10 * time.Second // between two questions, so that forged tokens cause no more

	maxWaiting = 64 // calls, for the answer to one
)

// keySet verifies signatures with the keys of an issuer, which it asks for when it
// does not know a token's key. go-oidc's own asks for every signature that is wrong,
// and keeps keys that the issuer has withdrawn. It is safe for concurrent use.
type keySet struct {
	issuer Issuer
	client *http.Client
	now    func() time.Time
	flight singleflight.Group
	// waiting are the calls that wait for the flight.
	waiting atomic.Int32

	mu    sync.Mutex
	keys  []jose.JSONWebKey
	got   time.Time // when the keys came
	asked time.Time // when they were last asked for
	fault error     // of the last question; nil: it was answered
}

var _ oidc.KeySet = (*keySet)(nil)

func newKeySet(i Issuer, now func() time.Time) *keySet {
	return &keySet{issuer: i, client: newClient(i), now: now}
}

// asking carries the reason for which an issuer's keys could not be had past
// go-oidc, which makes a text of it.
type asking struct{ failed error }

type askedKey struct{}

func withAsking(ctx context.Context) (context.Context, *asking) {
	a := new(asking)
	return context.WithValue(ctx, askedKey{}, a), a
}

// What is wrong with a signature. go-oidc names what it is about.
var (
	errSignature = errors.New("no key of the issuer's has made the signature")
	// errNewKey: the issuer may have the key since.
	errNewKey = errors.New("the token is of a key that is not known, and the issuer was asked just now")
	// errWaiting keeps forged tokens from holding calls without number while the issuer
	// does not answer.
	errWaiting = errors.New("many calls wait for the issuer's answer already")
)

// VerifySignature implements oidc.KeySet.
func (s *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(token, algorithms())
	if err != nil {
		return nil, err
	}
	if payload := verifyWith(s.atHand(keyTime), signed); payload != nil {
		return payload, nil
	}
	asked, err := s.ask(ctx)
	keys := s.atHand(keyGrace)
	if payload := verifyWith(keys, signed); payload != nil {
		return payload, nil
	}
	if err == nil && !asked && !slices.ContainsFunc(keys, func(key jose.JSONWebKey) bool { return mayHaveSigned(key, signed) }) {
		err = errNewKey
	}
	if err == nil {
		return nil, errSignature
	}
	if out, ok := ctx.Value(askedKey{}).(*asking); ok {
		out.failed = err
	}
	return nil, err
}

// mayHaveSigned reports whether a key has the name that a signature carries.
func mayHaveSigned(key jose.JSONWebKey, signed *jose.JSONWebSignature) bool {
	id := signed.Signatures[0].Header.KeyID
	return id == "" || key.KeyID == "" || id == key.KeyID
}

func verifyWith(keys []jose.JSONWebKey, signed *jose.JSONWebSignature) []byte {
	for _, key := range keys {
		if !mayHaveSigned(key, signed) {
			continue
		}
		if payload, err := signed.Verify(key); err == nil {
			return payload
		}
	}
	return nil
}

// atHand returns the keys, if they came within that time.
func (s *keySet) atHand(within time.Duration) []jose.JSONWebKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now().Sub(s.got) > within {
		return nil
	}
	return s.keys
}

// ask asks for the keys, once for all who want them, unless they were asked for
// just now. It reports whether they were asked for, and why they could not be had.
func (s *keySet) ask(ctx context.Context) (asked bool, err error) {
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > maxWaiting {
		return false, errWaiting
	}
	// Whoever leaves does not end the question for the others.
	answer := s.flight.DoChan("", func() (any, error) { return s.askOnce(context.WithoutCancel(ctx)) })
	select {
	case result := <-answer:
		return result.Val.(bool), result.Err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// askOnce is called by one at a time.
func (s *keySet) askOnce(ctx context.Context) (asked bool, err error) {
	if recently, fault := s.askedRecently(); recently {
		return false, fault
	}
	keys, err := s.fetch(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.fault = s.now(), err
	if err == nil {
		s.keys, s.got = keys, s.asked
	}
	return true, err
}

func (s *keySet) askedRecently() (recently bool, fault error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now().Sub(s.asked) < askPause, s.fault
}
