package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/store"
)

// reads counts what is read of a store.
type reads struct {
	store.Store
	listed, got int
}

func (r *reads) List(ctx context.Context, prefix store.Key, after string, limit int) (store.Page, error) {
	page, err := r.Store.List(ctx, prefix, after, limit)
	r.listed += len(page.Records)
	return page, err
}

func (r *reads) Get(ctx context.Context, key store.Key) (store.Record, error) {
	r.got++
	return r.Store.Get(ctx, key)
}

// withConnections returns a vault with n connections of one label each, every
// tenth of which has a dead grant, and the counter of its reads.
func withConnections(t *testing.T, n int) (*Vault, *reads) {
	t.Helper()
	v, _ := twoVaults(t)
	var ops []store.Op
	for i := range n {
		key := Key{Tenant: DefaultTenant, Subject: fmt.Sprintf("subject-%d", i), Provider: "acme", Label: DefaultLabel}
		id, err := v.blind.connection(key)
		if err != nil {
			t.Fatal(err)
		}
		op, err := v.records.put(connectionKey(id), &storagev1.Connection{
			Key: keyRecord(key), Grant: &storagev1.Grant{AccessToken: "t"}, ReauthorizationRequired: i%10 == 0,
		}, store.Absent)
		if err != nil {
			t.Fatal(err)
		}
		ops = append(ops, op)
	}
	if _, err := v.store.Commit(t.Context(), ops...); err != nil {
		t.Fatal(err)
	}
	counted := &reads{Store: v.store}
	v.store, v.records.store = counted, counted
	return v, counted
}

func TestAPageReadsLittleMoreThanItShows(t *testing.T) {
	v, counted := withConnections(t, 1500)
	all := func(Key) bool { return true }
	for _, row := range []struct {
		name    string
		request ListRequest
		shown   int
		listed  int // at most
	}{
		{"a small page", ListRequest{PageSize: 3, Visible: all}, 3, 4},
		{"a page of the usual size", ListRequest{Visible: all}, 100, 101},
		{"a page of the largest size", ListRequest{PageSize: 1000, Visible: all}, 1000, 1001},
		{"those in one status", ListRequest{PageSize: 5, Status: NeedsReauthorization}, 5, 300},
		{"none to be seen", ListRequest{PageSize: 5, Visible: func(Key) bool { return false }}, 0, 1500},
	} {
		t.Run(row.name, func(t *testing.T) {
			counted.listed, counted.got = 0, 0
			row.request.Tenant = DefaultTenant
			page, err := v.ListConnections(t.Context(), row.request)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Connections) != row.shown || counted.listed > row.listed {
				t.Errorf("%d shown of %d read; want %d of at most %d", len(page.Connections), counted.listed, row.shown, row.listed)
			}
			if counted.got > row.shown {
				t.Errorf("%d times of last use were read for %d connections", counted.got, row.shown)
			}
		})
	}
}

func TestTheLastPageSaysThatItIsTheLast(t *testing.T) {
	v, _ := withConnections(t, 10)
	for size, want := range map[int]int{1: 10, 3: 4, 5: 2, 10: 1, 11: 1} {
		request, pages, shown := ListRequest{Tenant: DefaultTenant, PageSize: size}, 0, 0
		for {
			page, err := v.ListConnections(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			pages++
			shown += len(page.Connections)
			if request.PageToken = page.NextPageToken; request.PageToken == "" {
				break
			}
		}
		if pages != want || shown != 10 {
			t.Errorf("pages of %d: %d with %d connections; want %d with 10", size, pages, shown, want)
		}
	}
}

func TestAPageTokenIsSealedAndForItsQuestionAlone(t *testing.T) {
	v, _ := withConnections(t, 10)
	question := ListRequest{Tenant: DefaultTenant, PageSize: 1, Provider: "acme"}
	page, err := v.ListConnections(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(page.NextPageToken)
	if err != nil {
		t.Fatal(err)
	}
	id, err := v.blind.connection(page.Connections[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), id[:8]) {
		t.Error("the token shows a store key")
	}
	for name, change := range map[string]func(*ListRequest){
		"another tenant":       func(r *ListRequest) { r.Tenant = "other" },
		"another subject":      func(r *ListRequest) { r.Subject = "subject-1" },
		"another provider":     func(r *ListRequest) { r.Provider = "" },
		"another status":       func(r *ListRequest) { r.Status = Connected },
		"a changed token":      func(r *ListRequest) { r.PageToken = r.PageToken[:len(r.PageToken)-4] + "AAAA" },
		"a store key":          func(r *ListRequest) { r.PageToken = base64.RawURLEncoding.EncodeToString([]byte(id)) },
		"something else":       func(r *ListRequest) { r.PageToken = "x" },
		"the same, in padding": func(r *ListRequest) { r.PageToken += "=" },
	} {
		other := question
		other.PageToken = page.NextPageToken
		change(&other)
		if _, err := v.ListConnections(t.Context(), other); ReasonOf(err) != InvalidPageToken {
			t.Errorf("%s: %v, want %s", name, err, InvalidPageToken)
		}
	}
	question.PageToken, question.PageSize = page.NextPageToken, 5 // the size may change
	if _, err := v.ListConnections(t.Context(), question); err != nil {
		t.Error(err)
	}
	var e *Error
	question.PageToken = "x"
	if _, err := v.ListConnections(t.Context(), question); !errors.As(err, &e) || e.Field != "page_token" {
		t.Errorf("%v, want an error that names page_token", err)
	}
}
