package keyring_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/keyring"
	"github.com/tokenvault/tokenvault/vault/secret"
)

func newMaster(t testing.TB) keyring.MasterKey {
	t.Helper()
	master, err := keyring.ParseMasterKey(keyring.GenerateMasterKey())
	if err != nil {
		t.Fatal(err)
	}
	return master
}

func newKeyring(t testing.TB) *keyring.Keyring {
	t.Helper()
	k, _, err := keyring.Generate(newMaster(t))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestASealedValueOpensOnlyWhereItWasSealedFor(t *testing.T) {
	k := newKeyring(t)
	plaintext := []byte("access token")
	sealed, err := k.Seal("connections", "id-1", plaintext)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open("connections", "id-1", sealed); err != nil || !bytes.Equal(got, plaintext) {
		t.Fatalf("Open = %q, %v; want %q", got, err, plaintext)
	}
	for _, place := range []struct{ name, kind, id string }{
		{"another key", "connections", "id-2"},
		{"another kind", "sessions", "id-1"},
		{"the boundary between kind and key moved", "connectionsi", "d-1"},
		{"no key", "connections", ""},
	} {
		t.Run(place.name, func(t *testing.T) {
			if _, err := k.Open(place.kind, place.id, sealed); !errors.Is(err, keyring.ErrTampered) {
				t.Errorf("Open = %v, want ErrTampered", err)
			}
		})
	}
	t.Run("another vault", func(t *testing.T) {
		if _, err := newKeyring(t).Open("connections", "id-1", sealed); !errors.Is(err, keyring.ErrTampered) {
			t.Errorf("Open = %v, want ErrTampered", err)
		}
	})
}

func TestEveryFlippedBitAndTruncationIsFound(t *testing.T) {
	k := newKeyring(t)
	sealed, err := k.Seal("connections", "id", []byte("token"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		flipped := bytes.Clone(sealed)
		flipped[i] ^= 1
		if _, err := k.Open("connections", "id", flipped); !errors.Is(err, keyring.ErrTampered) {
			t.Errorf("byte %d flipped: %v, want ErrTampered", i, err)
		}
		if _, err := k.Open("connections", "id", sealed[:i]); !errors.Is(err, keyring.ErrTampered) {
			t.Errorf("cut to %d bytes: %v, want ErrTampered", i, err)
		}
	}
}

func TestTheSamePlaintextNeverSealsToTheSameBytes(t *testing.T) {
	k := newKeyring(t)
	seen := map[string]bool{}
	for range 100 {
		sealed, err := k.Seal("connections", "id", []byte("token"))
		if err != nil {
			t.Fatal(err)
		}
		if seen[string(sealed)] {
			t.Fatal("a nonce was used twice")
		}
		seen[string(sealed)] = true
	}
}

func TestAStoredKeysetOpensWithItsMasterKeyOnly(t *testing.T) {
	master := newMaster(t)
	k, stored, err := keyring.Generate(master)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := k.Seal("connections", "id", []byte("token"))
	if err != nil {
		t.Fatal(err)
	}

	again, err := keyring.Load(master, stored)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open("connections", "id", sealed); err != nil || string(got) != "token" {
		t.Errorf("Open after Load = %q, %v", got, err)
	}

	other := newMaster(t)
	_, err = keyring.Load(other, stored)
	if !errors.Is(err, keyring.ErrWrongMasterKey) {
		t.Fatalf("Load with another master key = %v, want ErrWrongMasterKey", err)
	}
	for _, id := range []string{master.ID(), other.ID()} {
		if !strings.Contains(err.Error(), id) {
			t.Errorf("the error %q does not name key %s", err, id)
		}
	}
}

func TestTheTwoKeysetsCannotBeExchanged(t *testing.T) {
	master := newMaster(t)
	_, stored, err := keyring.Generate(master)
	if err != nil {
		t.Fatal(err)
	}
	swapped := proto.Clone(stored).(*storagev1.Keyset)
	swapped.Sealing, swapped.Blinding = stored.Blinding, stored.Sealing
	if _, err := keyring.Load(master, swapped); !errors.Is(err, keyring.ErrWrongMasterKey) {
		t.Errorf("Load of exchanged keysets = %v, want ErrWrongMasterKey", err)
	}
}

func TestBlindNamesAreStableSeparateAndKeyed(t *testing.T) {
	k := newKeyring(t)
	blind := func(k *keyring.Keyring, purpose string, parts ...string) string {
		t.Helper()
		out, err := k.Blind(purpose, parts...)
		if err != nil {
			t.Fatal(err)
		}
		if len(out) != keyring.BlindSize {
			t.Fatalf("len = %d, want %d", len(out), keyring.BlindSize)
		}
		return out
	}
	base := blind(k, "subject", "acme", "alice")
	if again := blind(k, "subject", "acme", "alice"); again != base {
		t.Error("the same name is not blinded to the same bytes")
	}
	others := map[string]string{
		"another part":              blind(k, "subject", "acme", "bob"),
		"another purpose":           blind(k, "tenant", "acme", "alice"),
		"a boundary moved":          blind(k, "subject", "acmea", "lice"),
		"parts joined":              blind(k, "subject", "acmealice"),
		"an empty part more":        blind(k, "subject", "acme", "alice", ""),
		"purpose running into part": blind(k, "subjecta", "cme", "alice"),
		"another vault":             blind(newKeyring(t), "subject", "acme", "alice"),
	}
	for name, other := range others {
		if other == base {
			t.Errorf("%s: same blind name", name)
		}
	}
}

func TestAMasterKeyIs32BytesOfBase64(t *testing.T) {
	good := keyring.GenerateMasterKey().Reveal()
	for _, text := range []string{good, good + "\n", "  " + good + "\r\n"} {
		if _, err := keyring.ParseMasterKey(secret.New(text)); err != nil {
			t.Errorf("ParseMasterKey(a good key) = %v", err)
		}
	}
	for name, text := range map[string]string{
		"empty":     "",
		"not text":  "\x00\x01",
		"too short": base64.StdEncoding.EncodeToString(make([]byte, 31)),
		"too long":  base64.StdEncoding.EncodeToString(make([]byte, 33)),
		"a phrase":  "correct horse battery staple",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := keyring.ParseMasterKey(secret.New(text))
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), "tokenvault key generate") {
				t.Errorf("the error %q does not say what to do", err)
			}
			if text != "" && strings.Contains(err.Error(), text) {
				t.Errorf("the error repeats the key")
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	k := newKeyring(b)
	sealed, err := k.Seal("connections", strings.Repeat("k", 48), make([]byte, 400))
	if err != nil {
		b.Fatal(err)
	}
	id := strings.Repeat("k", 48)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Open("connections", id, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBlind(b *testing.B) {
	k := newKeyring(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Blind("connection", "default", "alice@example.com", "mailchimp", "default"); err != nil {
			b.Fatal(err)
		}
	}
}
