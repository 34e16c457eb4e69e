package vault

import (
	"context"
	"errors"
	"time"

	"github.com/tokenvault/tokenvault/vault/store"
)

// persist calls commit again when the medium fails, for a few seconds: what it
// writes has been issued once and cannot be had again.
func persist(ctx context.Context, commit func() error) error {
	const attempts = 5
	pause := 100 * time.Millisecond
	for attempt := 1; ; attempt++ {
		err := commit()
		if err == nil || attempt == attempts || !isMediumFault(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// isMediumFault reports whether an error of a commit may pass by itself.
func isMediumFault(err error) bool {
	for _, final := range []error{store.ErrConflict, store.ErrNotFound, store.ErrClosed, store.ErrLockLost, errSuperseded} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}
