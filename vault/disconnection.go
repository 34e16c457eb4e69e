package vault

import (
	"context"
	"errors"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/store"
)

// A link outlives its connection. So that one which was made before a disconnect
// does not bring the connection back, the disconnect leaves a note that lives for
// as long as such links, and the flows begun with them, do.

// disconnectionLifetime is longer than a session and a flow together.
const disconnectionLifetime = 3 * SessionLifetime

// rememberDisconnection returns the Op that leaves the note.
func (v *Vault) rememberDisconnection(id string) (store.Op, error) {
	return v.records.put(store.Key{Kind: kindDisconnections, ID: id}, &storagev1.Disconnection{DisconnectTime: timestamppb.New(v.now())}, store.Any)
}

// notDisconnectedSince returns the Op that lets a commit succeed only while the
// connection has not been disconnected since the link was made, or the error that
// says that it has.
func (v *Vault) notDisconnectedSince(ctx context.Context, id string, link *storagev1.Session) (store.Op, error) {
	key := store.Key{Kind: kindDisconnections, ID: id}
	note := new(storagev1.Disconnection)
	revision, err := v.records.get(ctx, key, note)
	if errors.Is(err, store.ErrNotFound) {
		return store.Delete(key, store.Absent), nil // deletes nothing, and demands that there is nothing
	}
	if err != nil {
		return store.Op{}, err
	}
	if !link.GetCreateTime().AsTime().After(note.GetDisconnectTime().AsTime()) {
		return store.Op{}, errDisconnectedMeanwhile()
	}
	return v.records.put(key, note, revision)
}

func errDisconnectedMeanwhile() *Error {
	return &Error{
		Reason:  SessionExpired,
		Message: "The account was disconnected after this link was made, so the link does not connect it again. Go back to where you got it and ask for a new one.",
	}
}

// disconnection is the note as one of the records that end by themselves.
type disconnection struct{ *storagev1.Disconnection }

// GetExpireTime returns when no flow from before can be under way any more.
func (d disconnection) GetExpireTime() *timestamppb.Timestamp {
	return timestamppb.New(d.GetDisconnectTime().AsTime().Add(disconnectionLifetime))
}
