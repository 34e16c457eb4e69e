package vault

import (
	"context"
	"errors"
	"time"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/store"
)

// Connection is what is known of a connection, without its secrets. Zero times
// mean never, but for ExpireTime, where zero means that it does not expire.
type Connection struct {
	Key             Key
	Status          Status
	ConnectTime     time.Time
	LastRefreshTime time.Time
	LastUsedTime    time.Time
	ExpireTime      time.Time
	// EndTime is when it stops working unless a person acts. Zero: not known to.
	EndTime    time.Time
	Scopes     []string
	Account    Account
	Metadata   map[string]string
	Generation int64
	HasAPIKey  bool
	// Problem is what went wrong last and what to do, in a sentence. Empty:
	// nothing.
	Problem string
}

// GetConnection returns one connection.
func (v *Vault) GetConnection(ctx context.Context, key Key) (Connection, error) {
	_, _, id, err := v.named(key)
	if err != nil {
		return Connection{}, err
	}
	conn, err := v.read(ctx, id)
	if err != nil {
		return Connection{}, err
	}
	return v.describe(ctx, id, conn)
}

// Limits of a page of ListConnections.
const (
	DefaultPageSize = 100
	MaxPageSize     = 1000
)

// maxScan bounds how many records one call of ListConnections reads, however few
// of them match. It reads no more than it seems to need, in steps of at most
// maxStep.
const (
	maxScan = 2 * MaxPageSize
	maxStep = MaxPageSize + 1
)

// ListRequest says which connections to list.
type ListRequest struct {
	Tenant string
	// Subject, Provider and Status narrow the list; zero values do not.
	Subject  string
	Provider string
	Status   Status
	// PageSize 0 means DefaultPageSize.
	PageSize int
	// PageToken is where to go on. Empty: at the beginning.
	PageToken string
	// Visible reports whether the caller may see a connection. Nil: all.
	Visible func(Key) bool
}

// ListPage is a part of a list.
type ListPage struct {
	Connections []Connection
	// NextPageToken is empty when there are no more.
	NextPageToken string
}

// ListConnections returns a page of connections, those of a subject together.
func (v *Vault) ListConnections(ctx context.Context, r ListRequest) (ListPage, error) {
	prefix, after, err := v.checkList(&r)
	if err != nil {
		return ListPage{}, err
	}
	var page ListPage
	step := r.PageSize + 1 // one more tells whether there is a next page
	for scanned := 0; scanned < maxScan; {
		step = min(step, maxStep, maxScan-scanned)
		records, err := v.store.List(ctx, store.Key{Kind: kindConnections, ID: prefix}, after, step)
		if err != nil {
			return ListPage{}, err
		}
		for _, rec := range records.Records {
			if len(page.Connections) == r.PageSize {
				page.NextPageToken, err = v.pageToken(r, after)
				return page, err
			}
			after = rec.Key.ID
			conn, ok, err := v.listed(ctx, r, rec)
			if err != nil {
				return ListPage{}, err
			}
			if ok {
				page.Connections = append(page.Connections, conn)
			}
		}
		if len(records.Records) < step {
			return page, nil
		}
		scanned += len(records.Records)
		step *= 2 // few match
	}
	page.NextPageToken, err = v.pageToken(r, after)
	return page, err
}

// checkList validates a request, fills in its defaults, and returns where to
// look.
func (v *Vault) checkList(r *ListRequest) (prefix, after string, err error) {
	if r.PageSize == 0 {
		r.PageSize = DefaultPageSize
	}
	if r.PageSize < 1 || r.PageSize > MaxPageSize {
		return "", "", invalid(InvalidPageSize, "page_size", "1 to 1,000, or 0 for 100")
	}
	if r.Provider != "" {
		if _, _, err := v.check(Key{Tenant: r.Tenant, Subject: "-", Provider: r.Provider}); err != nil {
			return "", "", err
		}
	}
	if r.Subject != "" {
		if err := checkSubject(r.Subject); err != nil {
			return "", "", err
		}
	}
	if after, err = v.parsePageToken(*r); err != nil {
		return "", "", err
	}
	if r.Subject == "" {
		prefix, err = v.blind.tenant(r.Tenant)
		return prefix, after, err
	}
	prefix, err = v.blind.subject(r.Tenant, r.Subject)
	return prefix, after, err
}

// listed describes a record, and reports whether it belongs in the list.
func (v *Vault) listed(ctx context.Context, r ListRequest, rec store.Record) (Connection, bool, error) {
	record := new(storagev1.Connection)
	if err := v.records.open(rec, record); err != nil {
		return Connection{}, false, err
	}
	key := keyOf(record.GetKey())
	if r.Provider != "" && key.Provider != r.Provider || r.Visible != nil && !r.Visible(key) ||
		r.Status != 0 && statusOf(record, v.now()) != r.Status {
		return Connection{}, false, nil
	}
	conn, err := v.describe(ctx, rec.Key.ID, record)
	return conn, err == nil, err
}

func (v *Vault) describe(ctx context.Context, id string, c *storagev1.Connection) (Connection, error) {
	used, err := v.lastUsed(ctx, id)
	if err != nil {
		return Connection{}, err
	}
	conn := describeRecord(c)
	conn.Status = statusOf(c, v.now())
	conn.LastUsedTime = used
	return conn, nil
}

// describeRecord leaves out what the record alone does not tell.
func describeRecord(c *storagev1.Connection) Connection {
	a := c.GetAccount()
	return Connection{
		Key:             keyOf(c.GetKey()),
		ConnectTime:     timeOf(c.GetConnectTime()),
		LastRefreshTime: timeOf(c.GetLastRefreshTime()),
		ExpireTime:      timeOf(c.GetGrant().GetExpireTime()),
		EndTime:         endOf(c.GetGrant()),
		Scopes:          c.GetGrant().GetScopes(),
		Account:         Account{ID: a.GetId(), Name: a.GetName(), Email: a.GetEmail()},
		Metadata:        c.GetMetadata(),
		Generation:      c.GetGeneration(),
		HasAPIKey:       c.GetApiKey() != nil,
		Problem:         c.GetProblem(),
	}
}

// lastUsed returns when credentials were last read. Zero: never.
func (v *Vault) lastUsed(ctx context.Context, id string) (time.Time, error) {
	if marked := v.usage.marked(id); !marked.IsZero() {
		return marked, nil
	}
	record := new(storagev1.Usage)
	_, err := v.records.get(ctx, store.Key{Kind: kindUsage, ID: id}, record)
	if errors.Is(err, store.ErrNotFound) {
		return time.Time{}, nil
	}
	return timeOf(record.GetLastUsedTime()), err
}
