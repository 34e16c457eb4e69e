package marketing_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

const redirectURI = "http://app.example/callback"

func TestWhoMayCall(t *testing.T) {
	a := newAccount(t, func(c *sandbox.Config) {
		c.Clients = []sandbox.Client{{ID: "app", Auth: sandbox.AuthNone, RedirectURIs: []string{redirectURI}}}
	})
	for _, row := range []struct {
		name, base string
		sign       func(*http.Request)
		status     int
	}{
		{"a key as password", "us6", func(r *http.Request) { r.SetBasicAuth("anybody", adaKey) }, 200},
		{"a key as password of nobody", "us6", func(r *http.Request) { r.SetBasicAuth("", adaKey) }, 200},
		{"a key as bearer", "us6", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+adaKey) }, 200},
		{"the key of another account", "us21", func(r *http.Request) { r.SetBasicAuth("anybody", graceKey) }, 200},
		{"a key at another data center", "us21", func(r *http.Request) { r.SetBasicAuth("anybody", adaKey) }, 401},
		{"a key as user", "us6", func(r *http.Request) { r.SetBasicAuth(adaKey, "") }, 401},
		{"an unknown key", "us6", func(r *http.Request) { r.SetBasicAuth("anybody", adaKey[1:]) }, 401},
		{"a key of another scheme", "us6", func(r *http.Request) { r.Header.Set("Authorization", "OAuth "+adaKey) }, 401},
		{"nothing", "us6", func(*http.Request) {}, 401},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := a.in(t)
			req := a.request(http.MethodGet, a.server+"/mailchimp/"+row.base+"/3.0/ping", nil)
			req.Header.Del("Authorization")
			row.sign(req)
			r := a.send(req).ok(row.status)
			if row.status == 200 && r.text("health_status") != "Everything's Chimpy!" {
				t.Errorf("GET /ping = %v", r.body)
			}
			if row.status == 401 {
				r.refused(401, "API Key Invalid", "API key")
			}
		})
	}
}

func TestKeysMustBeOfTheAccountsDataCenter(t *testing.T) {
	ada := sandbox.DefaultAccounts()[0].ID
	for name, keys := range map[string]map[string]int{
		"another data center": {"0123456789abcdef0123456789abcdef-us7": ada}, "no data center": {"0123456789abcdef": ada}, "nobody": {adaKey: 7},
	} {
		if _, err := sandbox.New(sandbox.Config{APIKeys: keys}); err == nil {
			t.Errorf("%s: sandbox.New has taken the key", name)
		}
	}
	only := []sandbox.Account{{ID: 7, Person: "Hedy Lamarr", DataCenter: "us1"}}
	if _, err := sandbox.New(sandbox.Config{Accounts: only}); err != nil {
		t.Errorf("sandbox.New without the default accounts: %v", err)
	}
}

func TestAViewerMayReadOnly(t *testing.T) {
	a := newAccount(t, func(c *sandbox.Config) {
		c.Accounts = sandbox.DefaultAccounts()
		c.Accounts[0].ReadOnly = true
	})
	if got := a.get("/").text("role"); got != "viewer" {
		t.Errorf("role is %q, want viewer", got)
	}
	a.do("POST", a.news()+"/members", fields{"email_address": "hedy@example.com", "status": "subscribed"}).refused(403, "Forbidden", "role")
}

func TestAccountsAreApart(t *testing.T) {
	a := newAccount(t, nil)
	member := a.get(a.news()+"/members").text("members", 0, "id")
	path := a.news() + "/members/" + member
	a.do("PATCH", path, fields{"merge_fields": fields{"FNAME": "Changed"}}).ok(200)

	grace := *a
	grace.base, grace.key = a.server+"/mailchimp/us21/3.0", graceKey
	grace.do("GET", path, nil).refused(404, "Resource Not Found", "could not be found")
	if diff := cmp.Diff(a.get("/lists").each("lists", "id"), grace.get("/lists").each("lists", "id")); diff == "" {
		t.Error("two accounts have the same lists")
	}
}

func TestWhatIsMadeUpIsTheSameEveryTime(t *testing.T) {
	first, second := newAccount(t, nil), newAccount(t, nil)
	for _, path := range []string{"/lists", first.news() + "/members", first.news() + "/segments", "/campaigns", "/reports"} {
		params := []string{"count", "1000", "exclude_fields", "_links,lists._links,members._links,segments._links,campaigns._links,reports._links"}
		if diff := cmp.Diff(first.get(path, params...).body, second.get(path, params...).body); diff != "" {
			t.Errorf("GET %s differs (-first +second):\n%s", path, diff)
		}
	}
}
