package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
)

// A client secret that was rotated lies in the store, and is in force for all
// processes at once. Those before are tried too, each while its grace lasts, since
// nobody can change a secret at the provider and here in the same moment.

// Bounds of the grace.
const (
	DefaultSecretGrace = 24 * time.Hour
	MaxSecretGrace     = 30 * 24 * time.Hour
)

// maxClientSecret is the longest client secret, in bytes.
const maxClientSecret = 4096

// clientSecrets knows which secrets are in force. Those that are not in it are
// the configuration's.
type clientSecrets struct {
	mu      sync.Mutex
	rotated map[string]*storagev1.ClientSecret // by provider
	// accepted is the secret that each provider has accepted last: it is tried
	// first.
	accepted map[string]secret.String
	// wrong are the providers that have accepted none since somebody waited for
	// one in vain.
	wrong map[string]bool
	// refused is why each provider has refused the client last, if it has accepted
	// none since.
	refused map[string]error
	// changed is closed, and replaced, with every change.
	changed chan struct{}
}

func newClientSecrets() clientSecrets {
	return clientSecrets{rotated: map[string]*storagev1.ClientSecret{}, accepted: map[string]secret.String{}, wrong: map[string]bool{}, refused: map[string]error{}, changed: make(chan struct{})}
}

// of returns the secrets to try for a provider, in their order, and a channel
// that closes when they change.
func (s *clientSecrets) of(p *provider.Provider, now time.Time) (try []secret.String, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rotated[p.Name()]
	if r == nil {
		return []secret.String{p.ClientSecret()}, s.changed
	}
	try = []secret.String{secret.New(r.GetCurrent())}
	for _, former := range r.GetFormer() {
		if now.Before(timeOf(former.GetExpireTime())) {
			try = append(try, secret.New(former.GetSecret()))
		}
	}
	for i, one := range try {
		if s.accepted[p.Name()].Equal(one) {
			copy(try[1:], try[:i])
			try[0] = one
		}
	}
	return try, s.changed
}

// taken notes which of the secrets the provider has accepted.
func (s *clientSecrets) taken(name string, accepted secret.String) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted[name] = accepted
	delete(s.wrong, name)
	delete(s.refused, name)
}

// refusedFor notes that none was accepted.
func (s *clientSecrets) refusedFor(name string, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[name] = cause
}

// problem returns why the provider does not accept the client. Nil: it does, or has
// not been asked.
func (s *clientSecrets) problem(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused[name]
}

// set reports whether what it was given is new.
func (s *clientSecrets) set(name string, r *storagev1.ClientSecret) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if proto.Equal(s.rotated[name], r) {
		return false
	}
	s.rotated[name] = r
	delete(s.wrong, name)
	close(s.changed)
	s.changed = make(chan struct{})
	return true
}

// patience returns how long it is worth waiting for another secret with what can be
// asked for again. Where the client is wrong for good, nobody waits twice.
func (s *clientSecrets) patience(name string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wrong[name] {
		return 0
	}
	return rotationPatience
}

func (s *clientSecrets) waitedInVain(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong[name] = true
}

func (s *clientSecrets) rotateTime(name string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return timeOf(s.rotated[name].GetRotateTime())
}

// asClient makes a request with each of the secrets there are to try, in their
// order, until the provider accepts one. A refused client is all that
// a provider has looked at then, so the request can be made again.
func asClient[T any](ctx context.Context, v *Vault, p *provider.Provider, request func(context.Context, *provider.Provider) (T, error)) (T, error) {
	var none T
	var first error
	try, _ := v.secrets.of(p, v.now())
	for _, clientSecret := range try {
		answer, err := request(ctx, p.WithSecret(clientSecret))
		if err == nil {
			v.secrets.taken(p.Name(), clientSecret)
		}
		if !provider.ClientRefused(err) {
			return answer, err
		}
		if first == nil {
			first = err
		}
	}
	v.secrets.refusedFor(p.Name(), first)
	return none, first
}

// rotationPatience is how long a request waits for a secret that the provider knows
// already and the vault does not yet: whoever rotates at the provider first comes
// here next.
const rotationPatience = 5 * time.Second

// redeem is asClient for what cannot be asked for again.
func redeem[T any](ctx context.Context, v *Vault, p *provider.Provider, request func(context.Context, *provider.Provider) (T, error)) (T, error) {
	return asPatientClient(ctx, v, p, rotationPatience, request)
}

// asPatientClient is asClient, but for that time it makes up for a secret that is
// about to come.
func asPatientClient[T any](ctx context.Context, v *Vault, p *provider.Provider, patience time.Duration, request func(context.Context, *provider.Provider) (T, error)) (T, error) {
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		_, changed := v.secrets.of(p, v.now())
		answer, err := asClient(ctx, v, p, request)
		if !provider.ClientRefused(err) || patience == 0 {
			return answer, err
		}
		select {
		case <-changed: // perhaps another provider's
		case <-end.C:
			v.secrets.waitedInVain(p.Name())
			return answer, err
		case <-ctx.Done():
			return answer, err
		}
	}
}

// RotateClientSecret puts another client secret into force, at once and for all
// processes of the vault, and so for all tenants. grace is for how long the one
// before is tried too, and shortens nothing of those before that; 0: none of them
// is tried again.
func (v *Vault) RotateClientSecret(ctx context.Context, name string, clientSecret secret.String, grace time.Duration) (ProviderInfo, error) {
	_, p, err := v.check(Key{Subject: "-", Provider: name})
	if err != nil {
		return ProviderInfo{}, err
	}
	if err := checkRotation(p, clientSecret, grace); err != nil {
		return ProviderInfo{}, err
	}
	key, configured, err := v.secretKey(p)
	if err != nil {
		return ProviderInfo{}, err
	}
	for range maxConflicts {
		stored := new(storagev1.ClientSecret)
		revision, err := v.records.get(ctx, key, stored)
		if errors.Is(err, store.ErrNotFound) || err == nil && !inForce(p, stored, configured) {
			stored, err = &storagev1.ClientSecret{Current: p.ClientSecret().Reveal()}, nil
		}
		if err != nil {
			return ProviderInfo{}, err
		}
		now := v.now()
		next := &storagev1.ClientSecret{
			Current: clientSecret.Reveal(), Former: formerSecrets(stored, clientSecret.Reveal(), now, grace),
			RotateTime: timestamppb.New(now), Configured: []byte(configured),
		}
		op, err := v.records.put(key, next, revision)
		if err != nil {
			return ProviderInfo{}, err
		}
		_, err = v.store.Commit(ctx, op)
		if err == nil {
			v.putSecretInForce(p.Name(), next)
			v.log.LogAttrs(ctx, slog.LevelInfo, "client secret rotated", slog.String("provider", p.Name()), slog.Duration("grace", grace))
			return v.describeProvider(p), nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return ProviderInfo{}, err
		}
	}
	return ProviderInfo{}, fmt.Errorf("rotate a client secret: %w, %d times in a row", store.ErrConflict, maxConflicts)
}

func checkRotation(p *provider.Provider, clientSecret secret.String, grace time.Duration) error {
	if p.ClientSecret().IsZero() {
		return invalid(InvalidProvider, "provider", "has no client secret here")
	}
	if text := clientSecret.Reveal(); text == "" || len(text) > maxClientSecret || !isPrintable(text) {
		return invalid(InvalidClientSecret, "client_secret", "1 to 4096 bytes of printable UTF-8")
	}
	if grace < 0 || grace > MaxSecretGrace {
		return invalid(InvalidGrace, "grace", "0 to 30 days")
	}
	return nil
}

// inForce reports whether a stored secret is in force: the configuration has the
// one that it had when this was rotated, or has been brought up to it.
func inForce(p *provider.Provider, stored *storagev1.ClientSecret, configured string) bool {
	return string(stored.GetConfigured()) == configured || p.ClientSecret().Reveal() == stored.GetCurrent()
}

// maxFormer is how many secrets are tried besides the one in force.
const maxFormer = 3

// formerSecrets returns what is tried beside the next secret: the one in force, for
// the grace, and those before it for what is left of theirs. The same secret once
// more changes none of them; without a grace there are none.
func formerSecrets(stored *storagev1.ClientSecret, next string, now time.Time, grace time.Duration) []*storagev1.ClientSecret_Former {
	if grace == 0 {
		return nil
	}
	var former []*storagev1.ClientSecret_Former
	if stored.GetCurrent() != next {
		former = append(former, &storagev1.ClientSecret_Former{Secret: stored.GetCurrent(), ExpireTime: timestamppb.New(now.Add(grace))})
	}
	for _, one := range stored.GetFormer() {
		if one.GetSecret() != next && one.GetSecret() != stored.GetCurrent() && now.Before(timeOf(one.GetExpireTime())) && len(former) < maxFormer {
			former = append(former, one)
		}
	}
	return former
}

// secretKey returns where a provider's rotated secret lies, and the keyed hash of
// the configured one.
func (v *Vault) secretKey(p *provider.Provider) (key store.Key, configured string, err error) {
	id, err := v.blind.provider(p.Name())
	if err != nil {
		return store.Key{}, "", err
	}
	configured, err = v.records.keyring.Blind("configured client secret", p.Name(), p.ClientSecret().Reveal())
	return store.Key{Kind: kindSecrets, ID: id}, configured, err
}

// loadSecret reads what is in force for a provider.
func (v *Vault) loadSecret(ctx context.Context, p *provider.Provider) error {
	if p.ClientSecret().IsZero() {
		return nil
	}
	key, configured, err := v.secretKey(p)
	if err != nil {
		return err
	}
	stored := new(storagev1.ClientSecret)
	_, err = v.records.get(ctx, key, stored)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if !inForce(p, stored, configured) {
		v.log.LogAttrs(ctx, slog.LevelInfo, "the configuration has another client secret than when one was rotated; the configuration's is in force", slog.String("provider", p.Name()))
		return nil
	}
	v.putSecretInForce(p.Name(), stored)
	return nil
}

// putSecretInForce also lets in what a wrong secret has kept out.
func (v *Vault) putSecretInForce(name string, r *storagev1.ClientSecret) {
	if !v.secrets.set(name, r) {
		return
	}
	v.breakers.reset(name)
	v.queues[name].due.wakeBy(v.now())
}

// runSecrets puts into force what other processes rotate, until ctx ends.
func (v *Vault) runSecrets(ctx context.Context) {
	for ctx.Err() == nil {
		err := v.followSecrets(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrCompacted) {
			v.log.LogAttrs(ctx, slog.LevelError, "rotated client secrets not followed", slog.Any("cause", err))
			pause(ctx, faultPause)
		}
	}
}

func (v *Vault) followSecrets(ctx context.Context) error {
	kind := store.Key{Kind: kindSecrets}
	page, err := v.store.List(ctx, kind, "", 1)
	if err != nil {
		return err
	}
	for _, p := range v.providers {
		if err := v.loadSecret(ctx, p); err != nil {
			return err
		}
	}
	for event, err := range v.store.Watch(ctx, kind, page.Revision) {
		if err != nil {
			return err
		}
		for name, p := range v.providers {
			if id, err := v.blind.provider(name); err != nil || id != event.Key.ID {
				continue
			}
			if err := v.loadSecret(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}
