package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
)

// With BindingConfirm a callback does not redeem its code. The vault cannot know
// who sits before that browser; the host application can, since it has signed them
// in. So the browser alone gets a one-time confirmation and carries it there, and
// the application brings it back with the subject. The session's id would not do in
// its place: whoever began the flow knows it, and could claim what another person
// has consented to.

// ConfirmRequest says who has come back from the provider.
type ConfirmRequest struct {
	// Confirmation is what the browser brought to the return URL.
	Confirmation secret.String
	// Tenant comes from the caller's identity, and Subject is the person whom the
	// caller has signed in.
	Tenant, Subject string
	// Allow is asked before anything is used up, once tenant and subject are known
	// to be the flow's. Its error is Confirm's. Nil: everything is allowed.
	Allow func(Key) error
}

// ConfirmResult is what came of it.
type ConfirmResult struct {
	// Key is the connection that the flow was for, also where the subject is not
	// its. Zero where the confirmation is not known.
	Key        Key
	Connection Connection
}

// Confirm redeems the code that a callback holds, if the flow was begun for the
// subject. If not, the code is gone, and the link used up. Of several calls with one
// confirmation, one redeems.
func (v *Vault) Confirm(ctx context.Context, r ConfirmRequest) (ConfirmResult, error) {
	if err := checkSubject(r.Subject); err != nil {
		return ConfirmResult{}, err
	}
	if !isRandomID(r.Confirmation.Reveal()) {
		return ConfirmResult{}, invalid(InvalidConfirmation, "confirmation", "is not one: take the value of that name from the query of the return URL as it is")
	}
	h, err := v.held(ctx, r.Confirmation)
	if err != nil {
		return ConfirmResult{}, err
	}
	result := ConfirmResult{Key: keyOf(h.session.GetKey())}
	if result.Key.Tenant != r.Tenant || result.Key.Subject != r.Subject {
		return result, errors.Join(errWrongSubject(result.Key, r), v.releaseHeld(ctx, h, storagev1.Session_STATE_USED))
	}
	if r.Allow != nil {
		if err := r.Allow(result.Key); err != nil {
			return result, err
		}
	}
	conn, err := v.redeemHeld(ctx, h)
	if err != nil {
		return result, err
	}
	v.log.LogAttrs(ctx, slog.LevelInfo, "account connected", append(keyAttrs(result.Key), slog.Int64("generation", conn.GetGeneration()))...)
	id, err := v.blind.connection(result.Key)
	if err != nil {
		return result, err
	}
	result.Connection, err = v.describe(ctx, id, conn)
	return result, err
}

// heldCode is a code that waits for its confirmation.
type heldCode struct {
	*storagev1.Confirmation
	storeKey store.Key
	revision store.Revision
	session  openSession
}

// hold keeps the code of a checked flow, and returns what confirms it.
func (v *Vault) hold(ctx context.Context, f checkedFlow, code secret.String) (confirmation string, err error) {
	if f.session.GetReturnUrl() == "" {
		return "", errSessionExpired(errors.New("the link was made without a return URL, under another binding"))
	}
	confirmation = newRandomID()
	id, err := v.blind.confirmation(confirmation)
	if err != nil {
		return "", err
	}
	op, err := v.records.put(store.Key{Kind: kindConfirmations, ID: id}, &storagev1.Confirmation{
		Session: f.GetSession(), Code: code.Reveal(), CodeVerifier: f.GetCodeVerifier(), ExpireTime: f.session.GetExpireTime(),
	}, store.Absent)
	if err != nil {
		return "", err
	}
	if err := v.claim(ctx, &f, storagev1.Session_STATE_CONFIRMING, op); err != nil {
		return "", err
	}
	return confirmation, nil
}

// held finds the code that a confirmation is for.
func (v *Vault) held(ctx context.Context, confirmation secret.String) (heldCode, error) {
	id, err := v.blind.confirmation(confirmation.Reveal())
	if err != nil {
		return heldCode{}, err
	}
	h := heldCode{Confirmation: new(storagev1.Confirmation), storeKey: store.Key{Kind: kindConfirmations, ID: id}}
	h.revision, err = v.records.get(ctx, h.storeKey, h.Confirmation)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return heldCode{}, errConfirmationExpired(errors.New("confirmation is not known: forged or long expired"))
	case err != nil:
		return heldCode{}, err
	case h.GetUsed():
		return heldCode{}, errConfirmationUsed()
	}
	h.session, err = v.sessionIn(ctx, storagev1.Session_STATE_CONFIRMING, string(h.GetSession()))
	switch ReasonOf(err) {
	case SessionExpired:
		return heldCode{}, errConfirmationExpired(err)
	case SessionUsed:
		return heldCode{}, errConfirmationUsed() // by a call that was faster
	}
	return h, err
}

// releaseHeld takes the code out of the store, once, and the session into its next
// state.
func (v *Vault) releaseHeld(ctx context.Context, h heldCode, next storagev1.Session_State) error {
	used, err := v.records.put(h.storeKey, &storagev1.Confirmation{Session: h.GetSession(), ExpireTime: h.GetExpireTime(), Used: true}, h.revision)
	if err != nil {
		return err
	}
	h.session.State = next
	session, err := v.records.put(h.session.storeKey, h.session.Session, h.session.revision)
	if err != nil {
		return err
	}
	if _, err = v.store.Commit(ctx, used, session); errors.Is(err, store.ErrConflict) {
		return errConfirmationUsed()
	}
	return err
}

// redeemHeld goes on where the callback has stopped.
func (v *Vault) redeemHeld(ctx context.Context, h heldCode) (*storagev1.Connection, error) {
	// The code is of no use to anyone if this stops half-way.
	ctx, done := v.detached(ctx)
	defer done()

	_, p, id, err := v.named(keyOf(h.session.GetKey()))
	if err != nil {
		return nil, err
	}
	if p, err = bind(p, h.session.GetParams()); err != nil {
		return nil, err
	}
	if _, err := v.notDisconnectedSince(ctx, id, h.session.Session); err != nil {
		return nil, err
	}
	if err := v.releaseHeld(ctx, h, storagev1.Session_STATE_REDEEMING); err != nil {
		return nil, err
	}
	return v.redeemCode(ctx, p, id, h.session, secret.New(h.GetCode()), secret.New(h.GetCodeVerifier()))
}

func errWrongSubject(key Key, r ConfirmRequest) *Error {
	return &Error{
		Reason: SessionWrongSubject,
		Message: "This account was to be connected for somebody else than the person who is signed in. Nothing was connected. " +
			"If you did not ask for a link yourself, somebody may have tried to get at your account. Ask for a link of your own.",
		Err: fmt.Errorf("the flow was begun for %q of tenant %q, and confirmed for %q of tenant %q", key.Subject, key.Tenant, r.Subject, r.Tenant),
	}
}

func errConfirmationExpired(cause error) *Error {
	return &Error{
		Reason:  SessionExpired,
		Message: "This confirmation has expired, or is not one of this vault's. Nothing was connected. Ask for a new link, and open it.",
		Err:     cause,
	}
}

func errConfirmationUsed() *Error {
	return &Error{
		Reason:  SessionUsed,
		Message: "This confirmation has been used already. See what is connected, or ask for a new link.",
	}
}
