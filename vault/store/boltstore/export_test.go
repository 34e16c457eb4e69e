package boltstore

import bolt "go.etcd.io/bbolt"

// ShareTransactions sets how many Commits may share one, for benchmarks.
func (s *Store) ShareTransactions(limit int) { s.queue.limit = limit }

// HoldTurn makes Commits wait until release is called.
func (s *Store) HoldTurn() (release func()) {
	s.queue.turn <- struct{}{}
	return func() { <-s.queue.turn }
}

// Transactions counts what has been written to the file.
func (s *Store) Transactions() (n int) {
	_ = s.view(func(tx *bolt.Tx) error {
		n = tx.ID()
		return nil
	})
	return n
}

// ForbidGrowth makes every transaction fail that needs a larger file.
func (s *Store) ForbidGrowth() { s.db.MaxSize = 1 }
