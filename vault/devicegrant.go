package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
)

// A device flow (RFC 8628) waits in the store until the time of the next request,
// so that a restart does not end it. It ends at the provider, in no browser that the
// vault sees: no binding holds for it.

// maxDeviceLifetime is the longest that a device flow is waited for. It is less
// than what a disconnect remembers.
const maxDeviceLifetime = 2 * SessionLifetime

// slowDown is what a provider adds to the interval that asks to be asked less
// often (RFC 8628, section 3.5).
const slowDown = 5 * time.Second

// connectDevice begins a device flow.
func (v *Vault) connectDevice(ctx context.Context, p *provider.Provider, r ConnectRequest) (ConnectResult, error) {
	device, err := asClient(ctx, v, p, func(ctx context.Context, p *provider.Provider) (provider.DeviceAuthorization, error) {
		return p.AuthorizeDevice(ctx, r.Scopes)
	})
	if err != nil {
		return ConnectResult{}, grantError(p, err)
	}
	session, begin, err := v.newSession(r, min(device.Lifetime, maxDeviceLifetime))
	if err != nil {
		return ConnectResult{}, err
	}
	next := v.now().Add(device.Interval)
	wait, err := v.queuedOp(kindDevices, p, next, &storagev1.DeviceFlow{
		Session:    []byte(session.storeKey.ID),
		DeviceCode: device.DeviceCode.Reveal(),
		Interval:   int64(device.Interval / time.Second),
		ExpireTime: session.GetExpireTime(),
	})
	if err != nil {
		return ConnectResult{}, err
	}
	if err := v.begin(ctx, session, begin, wait); err != nil {
		return ConnectResult{}, err
	}
	v.queues[p.Name()].devices.wakeBy(next)
	result := ConnectResult{
		ConnectURL: device.VerificationURLComplete, Session: session.name, UserCode: device.UserCode, ExpireTime: session.GetExpireTime().AsTime(),
	}
	if result.ConnectURL == "" {
		result.ConnectURL = device.VerificationURL
	}
	return result, nil
}

// workDevice asks once whether the person has decided. The entry goes when they
// have, or have let the time pass.
func (v *Vault) workDevice(ctx context.Context, p *provider.Provider, rec store.Record) error {
	flow := new(storagev1.DeviceFlow)
	if err := v.records.open(rec, flow); err != nil {
		return err
	}
	// Of several processes one asks: to the provider, two at a time would be one
	// that asks too often (RFC 8628, section 3.5).
	held, release, err := v.store.Lock(ctx, "device/"+string(flow.GetSession()))
	if err != nil {
		return fmt.Errorf("lock a device flow: %w", err)
	}
	defer release()
	if _, err := v.store.Get(held, rec.Key); errors.Is(err, store.ErrNotFound) {
		return nil // another process was faster
	}
	gone := store.Delete(rec.Key, store.Any)
	session, err := v.openSession(held, string(flow.GetSession()))
	if ReasonOf(err) != "" {
		_, err = v.store.Commit(ctx, gone) // over, one way or the other
		return err
	}
	if err != nil {
		return err
	}
	if p, err = bindStored(p, session.GetParams()); err != nil {
		return err
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	asked := v.now()
	token, err := asClient(ctx, v, p, func(ctx context.Context, p *provider.Provider) (provider.Token, error) {
		return p.DeviceToken(ctx, secret.New(flow.GetDeviceCode()))
	})
	switch {
	case err == nil:
		return v.keepDevice(ctx, p, session, newGrant(p, session.Session, token, asked), gone)
	case provider.KindOf(err) == provider.Denied, provider.KindOf(err) == provider.InvalidGrant:
		v.log.LogAttrs(ctx, slog.LevelInfo, "device flow ended without a connection", append(keyAttrs(keyOf(session.GetKey())), slog.Any("cause", err))...)
		_, err = v.store.Commit(ctx, gone, store.Delete(session.storeKey, store.Any))
		return err
	}
	return v.askDeviceLater(ctx, p, rec, flow, err)
}

func (v *Vault) askDeviceLater(ctx context.Context, p *provider.Provider, rec store.Record, flow *storagev1.DeviceFlow, cause error) error {
	interval := time.Duration(flow.GetInterval()) * time.Second
	if provider.KindOf(cause) != provider.Pending || provider.CodeOf(cause) == "slow_down" {
		interval += slowDown // also when the provider does not answer (section 3.5)
	}
	flow.Interval = int64(interval / time.Second)
	next := v.now().Add(max(interval, provider.RetryAfter(cause)))
	return v.requeue(ctx, v.queues[p.Name()].devices, p, rec, next, flow)
}

func (v *Vault) keepDevice(ctx context.Context, p *provider.Provider, session openSession, grant *storagev1.Grant, gone store.Op) error {
	id, err := v.blind.connection(keyOf(session.GetKey()))
	if err != nil {
		return err
	}
	conn, err := v.keep(ctx, p, id, session, grant, gone)
	if err != nil {
		v.log.LogAttrs(ctx, slog.LevelWarn, "device flow ended without a connection", append(keyAttrs(keyOf(session.GetKey())), slog.Any("cause", err))...)
		if ReasonOf(err) != "" {
			return nil
		}
		return err
	}
	v.log.LogAttrs(ctx, slog.LevelInfo, "account connected", append(keyAttrs(keyOf(session.GetKey())), slog.Int64("generation", conn.GetGeneration()))...)
	return nil
}
