package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/store"
)

// queuedOp returns the Op that has m wait for a provider until the time has come.
// Such entries lie under provider (blind), time and a random end: what comes next
// at a provider is always at the front of that provider's part.
func (v *Vault) queuedOp(kind store.Kind, p *provider.Provider, at time.Time, m proto.Message) (store.Op, error) {
	prefix, err := v.blind.provider(p.Name())
	if err != nil {
		return store.Op{}, err
	}
	var end [keyring.BlindSize]byte
	_, _ = rand.Read(end[:]) // never fails (crypto/rand)
	return v.records.put(store.Key{Kind: kind, ID: prefix + timeKey(at) + string(end[:])}, m, store.Absent)
}

// requeue has m wait once more, in place of the entry rec of the queue q. Where
// another process was faster, it changes nothing.
func (v *Vault) requeue(ctx context.Context, q *queue, p *provider.Provider, rec store.Record, at time.Time, m proto.Message) error {
	op, err := v.queuedOp(rec.Key.Kind, p, at, m)
	if err != nil {
		return err
	}
	_, err = v.store.Commit(ctx, store.Delete(rec.Key, rec.Revision), op)
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	q.wakeBy(at)
	return err
}
