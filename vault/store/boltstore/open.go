package boltstore

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/tokenvault/tokenvault/vault/store"
)

// lockTimeout is how long opening waits for another process to close the file:
// a moment, for restarts.
const lockTimeout = time.Second

// markerSuffix names the marker file beside the database.
const markerSuffix = ".marker"

// Buckets and keys of the file's own.
const (
	metaBucket    = "_meta"
	historyBucket = "_history"
	formatKey     = "format"
	idKey         = "id"
)

// format is the version of the file's layout.
const format = "tokenvault-bolt-1"

// ErrInUse says that another process has the file open.
var ErrInUse = errors.New("in use by another process")

// OpenOrCreate opens the database at path. It makes a new one only where there
// is neither a file nor the marker of one. The folder is made if need be, for
// this user alone.
//
// Changes of the watched kinds are kept for Watch, from the first opening with the
// kind on; other kinds cannot be watched, and cost less to write.
func OpenOrCreate(path string, watched ...store.Kind) (*Store, error) {
	marker, err := os.ReadFile(path + markerSuffix)
	hasMarker := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the marker of the database: %w", err)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && hasMarker:
		return nil, fmt.Errorf("the database %s is missing, though it was made here once: restore a backup, or remove %s to begin with an empty vault", path, path+markerSuffix)
	case errors.Is(err, fs.ErrNotExist):
		if err := create(path); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, fmt.Errorf("look at the database: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file: name the file that the database is to be", path)
	}
	return open(path, marker, watched)
}

// OpenReadOnly opens the database at path, which has to be there, to read it. It
// changes nothing: commits fail, and a marker is neither asked for nor made.
func OpenReadOnly(path string) (*Store, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no database %s: name the one that is meant", path)
	case err != nil:
		return nil, fmt.Errorf("look at the database: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file: name the file that the database is", path)
	}
	readOnly := options()
	readOnly.ReadOnly = true
	db, err := openFile(path, readOnly)
	if err != nil {
		return nil, err
	}
	if _, err := identify(db, path); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return newStore(db, nil), nil
}

// create makes the database in a temporary file and moves it into place when it
// is complete and on disk.
func create(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of the database: %w", err)
	}
	temporary := path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what an interrupted start has left: %w", err)
	}
	db, err := bolt.Open(temporary, 0o600, options())
	if err != nil {
		return fmt.Errorf("make the database %s: %w", path, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		meta, err := tx.CreateBucket([]byte(metaBucket))
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket([]byte(historyBucket)); err != nil {
			return err
		}
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails (crypto/rand)
		return errors.Join(
			meta.Put([]byte(formatKey), []byte(format)),
			meta.Put([]byte(idKey), []byte(hex.EncodeToString(id[:]))),
		)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("make the database %s: %w", path, err)
	}
	// A link, not a rename: it fails where a file has come up meanwhile.
	if err := os.Link(temporary, path); err != nil {
		return fmt.Errorf("put the new database in place: %w", err)
	}
	if err := os.Remove(temporary); err != nil {
		return fmt.Errorf("put the new database in place: %w", err)
	}
	return syncDir(dir)
}

func options() *bolt.Options {
	return &bolt.Options{
		Timeout: lockTimeout,
		// The map finds free pages in constant time however many there are.
		// The free list itself is not written: it is rebuilt when opening.
		FreelistType:   bolt.FreelistMapType,
		NoFreelistSync: true,
		// Nobody reads them, and every transaction would lock them twice.
		NoStatistics: true,
	}
}

func open(path string, marker []byte, watched []store.Kind) (*Store, error) {
	db, err := openFile(path, options())
	if err != nil {
		return nil, err
	}
	s, err := load(db, path, marker, watched)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func openFile(path string, options *bolt.Options) (db *bolt.DB, err error) {
	if err := checkSize(path); err != nil {
		return nil, err
	}
	// bbolt panics on some damage.
	defer func() {
		if r := recover(); r != nil {
			err = damaged(path, fmt.Errorf("%v", r))
		}
	}()
	db, err = bolt.Open(path, 0o600, options)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("the database %s is %w: stop that one first", path, ErrInUse)
	}
	if err != nil {
		return nil, damaged(path, err)
	}
	return db, nil
}

func damaged(path string, cause error) error {
	return fmt.Errorf("%s is not a tokenvault database, or it is damaged: restore a backup, or name another file (%w)", path, cause)
}

// Layout of bbolt's two meta pages, as far as checkSize reads them: 16 bytes of
// page header, then magic, version, page size, flags, root (16 bytes), free
// list, high-water mark (pages in use). bbolt checks the rest.
const (
	pageHeader    = 16
	pageSizeField = pageHeader + 8
	markField     = pageHeader + 40
	metaEnd       = pageHeader + 64
)

// checkSize refuses a file that is shorter than its own header says. bbolt would
// map it all the same, and the process would die of the first read past the end.
func checkSize(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at the database: %w", err)
	}
	if info.Size() == 0 {
		return fmt.Errorf("the database %s is empty: restore a backup, or remove it (and %s) to begin with an empty vault", path, path+markerSuffix)
	}
	head := make([]byte, metaEnd)
	if _, err := f.ReadAt(head, 0); err != nil {
		return damaged(path, errors.New("it is too short"))
	}
	pageSize := int64(binary.NativeEndian.Uint32(head[pageSizeField:]))
	if pageSize < 512 || pageSize > 1<<16 || info.Size() < 2*pageSize {
		return damaged(path, errors.New("its header makes no sense, or it is too short"))
	}
	second := make([]byte, metaEnd)
	if _, err := f.ReadAt(second, pageSize); err != nil {
		return damaged(path, errors.New("it is too short"))
	}
	pages := max(binary.NativeEndian.Uint64(head[markField:]), binary.NativeEndian.Uint64(second[markField:]))
	if pages > uint64(info.Size()/pageSize) {
		return damaged(path, errors.New("it has been cut short"))
	}
	return nil
}

// identify reads what the file says of itself.
func identify(db *bolt.DB, path string) (id string, err error) {
	err = db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket([]byte(metaBucket))
		if meta == nil || tx.Bucket([]byte(historyBucket)) == nil || string(meta.Get([]byte(formatKey))) != format {
			return damaged(path, errors.New("it was not made by this version of tokenvault"))
		}
		id = string(meta.Get([]byte(idKey)))
		return nil
	})
	return id, err
}

// load makes sure that the file is the one that the marker is of.
func load(db *bolt.DB, path string, marker []byte, watched []store.Kind) (*Store, error) {
	id, err := identify(db, path)
	if err != nil {
		return nil, err
	}
	if len(marker) > 0 && !strings.HasPrefix(string(marker), id+"\n") {
		return nil, fmt.Errorf("the database %s is not the one that was made here: put the right file in place, or remove %s to accept this one", path, path+markerSuffix)
	}
	if len(marker) == 0 {
		if err := writeMarker(path, id); err != nil {
			return nil, err
		}
	}
	if err := db.Update(upgradeHistory); err != nil {
		return nil, fmt.Errorf("bring the database %s up to date: %w", path, err)
	}
	return newStore(db, watched), nil
}

// writeMarker puts the marker in place whole: half of one would accuse the
// database of being another.
func writeMarker(path, id string) error {
	text := fmt.Sprintf("%s\nThis file remembers that the tokenvault database %s was made, so that its loss is noticed.\n", id, filepath.Base(path))
	temporary := path + markerSuffix + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write the marker of the database: %w", err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the marker of the database: %w", err)
	}
	if err := os.Rename(temporary, path+markerSuffix); err != nil {
		return fmt.Errorf("write the marker of the database: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync the folder of the database: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync the folder of the database: %w", err)
	}
	return nil
}
