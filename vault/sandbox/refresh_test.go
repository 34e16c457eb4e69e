package sandbox_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

func TestAUsedRefreshTokenWorksForTheGraceAndThenKillsItsFamily(t *testing.T) {
	for _, grace := range []time.Duration{0, 30 * time.Second, 10 * time.Minute} {
		t.Run(fmt.Sprint(grace), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newApp(t, func(c *sandbox.Config) { c.ReuseGrace = grace })
				first := a.Issue("post", ada, "a")
				bystander := a.Issue("post", ada, "a")
				last := a.mustRefresh(first.RefreshToken)
				if grace > 0 {
					// Using it again does not begin the grace anew.
					time.Sleep(grace / 2)
					a.mustRefresh(first.RefreshToken)
					time.Sleep(grace/2 - time.Nanosecond)
					last = a.mustRefresh(first.RefreshToken)
					time.Sleep(time.Nanosecond)
				}
				if a.FamilyOf(last) != first.Family || !a.RefreshTokenValid(last) || a.RevokedFamilies() != 0 {
					t.Fatal("within the grace: not the same family, or not alive")
				}
				if a.RefreshTokenValid(first.RefreshToken) {
					t.Error("the grace is over, and the used token still counts as valid")
				}
				wantRefused(t, a.refresh(first.RefreshToken), http.StatusBadRequest, "invalid_grant")
				if a.Valid(first.AccessToken) || a.RefreshTokenValid(last) {
					t.Error("the family is still alive")
				}
				wantRefused(t, a.refresh(last), http.StatusBadRequest, "invalid_grant")
				if n := a.RevokedFamilies(); n != 1 {
					t.Errorf("RevokedFamilies = %d, want 1", n)
				}
				if !a.Valid(bystander.AccessToken) {
					t.Error("another family is dead too")
				}
			})
		})
	}
}

func TestFamiliesRevokedByHandDoNotCountAsReused(t *testing.T) {
	a := newApp(t, nil)
	first, second := a.Issue("post", ada, "a"), a.Issue("post", ada, "a")
	next := a.mustRefresh(first.RefreshToken)
	a.RevokeFamily(a.FamilyOf(next))
	if a.Valid(first.AccessToken) || !a.Valid(second.AccessToken) {
		t.Error("RevokeFamily revoked the wrong family")
	}
	a.RevokeAll()
	if a.Valid(second.AccessToken) {
		t.Error("RevokeAll left something")
	}
	wantRefused(t, a.refresh(first.RefreshToken), http.StatusBadRequest, "invalid_grant")
	if n := a.RevokedFamilies(); n != 0 {
		t.Errorf("RevokedFamilies = %d, want 0", n)
	}
	if family := a.FamilyOf("no token"); family != "" {
		t.Errorf("FamilyOf an unknown token = %q", family)
	}
}

func TestARefreshTokenOfAnotherClientIsRefusedAndStaysGood(t *testing.T) {
	a := newApp(t, nil)
	other := a.Issue("basic", ada, "a")
	wantRefused(t, a.refresh(other.RefreshToken), http.StatusBadRequest, "invalid_grant")
	if !a.RefreshTokenValid(other.RefreshToken) || a.RevokedFamilies() != 0 {
		t.Error("the other client's token was used up")
	}
}

func TestWithoutRotationARefreshTokenStaysTheSame(t *testing.T) {
	a := newApp(t, func(c *sandbox.Config) { c.Rotation = sandbox.RotateNever })
	first := a.Issue("post", ada, "a")
	for range 3 {
		if next := a.mustRefresh(first.RefreshToken); next != first.RefreshToken {
			t.Error("another refresh token")
		}
	}
	if !a.Valid(first.AccessToken) || a.RevokedFamilies() != 0 {
		t.Error("the family is dead")
	}
}

func TestRefreshTokensEnd(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*sandbox.Config)
		pauses []time.Duration // before each refresh; the last one is too long
	}{
		{"fixed", func(c *sandbox.Config) { c.RefreshTokenLifetime = 10 * hour }, []time.Duration{6 * hour, 4*hour - 1, 1}},
		{"sliding", func(c *sandbox.Config) { c.RefreshTokenLifetime, c.RefreshTokenSliding = 10*hour, true }, []time.Duration{6 * hour, 10*hour - 1, 10 * hour}},
		{"idle", func(c *sandbox.Config) { c.RefreshTokenIdle = 10 * hour }, []time.Duration{10*hour - 1, 10*hour - 1, 10 * hour}},
		{"fixed, not rotating", func(c *sandbox.Config) { c.RefreshTokenLifetime, c.Rotation = 10*hour, sandbox.RotateNever }, []time.Duration{6 * hour, 4*hour - 1, 1}},
		{"sliding, not rotating", func(c *sandbox.Config) {
			c.RefreshTokenLifetime, c.RefreshTokenSliding, c.Rotation = 10*hour, true, sandbox.RotateNever
		}, []time.Duration{6 * hour, 10*hour - 1, 10 * hour}},
		{"idle, not rotating", func(c *sandbox.Config) { c.RefreshTokenIdle, c.Rotation = 10*hour, sandbox.RotateNever }, []time.Duration{10*hour - 1, 10*hour - 1, 10 * hour}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newApp(t, row.change)
				token := a.Issue("post", ada, "a").RefreshToken
				for i, pause := range row.pauses {
					time.Sleep(pause)
					if i < len(row.pauses)-1 {
						token = a.mustRefresh(token)
						continue
					}
					wantRefused(t, a.refresh(token), http.StatusBadRequest, "invalid_grant")
				}
				if n := a.RevokedFamilies(); n != 0 {
					t.Errorf("RevokedFamilies = %d, want 0: ends are no reuse", n)
				}
			})
		})
	}
}

func TestTheEndOfARefreshTokenIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, func(c *sandbox.Config) { c.RefreshTokenLifetime, c.RefreshExpiresIn = day, true })
		token := a.Issue("post", ada, "a").RefreshToken
		time.Sleep(hour)
		if got := a.refresh(token).fields["refresh_expires_in"]; got != (23 * hour).Seconds() {
			t.Errorf("refresh_expires_in = %v, want 82800", got)
		}
	})
}

func TestAccessTokensEndAndAreToldTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, func(c *sandbox.Config) { c.TokenLifetime = 10 * time.Minute })
		r := a.refresh(a.Issue("post", ada, "a").RefreshToken)
		if got := r.fields["expires_in"]; got != 600.0 {
			t.Errorf("expires_in = %v, want 600", got)
		}
		time.Sleep(10*time.Minute - 1)
		if !a.Valid(r.text("access_token")) {
			t.Error("ended early")
		}
		time.Sleep(time.Nanosecond)
		if a.Valid(r.text("access_token")) {
			t.Error("did not end")
		}
	})
}

func TestOneConsentTooManyEndsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, func(c *sandbox.Config) { c.MaxFamilies = 2 })
		var consents []sandbox.Issued
		for range 3 {
			consents = append(consents, a.Issue("post", ada, "a"))
			time.Sleep(time.Second)
		}
		if a.Valid(consents[0].AccessToken) || !a.Valid(consents[1].AccessToken) || !a.Valid(consents[2].AccessToken) {
			t.Error("not the oldest consent, and it alone, has ended")
		}
		if n := a.RevokedFamilies(); n != 0 {
			t.Errorf("RevokedFamilies = %d, want 0", n)
		}
	})
}

func TestARestartKeepsWhatWasIssued(t *testing.T) {
	path := t.TempDir() + "/sandbox.json"
	keep := func(c *sandbox.Config) { c.StatePath = path }
	a := newApp(t, keep)
	first := a.Issue("post", ada, "a")
	second := a.mustRefresh(first.RefreshToken)
	a = newApp(t, keep)
	if a.FamilyOf(first.AccessToken) != first.Family || !a.RefreshTokenValid(second) {
		t.Error("a token is gone")
	}
	a.refresh(first.RefreshToken)
	if a = newApp(t, keep); a.RevokedFamilies() != 1 || a.RefreshTokenValid(second) {
		t.Error("the reuse is forgotten")
	}
}
