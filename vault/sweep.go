package vault

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/store"
)

// sweepInterval is how often records past their end are deleted.
const sweepInterval = time.Minute

// sweepBatch is how many records are looked at in one go.
const sweepBatch = 500

// runSweep deletes records past their end until ctx ends.
func (v *Vault) runSweep(ctx context.Context) {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := v.sweep(ctx); err != nil && ctx.Err() == nil {
				v.log.LogAttrs(ctx, slog.LevelError, "records past their end not deleted", slog.Any("cause", err))
			}
		}
	}
}

func (v *Vault) sweep(ctx context.Context) error {
	return errors.Join(
		v.sweepKind(ctx, kindSessions, func() expiring { return new(storagev1.Session) }),
		v.sweepKind(ctx, kindOpen, func() expiring { return new(storagev1.OpenSessions) }),
		v.sweepKind(ctx, kindOpenLinks, func() expiring { return new(storagev1.OpenSessions) }),
		v.sweepKind(ctx, kindFlows, func() expiring { return new(storagev1.Flow) }),
		v.sweepKind(ctx, kindConfirmations, func() expiring { return new(storagev1.Confirmation) }),
		v.sweepKind(ctx, kindLogins, func() expiring { return new(storagev1.Login) }),
		v.sweepKind(ctx, kindSignIns, func() expiring { return new(storagev1.SignIn) }),
		v.sweepKind(ctx, kindPortalLinks, func() expiring { return new(storagev1.PortalLink) }),
		v.sweepKind(ctx, kindDisconnections, func() expiring { return disconnection{new(storagev1.Disconnection)} }),
		v.sweepKind(ctx, kindRevocations, func() expiring { return revocation{new(storagev1.RevocationRequest)} }),
		v.sweepKind(ctx, kindDevices, func() expiring { return new(storagev1.DeviceFlow) }),
		v.sweepChanges(ctx),
	)
}

// expiring is a record that ends by itself.
type expiring interface {
	proto.Message
	GetExpireTime() *timestamppb.Timestamp
}

// sweepKind deletes records of a kind that have ended, and what cannot be read is
// passed over. Those that ended a moment ago stay: a code may be on its way to the
// provider.
func (v *Vault) sweepKind(ctx context.Context, kind store.Kind, empty func() expiring) error {
	var errs []error
	for after := ""; ; {
		page, err := v.store.List(ctx, store.Key{Kind: kind}, after, sweepBatch)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		var ops []store.Op
		for _, rec := range page.Records {
			after = rec.Key.ID
			record := empty()
			if err := v.records.open(rec, record); err != nil {
				errs = append(errs, err)
			} else if v.now().After(record.GetExpireTime().AsTime().Add(2 * detachedTime)) {
				ops = append(ops, store.Delete(rec.Key, store.Any))
			}
		}
		if len(ops) > 0 {
			if _, err := v.store.Commit(ctx, ops...); err != nil {
				return errors.Join(append(errs, err)...)
			}
		}
		if len(page.Records) < sweepBatch {
			return errors.Join(errs...)
		}
	}
}

// sweepChanges deletes what has fallen out of the change log. The oldest entries
// are at the front, so the log is not read through.
func (v *Vault) sweepChanges(ctx context.Context) error {
	end := timeKey(v.now().Add(-ChangeRetention))
	for {
		page, err := v.store.List(ctx, store.Key{Kind: kindChanges}, "", sweepBatch)
		if err != nil {
			return err
		}
		var ops []store.Op
		for _, rec := range page.Records {
			if rec.Key.ID < end {
				ops = append(ops, store.Delete(rec.Key, store.Any))
			}
		}
		if len(ops) == 0 {
			return nil
		}
		if _, err := v.store.Commit(ctx, ops...); err != nil {
			return err
		}
	}
}
