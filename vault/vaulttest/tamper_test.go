package vaulttest_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/audit"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
	"github.com/tokenvault/tokenvault/vault/store/boltstore"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// These tests are of somebody who can write the database, and has not got the master
// key.

// kinds are those of the engine's records, as its source has them.
func kinds(t *testing.T) []store.Kind {
	t.Helper()
	source, err := os.ReadFile("../records.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []store.Kind
	for _, match := range regexp.MustCompile(`store\.Kind = "([a-z-]+)"`).FindAllSubmatch(source, -1) {
		all = append(all, store.Kind(match[1]))
	}
	return all
}

// records reads all records of a store.
func records(t *testing.T, s store.Store) map[store.Key]store.Record {
	t.Helper()
	all := map[store.Key]store.Record{}
	for _, kind := range kinds(t) {
		page, err := s.List(t.Context(), store.Key{Kind: kind}, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range page.Records {
			all[rec.Key] = rec
		}
	}
	return all
}

// full is a vault whose database has records of every kind. Its background rests.
type full struct {
	t     *testing.T
	seat  vaulttest.Seat
	sb    *sandbox.Sandbox
	vault *vault.Vault
	db    store.Store
	log   bytes.Buffer

	// of are the records that the reads of a kind are about.
	of map[store.Kind]store.Key
	// links, state and cookie are of flows under way, resume of a watcher.
	link, linkAfterDisconnect, state, resume string
	cookie                                   secret.String
	// confirmation is of frank's code that is held, login the state of a sign-in
	// under way in the browser of cookie, and signIn the cookie of one that is over.
	confirmation secret.String
	login        string
	signIn       secret.String
	portalLink   secret.String
	// before is how the records were a while ago.
	before map[store.Key]store.Record
}

// newFull fills a database. It is to be called in a bubble of testing/synctest.
func newFull(t *testing.T) *full {
	t.Helper()
	e := vaulttest.NewEngine(t, vaulttest.EngineConfig{})
	f := &full{t: t, seat: e.Seat, sb: e.Sandbox, of: map[store.Kind]store.Key{}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	f.added(e.Store, "connections", func() { e.MustConnect("alice") })
	e.MustConnect("bob", "carol")
	_, err := e.Credentials("alice")
	must(err)
	f.before = records(t, e.Store)
	time.Sleep(time.Minute)
	_, err = e.Vault.RefreshConnection(t.Context(), e.Key("alice"))
	must(err)
	e.Sandbox.Fault(sandbox.Revoke, sandbox.Fault{Status: 503})
	f.added(e.Store, "disconnections", func() {
		_, err := e.Vault.Disconnect(t.Context(), e.Key("carol"))
		must(err)
	})
	time.Sleep(time.Minute) // the times of last use are written
	_, err = e.Vault.Connect(t.Context(), vault.ConnectRequest{Key: e.Key("dave"), Grant: vault.DeviceCode})
	must(err)
	rotated := secret.New("another secret of the client's")
	_, err = e.Vault.RotateClientSecret(t.Context(), "acme", rotated, time.Hour)
	must(err)
	for change, err := range e.Vault.Watch(t.Context(), vault.WatchRequest{Tenant: vault.DefaultTenant}) {
		must(err)
		f.resume = change.ResumeToken
		break
	}
	f.added(e.Store, "changes", func() { e.MustConnect("erin") })
	f.added(e.Store, "sessions", func() { f.link = begin(t, e) })
	f.added(e.Store, "flows", func() {
		opened, err := e.Vault.Authorize(t.Context(), vault.AuthorizeRequest{Provider: "acme", Session: f.link})
		must(err)
		f.state, f.cookie = stateOf(t, opened.Location), opened.FlowCookie
	})
	begun, err := e.Vault.Connect(t.Context(), vault.ConnectRequest{Key: e.Key("carol")})
	must(err)
	f.linkAfterDisconnect = begun.Session
	e.Stop()
	f.hold()
	f.open()
	t.Cleanup(func() { _ = f.db.Close() })
	f.signInPeople()
	keeper := f.keeper()
	must(keeper.SaveHead(t.Context(), audit.Head{Sequence: 1, Hash: "x"}))
	must(keeper.SaveHead(t.Context(), audit.Head{Sequence: 2, Hash: "y"}))
	all := records(t, f.db)
	for _, kind := range kinds(t) {
		for key := range all {
			if _, ok := f.of[kind]; !ok && key.Kind == kind {
				f.of[kind] = key
			}
		}
		if f.of[kind] == (store.Key{}) {
			t.Errorf("there is no record of kind %s: this test shows nothing of it", kind)
		}
	}
	return f
}

// anybody is an identity provider that takes people at their word.
type anybody struct{}

func (anybody) AuthorizeURL(_ context.Context, state, _ string, _ secret.String, _ bool) (string, error) {
	return "https://id.example/authorize?state=" + state, nil
}

func (anybody) Subject(_ context.Context, code secret.String, _ string, _ secret.String) (string, error) {
	return code.Reveal(), nil
}

// hold has the vault hold a code, as it does where flows are confirmed.
func (f *full) hold() {
	f.t.Helper()
	v, db, err := f.seat.Open(f.t.Context(), vaulttest.EngineConfig{Binding: vault.BindingConfirm, ReturnURLs: []string{home}}, f.sb.Transport())
	if err != nil {
		f.t.Fatal(err)
	}
	begun, err := v.Connect(f.t.Context(), vault.ConnectRequest{Key: f.key("frank"), ReturnURL: home})
	if err != nil {
		f.t.Fatal(err)
	}
	opened, err := v.Authorize(f.t.Context(), vault.AuthorizeRequest{Provider: "acme", Session: begun.Session})
	if err != nil {
		f.t.Fatal(err)
	}
	back, err := v.Callback(f.t.Context(), vault.CallbackRequest{
		Provider: "acme", State: stateOf(f.t, opened.Location), Code: secret.New("code"), Issuer: f.seat.ProviderURL, FlowCookie: opened.FlowCookie,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	u, err := url.Parse(back.Location)
	if err := errors.Join(err, db.Close()); err != nil {
		f.t.Fatal(err)
	}
	f.confirmation = secret.New(u.Query().Get("confirmation"))
}

// signInPeople has one browser signed in, and another one about to be.
func (f *full) signInPeople() {
	f.t.Helper()
	begin := func() string {
		opened, err := f.vault.Authorize(f.t.Context(), vault.AuthorizeRequest{Provider: "acme", Session: f.link, FlowCookie: f.cookie})
		if err != nil {
			f.t.Fatal(err)
		}
		return stateOf(f.t, opened.Location)
	}
	f.added(f.db, "sign-ins", func() {
		signedIn, err := f.vault.FinishSignIn(f.t.Context(), vault.SignInRequest{State: begin(), Code: secret.New("alice"), FlowCookie: f.cookie})
		if err != nil {
			f.t.Fatal(err)
		}
		f.signIn = signedIn.Cookie
	})
	f.added(f.db, "logins", func() { f.login = begin() })
	f.added(f.db, "portal-links", func() {
		link, err := f.vault.CreatePortalLink(f.t.Context(), vault.PortalLinkRequest{Subject: "alice", Scope: vault.PortalScope{Tenant: vault.DefaultTenant}})
		if err != nil {
			f.t.Fatal(err)
		}
		u, err := url.Parse(link.URL.Reveal())
		if err != nil {
			f.t.Fatal(err)
		}
		f.portalLink = secret.New(u.Query().Get("link"))
	})
}

// added notes the record of a kind that do adds.
func (f *full) added(s store.Store, kind store.Kind, do func()) {
	f.t.Helper()
	before := records(f.t, s)
	do()
	for key := range records(f.t, s) {
		if _, ok := before[key]; !ok && key.Kind == kind {
			f.of[kind] = key
		}
	}
}

// open opens the database and the vault on it.
func (f *full) open() {
	f.t.Helper()
	var err error
	config := vaulttest.EngineConfig{Binding: vault.BindingLogin, Identity: anybody{}, Log: slog.NewTextHandler(&f.log, &slog.HandlerOptions{Level: slog.LevelDebug})}
	if f.vault, f.db, err = f.seat.Open(f.t.Context(), config, f.sb.Transport()); err != nil {
		f.t.Fatal(err)
	}
}

func (f *full) keys() *keyring.Keyring {
	f.t.Helper()
	master, err := keyring.ParseMasterKey(secret.New(f.seat.MasterKey))
	if err != nil {
		f.t.Fatal(err)
	}
	keys, err := vault.OpenKeyring(f.t.Context(), f.db, master)
	if err != nil {
		f.t.Fatal(err)
	}
	return keys
}

func (f *full) keeper() vault.AuditKeeper {
	f.t.Helper()
	keeper, _, err := vault.NewAuditKeeper(f.db, f.keys())
	if err != nil {
		f.t.Fatal(err)
	}
	return keeper
}

func (f *full) put(rec store.Record, value []byte) {
	f.t.Helper()
	if _, err := f.db.Commit(f.t.Context(), store.Put(rec.Key, value, store.Any)); err != nil {
		f.t.Fatal(err)
	}
}

// forgery is a value in place of another.
type forgery struct {
	name  string
	value []byte
}

// forgeries of a record are the values of all others, now and before, and its own
// with a bit changed, something missing, or something more.
func forgeries(of store.Record, others ...map[store.Key]store.Record) []forgery {
	var all []forgery
	for _, records := range others {
		for key, other := range records {
			if key != of.Key && !bytes.Equal(other.Value, of.Value) {
				all = append(all, forgery{"that of a record of kind " + string(key.Kind), other.Value})
			}
		}
	}
	for bit := range 8 * len(of.Value) {
		flipped := bytes.Clone(of.Value)
		flipped[bit/8] ^= 1 << (bit % 8)
		all = append(all, forgery{fmt.Sprintf("bit %d flipped", bit), flipped})
	}
	for n := range len(of.Value) {
		all = append(all, forgery{fmt.Sprintf("%d bytes of %d", n, len(of.Value)), of.Value[:n]})
		all = append(all, forgery{fmt.Sprintf("without %d bytes", n+1), of.Value[n+1:]})
	}
	for _, more := range [][]byte{{0}, {0xff}, of.Value} {
		all = append(all, forgery{"more behind it", slices.Concat(of.Value, more)}, forgery{"more before it", slices.Concat(more, of.Value)})
	}
	return all
}

func TestNoSealedValueOpensAnywhereElseOrChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFull(t)
		keys, all := f.keys(), records(t, f.db)
		tried := 0
		for key, rec := range all {
			if key.Kind == "keyset" {
				continue // the next test's
			}
			if _, err := keys.Open(string(key.Kind), key.ID, rec.Value); err != nil {
				t.Errorf("a record of kind %s does not open as it is: %v", key.Kind, err)
			}
			for _, forged := range forgeries(rec, all, f.before) {
				tried++
				if _, err := keys.Open(string(key.Kind), key.ID, forged.value); !errors.Is(err, keyring.ErrTampered) {
					t.Errorf("a record of kind %s with %s: error = %v", key.Kind, forged.name, err)
				}
			}
		}
		t.Logf("%d records, %d forgeries", len(all), tried)
	})
}

// some leaves of the forgeries all foreign values, and few of the many that are the
// record's own with a change: each is written to the disk.
func some(all []forgery) []forgery {
	var few []forgery
	for i, forged := range all {
		if strings.HasPrefix(forged.name, "that of") || i%101 == 0 || i >= len(all)-8 {
			few = append(few, forged)
		}
	}
	return few
}

// reading is one way to read what a record says.
type reading struct {
	name string
	do   func(ctx context.Context) (any, error)
}

// key names acme's connection of a subject.
func (f *full) key(subject string) vault.Key {
	return vault.Key{Tenant: vault.DefaultTenant, Subject: subject, Provider: "acme"}
}

// reads of a kind touch the record that f.of names. What they say otherwise is the
// same again and again.
func (f *full) reads() map[store.Kind][]reading {
	credentials := func(ctx context.Context) (any, error) {
		creds, err := f.vault.GetCredentials(ctx, vault.CredentialsRequest{Key: f.key("alice")})
		return creds.AccessToken.Reveal(), err
	}
	connection := func(ctx context.Context) (any, error) {
		conn, err := f.vault.GetConnection(ctx, f.key("alice"))
		return conn.Account, err
	}
	list := func(ctx context.Context) (any, error) {
		page, err := f.vault.ListConnections(ctx, vault.ListRequest{Tenant: vault.DefaultTenant})
		return len(page.Connections), err
	}
	return map[store.Kind][]reading{
		"connections": {
			{"GetCredentials", credentials}, {"GetConnection", connection}, {"ListConnections", list},
			{"RefreshConnection", func(ctx context.Context) (any, error) { return f.vault.RefreshConnection(ctx, f.key("alice")) }},
			{"Disconnect", func(ctx context.Context) (any, error) { return f.vault.Disconnect(ctx, f.key("alice")) }},
		},
		"usage": {{"ListConnections", list}},
		"sessions": {{"Authorize", func(ctx context.Context) (any, error) {
			return f.vault.Authorize(ctx, vault.AuthorizeRequest{Provider: "acme", Session: f.link})
		}}},
		"flows": {{"Callback", func(ctx context.Context) (any, error) {
			return f.vault.Callback(ctx, vault.CallbackRequest{Provider: "acme", State: f.state, Code: secret.New("code"), FlowCookie: f.cookie})
		}}},
		"confirmations": {{"Confirm", func(ctx context.Context) (any, error) {
			return f.vault.Confirm(ctx, vault.ConfirmRequest{Confirmation: f.confirmation, Tenant: vault.DefaultTenant, Subject: "frank"})
		}}},
		"logins": {{"FinishSignIn", func(ctx context.Context) (any, error) {
			return f.vault.FinishSignIn(ctx, vault.SignInRequest{State: f.login, Code: secret.New("alice"), FlowCookie: f.cookie})
		}}},
		"sign-ins": {{"Authorize", func(ctx context.Context) (any, error) {
			return f.vault.Authorize(ctx, vault.AuthorizeRequest{Provider: "acme", Session: f.link, SignInCookie: f.signIn})
		}}},
		"portal-links": {{"LookAtPortalLink", func(ctx context.Context) (any, error) {
			return f.vault.LookAtPortalLink(ctx, f.portalLink)
		}}},
		"disconnections": {{"Authorize", func(ctx context.Context) (any, error) {
			return f.vault.Authorize(ctx, vault.AuthorizeRequest{Provider: "acme", Session: f.linkAfterDisconnect})
		}}},
		"changes": {{"Watch", func(ctx context.Context) (any, error) {
			for change, err := range f.vault.Watch(ctx, vault.WatchRequest{Tenant: vault.DefaultTenant, ResumeToken: f.resume}) {
				if err != nil || change.Event != vault.EventCheckpoint {
					return change.Event, err
				}
			}
			return nil, ctx.Err()
		}}},
		"audit": {{"LoadHead", func(ctx context.Context) (any, error) { return f.keeper().LoadHead(ctx) }}},
	}
}

func TestAForgedRecordIsNeverAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFull(t)
		all := records(t, f.db)
		tokens := f.sb.Requests(sandbox.Token)
		reads := f.reads()
		for _, kind := range slices.Sorted(maps.Keys(reads)) {
			rec := all[f.of[kind]]
			for _, forged := range some(forgeries(rec, all, f.before)) {
				f.put(rec, forged.value)
				for _, read := range reads[kind] {
					if got, err := read.do(t.Context()); !errors.Is(err, keyring.ErrTampered) {
						t.Errorf("%s of a record of kind %s with %s: %v, error %v", read.name, kind, forged.name, got, err)
					}
				}
			}
			f.put(rec, rec.Value)
		}
		if n := f.sb.Requests(sandbox.Token) - tokens; n != 0 {
			t.Errorf("the provider was asked %d times", n)
		}
		if got, err := reads["connections"][0].do(t.Context()); err != nil || got == "" {
			t.Errorf("with everything as it was: %v, error %v", got, err)
		}
	})
}

// TestAForgedRecordOfTheStartStopsIt is for what is read once. Of the keyset's record
// the keys are sealed, and not what names their master key, nor the time: what changes
// in those alone leaves the same keys.
func TestAForgedRecordOfTheStartStopsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFull(t)
		all := records(t, f.db)
		for kind, want := range map[store.Kind]error{"keyset": keyring.ErrWrongMasterKey, "secrets": keyring.ErrTampered} {
			rec := all[f.of[kind]]
			for _, forged := range some(forgeries(rec, all, f.before)) {
				f.put(rec, forged.value)
				if err := f.db.Close(); err != nil {
					t.Fatal(err)
				}
				v, db, err := f.seat.Open(t.Context(), vaulttest.EngineConfig{}, f.sb.Transport())
				if err == nil && kind == "keyset" {
					if _, err = v.GetCredentials(t.Context(), vault.CredentialsRequest{Key: f.key("alice")}); err != nil {
						t.Errorf("the vault starts with other keys on a keyset with %s: %v", forged.name, err)
					}
					err = errors.Join(want, db.Close())
				}
				if !errors.Is(err, want) && !strings.Contains(fmt.Sprint(err), "read the keyset") {
					t.Errorf("a record of kind %s with %s: error = %v", kind, forged.name, err)
				}
				f.restore(rec)
			}
		}
	})
}

// restore writes a record into the database while no vault runs on it.
func (f *full) restore(rec store.Record) {
	f.t.Helper()
	db, err := openBolt(f.seat.DatabasePath)
	if err != nil {
		f.t.Fatal(err)
	}
	f.db = db
	f.put(rec, rec.Value)
}

// TestTheBackgroundStepsOverForgedEntries is for kinds that nobody asks for, and of
// which the background lists whatever there is. Store keys can be forged, too: they
// are not sealed.
func TestTheBackgroundStepsOverForgedEntries(t *testing.T) {
	for _, kind := range []store.Kind{"due", "revocations", "devices"} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFull(t)
				all := records(t, f.db)
				rec := all[f.of[kind]]
				for _, forged := range some(forgeries(rec, all, f.before)) {
					key := rec.Key
					key.ID = key.ID[:16] + strings.Repeat("\x00", 8) + fmt.Sprintf("%016x", len(forged.value)) + forged.name // due long ago
					f.put(store.Record{Key: key}, forged.value)
				}
				for n := 1; n < len(rec.Key.ID); n++ {
					f.put(store.Record{Key: store.Key{Kind: kind, ID: rec.Key.ID[:n]}}, rec.Value)
				}
				for key, other := range all {
					if key.Kind == "revocations" || key.Kind == "devices" {
						f.put(other, bytes.Repeat([]byte{1}, 64))
					}
				}
				f.sb.ClearFaults()
				revocations, tokens := f.sb.Requests(sandbox.Revoke), f.sb.Requests(sandbox.Token)
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- f.vault.Run(ctx) }()
				time.Sleep(10 * time.Minute) // less than until something honest is due
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
				if r, n := f.sb.Requests(sandbox.Revoke)-revocations, f.sb.Requests(sandbox.Token)-tokens; r != 0 || n != 0 {
					t.Errorf("the provider was asked to revoke %d times, and for tokens %d times", r, n)
				}
				if kind != "due" && !strings.Contains(f.log.String(), keyring.ErrTampered.Error()) {
					t.Errorf("the log does not tell of it:\n%s", f.log.String())
				}
			})
		})
	}
}

// TestAnOlderVersionOfARecordOpens is what sealing cannot notice: the same record as
// it was before. Package keyring says so.
func TestAnOlderVersionOfARecordOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFull(t)
		rec := f.before[f.of["connections"]]
		current := f.reads()["connections"][0]
		now, err := current.do(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.put(rec, rec.Value)
		if old, err := current.do(t.Context()); err != nil || old == now {
			t.Errorf("the older record gives %v, error %v; it now was %v", old, err, now)
		}
		// The record names neither others nor another generation: what comes of it is
		// a token that the person's consent was for, or none.
		if _, err := f.vault.RefreshConnection(t.Context(), f.key("alice")); cmp.Or(vault.ReasonOf(err), "none") != vault.ReauthorizationRequired {
			t.Errorf("with the used refresh token of the older record: %v", err)
		}
	})
}

func openBolt(path string) (store.Store, error) {
	return boltstore.OpenOrCreate(path, vault.WatchedKinds()...)
}
