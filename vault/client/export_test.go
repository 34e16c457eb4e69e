package client

import (
	"context"
	"net/url"
	"time"
)

// WithClock is the time that answers and tokens end by.
func WithClock(now func() time.Time) Option {
	return func(c *config) { c.now = now }
}

// News is closed at the next news of a connection that the watch brings.
func (c *Client) News(subject, provider string) <-chan struct{} {
	news, _ := c.cache.news(name{subject, provider, "default"})
	return news
}

// AwaitWatch begins the watch and returns when it is up.
func (c *Client) AwaitWatch(ctx context.Context) error {
	c.watch.begin(c)
	for {
		news, stop := c.cache.news(name{})
		defer stop()
		if c.cache.isWatched() {
			return nil
		}
		if err := wait(ctx, news, time.Hour); err != nil {
			return err
		}
	}
}

// URL is where the listener is, without what nobody can guess.
func (l *ReturnListener) URL() (string, error) {
	host, err := l.listen()
	return "http://" + host, err
}

// IsWatched reports whether the watch is up.
func (c *Client) IsWatched() bool { return c.cache.isWatched() }

// Kept counts the answers that are kept, the slots for them, and who waits for news.
func (c *Client) Kept() (answers, slots, waiting int) {
	c.cache.mu.Lock()
	defer c.cache.mu.Unlock()
	for _, e := range c.cache.slots {
		if e.Value.(*slot).answer != nil {
			answers++
		}
	}
	return answers, c.cache.line.Len(), len(c.cache.waiting)
}

// RequestTarget is what a request without a host asks for, below an API's base URL.
func RequestTarget(base, path string) (string, error) {
	u, err := url.Parse(path)
	if err != nil {
		return "", err
	}
	t := &transport{request: newRequest("alice", "acme", nil)}
	whole, err := t.target(u, &Credentials{APIBaseURL: base})
	if err != nil {
		return "", err
	}
	return whole.Host + " " + whole.RequestURI(), nil
}
