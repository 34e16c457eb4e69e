package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// stage is where scripts are played: the hosts and paths of their URLs.
type stage []place

// place is one endpoint.
type place struct {
	method  string // empty: any
	url     *url.URL
	below   bool // everything below the path too
	anyArgs bool // with whatever query
	handler http.Handler
}

// find returns who answers a request. Nil: nobody.
func (s stage) find(r *http.Request) http.Handler {
	for _, p := range s {
		if p.answers(r) {
			return p.handler
		}
	}
	return nil
}

func (p place) answers(r *http.Request) bool {
	if p.method != "" && p.method != r.Method || !strings.EqualFold(p.url.Host, r.Host) {
		return false
	}
	if r.URL.Scheme != "" && r.URL.Scheme != p.url.Scheme { // known where Transport brings it
		return false
	}
	if !p.anyArgs && r.URL.RawQuery != p.url.RawQuery {
		return false
	}
	path, own := r.URL.EscapedPath(), p.url.EscapedPath()
	return path == own || p.below && strings.HasPrefix(path, strings.TrimSuffix(own, "/")+"/")
}

// play puts scripts on the stage.
func (s *Sandbox) play(scripts []Script) error {
	s.scripts = map[string]*Script{}
	taken := map[string]string{}
	for i := range scripts {
		c := scripts[i]
		if err := c.check(); err != nil {
			return err
		}
		if s.scripts[c.Name] != nil {
			return fmt.Errorf("two scripts are named %s", c.Name)
		}
		s.scripts[c.Name] = &c
		own := s.places(&c)
		for _, p := range own {
			if p.below {
				continue // the API of several
			}
			key := p.method + " " + p.url.Host + p.url.EscapedPath()
			if other := taken[key]; other != "" && other != c.Name {
				return fmt.Errorf("scripts %s and %s both have %s: play them at other URLs (At), or in two sandboxes", other, c.Name, p.url)
			}
			taken[key] = c.Name
		}
		s.stage = append(s.stage, own...)
	}
	return nil
}

// places returns the endpoints of a script, those that answer everything below
// them last.
func (s *Sandbox) places(c *Script) []place {
	d := scripted(c)
	var all []place
	add := func(e Endpoint, method, address string, h played) {
		if address == "" {
			return
		}
		u, _ := url.Parse(address) // checked
		all = append(all, place{
			method: method, url: u, anyArgs: e == Authorize || e == API, below: e == API,
			handler: s.faulty(e, func(w http.ResponseWriter, r *http.Request) { h(w, r, d) }),
		})
	}
	add(Authorize, http.MethodGet, c.AuthorizeURL, s.authorize)
	add(Authorize, http.MethodPost, c.AuthorizeURL, s.decide)
	add(Token, http.MethodPost, c.TokenURL, s.token)
	add(Revoke, http.MethodPost, c.RevokeURL, s.revoke)
	if c.DeviceURL != "" {
		add(Device, http.MethodPost, c.DeviceURL, s.authorizeDevice)
		add(Authorize, http.MethodGet, c.DeviceURL+"/verify", s.askForCode)
		add(Authorize, http.MethodPost, c.DeviceURL+"/verify", s.enterCode)
	}
	if c.Issuer != "" {
		for _, address := range wellKnown(c.Issuer) {
			add(Discovery, http.MethodGet, address, s.discovery)
		}
	}
	if c.Lookup != nil {
		add(UserInfo, c.Lookup.Method, c.Lookup.URL, s.lookUp)
	}
	for _, api := range c.APIs {
		add(API, "", api.URL, func(w http.ResponseWriter, r *http.Request, d dialect) { s.playedAPI(w, r, d, api) })
	}
	return all
}

// lookUp answers with the script's document about the account.
func (s *Sandbox) lookUp(w http.ResponseWriter, r *http.Request, d dialect) {
	l := d.script.Lookup
	t, ok := s.holder(r, d, l.Headers)
	if !ok {
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil || string(body) != l.Body || l.Body != "" && r.Header.Get("Content-Type") == "" {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_request"})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	writeJSON(w, http.StatusOK, s.fillFor(t.Account, l.Document))
}

// playedAPI tells whose the token is. Where several APIs have one URL, such as one
// that takes tokens and keys, each request is for the one whose headers it has.
func (s *Sandbox) playedAPI(w http.ResponseWriter, r *http.Request, d dialect, first PlayedAPI) {
	for _, api := range d.script.APIs {
		if api.URL != first.URL {
			continue
		}
		if token, ok := carried(r, api.Headers); ok && token == "" {
			writeJSON(w, http.StatusOK, map[string]any{"provider": d.script.Name, "credential": "api_key"})
			return
		}
		if t, ok := s.holder(r, d, api.Headers); ok {
			writeJSON(w, http.StatusOK, map[string]any{"provider": d.script.Name, "credential": "access_token", "account": strconv.Itoa(t.Account)})
			return
		}
	}
	writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "unauthorized"})
}

// holder returns the token of a request, if it has the headers that it should
// have, and the token works at that provider.
func (s *Sandbox) holder(r *http.Request, d dialect, headers map[string]string) (accessToken, bool) {
	token, ok := carried(r, headers)
	if !ok {
		return accessToken{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.valid(token)
	if !ok || t.At != d.at() {
		return accessToken{}, false
	}
	return *t, true
}

// titles are the names of what is played, and where.
func (s *Sandbox) titles() []string {
	var titles []string
	for _, c := range s.config.Scripts {
		at := c.AuthorizeURL
		if at == "" && len(c.APIs) > 0 {
			at = c.APIs[0].URL
		}
		titles = append(titles, c.title()+": "+at)
	}
	return titles
}

// fillFor returns a document with what stands for the account in it, with s.mu
// held.
func (s *Sandbox) fillFor(account int, document any) any {
	a, _ := s.account(account)
	var fill func(any) any
	fill = func(node any) any {
		switch node := node.(type) {
		case map[string]any:
			out := make(map[string]any, len(node))
			for name, child := range node {
				out[name] = fill(child)
			}
			return out
		case []any:
			out := make([]any, len(node))
			for i, child := range node {
				out[i] = fill(child)
			}
			return out
		}
		switch node {
		case "{account.id}":
			return json.Number(strconv.Itoa(a.ID))
		case "{account.name}":
			return a.Name
		case "{account.email}":
			return a.Email
		}
		return node
	}
	return fill(document)
}

// wrap puts the fields of an answer that has tokens where the provider has them.
func (a *answer) wrap() {
	around, ok := a.around.(map[string]any)
	if a.refused() || !ok && a.pointer == "" {
		return
	}
	if around == nil {
		around = map[string]any{}
	}
	tokens, node := a.fields, around
	if a.pointer != "" {
		for _, step := range strings.Split(a.pointer, "/")[1:] {
			child, ok := node[step].(map[string]any)
			if !ok {
				child = map[string]any{}
				node[step] = child
			}
			node = child
		}
	}
	for name, value := range tokens {
		node[name] = value
	}
	a.fields = around
}
