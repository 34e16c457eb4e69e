package audit

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// FuzzEntry makes sure that a line is what encoding/json would write of the entry,
// and reads as the same entry.
func FuzzEntry(f *testing.F) {
	f.Add("GetCredentials", "alice", "mailchimp", int64(3), 0)
	f.Add("", "Zoë \"quoted\" \\ <b> & \u2028", "a\nb\x00\xff", int64(-1), 12)
	f.Fuzz(func(t *testing.T, rpc, subject, reason string, generation int64, count int) {
		e := Entry{
			Time: time.Unix(1_900_000_000, 123_000_000).UTC(), RPC: rpc, Outcome: Allowed, Reason: reason, Caller: subject, Tenant: rpc, Subject: subject,
			Provider: reason, Label: rpc, Generation: generation, Token: subject, Peer: reason, Count: count, Ended: count > 0, RequestID: rpc, TraceID: subject,
		}
		line := string(appendEntry(nil, 7, &e)) + "}"
		want, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Replace(line, `"seq":7,`, "", 1); got != string(want) {
			t.Errorf("(-want +got):\n%s", cmp.Diff(string(want), got))
		}
	})
}

func TestALineOfTheFileIsJSON(t *testing.T) {
	line := append(appendOpening(nil, 1, opening{Time: time.Unix(0, 0).UTC(), Opened: format, Continues: "x"}), '}')
	var got map[string]any
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"seq": 1.0, "time": "1970-01-01T00:00:00Z", "opened": format, "continues": "x"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
