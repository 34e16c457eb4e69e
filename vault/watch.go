package vault

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"iter"
	"slices"
	"time"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/store"
)

// Event is what has happened to a connection.
type Event int

// The events.
const (
	// EventCheckpoint: nothing has happened. It tells a watcher from where to go
	// on, at the start and when nothing that it may see has come for a while.
	EventCheckpoint Event = iota + 1
	EventConnected
	EventRefreshed
	EventReauthorizationRequired
	EventDisconnected
	EventAPIKeySet
	EventAPIKeyDeleted
)

// WatchRequest says which changes to watch.
type WatchRequest struct {
	Tenant string
	// Subject, Provider and Status (after the change) narrow it; zero values do
	// not.
	Subject  string
	Provider string
	Status   Status
	// ResumeToken is that of the last change seen. Empty: only changes to come.
	ResumeToken string
	// Visible reports whether the caller may see a connection. Nil: all.
	Visible func(Key) bool
}

// Change is one change of a connection.
type Change struct {
	Event Event
	// Connection is as it was after the change; before it, for
	// EventDisconnected; zero for EventCheckpoint. LastUsedTime is not set.
	Connection  Connection
	Time        time.Time
	ResumeToken string
}

// checkpointInterval is how often a watcher is told where it is, so that one that
// sees nothing for long does not fall out of the change log.
const checkpointInterval = 10 * time.Minute

// Watch yields changes as they happen, beginning with a checkpoint, until ctx
// ends or the iteration fails. With a resume token it goes on after the change
// that had it, without a gap: each change comes once, those of a connection in
// their order. Nothing is buffered for a slow consumer; where it falls behind by
// more than [ChangeRetention], the error is ResumeTokenExpired, and it is to
// list the connections again.
//
// To know all connections and all changes of them, watch first, list after the
// first checkpoint, then take in the changes.
func (v *Vault) Watch(ctx context.Context, r WatchRequest) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		w, err := v.newWatcher(ctx, r, yield)
		if err == nil {
			err = w.run(ctx)
		}
		if err != nil {
			yield(Change{}, err)
		}
	}
}

// watcher follows the change log for one caller.
type watcher struct {
	v      *Vault
	r      WatchRequest
	tenant string
	yield  func(Change, error) bool
	at     position
}

// position is how far a watcher has come: the revision of the last entry that it
// has read, and when that was written.
type position struct {
	revision store.Revision
	time     time.Time
}

// errStopped says that the consumer does not want more.
var errStopped = errors.New("vault: consumer has stopped")

func (v *Vault) newWatcher(ctx context.Context, r WatchRequest, yield func(Change, error) bool) (*watcher, error) {
	if r.Provider != "" {
		if _, _, err := v.check(Key{Tenant: r.Tenant, Subject: "-", Provider: r.Provider}); err != nil {
			return nil, err
		}
	}
	if r.Subject != "" {
		if err := checkSubject(r.Subject); err != nil {
			return nil, err
		}
	}
	tenant, err := v.blind.tenant(r.Tenant)
	if err != nil {
		return nil, err
	}
	w := &watcher{v: v, r: r, tenant: tenant, yield: yield}
	page, err := v.store.List(ctx, store.Key{Kind: kindChanges}, "", 1)
	if err != nil {
		return nil, err
	}
	w.at = position{page.Revision, v.now()}
	if r.ResumeToken != "" {
		if w.at, err = w.parseResumeToken(r.ResumeToken); err != nil {
			return nil, err
		}
		if w.at.revision > page.Revision {
			return nil, errResumeTokenExpired() // of a database that was there before a restore
		}
	}
	return w, nil
}

func (w *watcher) run(ctx context.Context) error {
	for {
		if err := w.catchUp(ctx); err != nil {
			return quiet(err)
		}
		if err := w.hand(Change{Event: EventCheckpoint, Time: w.v.now()}); err != nil {
			return quiet(err)
		}
		err := w.follow(ctx)
		switch {
		case errors.Is(err, store.ErrCompacted):
			// The store's history is shorter than the change log: a consumer
			// that falls behind it reads the log instead.
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			// Time for a checkpoint.
		default:
			return quiet(err)
		}
	}
}

// quiet makes no error of a consumer's wish.
func quiet(err error) error {
	if errors.Is(err, errStopped) {
		return nil
	}
	return err
}

// skew is how far the times in the change log may be out of the order of its
// commits: how long a commit may take, and the clocks of several processes differ.
const skew = 2 * time.Minute

// logged is an entry of the change log to be read.
type logged struct {
	id       string
	revision store.Revision
}

// catchUp reads the change log from where the watcher is.
func (w *watcher) catchUp(ctx context.Context) error {
	if away := w.v.now().Sub(w.at.time); away > ChangeRetention-skew || away < -skew {
		return errResumeTokenExpired() // too long, or the clock was set back: the log cannot be read from there
	}
	var missed []logged
	var upTo position
	for after := timeKey(w.at.time.Add(-skew)); ; {
		page, err := w.v.store.List(ctx, store.Key{Kind: kindChanges}, after, sweepBatch)
		if err != nil {
			return err
		}
		if upTo == (position{}) {
			// Later pages may hold later entries; follow brings those.
			upTo = position{page.Revision, w.v.now()}
		}
		for _, rec := range page.Records {
			after = rec.Key.ID
			if at, _, ok := changeEntry(after); ok && rec.Revision <= w.at.revision && at.Sub(w.at.time) > skew {
				// What had this revision when the watcher was there was something
				// else: a backup was restored since.
				return errResumeTokenExpired()
			}
			if rec.Revision > w.at.revision && rec.Revision <= upTo.revision && w.isOurs(after) {
				missed = append(missed, logged{after, rec.Revision})
			}
		}
		if len(page.Records) < sweepBatch {
			break
		}
	}
	slices.SortFunc(missed, func(a, b logged) int { return cmp.Compare(a.revision, b.revision) })
	for _, entry := range missed {
		if err := w.deliver(ctx, entry); err != nil {
			return err
		}
	}
	w.at = upTo
	return nil
}

// follow reads the change log as it grows, until it is time for a checkpoint.
func (w *watcher) follow(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkpointInterval)
	defer cancel()
	for event, err := range w.v.store.Watch(ctx, store.Key{Kind: kindChanges}, w.at.revision) {
		if err != nil {
			return err
		}
		if event.Deleted || !w.isOurs(event.Key.ID) {
			continue
		}
		if err := w.deliver(ctx, logged{event.Key.ID, event.Revision}); err != nil {
			return err
		}
	}
	return nil
}

func (w *watcher) isOurs(id string) bool {
	_, tenant, ok := changeEntry(id)
	return ok && tenant == w.tenant
}

// deliver reads an entry and hands it to the consumer, if it is for them.
func (w *watcher) deliver(ctx context.Context, entry logged) error {
	record := new(storagev1.Change)
	_, err := w.v.records.get(ctx, store.Key{Kind: kindChanges, ID: entry.id}, record)
	if errors.Is(err, store.ErrNotFound) {
		return errResumeTokenExpired() // swept before this consumer came to it
	}
	if err != nil {
		return err
	}
	at, _, _ := changeEntry(entry.id)
	w.at = position{entry.revision, at}
	change := describeChange(record)
	key := change.Connection.Key
	if w.r.Subject != "" && key.Subject != w.r.Subject || w.r.Provider != "" && key.Provider != w.r.Provider ||
		w.r.Status != 0 && change.Connection.Status != w.r.Status || w.r.Visible != nil && !w.r.Visible(key) {
		return nil
	}
	return w.hand(change)
}

func (w *watcher) hand(change Change) error {
	var err error
	if change.ResumeToken, err = w.resumeToken(); err != nil {
		return err
	}
	if !w.yield(change, nil) {
		return errStopped
	}
	return nil
}

func describeChange(record *storagev1.Change) Change {
	change := Change{
		Connection: describeRecord(record.GetConnection()),
		Time:       record.GetTime().AsTime(),
	}
	change.Connection.Status = Status(record.GetStatus())
	switch record.GetEvent() {
	case storagev1.Change_EVENT_CONNECTED:
		change.Event = EventConnected
	case storagev1.Change_EVENT_REFRESHED:
		change.Event = EventRefreshed
	case storagev1.Change_EVENT_REAUTHORIZATION_REQUIRED:
		change.Event = EventReauthorizationRequired
	case storagev1.Change_EVENT_DISCONNECTED:
		change.Event = EventDisconnected
	case storagev1.Change_EVENT_API_KEY_SET:
		change.Event = EventAPIKeySet
	case storagev1.Change_EVENT_API_KEY_DELETED:
		change.Event = EventAPIKeyDeleted
	}
	return change
}

// A resume token is a position, sealed for the tenant: revisions count what all
// tenants do, which is nobody's business. One that does not open is of another vault,
// of another tenant, or forged, and nobody can tell which.

// resumeTokens is no kind of record: kinds have no spaces.
const resumeTokens = "resume token"

// positionSize is the length of a position in bytes.
const positionSize = 8 + dueTimeSize

func (w *watcher) resumeToken() (string, error) {
	raw := binary.BigEndian.AppendUint64(nil, uint64(w.at.revision))
	sealed, err := w.v.records.keyring.Seal(resumeTokens, w.tenant, append(raw, timeKey(w.at.time)...))
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

func (w *watcher) parseResumeToken(token string) (position, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(sealed) < positionSize {
		return position{}, invalid(InvalidResumeToken, "resume_token", "is not a resume_token of an earlier answer")
	}
	raw, err := w.v.records.keyring.Open(resumeTokens, w.tenant, sealed)
	if err != nil {
		return position{}, errResumeTokenExpired()
	}
	return position{store.Revision(binary.BigEndian.Uint64(raw)), keyTime(string(raw[8:]))}, nil
}

func errResumeTokenExpired() *Error {
	return &Error{
		Reason:  ResumeTokenExpired,
		Message: "The changes since this resume_token are no longer all known. List the connections again and watch without a resume_token.",
	}
}
