package audit

import (
	"hash/maphash"
	"sync/atomic"
)

// fingerprints remembers the fingerprints of tokens that were asked for lately:
// programs ask for the same ones again and again. The tokens themselves do not
// stay in memory for it. It is safe for concurrent use.
type fingerprints struct {
	key  Key
	seed maphash.Seed
	kept [1024]atomic.Pointer[fingerprint]
}

// fingerprint is that of a token with this hash. That another token has the hash
// too is as likely as guessing 64 bits.
type fingerprint struct {
	hash uint64
	text string
}

func newFingerprints(key Key) *fingerprints {
	return &fingerprints{key: key, seed: maphash.MakeSeed()}
}

// of returns the fingerprint of a token.
func (f *fingerprints) of(token string) string {
	hash := maphash.String(f.seed, token)
	slot := &f.kept[hash%uint64(len(f.kept))]
	if known := slot.Load(); known != nil && known.hash == hash {
		return known.text
	}
	text := f.key.Fingerprint(token)
	slot.Store(&fingerprint{hash, text})
	return text
}
