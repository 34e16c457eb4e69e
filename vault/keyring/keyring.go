package keyring

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"
	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
)

var (
	// ErrWrongMasterKey says that a keyset does not open with the master key.
	ErrWrongMasterKey = errors.New("keyring: the keyset does not open with this master key")
	// ErrTampered says that a value does not open: it is not what was sealed,
	// or not where it was sealed for.
	ErrTampered = errors.New("keyring: sealed value does not open")
)

// BlindSize is the length in bytes of what [Keyring.Blind] returns. 128 bits
// keep the chance of two names colliding negligible.
const BlindSize = 16

// Keyring seals values and blinds names. It is immutable and safe for
// concurrent use; the zero value is of no use.
type Keyring struct {
	sealing  tink.AEAD
	blinding *prf.Set
}

// purposes of the two keysets, which their encryption is bound to, so that one
// cannot be put in the place of the other.
const (
	purposeSealing  = "tokenvault keyset: sealing"
	purposeBlinding = "tokenvault keyset: blinding"
)

// Generate makes a new keyset and returns it both ready for use and as the
// record to store, encrypted with master.
func Generate(master MasterKey) (*Keyring, *storagev1.Keyset, error) {
	sealing, sealed, err := generate(master, aead.XAES256GCM192BitNonceKeyTemplate(), purposeSealing)
	if err != nil {
		return nil, nil, err
	}
	blinding, blinded, err := generate(master, prf.HMACSHA256PRFKeyTemplate(), purposeBlinding)
	if err != nil {
		return nil, nil, err
	}
	k, err := fromHandles(sealing, blinding)
	if err != nil {
		return nil, nil, err
	}
	return k, &storagev1.Keyset{
		Sealing:     sealed,
		Blinding:    blinded,
		MasterKeyId: master.ID(),
		CreateTime:  timestamppb.New(time.Now()),
	}, nil
}

func generate(master MasterKey, template *tinkpb.KeyTemplate, purpose string) (*keyset.Handle, []byte, error) {
	handle, err := keyset.NewHandle(template)
	if err != nil {
		return nil, nil, fmt.Errorf("make %s: %w", purpose, err)
	}
	var out bytes.Buffer
	if err := handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&out), master.aead, []byte(purpose)); err != nil {
		return nil, nil, fmt.Errorf("encrypt %s: %w", purpose, err)
	}
	return handle, out.Bytes(), nil
}

// Load opens a stored keyset. It returns an error that is [ErrWrongMasterKey]
// where master is not the key that it was encrypted with, or the record was
// tampered with.
func Load(master MasterKey, stored *storagev1.Keyset) (*Keyring, error) {
	sealing, err := load(master, stored.GetSealing(), purposeSealing)
	if err != nil {
		return nil, wrongMasterKey(master, stored)
	}
	blinding, err := load(master, stored.GetBlinding(), purposeBlinding)
	if err != nil {
		return nil, wrongMasterKey(master, stored)
	}
	return fromHandles(sealing, blinding)
}

func load(master MasterKey, encrypted []byte, purpose string) (*keyset.Handle, error) {
	return keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(encrypted)), master.aead, []byte(purpose))
}

func wrongMasterKey(master MasterKey, stored *storagev1.Keyset) error {
	if id := stored.GetMasterKeyId(); id != master.ID() {
		return fmt.Errorf("%w: it was made with master key %q, the configured one is %q", ErrWrongMasterKey, id, master.ID())
	}
	return fmt.Errorf("%w: the master key %q is the right one, but the keyset is damaged; restore a backup", ErrWrongMasterKey, master.ID())
}

func fromHandles(sealing, blinding *keyset.Handle) (*Keyring, error) {
	a, err := aead.New(sealing)
	if err != nil {
		return nil, fmt.Errorf("sealing keyset: %w", err)
	}
	p, err := prf.NewPRFSet(blinding)
	if err != nil {
		return nil, fmt.Errorf("blinding keyset: %w", err)
	}
	return &Keyring{sealing: a, blinding: p}, nil
}

// Seal encrypts plaintext for the record of that kind and store key.
func (k *Keyring) Seal(kind, id string, plaintext []byte) ([]byte, error) {
	sealed, err := k.sealing.Encrypt(plaintext, associatedData(kind, id))
	if err != nil {
		return nil, fmt.Errorf("seal a record of kind %s: %w", kind, err)
	}
	return sealed, nil
}

// Open decrypts what Seal has made for the same kind and store key. Anything
// else is [ErrTampered].
func (k *Keyring) Open(kind, id string, sealed []byte) ([]byte, error) {
	plaintext, err := k.sealing.Decrypt(sealed, associatedData(kind, id))
	if err != nil {
		return nil, fmt.Errorf("%w: a record of kind %s", ErrTampered, kind)
	}
	return plaintext, nil
}

// associatedData names the format, the kind and the store key. The kind's
// length comes first, so that no two pairs make the same bytes.
func associatedData(kind, id string) []byte {
	const format = "tokenvault record v1"
	ad := make([]byte, 0, len(format)+2+len(kind)+len(id))
	ad = append(ad, format...)
	ad = binary.BigEndian.AppendUint16(ad, uint16(len(kind)))
	ad = append(ad, kind...)
	return append(ad, id...)
}

// Blind returns a keyed hash of the parts that is the same for the same purpose
// and parts, and tells nothing of them to whoever has not got the key. The
// result has [BlindSize] bytes.
func (k *Keyring) Blind(purpose string, parts ...string) (string, error) {
	input := make([]byte, 0, 256)
	input = appendPart(input, purpose)
	for _, part := range parts {
		input = appendPart(input, part)
	}
	sum, err := k.blinding.ComputePrimaryPRF(input, BlindSize)
	if err != nil {
		return "", fmt.Errorf("blind a %s: %w", purpose, err)
	}
	return string(sum), nil
}

// DerivedSize is the length in bytes of what [Keyring.Derive] returns.
const DerivedSize = 32

// Derive returns a secret for a purpose of its own, which is the same for the same
// keyring and purpose.
func (k *Keyring) Derive(purpose string) ([]byte, error) {
	sum, err := k.blinding.ComputePrimaryPRF(appendPart(appendPart(nil, "derive"), purpose), DerivedSize)
	if err != nil {
		return nil, fmt.Errorf("derive a key for %s: %w", purpose, err)
	}
	return sum, nil
}

func appendPart(input []byte, part string) []byte {
	input = binary.BigEndian.AppendUint32(input, uint32(len(part)))
	return append(input, part...)
}
