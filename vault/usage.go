package vault

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/store"
)

// usageInterval is how often times of last use are written. A read of
// credentials never writes; a crash costs at most this much of the record.
const usageInterval = time.Minute

// usageBatch is how many times of last use one commit writes.
const usageBatch = 500

// usage gathers when connections were used. It holds only those used since the
// last write.
type usage struct {
	mu   sync.Mutex
	used map[string]time.Time
}

func newUsage() usage { return usage{used: make(map[string]time.Time)} }

func (u *usage) mark(id string, at time.Time) {
	u.mu.Lock()
	u.used[id] = at
	u.mu.Unlock()
}

func (u *usage) marked(id string) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.used[id]
}

func (u *usage) forget(id string) {
	u.mu.Lock()
	delete(u.used, id)
	u.mu.Unlock()
}

// take returns what has gathered and starts anew.
func (u *usage) take() map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.used
	u.used = make(map[string]time.Time)
	return taken
}

// runUsage writes times of last use until ctx ends, and once more then.
func (v *Vault) runUsage(ctx context.Context) {
	ticker := time.NewTicker(usageInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			v.flushUsage(ctx)
		case <-ctx.Done():
			final, cancel := detach(ctx)
			defer cancel()
			v.flushUsage(final)
			return
		}
	}
}

func (v *Vault) flushUsage(ctx context.Context) {
	ops := make([]store.Op, 0, usageBatch)
	for id, at := range v.usage.take() {
		if _, err := v.store.Get(ctx, connectionKey(id)); errors.Is(err, store.ErrNotFound) {
			continue // disconnected meanwhile
		}
		op, err := v.records.put(store.Key{Kind: kindUsage, ID: id}, &storagev1.Usage{LastUsedTime: timestamppb.New(at)}, store.Any)
		if err != nil {
			v.log.LogAttrs(ctx, slog.LevelError, "time of last use not written", slog.Any("cause", err))
			continue
		}
		if ops = append(ops, op); len(ops) == usageBatch {
			v.commitUsage(ctx, ops)
			ops = ops[:0]
		}
	}
	v.commitUsage(ctx, ops)
}

func (v *Vault) commitUsage(ctx context.Context, ops []store.Op) {
	if len(ops) == 0 {
		return
	}
	if _, err := v.store.Commit(ctx, ops...); err != nil {
		v.log.LogAttrs(ctx, slog.LevelError, "times of last use not written", slog.Int("count", len(ops)), slog.Any("cause", err))
	}
}
