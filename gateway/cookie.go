package gateway

import (
	"context"
	"net/http"
	"time"

	"google.golang.org/grpc/metadata"
)

// cookie is one of those that browsers keep for the server. The flow cookie ties the
// flows that a browser starts to that browser; that of a sign-in says who uses it.
type cookie struct {
	name        string
	secure      bool
	metadataKey string
	lifetime    time.Duration
}

// newCookie names the cookie. The __Host- prefix has browsers refuse the
// cookie from anyone but this very host over https; on loopback without TLS,
// browsers would not take it under that name.
func newCookie(name string, secure bool, metadataKey string, lifetime time.Duration) cookie {
	if secure {
		name = "__Host-" + name
	}
	return cookie{name: name, secure: secure, metadataKey: metadataKey, lifetime: lifetime}
}

// annotate passes the cookie on to the server. Besides the two cookies, the only
// metadata that comes from a request are authorization and the address that it came
// from. Two cookies of a name are none: one of them is not ours.
func (c cookie) annotate(_ context.Context, r *http.Request) metadata.MD {
	value := c.of(r)
	if value == "" || c.metadataKey == "" {
		return nil
	}
	return metadata.Pairs(c.metadataKey, value)
}

// of returns what a browser has brought. Empty: nothing, or more than one.
func (c cookie) of(r *http.Request) string {
	cookies := r.CookiesNamed(c.name)
	if len(cookies) != 1 {
		return ""
	}
	return cookies[0].Value
}

// remove has the browser forget the cookie.
func (c cookie) remove(w http.ResponseWriter) {
	c.lifetime = -time.Second
	c.set(w, "")
}

// set has the browser keep the cookie. SameSite=Lax lets it come back with the
// provider's redirect, which is a top-level GET from another site.
func (c cookie) set(w http.ResponseWriter, value string) {
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
