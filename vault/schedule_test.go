package vault

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/secret"
)

func TestTokensAreRefreshedWellBeforeWhateverEndsFirst(t *testing.T) {
	const day = 24 * time.Hour
	issued := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		name                            string
		access, refresh, idle, shortest time.Duration // 0: does not end
	}{
		{"an hourly token", time.Hour, 0, 0, time.Hour},
		{"a token of a minute", time.Minute, 0, 0, time.Minute},
		{"a token that does not end", 0, 0, 0, 0},
		{"a refresh token that must not idle", 0, 0, 90 * day, 90 * day},
		{"a refresh token that ends before its access token", 60 * day, 30 * day, 0, 30 * day},
		{"all three", time.Hour, 30 * day, 90 * day, time.Hour},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := &storagev1.Grant{RefreshToken: "r", IssueTime: timestamppb.New(issued)}
			if row.access > 0 {
				g.ExpireTime = timestamppb.New(issued.Add(row.access))
			}
			if row.refresh > 0 {
				g.RefreshExpireTime = timestamppb.New(issued.Add(row.refresh))
			}
			seen := map[time.Time]bool{}
			for range 100 {
				at := refreshTime(g, row.idle)
				seen[at] = true
				if row.shortest == 0 {
					if !at.IsZero() {
						t.Fatalf("refreshed at %v, want never", at)
					}
					continue
				}
				if part := float64(at.Sub(issued)) / float64(row.shortest); part < refreshAt-spread || part > refreshAt+spread {
					t.Fatalf("refreshed after %.2f of the life, want %.2f give or take %.2f", part, refreshAt, spread)
				}
			}
			if row.shortest > 0 && len(seen) < 50 {
				t.Errorf("only %d different times of 100, want them spread", len(seen))
			}
		})
	}
}

func TestStatusTellsWhatWillStopWorking(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	in := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(now.Add(d)) }
	for _, row := range []struct {
		name string
		conn *storagev1.Connection
		want Status
	}{
		{"never ends", &storagev1.Connection{Grant: &storagev1.Grant{}}, Connected},
		{"ends in an hour, with a refresh token", &storagev1.Connection{Grant: &storagev1.Grant{RefreshToken: "r", ExpireTime: in(time.Hour)}}, Connected},
		{"ended, with a refresh token", &storagev1.Connection{Grant: &storagev1.Grant{RefreshToken: "r", ExpireTime: in(-time.Hour)}}, Connected},
		{"ends in six days, without", &storagev1.Connection{Grant: &storagev1.Grant{ExpireTime: in(6 * day)}}, ExpiringSoon},
		{"ends in eight days, without", &storagev1.Connection{Grant: &storagev1.Grant{ExpireTime: in(8 * day)}}, Connected},
		{"ended, without", &storagev1.Connection{Grant: &storagev1.Grant{ExpireTime: in(-1)}}, NeedsReauthorization},
		{"the provider has said so", &storagev1.Connection{Grant: &storagev1.Grant{RefreshToken: "r"}, ReauthorizationRequired: true}, NeedsReauthorization},
		{"the refresh token ends in six days of ninety", &storagev1.Connection{Grant: &storagev1.Grant{
			RefreshToken: "r", IssueTime: in(-84 * day), RefreshExpireTime: in(6 * day)}}, ExpiringSoon},
		{"the refresh token ends in half an hour, and may be put off", &storagev1.Connection{Grant: &storagev1.Grant{
			RefreshToken: "r", IssueTime: in(-time.Minute), RefreshExpireTime: in(30 * time.Minute)}}, Connected},
		{"the refresh token ends in half an hour, for good", &storagev1.Connection{Grant: &storagev1.Grant{
			RefreshToken: "r", IssueTime: in(-time.Minute), RefreshExpireTime: in(30 * time.Minute), RefreshExpireFixed: true}}, ExpiringSoon},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := statusOf(row.conn, now); got != row.want {
				t.Errorf("status = %v, want %v", got, row.want)
			}
		})
	}
}

func TestARefreshShowsWhetherTheRefreshTokensEndCanBePutOff(t *testing.T) {
	const day = 24 * time.Hour
	issued := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	first := grantRecord(provider.Token{RefreshToken: secret.New("r1"), RefreshLifetime: 30 * day}, issued, 0)
	for _, row := range []struct {
		name  string
		lives time.Duration // what the refresh a day later says
		fixed bool
		end   time.Time
	}{
		{"it slides", 30 * day, false, issued.Add(31 * day)},
		{"it stays", 29 * day, true, issued.Add(30 * day)},
		{"nothing is said", 0, false, issued.Add(30 * day)},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := refreshedGrant(first, provider.Token{RefreshToken: secret.New("r2"), RefreshLifetime: row.lives}, issued.Add(day), 0)
			if g.GetRefreshExpireFixed() != row.fixed || !g.GetRefreshExpireTime().AsTime().Equal(row.end) {
				t.Errorf("ends %v, fixed %v; want %v, %v", g.GetRefreshExpireTime().AsTime(), g.GetRefreshExpireFixed(), row.end, row.fixed)
			}
		})
	}
}
