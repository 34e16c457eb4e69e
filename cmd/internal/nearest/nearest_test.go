package nearest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/cmd/internal/nearest"
)

func TestNamesOneSlipAwayAreFound(t *testing.T) {
	all := []string{"connect", "disconnect", "credentials", "mailchimp", "google", "google-ads", "hubspot"}
	for _, row := range []struct {
		name string
		want []string
	}{
		{"conect", []string{"connect"}},
		{"Mailchimp", []string{"mailchimp"}},
		{"malchimp", []string{"mailchimp"}},
		{"googel", []string{"google"}},
		{"goog", []string{"google", "google-ads"}},
		{"creds", nil},
		{"x", nil},
		{"", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, nearest.Names(row.name, all)); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}
