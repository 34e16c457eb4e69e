package vault

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/store"
)

// The index of what is due has one entry for each connection that is to be
// looked at some time: a token to refresh ahead of its end, a refresh token to
// keep alive, a refresh that was begun and not ended, an account to look up. Its
// store keys are provider (blind), time, connection: what comes next at a
// provider is always at the front of that provider's part, and a provider that
// is down holds up nobody else.
//
// An entry only says "look at this connection then"; looking decides what there
// is to do. A connection's record names the time of its entry, and both change
// in one commit, so the index never has to be rebuilt.

// dueTimeSize is the length of the time in a store key: milliseconds since 1970,
// big-endian, so that bytes sort as times.
const dueTimeSize = 8

func timeKey(at time.Time) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli())))
}

func keyTime(key string) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64([]byte(key[:dueTimeSize]))))
}

// dueKey is the store key of a connection's entry.
func (v *Vault) dueKey(c *storagev1.Connection, id string) (store.Key, error) {
	prefix, err := v.blind.provider(c.GetKey().GetProvider())
	return store.Key{Kind: kindDue, ID: prefix + timeKey(c.GetDueTime().AsTime()) + id}, err
}

// dueEntry takes a store key of the index apart.
func dueEntry(key string) (at time.Time, connectionID string) {
	rest := key[keyring.BlindSize:]
	return keyTime(rest), rest[dueTimeSize:]
}

// moveDue returns the Ops that take the connection's entry from where it was to
// where the record now says it is.
func (v *Vault) moveDue(id string, from, to *storagev1.Connection) ([]store.Op, error) {
	if from.GetDueTime().AsTime().Equal(to.GetDueTime().AsTime()) && (from.GetDueTime() == nil) == (to.GetDueTime() == nil) {
		return nil, nil
	}
	var ops []store.Op
	if from.GetDueTime() != nil {
		key, err := v.dueKey(from, id)
		if err != nil {
			return nil, err
		}
		ops = append(ops, store.Delete(key, store.Any))
	}
	if to.GetDueTime() != nil {
		key, err := v.dueKey(to, id)
		if err != nil {
			return nil, err
		}
		op, err := v.records.put(key, &storagev1.Due{Connection: []byte(id)}, store.Any)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// due returns when a connection is next to be looked at. Zero: never.
func due(c *storagev1.Connection, p *provider.Provider) time.Time {
	g := c.GetGrant()
	switch {
	case g == nil || c.GetReauthorizationRequired():
		return time.Time{}
	case isRefreshable(g):
		return refreshTime(g, p.Definition().Refresh.IdleLimit)
	default:
		return timeOf(g.GetExpireTime())
	}
}

// schedule has a connection looked at when the time has come. Milliseconds are
// what the index can hold.
func schedule(c *storagev1.Connection, at time.Time) {
	c.DueTime = nil
	if !at.IsZero() {
		c.DueTime = timestamppb.New(at.Truncate(time.Millisecond))
	}
}

// workDue does what is due for a connection. Afterwards its entry has moved or
// is gone.
func (v *Vault) workDue(ctx context.Context, p *provider.Provider, entry store.Key) error {
	at, id := dueEntry(entry.ID)
	conn := new(storagev1.Connection)
	_, err := v.records.get(ctx, connectionKey(id), conn)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if conn.GetDueTime() == nil || !conn.GetDueTime().AsTime().Equal(at) {
		// What was deleted, or has moved, since the index was read.
		_, err := v.store.Commit(ctx, store.Delete(entry, store.Any))
		return err
	}
	if conn.GetCandidate() != nil {
		return v.retryCandidate(ctx, id, p)
	}
	_, renewErr := v.renew(ctx, id, p, want{ahead: true})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// Whatever came of it has moved the entry; where nothing did, such as when
	// the store was full, it must not be looked at again at once.
	_, err = v.updateConnection(ctx, id, false, func(c *storagev1.Connection) error {
		if c.GetDueTime() == nil || c.GetDueTime().AsTime().After(at) {
			return errUnchanged
		}
		pause := backoff(c.GetRefreshFailures())
		var told *Error
		if errors.As(renewErr, &told) {
			pause = max(pause, told.RetryAfter)
		}
		schedule(c, v.now().Add(pause))
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	if renewErr != nil && ReasonOf(renewErr) == "" {
		err = errors.Join(err, fmt.Errorf("refresh ahead: %w", renewErr))
	}
	return err
}
