package vault

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"time"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/store"
)

// dueQueue is the background work that is still to be done, kept in the store
// under keys that begin with the time when it is due: what comes next is always
// at the front, and a restart forgets nothing.
//
// An entry only says "look at this connection then". Looking decides what there
// is to do, if anything; so entries that are no longer true do no harm.
type dueQueue struct {
	poke chan struct{}
}

func newDueQueue() dueQueue { return dueQueue{poke: make(chan struct{}, 1)} }

// wake has the loop look at the queue now.
func (q dueQueue) wake() {
	select {
	case q.poke <- struct{}{}:
	default: // it is about to look anyway
	}
}

// dueTimeSize is the length of the time in a store key: milliseconds since 1970,
// big-endian, so that bytes sort as times.
const dueTimeSize = 8

// dueIdle is how long the loop sleeps when nothing is due. Other processes put
// work into the same queue without waking this one.
const dueIdle = 30 * time.Second

// dueBatch is how many entries are read at once.
const dueBatch = 100

// dueOp returns the Op that has the connection looked at when the time has come.
func (v *Vault) dueOp(connectionID string, at time.Time) (store.Op, error) {
	key := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli()))
	return v.records.put(store.Key{Kind: kindDue, ID: string(key) + connectionID}, &storagev1.Due{Connection: []byte(connectionID)}, store.Any)
}

func dueTime(id string) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64([]byte(id[:dueTimeSize]))))
}

// runDue works the queue off until ctx ends.
func (v *Vault) runDue(ctx context.Context) {
	for ctx.Err() == nil {
		next, err := v.workDue(ctx)
		if err != nil && ctx.Err() == nil {
			v.log.LogAttrs(ctx, slog.LevelError, "background work failed", slog.Any("cause", err))
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-v.due.poke:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// workDue does what is due and returns how long to wait for what comes next.
func (v *Vault) workDue(ctx context.Context) (time.Duration, error) {
	for {
		page, err := v.store.List(ctx, store.Key{Kind: kindDue}, "", dueBatch)
		if err != nil {
			return dueIdle, err
		}
		for _, rec := range page.Records {
			if left := dueTime(rec.Key.ID).Sub(v.now()); left > 0 {
				return min(left, dueIdle), nil
			}
			if err := v.workOne(ctx, rec); err != nil {
				return dueIdle, err
			}
		}
		if len(page.Records) < dueBatch {
			return dueIdle, nil
		}
	}
}

// workOne looks at one connection, then takes the entry out of the queue. Where
// the connection has to be looked at again, the next entry goes in with the same
// commit: there is never more than one for each candidate.
func (v *Vault) workOne(ctx context.Context, rec store.Record) error {
	entry := new(storagev1.Due)
	if err := v.records.open(rec, entry); err != nil {
		return err
	}
	id := string(entry.GetConnection())
	conn := new(storagev1.Connection)
	_, err := v.records.get(ctx, store.Key{Kind: kindConnections, ID: id}, conn)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	ops := []store.Op{store.Delete(rec.Key, rec.Revision)}
	if p, ok := v.providers[conn.GetKey().GetProvider()]; ok && conn.GetCandidate() != nil {
		again, err := v.retryCandidate(ctx, id, p)
		if err != nil {
			return err
		}
		if !again.IsZero() {
			op, err := v.dueOp(id, again)
			if err != nil {
				return err
			}
			ops = append(ops, op)
		}
	}
	_, err = v.store.Commit(ctx, ops...)
	if errors.Is(err, store.ErrConflict) {
		return nil // another process was faster
	}
	return err
}
