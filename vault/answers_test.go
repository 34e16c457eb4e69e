package vault

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/store"
	"github.com/tokenvault/tokenvault/vault/store/boltstore"
)

// twoVaults are two on one store, as two processes would be.
func twoVaults(t *testing.T) (a, b *Vault) {
	t.Helper()
	st, err := boltstore.OpenOrCreate(filepath.Join(t.TempDir(), "vault.db"), WatchedKinds()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	master, err := keyring.ParseMasterKey(keyring.GenerateMasterKey())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := OpenKeyring(t.Context(), st, master)
	if err != nil {
		t.Fatal(err)
	}
	p, err := provider.New(provider.Config{
		Name: "acme", ClientID: "vault", ClientSecret: secret.New("s"), RedirectURL: "https://vault.example/oauth/acme/callback",
		Definition: provider.Definition{
			DisplayName: "Acme", AuthorizeURL: "https://acme.example/authorize", TokenURL: "https://acme.example/token", ClientAuth: provider.ClientAuthPost,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var vaults [2]*Vault
	for i := range vaults {
		vaults[i], err = New(t.Context(), Config{Store: st, Keyring: keys, Providers: []*provider.Provider{p}, PublicURL: "https://vault.example", Binding: BindingLink})
		if err != nil {
			t.Fatal(err)
		}
	}
	return vaults[0], vaults[1]
}

var alice = Key{Tenant: DefaultTenant, Subject: "alice", Provider: "acme", Label: DefaultLabel}

// setToken stores a connection with that access token, which lives for an hour.
func setToken(t *testing.T, v *Vault, token string) {
	t.Helper()
	id, err := v.blind.connection(alice)
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.updateConnection(t.Context(), id, true, func(c *storagev1.Connection) error {
		c.Generation++
		c.Grant = &storagev1.Grant{
			AccessToken: token, TokenType: "Bearer",
			IssueTime: timestamppb.New(v.now()), ExpireTime: timestamppb.New(v.now().Add(time.Hour)),
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func wantToken(t *testing.T, v *Vault, want string) {
	t.Helper()
	for range 2 { // made, and kept
		creds, err := v.GetCredentials(t.Context(), CredentialsRequest{Key: alice})
		if err != nil || creds.AccessToken.Reveal() != want {
			t.Errorf("access token = %q, %v; want %q", creds.AccessToken.Reveal(), err, want)
		}
	}
}

func TestWhatAnotherProcessChangesIsSeenAtOnce(t *testing.T) {
	a, b := twoVaults(t)
	for _, token := range []string{"one", "two", "three"} {
		setToken(t, b, token)
		wantToken(t, a, token)
	}
	id, err := b.blind.connection(alice)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Commit(t.Context(), store.Delete(connectionKey(id), store.Any)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.GetCredentials(t.Context(), CredentialsRequest{Key: alice}); err == nil || !strings.Contains(err.Error(), "Connect") {
		t.Errorf("after the connection was deleted: %v, want advice to connect", err)
	}
	if a.blind.known.get(alice).answer.kept.Load() != nil {
		t.Error("the token of a deleted connection is kept")
	}
}

func TestAnAnswerIsKeptForAMomentOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, _ := twoVaults(t)
		setToken(t, v, "one")
		wantToken(t, v, "one")
		slot := &v.blind.known.get(alice).answer
		if slot.kept.Load() == nil {
			t.Fatal("no answer is kept")
		}
		time.Sleep(answerTime)
		synctest.Wait()
		if slot.kept.Load() != nil {
			t.Error("the answer is still there")
		}
		wantToken(t, v, "one")
	})
}

func TestAnAnswerEndsBeforeItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, _ := twoVaults(t)
		setToken(t, v, "one")
		time.Sleep(time.Hour - defaultMinTTL - time.Second)
		wantToken(t, v, "one")
		time.Sleep(2 * time.Second)
		slot := &v.blind.known.get(alice).answer
		if _, ok := slot.get(slot.kept.Load().revision, v.now(), want{}); ok {
			t.Error("the answer is served though its token has little left")
		}
	})
}

func TestFewAnswersAreKept(t *testing.T) {
	var as answers
	slots := make([]slot, maxAnswers+1)
	for i := range slots {
		as.keep(&slots[i], &answer{})
		as.keep(&slots[i], &answer{}) // once more does not count twice
	}
	kept := 0
	for i := range slots {
		if slots[i].kept.Load() != nil {
			kept++
		}
	}
	if kept != 1 || len(as.inUse) != 1 {
		t.Errorf("%d answers are kept and %d known, want the newest alone", kept, len(as.inUse))
	}
}
