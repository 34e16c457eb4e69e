package tools_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAllRatesAreFractions(t *testing.T) {
	stats := args{"open_rate": 45.98, "click_rate": 12.72, "proxy_excluded_open_rate": 0, "sub_rate": 12, "unsub_rate": 3}
	want := map[string]any{"open_rate": 0.4598, "click_rate": 0.1272, "proxy_excluded_open_rate": 0.0, "sub_rate": 12.0, "unsub_rate": 3.0}
	all := args{"fields": []string{"*"}}
	for tool, tt := range map[string]struct {
		answer args
		args   args
		place  string
	}{
		"list_audiences": {args{"lists": []args{{"id": "x", "stats": stats}}}, all, "audiences.0.stats"},
		"get_audience":   {args{"stats": stats}, merged(all, args{"audience_id": "a1b2c3d4e5"}), "stats"},
		"get_report":     {args{"list_stats": stats, "opens": args{"open_rate": 0.5}}, merged(all, args{"campaign_id": "a1b2c3d4e5"}), "list_stats"},
	} {
		t.Run(tool, func(t *testing.T) {
			got := answering(t, encode(t, tt.answer)).call(tool, tt.args)
			if diff := cmp.Diff(want, at(t, got, tt.place)); diff != "" {
				t.Errorf("rates of an audience (-want +got):\n%s", diff)
			}
			if tool == "get_report" && at(t, got, "opens.open_rate") != 0.5 {
				t.Errorf("got %v, want the campaign's own rate as it is", got)
			}
		})
	}
}
