package gateway

import (
	"context"
	"net/http"
	"time"

	"google.golang.org/grpc/metadata"
)

// flowCookie ties the flows that a browser starts to that browser.
type flowCookie struct {
	name        string
	secure      bool
	metadataKey string
	lifetime    time.Duration
}

// newFlowCookie names the cookie. The __Host- prefix has browsers refuse the
// cookie from anyone but this very host over https; on loopback without TLS,
// browsers would not take it under that name.
func newFlowCookie(secure bool, metadataKey string, lifetime time.Duration) flowCookie {
	name := "tokenvault-flow"
	if secure {
		name = "__Host-" + name
	}
	return flowCookie{name: name, secure: secure, metadataKey: metadataKey, lifetime: lifetime}
}

// annotate passes the cookie on to the server, as the only metadata that comes
// from a request besides authorization and the address that it came from. Two cookies of the name are none: one of
// them is not ours.
func (c flowCookie) annotate(_ context.Context, r *http.Request) metadata.MD {
	cookies := r.CookiesNamed(c.name)
	if len(cookies) != 1 {
		return nil
	}
	return metadata.Pairs(c.metadataKey, cookies[0].Value)
}

// set has the browser keep the cookie. SameSite=Lax lets it come back with the
// provider's redirect, which is a top-level GET from another site.
func (c flowCookie) set(w http.ResponseWriter, value string) {
	http.SetCookie(w, &http.Cookie{
		Name:     c.name,
		Value:    value,
		Path:     "/",
		MaxAge:   int(c.lifetime.Seconds()),
		Secure:   c.secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}
