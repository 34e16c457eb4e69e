package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/store"
)

// A subject has only so many sessions open, so that a program that calls Connect in a
// loop does not fill the store. Where there is one too many, an old one ends, and the
// new one works: refusing it would hold up the person for whom it is meant, and that
// for as long as the others last, while what a loop leaves behind are links that
// nobody looks at any more. It is the oldest that nobody has opened, since who has
// opened a link may be at the provider right now; only where all have been opened is
// it the oldest of all. Of links to the portal, which work once, it is the oldest.

// begin carries out ops, which begin a session, and ends another if need be.
func (v *Vault) begin(ctx context.Context, s newSession, ops ...store.Op) error {
	subject, err := v.blind.subject(s.GetKey().GetTenant(), s.GetKey().GetSubject())
	if err != nil {
		return err
	}
	key := store.Key{Kind: kindOpen, ID: subject}
	return v.commitWithRoom(ctx, key, func(ctx context.Context) ([]store.Op, error) { return v.makeRoom(ctx, key, s) }, ops...)
}

// commitWithRoom carries out ops, and those of makeRoom with them, which change what a
// subject has open: the record at key.
func (v *Vault) commitWithRoom(ctx context.Context, key store.Key, makeRoom func(context.Context) ([]store.Op, error), ops ...store.Op) error {
	held, release, err := v.store.Lock(ctx, string(key.Kind)+"/"+key.ID)
	if err != nil {
		return fmt.Errorf("lock what a subject has open: %w", err)
	}
	defer release()
	for range maxConflicts {
		room, err := makeRoom(held)
		if err != nil {
			return err
		}
		// A conflict: what was to make room has been opened or finished meanwhile.
		if _, err = v.store.Commit(held, append(room, ops...)...); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("begin a session: %w, %d times in a row", store.ErrConflict, maxConflicts)
}

// opened reads what a subject has open.
func (v *Vault) opened(ctx context.Context, key store.Key) (*storagev1.OpenSessions, store.Revision, error) {
	all := new(storagev1.OpenSessions)
	revision, err := v.records.get(ctx, key, all)
	if errors.Is(err, store.ErrNotFound) {
		return all, store.Absent, nil
	}
	return all, revision, err
}

// beginPortalLink carries out op, which makes a link to the portal, and ends another
// if need be.
func (v *Vault) beginPortalLink(ctx context.Context, id string, link *storagev1.PortalLink, op store.Op) error {
	subject, err := v.blind.subject(link.GetTenant(), link.GetSubject())
	if err != nil {
		return err
	}
	key := store.Key{Kind: kindOpenLinks, ID: subject}
	return v.commitWithRoom(ctx, key, func(ctx context.Context) (ops []store.Op, err error) {
		all, revision, err := v.opened(ctx, key)
		if err != nil {
			return nil, err
		}
		all.Sessions, all.ExpireTime = append(all.Sessions, []byte(id)), link.GetExpireTime()
		for ; len(all.Sessions) > maxOpenSessions; all.Sessions = all.Sessions[1:] {
			ops = append(ops, store.Delete(store.Key{Kind: kindPortalLinks, ID: string(all.Sessions[0])}, store.Any))
		}
		counted, err := v.records.put(key, all, revision)
		return append(ops, counted), err
	}, op)
}

// makeRoom returns the operations that count a session among those of its subject.
func (v *Vault) makeRoom(ctx context.Context, key store.Key, s newSession) ([]store.Op, error) {
	all, revision, err := v.opened(ctx, key)
	if err != nil {
		return nil, err
	}
	var ops []store.Op
	if len(all.GetSessions()) >= maxOpenSessions {
		open, err := v.stillOpen(ctx, all.GetSessions())
		if err != nil {
			return nil, err
		}
		for len(open) >= maxOpenSessions {
			first := max(0, slices.IndexFunc(open, func(o openSession) bool { return o.GetOpenings() == 0 }))
			ops = append(ops, store.Delete(open[first].storeKey, open[first].revision))
			open = slices.Delete(open, first, first+1)
		}
		all.Sessions = nil
		for _, o := range open {
			all.Sessions = append(all.Sessions, []byte(o.storeKey.ID))
		}
	}
	all.Sessions = append(all.Sessions, []byte(s.storeKey.ID))
	if s.GetExpireTime().AsTime().After(all.GetExpireTime().AsTime()) {
		all.ExpireTime = s.GetExpireTime()
	}
	op, err := v.records.put(key, all, revision)
	return append(ops, op), err
}

// stillOpen reads those of the sessions that have not ended.
func (v *Vault) stillOpen(ctx context.Context, ids [][]byte) ([]openSession, error) {
	var open []openSession
	for _, id := range ids {
		s, err := v.openSession(ctx, string(id))
		switch {
		case err == nil:
			open = append(open, s)
		case ReasonOf(err) == "":
			return nil, err
		}
	}
	return open, nil
}
