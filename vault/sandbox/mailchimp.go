package sandbox

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// bearer returns the token of the Authorization header, under any of the schemes
// given, and whose it is.
func (s *Sandbox) bearer(r *http.Request, schemes ...string) (Account, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, allowed := range schemes {
		if strings.EqualFold(scheme, allowed) {
			if t, ok := s.valid(token); ok && t.At == "" {
				return s.account(t.Account)
			}
		}
	}
	return Account{}, false
}

// metadata tells which data centre a token belongs to.
func (s *Sandbox) metadata(w http.ResponseWriter, r *http.Request, _ dialect) {
	a, ok := s.bearer(r, "OAuth")
	if !ok {
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"dc": a.DataCenter, "role": "owner", "accountname": a.Name, "user_id": a.ID,
		"login": map[string]any{
			"email": a.Email, "avatar": nil, "login_id": a.ID, "login_name": a.Person, "login_email": a.Email,
		},
		"login_url": "https://login.mailchimp.com", "api_endpoint": "https://" + a.DataCenter + ".api.mailchimp.com",
	})
}

// userinfo is the standard provider's account endpoint.
func (s *Sandbox) userinfo(w http.ResponseWriter, r *http.Request, _ dialect) {
	a, ok := s.bearer(r, "Bearer")
	if !ok {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"sub": strconv.Itoa(a.ID), "name": a.Person, "email": a.Email})
}

// marketingAPI is a small part of the Marketing API 3.0. The real one has the
// data centre in its host name, this one in its path.
func (s *Sandbox) marketingAPI(w http.ResponseWriter, r *http.Request, _ dialect) {
	a, ok := s.bearer(r, "Bearer", "OAuth")
	if !ok || a.DataCenter != r.PathValue("dc") {
		problem(w, http.StatusUnauthorized, "API Key Invalid", "Your API key may be invalid, or you've attempted to access the wrong datacenter.")
		return
	}
	collections := madeUp(a)
	path := strings.Trim(r.PathValue("path"), "/")
	name, id, single := strings.Cut(path, "/")
	items, known := collections[name]
	switch {
	case path == "":
		writeJSON(w, http.StatusOK, map[string]any{"account_id": strconv.Itoa(a.ID), "account_name": a.Name, "email": a.Email, "role": "owner"})
	case path == "ping":
		writeJSON(w, http.StatusOK, map[string]string{"health_status": "Everything's Chimpy!"})
	case known && !single:
		writeJSON(w, http.StatusOK, map[string]any{name: page(items, r), "total_items": len(items)})
	case known && single:
		for _, item := range items {
			if item["id"] == id {
				writeJSON(w, http.StatusOK, item)
				return
			}
		}
		fallthrough
	default:
		problem(w, http.StatusNotFound, "Resource Not Found", "The requested resource could not be found.")
	}
}

// page cuts a list by count (10 unless told) and offset.
func page(items []map[string]any, r *http.Request) []map[string]any {
	offset, err := strconv.Atoi(r.URL.Query().Get("offset"))
	if err != nil || offset < 0 {
		offset = 0
	}
	count, err := strconv.Atoi(r.URL.Query().Get("count"))
	if err != nil || count < 1 || count > 1000 {
		count = 10
	}
	offset = min(offset, len(items))
	return items[offset:min(offset+count, len(items))]
}

// madeUp returns an account's lists, campaigns and reports.
func madeUp(a Account) map[string][]map[string]any {
	return map[string][]map[string]any{
		"lists": {
			{"id": "a1b2c3d4e5", "name": a.Name + " news", "stats": map[string]int{"member_count": 1842, "unsubscribe_count": 17}},
			{"id": "f6a7b8c9d0", "name": "Friends of " + a.Name, "stats": map[string]int{"member_count": 96, "unsubscribe_count": 0}},
		},
		"campaigns": {
			{"id": "5c0ffee5", "type": "regular", "status": "sent", "settings": map[string]string{"subject_line": "A small step", "title": "June"}},
			{"id": "5eed5eed", "type": "regular", "status": "save", "settings": map[string]string{"subject_line": "A giant leap", "title": "July"}},
		},
		"reports": {
			{"id": "5c0ffee5", "campaign_title": "June", "emails_sent": 1842, "opens": map[string]any{"unique_opens": 903, "open_rate": 0.49}},
		},
	}
}

// problem answers with an error of the Marketing API (application/problem+json).
func problem(w http.ResponseWriter, status int, title, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "https://mailchimp.com/developer/marketing/docs/errors/", "title": title, "status": status, "detail": detail, "instance": newID(),
	})
}
