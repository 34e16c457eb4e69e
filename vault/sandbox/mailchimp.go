package sandbox

import "net/http"

// metadata tells which data centre a token belongs to.
func (s *Sandbox) metadata(w http.ResponseWriter, r *http.Request, _ dialect) {
	a, ok := s.bearer(r, "OAuth")
	if !ok {
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"dc": a.DataCenter, "role": a.marketing().Role(), "accountname": a.Name, "user_id": a.ID,
		"login": map[string]any{
			"email": a.Email, "avatar": nil, "login_id": a.ID, "login_name": a.Person, "login_email": a.Email,
		},
		"login_url": "https://login.mailchimp.com", "api_endpoint": "https://" + a.DataCenter + ".api.mailchimp.com",
	})
}
