package marketing

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Account is whose data it is.
type Account struct {
	ID         int
	Name       string // of the account
	Person     string // its owner
	Email      string
	DataCenter string
	// ReadOnly refuses what changes anything with 403, as a viewer's role does.
	ReadOnly bool
}

// Role is what Mailchimp calls what the person may do.
func (a Account) Role() string {
	if a.ReadOnly {
		return "viewer"
	}
	return "owner"
}

// Config is what an API is made of.
type Config struct {
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
	// SendDuration is how long a campaign is sending before it is sent. 0: it is
	// sent at once.
	SendDuration time.Duration
}

// API holds what the accounts hold. It is safe for concurrent use.
type API struct {
	config Config
	routes []route

	mu       sync.Mutex
	accounts map[int]*account
}

// New returns an API with no account used yet.
func New(c Config) *API {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &API{config: c, routes: routes(), accounts: map[int]*account{}}
}

// object is JSON's.
type object = map[string]any

// account is what one account holds. Requests of one account are answered one
// after the other.
type account struct {
	mu        sync.Mutex
	info      Account
	created   time.Time
	lists     []*list
	campaigns []*campaign
	lastID    int // of segments, and what else has a number
}

// account returns what an account holds, and makes it up at the first use.
func (a *API) account(info Account) *account {
	a.mu.Lock()
	defer a.mu.Unlock()
	held, ok := a.accounts[info.ID]
	if !ok {
		held = makeUp(info, a.config.Now())
		a.accounts[info.ID] = held
	}
	return held
}

// call is one request that is being answered, with its account locked.
type call struct {
	*account
	config Config
	r      *http.Request
	params map[string]string // of the path
	now    time.Time         // in whole seconds, as answers have them
	base   string            // the URL of the API
	body   object            // nil: none was sent
}

// For returns the API as one account has it. base is its URL, without a slash at
// the end, for the links in answers; the requests' paths are those below it.
func (a *API) For(info Account, base string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := a.answer(w, r, info, base)
		var p *Problem
		switch {
		case errors.As(err, &p):
			p.Write(w)
		case err != nil:
			internal(err).Write(w)
		case answer == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_ = json.NewEncoder(w).Encode(answer)
		}
	})
}

func (a *API) answer(w http.ResponseWriter, r *http.Request, info Account, base string) (any, error) {
	matched, params, allowed := a.find(r)
	switch {
	case matched == nil && len(allowed) > 0:
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return nil, methodNotAllowed("The requested method and resource are not compatible. See the Allow header for this resource's available methods.")
	case matched == nil && slices.Contains(strings.Split(r.URL.Path, "/"), "actions"):
		return nil, problem(http.StatusBadRequest, "Invalid Action", "The action requested was not valid for this resource.")
	case matched == nil:
		return nil, notFound()
	case info.ReadOnly && r.Method != http.MethodGet:
		return nil, problem(http.StatusForbidden, "Forbidden", "User role lacks permission")
	}
	if err := matched.checkQuery(r.URL.Query()); err != nil {
		return nil, err
	}
	c := &call{account: a.account(info), config: a.config, r: r, params: params, now: a.config.Now().UTC().Truncate(time.Second), base: base}
	if err := c.readBody(matched.body); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.info = info
	c.settle()
	answer, err := matched.handle(c)
	if err != nil || answer == nil {
		return nil, err
	}
	return c.selected(answer)
}

// selected leaves of an answer what the request has asked for. It makes a copy:
// what the answer is made of changes once the account is no longer locked.
func (c *call) selected(answer object) (any, error) {
	data, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := json.Unmarshal(data, &plain); err != nil {
		return nil, err
	}
	return newSelector(c.param("fields"), c.param("exclude_fields")).apply(plain), nil
}

func (c *call) param(name string) string { return c.r.URL.Query().Get(name) }
