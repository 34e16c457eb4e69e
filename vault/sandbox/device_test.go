package sandbox_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

// device is a device that waits for its person.
type device struct {
	*app
	now  time.Time
	code url.Values // the request for a token
	user string
}

func newDevice(t *testing.T) *device {
	t.Helper()
	d := &device{now: time.Now()}
	d.app = newApp(t, func(c *sandbox.Config) { c.Now = func() time.Time { return d.now } })
	client := url.Values{"client_id": {"post"}, "client_secret": {"post secret"}, "scope": {"a b"}}
	r := d.post("/oauth/device", client)
	if r.status != http.StatusOK || r.text("verification_uri") != base+"/oauth/device/verify" || r.fields["interval"] != 5.0 {
		t.Fatalf("device authorization: status %d: %s", r.status, r.body)
	}
	client.Set("grant_type", "urn:ietf:params:oauth:grant-type:device_code")
	client.Set("device_code", r.text("device_code"))
	client.Del("scope")
	d.code, d.user = client, r.text("user_code")
	return d
}

// after asks for a token when the time has passed.
func (d *device) after(wait time.Duration) reply {
	d.t.Helper()
	d.now = d.now.Add(wait)
	return d.post("/oauth/token", d.code)
}

func TestADeviceWaitsForItsPerson(t *testing.T) {
	d := newDevice(t)
	wantRefused(t, d.after(0), 400, "authorization_pending")
	wantRefused(t, d.after(5*time.Second), 400, "authorization_pending")
	wantRefused(t, d.after(4*time.Second), 400, "slow_down")
	wantRefused(t, d.after(9*time.Second), 400, "slow_down") // 10 seconds by now
	wantRefused(t, d.after(15*time.Second), 400, "authorization_pending")
	form := url.Values{"user_code": {strings.ToLower(d.user)}, "decision": {"approve"}, "account": {fmt.Sprint(ada)}}
	if r := d.post("/oauth/device/verify", form); r.status != http.StatusOK || !strings.Contains(r.body, "Allowed") {
		t.Fatalf("the person's page: status %d:\n%s", r.status, r.body)
	}
	r := d.after(15 * time.Second)
	if r.status != http.StatusOK || r.text("scope") != "a b" || !d.Valid(r.text("access_token")) || r.text("refresh_token") == "" {
		t.Fatalf("tokens: status %d: %s", r.status, r.body)
	}
	wantRefused(t, d.after(15*time.Second), 400, "invalid_grant")
	if r := d.post("/oauth/device/verify", form); r.status != http.StatusBadRequest {
		t.Errorf("the user code a second time: status %d", r.status)
	}
}

func TestADeviceGetsNothing(t *testing.T) {
	t.Run("declined", func(t *testing.T) {
		d := newDevice(t)
		if err := d.EnterCode(d.user, 0); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, d.after(0), 400, "access_denied")
	})
	t.Run("too late", func(t *testing.T) {
		d := newDevice(t)
		wantRefused(t, d.after(10*time.Minute), 400, "expired_token")
		if err := d.EnterCode(d.user, ada); !errors.Is(err, sandbox.ErrUserCode) {
			t.Errorf("the user code afterwards: %v", err)
		}
	})
	t.Run("of another client", func(t *testing.T) {
		d := newDevice(t)
		d.code.Set("client_id", "none")
		d.code.Del("client_secret")
		wantRefused(t, d.after(0), 400, "invalid_grant")
	})
	t.Run("not authenticated", func(t *testing.T) {
		wantRefused(t, newApp(t, nil).post("/oauth/device", url.Values{"client_id": {"post"}}), 401, "invalid_client")
	})
	t.Run("an account that is not there", func(t *testing.T) {
		d := newDevice(t)
		if err := d.EnterCode(d.user, 7); !errors.Is(err, sandbox.ErrUserCode) {
			t.Errorf("error = %v", err)
		}
	})
}
