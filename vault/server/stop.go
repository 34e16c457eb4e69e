package server

import (
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

// Limits of stopping.
const (
	stopPatience = 10 * time.Second // for calls under way
	readPatience = time.Second      // for readers of streams, when there are none
)

// stop waits for calls under way, and only for a moment for streams: one whose
// reader does not read would not end at all. Handlers have returned when it does:
// what they need may be closed.
func (s *Server) stop() {
	s.health.Shutdown()
	s.endAll()
	stopped := make(chan struct{})
	go func() {
		s.both((*grpc.Server).GracefulStop)
		close(stopped)
	}()
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	select {
	case <-stopped:
		return
	case <-patience.C:
	case <-s.calls.none():
		readers := time.NewTimer(readPatience)
		defer readers.Stop()
		select {
		case <-stopped:
			return
		case <-readers.C:
		}
	}
	s.both((*grpc.Server).Stop)
	<-stopped
}

// both does to both servers at the same time, and waits.
func (s *Server) both(do func(*grpc.Server)) {
	var done sync.WaitGroup
	for _, srv := range []*grpc.Server{s.public, s.gateway} {
		done.Go(func() { do(srv) })
	}
	done.Wait()
}

// underway counts calls with one answer.
type underway struct {
	n       atomic.Int64
	awaited atomic.Bool
	endOnce sync.Once
	ended   chan struct{}
}

func newUnderway() *underway { return &underway{ended: make(chan struct{})} }

func (u *underway) enter() { u.n.Add(1) }

func (u *underway) leave() {
	if u.n.Add(-1) == 0 && u.awaited.Load() {
		u.endOnce.Do(func() { close(u.ended) })
	}
}

// none returns a channel that is closed once none is under way.
func (u *underway) none() <-chan struct{} {
	u.awaited.Store(true)
	if u.n.Load() == 0 {
		u.endOnce.Do(func() { close(u.ended) })
	}
	return u.ended
}
