package main

import (
	"net/http"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/auth"
)

// maxRequests is how many requests of one person are served at once: each may wait for
// minutes, as for somebody to sign in at Mailchimp.
const maxRequests = 100

// requests keeps one person from taking all there is. It is safe for concurrent use.
type requests struct {
	mu     sync.Mutex
	byUser map[string]int // under way
}

func (q *requests) enter(user string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.byUser == nil {
		q.byUser = map[string]int{}
	}
	if q.byUser[user] >= maxRequests {
		return false
	}
	q.byUser[user]++
	return true
}

func (q *requests) leave(user string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.byUser[user]--; q.byUser[user] == 0 {
		delete(q.byUser, user)
	}
}

// bounded is for requests of people who have shown who they are.
func (q *requests) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := ""
		if info := auth.TokenInfoFromContext(r.Context()); info != nil {
			user = info.UserID
		}
		if !q.enter(user) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many of your requests are under way", http.StatusTooManyRequests)
			return
		}
		defer q.leave(user)
		next.ServeHTTP(w, r)
	})
}
