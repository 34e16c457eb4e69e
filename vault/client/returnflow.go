package client

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"sync"
	"time"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

const (
	// maxReturnFlows is how many links of one listener work at a time.
	maxReturnFlows = 64
	// lastReturn is how long after the end of a link somebody may come back who has
	// opened it: the vault gives them as long, and they are to read what came of it.
	lastReturn = 10 * time.Minute
)

// returnFlow is one link of a listener. Nobody can guess its paths and its cookie, and the
// link tells nothing of the others.
type returnFlow struct {
	start, back  string // the paths of the link and of the return URL
	name, cookie string // of the cookie of browsers that have opened the link
	connectURL   string // the vault's link
	end          time.Time

	// mu is held while the vault is asked: a browser that asks twice reads one answer.
	mu           sync.Mutex
	confirmation [sha256.Size]byte        // the hash of the one that connection is of
	connection   *tokenvaultv1.Connection // nil: not confirmed yet
}

func newReturnFlow() *returnFlow {
	return &returnFlow{start: "/" + rand.Text(), back: "/" + rand.Text(), name: "tokenvault-" + rand.Text(), cookie: rand.Text()}
}

// remember has a link work. Of too many, the oldest ends.
func (l *ReturnListener) remember(f *returnFlow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.client.now()
	l.flows = slices.DeleteFunc(l.flows, func(old *returnFlow) bool { return !now.Before(old.end) })
	if len(l.flows) >= maxReturnFlows {
		l.flows = slices.Delete(l.flows, 0, 1)
	}
	l.flows = append(l.flows, f)
}

// find returns the flow of a path, and whether that is the path of its link. Nil: there is
// none, or it has ended.
func (l *ReturnListener) find(path string) (found *returnFlow, isStart bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.client.now()
	for _, f := range l.flows {
		start, back := isSame(path, f.start), isSame(path, f.back)
		if (start || back) && now.Before(f.end) {
			found, isStart = f, start
		}
	}
	return found, isStart
}

// isSame compares secrets.
func isSame(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// sendOn sends a browser that opens the link on to the vault's, with the cookie that it
// has to bring back. Nothing is kept of it, however often that happens.
func (f *returnFlow) sendOn(w http.ResponseWriter, r *http.Request, now time.Time) {
	// Lax: people come back from the pages of the provider. The name is the flow's own,
	// for the cookies of 127.0.0.1 are those of all its ports.
	http.SetCookie(w, &http.Cookie{
		Name: f.name, Value: f.cookie, Path: f.back, MaxAge: max(1, int(f.end.Sub(now)/time.Second)),
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, f.connectURL, http.StatusSeeOther)
}

// isOpenedBy reports whether the browser has opened the link.
func (f *returnFlow) isOpenedBy(r *http.Request) bool {
	cookie, err := r.Cookie(f.name)
	return err == nil && isSame(cookie.Value, f.cookie)
}
