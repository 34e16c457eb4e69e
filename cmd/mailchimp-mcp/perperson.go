package main

import (
	"sync"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// perPerson keeps what each person has of something to a number. It is safe for
// concurrent use.
type perPerson struct {
	most int64

	mu     sync.Mutex
	byUser map[string]int64
}

// take reports whether a person may have n more, and has them then.
func (p *perPerson) take(user string, n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byUser[user]+n > p.most {
		return false
	}
	if p.byUser == nil {
		p.byUser = map[string]int64{}
	}
	p.byUser[user] += n
	return true
}

// giveBack is for what was taken.
func (p *perPerson) giveBack(user string, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byUser[user] -= n; p.byUser[user] == 0 {
		delete(p.byUser, user)
	}
}

// nameOf is whom a token names. Empty: there is none.
func nameOf(info *auth.TokenInfo) string {
	if info == nil {
		return ""
	}
	return info.UserID
}

// userOf is nameOf for a request of MCP.
func userOf(req mcp.Request) string {
	if extra := req.GetExtra(); extra != nil {
		return nameOf(extra.TokenInfo)
	}
	return ""
}
