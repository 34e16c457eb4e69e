package sandbox

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// deviceGrant is the grant type of RFC 8628, section 3.4.
const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// Times of device codes.
const (
	deviceLifetime = 10 * time.Minute
	deviceInterval = 5 * time.Second // between two requests for a token
)

// deviceCode is a device authorization, by its device code.
type deviceCode struct {
	At                      string `json:",omitempty"`
	Client, Scope, UserCode string
	ExpireTime              time.Time
	Interval                time.Duration
	AskTime                 time.Time // of the last request for a token
	Decided                 bool
	Account                 int // 0, once decided: declined
}

func (d dialect) hasDevices() bool {
	if d.script != nil {
		return d.script.DeviceURL != ""
	}
	return d.machines
}

func (d dialect) deviceURL(r *http.Request) string {
	if d.script != nil {
		return d.script.DeviceURL
	}
	return d.address(r, "/device")
}

// authorizeDevice begins a device authorization (RFC 8628, section 3.1).
func (s *Sandbox) authorizeDevice(w http.ResponseWriter, r *http.Request, d dialect) {
	a := refusal(http.StatusBadRequest, "invalid_request")
	if form, ok := readForm(r); ok {
		a = s.newDevice(form, r, d)
	}
	a.write(w)
}

func (s *Sandbox) newDevice(form url.Values, r *http.Request, d dialect) answer {
	client, ok := s.authenticate(r, form, d)
	if !ok {
		return refusal(http.StatusUnauthorized, "invalid_client")
	}
	if !d.scopesAreRight(form.Get("scope")) {
		return refusal(http.StatusBadRequest, "invalid_scope")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id, userCode := newID(), newUserCode()
	s.state.Devices[id] = &deviceCode{
		At: d.at(), Client: client.ID, Scope: form.Get("scope"), UserCode: userCode,
		ExpireTime: s.config.Now().Add(deviceLifetime), Interval: deviceInterval,
	}
	_ = s.save()
	page := d.deviceURL(r) + "/verify"
	return answer{status: http.StatusOK, fields: map[string]any{
		"device_code": id, "user_code": userCode, "verification_uri": page, "verification_uri_complete": page + "?user_code=" + userCode,
		"expires_in": int(deviceLifetime.Seconds()), "interval": int(deviceInterval.Seconds()),
	}}
}

// newUserCode returns one such as BCDF-GHJK, of consonants (RFC 8628, section 6.1).
func newUserCode() string {
	const letters = "BCDFGHJKLMNPQRSTVWXZ"
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	for i := range b {
		b[i] = letters[int(b[i])%len(letters)]
	}
	return string(b[:4]) + "-" + string(b[4:])
}

// deviceToken answers a device that asks whether the person has decided (RFC 8628,
// sections 3.4 and 3.5), with s.mu held.
func (s *Sandbox) deviceToken(form url.Values, client Client, d dialect) answer {
	id, now := form.Get("device_code"), s.config.Now()
	c, ok := s.state.Devices[id]
	if !ok || c.At != d.at() || c.Client != client.ID {
		return refusal(http.StatusBadRequest, "invalid_grant")
	}
	if !now.Before(c.ExpireTime) {
		return refusal(http.StatusBadRequest, "expired_token")
	}
	early := !c.AskTime.IsZero() && now.Before(c.AskTime.Add(c.Interval))
	c.AskTime = now
	switch {
	case early:
		c.Interval += 5 * time.Second
		return refusal(http.StatusBadRequest, "slow_down")
	case !c.Decided:
		return refusal(http.StatusBadRequest, "authorization_pending")
	}
	delete(s.state.Devices, id) // it is used up, one way or the other
	if c.Account == 0 {
		return refusal(http.StatusBadRequest, "access_denied")
	}
	next := s.newRefreshToken(nil)
	if !d.refreshes {
		next = nil
	}
	return s.issue(d, accessToken{Client: client.ID, Family: s.newFamily(client.ID, c.Account), Scope: c.Scope, Resource: form.Get("resource"), Account: c.Account}, next)
}

// ErrUserCode says that a user code is not known, or was used.
var ErrUserCode = errors.New("sandbox: there is no such code, or no more")

// EnterCode is what a person does who enters a user code: approve as the account
// of that id, or decline with account 0.
func (s *Sandbox) EnterCode(userCode string, account int) error {
	_, known := s.account(account)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.state.Devices {
		if c.UserCode != strings.ToUpper(strings.TrimSpace(userCode)) || c.Decided || !s.config.Now().Before(c.ExpireTime) || !known && account != 0 {
			continue
		}
		c.Decided, c.Account = true, account
		return s.save()
	}
	return ErrUserCode
}

// askForCode is the page where a person enters a user code.
func (s *Sandbox) askForCode(w http.ResponseWriter, r *http.Request, d dialect) {
	s.page(w, http.StatusOK, "device.html", map[string]any{
		"Provider": d.name, "Accounts": s.config.Accounts, "UserCode": r.URL.Query().Get("user_code"), "Action": r.URL.Path,
	})
}

func (s *Sandbox) enterCode(w http.ResponseWriter, r *http.Request, _ dialect) {
	account, outcome := 0, "Declined"
	approved := r.PostFormValue("decision") == "approve"
	if approved {
		account, _ = strconv.Atoi(r.PostFormValue("account"))
		outcome = "Allowed"
	}
	if approved && account == 0 || s.EnterCode(r.PostFormValue("user_code"), account) != nil {
		s.page(w, http.StatusBadRequest, "error.html", "This code is not known, or was used, or has ended. Ask your device for another one.")
		return
	}
	s.page(w, http.StatusOK, "device.html", map[string]any{"Outcome": outcome})
}
