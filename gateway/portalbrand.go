package gateway

import "net/http"

// What the brand adds to the portal's pages comes from addresses of its own: their
// content security policy allows nothing in the pages themselves.

func (p *portal) serveStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write([]byte(p.brand.Style()))
}

func (p *portal) serveLogo(w http.ResponseWriter, r *http.Request) {
	if p.brand.Logo == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", p.brand.LogoType())
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(p.brand.Logo)
}
