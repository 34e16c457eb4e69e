package certs

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
)

// kept is what some files say together. One goroutine reads them; any may use it.
type kept[T any] struct {
	names []string
	parse func(data [][]byte) (*T, error)
	inUse atomic.Pointer[T]

	sum  [sha256.Size]byte // of the files in use
	said string            // the problem that was logged last, and is not over
}

// read takes the files into use, if they hold something new. On an error nothing has
// changed.
func (k *kept[T]) read() (isNew bool, err error) {
	data, hash := make([][]byte, len(k.names)), sha256.New()
	for i, name := range k.names {
		if data[i], err = os.ReadFile(name); err != nil {
			return false, err
		}
		fmt.Fprintf(hash, "%d:%s", len(data[i]), data[i])
	}
	sum := [sha256.Size]byte(hash.Sum(nil))
	if k.inUse.Load() != nil && sum == k.sum {
		return false, nil
	}
	value, err := k.parse(data)
	if err != nil {
		return false, err
	}
	k.inUse.Store(value)
	k.sum = sum
	return true, nil
}

// renew is read with what came of it in the log: each change and each problem once.
func (k *kept[T]) renew(log *slog.Logger) {
	isNew, err := k.read()
	files := slog.String("files", strings.Join(k.names, " "))
	switch {
	case err != nil && err.Error() != k.said:
		k.said = err.Error()
		log.Warn("certificates not read anew; those of before stay in use: see to it that the files are whole and fit together", files, slog.Any("cause", err))
	case err == nil:
		k.said = ""
	}
	if isNew {
		log.Info("certificates read anew", files)
	}
}
