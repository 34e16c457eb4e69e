package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Bounds of the sessions that clients of older revisions of MCP have.
const (
	maxSessions    = 32        // of one person
	sessionTimeout = time.Hour // without a request
)

// sessions keeps the sessions of each person to a number: whoever begins one more ends
// the oldest of their own. It is safe for concurrent use.
type sessions struct {
	mu     sync.Mutex
	byUser map[string][]*mcp.ServerSession // in the order of their age
}

// bound is the middleware that counts.
func (s *sessions) bound(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		session, ok := req.GetSession().(*mcp.ServerSession)
		if ok && err == nil && method == "initialize" && session.ID() != "" {
			s.add(userOf(req), session)
		}
		return result, err
	}
}

func (s *sessions) add(user string, session *mcp.ServerSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byUser == nil {
		s.byUser = map[string][]*mcp.ServerSession{}
	}
	all := append(s.byUser[user], session)
	if len(all) > maxSessions {
		oldest := all[0]
		go func() { _ = oldest.Close() }() // waits for calls under way
		all = slices.Delete(all, 0, 1)     // at once, so that the next one ends another
	}
	s.byUser[user] = all
	go func() {
		_ = session.Wait()
		s.remove(user, session)
	}()
}

func (s *sessions) remove(user string, session *mcp.ServerSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := slices.DeleteFunc(s.byUser[user], func(other *mcp.ServerSession) bool { return other == session })
	if len(left) == 0 {
		delete(s.byUser, user)
		return
	}
	s.byUser[user] = left
}
