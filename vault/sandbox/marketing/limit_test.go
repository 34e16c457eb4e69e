package marketing_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

func TestTheEleventhConnectionOfAnAccountIsRefused(t *testing.T) {
	for _, row := range []struct {
		name       string
		max, taken int // taken: connections that an account can have
	}{
		{"Mailchimp's ten", 0, 10}, {"two", 2, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := newAccount(t, func(c *sandbox.Config) { c.MaxConnections = row.max })
			grace := *a
			grace.base, grace.key = a.server+"/mailchimp/us21/3.0", graceKey
			arrived, leave := make(chan struct{}), make(chan struct{})
			release := sync.OnceFunc(func() { close(leave) })
			t.Cleanup(release) // else the server waits for those that are held
			a.sandbox.Fault(sandbox.API, sandbox.Fault{Times: row.taken, Before: func(*http.Request) { arrived <- struct{}{}; <-leave }})
			var held sync.WaitGroup
			for range row.taken {
				held.Go(func() { a.do("GET", "/ping", nil) })
			}
			for range row.taken {
				<-arrived
			}
			a.do("GET", "/ping", nil).refused(429, "Too Many Requests", fmt.Sprintf("limit of %d simultaneous", row.taken))
			grace.get("/ping")
			release()
			held.Wait()
			a.get("/ping")
			if got := a.sandbox.LimitedRequests(sandbox.API); got != 1 {
				t.Errorf("LimitedRequests is %d, want 1", got)
			}
			if got := a.sandbox.Requests(sandbox.API); got != row.taken+3 {
				t.Errorf("Requests is %d, want %d", got, row.taken+3)
			}
		})
	}
}

func TestManyAtOnceLoseNothing(t *testing.T) {
	a := newAccount(t, func(c *sandbox.Config) { c.MaxConnections = -1 })
	path := a.news() + "/members"
	before := a.get(path).number("total_items")
	const writers = 20
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			req := a.request("POST", a.base+path, fields{"email_address": fmt.Sprintf("new%d@example.com", i), "status": "subscribed", "tags": []string{"New"}})
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			if resp.StatusCode != http.StatusOK {
				t.Errorf("POST answered %d", resp.StatusCode)
			}
			_ = resp.Body.Close()
		})
	}
	all.Wait()
	if got := a.get(path).number("total_items"); got != before+writers {
		t.Errorf("%d members, want %d", got, before+writers)
	}
	if got := len(a.get(a.news()+"/tag-search", "name", "New").list("tags")); got != 2 { // Newsletter is one
		t.Errorf("%d tags begin with New, want 2", got)
	}
}
