package keyring

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/xaesgcm"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// masterKeySize is the length of a master key in bytes.
const masterKeySize = 32

// saltSize is the length of XAES-256-GCM's key-derivation salt in bytes: with
// the 12 bytes of the inner nonce it makes up the 192-bit nonce of the C2SP
// specification.
const saltSize = 12

// MasterKey encrypts the keyset. It is immutable and safe for concurrent use;
// the zero value is of no use.
type MasterKey struct {
	aead tink.AEAD
	id   string
}

// GenerateMasterKey returns a new master key as the text that [ParseMasterKey]
// reads.
func GenerateMasterKey() secret.String {
	var key [masterKeySize]byte
	_, _ = rand.Read(key[:]) // never fails (crypto/rand)
	return secret.New(base64.StdEncoding.EncodeToString(key[:]))
}

// ParseMasterKey reads a master key: 32 bytes in standard base64. White space
// around it is ignored, since files end in newlines. Its errors do not repeat
// the text.
func ParseMasterKey(text secret.String) (MasterKey, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text.Reveal()))
	if err != nil || len(raw) != masterKeySize {
		return MasterKey{}, errors.New("a master key is 32 random bytes in base64: make one with `tokenvault key generate`")
	}
	primitive, err := newXAESGCM(raw)
	if err != nil {
		return MasterKey{}, fmt.Errorf("master key: %w", err)
	}
	// The id tells keys apart in error messages. It is a hash of 256 random
	// bits, so it gives nothing away.
	sum := sha256.Sum256(append([]byte("tokenvault master key id\x00"), raw...))
	return MasterKey{aead: primitive, id: hex.EncodeToString(sum[:4])}, nil
}

// ID names the key in messages, without revealing anything of it.
func (m MasterKey) ID() string { return m.id }

func newXAESGCM(raw []byte) (tink.AEAD, error) {
	params, err := xaesgcm.NewParameters(xaesgcm.VariantNoPrefix, saltSize)
	if err != nil {
		return nil, err
	}
	key, err := xaesgcm.NewKey(secretdata.NewBytesFromData(raw, insecuresecretdataaccess.Token{}), 0, params)
	if err != nil {
		return nil, err
	}
	manager := keyset.NewManager()
	id, err := manager.AddKey(key)
	if err != nil {
		return nil, err
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, err
	}
	handle, err := manager.Handle()
	if err != nil {
		return nil, err
	}
	return aead.New(handle)
}
