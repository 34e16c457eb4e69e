package vault

import (
	"crypto/rand"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/store"
)

// The change log remembers what watchers are told, for a while. Its entries are
// written with the changes themselves, so it holds neither more nor less than
// what has happened. Their store keys are time, tenant (blind), and a random
// end: the oldest are at the front.

// ChangeRetention is how long the change log goes back, and so how long a
// watcher may be away and still go on where it was.
const ChangeRetention = time.Hour

// changeKeySize is the length of an entry's store key in bytes.
const changeKeySize = dueTimeSize + keyring.BlindSize + 8

// eventOf says what watchers are told of a change. Unspecified: nothing.
func eventOf(before, after *storagev1.Connection) storagev1.Change_Event {
	switch {
	case before.GetApiKey() != nil && after.GetApiKey() == nil:
		return storagev1.Change_EVENT_API_KEY_DELETED
	case !proto.Equal(before.GetApiKey(), after.GetApiKey()):
		return storagev1.Change_EVENT_API_KEY_SET
	case after.GetReauthorizationRequired() && !before.GetReauthorizationRequired():
		return storagev1.Change_EVENT_REAUTHORIZATION_REQUIRED
	case after.GetGeneration() == before.GetGeneration():
		return storagev1.Change_EVENT_UNSPECIFIED
	case proto.Equal(after.GetConnectTime(), before.GetConnectTime()):
		return storagev1.Change_EVENT_REFRESHED
	default:
		return storagev1.Change_EVENT_CONNECTED
	}
}

// logChange returns the Op that adds an entry to the change log.
func (v *Vault) logChange(event storagev1.Change_Event, conn *storagev1.Connection) (store.Op, error) {
	now := v.now()
	status := statusOf(conn, now)
	if event == storagev1.Change_EVENT_DISCONNECTED {
		status = Disconnected // the rest is as it was before
	}
	tenant, err := v.blind.tenant(conn.GetKey().GetTenant())
	if err != nil {
		return store.Op{}, err
	}
	var end [changeKeySize - dueTimeSize - keyring.BlindSize]byte
	_, _ = rand.Read(end[:]) // never fails (crypto/rand)
	return v.records.put(store.Key{Kind: kindChanges, ID: timeKey(now) + tenant + string(end[:])}, &storagev1.Change{
		Event:      event,
		Time:       timestamppb.New(now),
		Connection: withoutTokens(conn),
		Status:     int32(status),
	}, store.Absent)
}

// changeEntry takes a store key of the change log apart. It reports false for a
// key that is none.
func changeEntry(id string) (at time.Time, tenant string, ok bool) {
	if len(id) != changeKeySize {
		return time.Time{}, "", false
	}
	return keyTime(id), id[dueTimeSize:][:keyring.BlindSize], true
}

// withoutTokens returns a copy of the connection that holds no secret.
func withoutTokens(conn *storagev1.Connection) *storagev1.Connection {
	c := proto.CloneOf(conn)
	c.Candidate, c.RefreshIntent = nil, nil
	if c.GetGrant() != nil {
		c.Grant.AccessToken, c.Grant.RefreshToken = "", ""
	}
	if c.GetApiKey() != nil {
		c.ApiKey.Key = "" // that there is one is no secret
	}
	return c
}
