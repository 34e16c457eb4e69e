package gateway

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tokenvault/tokenvault/gateway/brand"
	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

// portal is where people see and change their own connections. It works without a
// script: every action is a form, and every form leads to a page that says what came
// of it. Who it is about is for the server to say, by the cookie of the sign-in.
type portal struct {
	*gateway
	server   tokenvaultv1.PortalServiceClient
	origins  *http.CrossOriginProtection
	note     cookie
	brand    brand.Brand
	text     texts
	template *template.Template
	// signsIn: people can sign in without a link.
	signsIn bool
}

const portalPath = "/portal"

func newPortal(g *gateway, conn grpc.ClientConnInterface, c Config, public *url.URL) (*portal, error) {
	if key, err := c.Brand.Check(); err != nil {
		return nil, fmt.Errorf("gateway: brand: %s: %w", key, err)
	}
	p := &portal{
		gateway: g, server: tokenvaultv1.NewPortalServiceClient(conn), origins: http.NewCrossOriginProtection(),
		note:  newCookie("tokenvault-note", g.signIn.secure, "", noteLifetime),
		brand: c.Brand, text: english(), signsIn: c.PortalSignIn,
	}
	// A proxy may change the Host that the server sees.
	err := p.origins.AddTrustedOrigin(public.Scheme + "://" + public.Host)
	if err != nil {
		return nil, fmt.Errorf("gateway: public URL: %w", err)
	}
	p.template, err = template.New("").Funcs(template.FuncMap{"t": p.text.say}).ParseFS(templates, "templates/portal/*.html")
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return p, nil
}

// routes adds the portal's addresses to a mux.
func (p *portal) routes(mux *http.ServeMux) {
	get := func(path string, serve http.HandlerFunc) {
		mux.Handle("GET "+portalPath+path, p.limited(p.page(serve)))
	}
	post := func(path string, serve http.HandlerFunc) {
		mux.Handle("POST "+portalPath+path, p.limited(p.page(serve)))
	}
	get("", p.show)
	get("/open", p.askToOpen)
	get("/connect", p.askToConnect)
	get("/disconnect", p.askToDisconnect)
	get("/api-key", p.askForKey)
	get("/api-key/remove", p.askToRemoveKey)
	get("/changes", p.changes)
	get("/signed-out", p.signedOut)
	post("/open", p.fromHere(p.open))
	post("/sign-in", p.fromHere(p.beginSignIn))
	post("/connect", p.form(p.connect))
	post("/refresh", p.form(p.refresh))
	post("/disconnect", p.form(p.disconnect))
	post("/api-key", p.form(p.setKey))
	post("/api-key/remove", p.form(p.removeKey))
	post("/sign-out", p.form(p.signOut))
	mux.HandleFunc("GET "+portalPath+"/brand.css", p.serveStyle)
	mux.HandleFunc("GET "+portalPath+"/logo", p.serveLogo)
}

// page sets what the headers of the portal's pages allow beyond those of others.
// Forms of Chromium's are held to form-action in all redirects that follow, so none
// of them leads to another site: pages do. The referrer stays within this site; with
// none at all, browsers would not say where a form comes from.
func (p *portal) page(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("Referrer-Policy", "same-origin")
		w.Header().Set("Vary", "Cookie")
		if st := checkAddress(r.URL); st != nil {
			p.failed(w, r, st)
			return
		}
		next(w, r)
	})
}

// fromHere refuses forms of other sites.
func (p *portal) fromHere(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if err := errors.Join(p.origins.Check(r), r.ParseForm()); err != nil {
			p.stale(w)
			return
		}
		next(w, r)
	}
}

// form refuses besides what was not made for the sign-in that the browser has now.
func (p *portal) form(next http.HandlerFunc) http.HandlerFunc {
	return p.fromHere(func(w http.ResponseWriter, r *http.Request) {
		signIn := p.signIn.of(r)
		if signIn == "" {
			p.failed(w, r, nil)
			return
		}
		if !hmac.Equal([]byte(r.PostForm.Get("form")), []byte(formToken(signIn))) {
			p.stale(w)
			return
		}
		next(w, r)
	})
}

// call is the context of a call for a request: what the browser has brought, and where
// it is.
func (p *portal) call(r *http.Request) context.Context {
	md := metadata.Join(p.cookie.annotate(r.Context(), r), p.signIn.annotate(r.Context(), r), p.annotateAddress(r.Context(), r))
	return metadata.NewOutgoingContext(r.Context(), md)
}

// show is the portal itself.
func (p *portal) show(w http.ResponseWriter, r *http.Request) {
	resp, err := p.server.GetPortal(p.call(r), &tokenvaultv1.GetPortalRequest{})
	if err != nil {
		p.failed(w, r, status.Convert(err))
		return
	}
	signIn := p.signIn.of(r)
	view := p.view(resp, formToken(signIn), time.Now())
	if !r.URL.Query().Has("live") { // asked for by the script of a page, perhaps another
		if n := p.take(w, r, signIn); n != nil {
			view.Note = p.noted(*n, resp)
		}
	}
	p.write(w, http.StatusOK, "portal", view)
}

// changes answers the page's script when there is something else to see.
func (p *portal) changes(w http.ResponseWriter, r *http.Request) {
	resp, err := p.server.WaitPortal(p.call(r), &tokenvaultv1.WaitPortalRequest{Version: r.URL.Query().Get("version")})
	if err != nil {
		code := http.StatusServiceUnavailable
		if status.Code(err) == codes.Unauthenticated {
			code = http.StatusUnauthorized
		}
		w.WriteHeader(code)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]bool{"changed": resp.GetChanged()}) // or nobody listens
}

// askToOpen shows for whom a link is. Only its button uses the link up.
func (p *portal) askToOpen(w http.ResponseWriter, r *http.Request) {
	link := r.URL.Query().Get("link")
	resp, err := p.server.LookAtPortalLink(p.call(r), &tokenvaultv1.LookAtPortalLinkRequest{Link: link})
	if err != nil {
		p.failed(w, r, status.Convert(err))
		return
	}
	p.write(w, http.StatusOK, "step", stepView{
		frame: p.frame("open.title"), ID: "open", Text: []string{p.say("open.text")}, Who: resp.GetSubject(), Warning: p.say("open.warning"),
		Action: portalPath + "/open", Hidden: []field{{Name: "link", Value: link}}, Submit: p.say("open.button"),
	})
}

func (p *portal) open(w http.ResponseWriter, r *http.Request) {
	p.openWith(w, r, r.PostForm.Get("link"))
}

func (p *portal) beginSignIn(w http.ResponseWriter, r *http.Request) { p.openWith(w, r, "") }

// signInButton is the form of a page that has people sign in. again: perhaps somebody
// else than before, so that the OpenID provider is to ask.
func (v *stepView) signInButton(p *portal, again bool) {
	v.Action, v.Submit = portalPath+"/sign-in", p.say("sign_in.button")
	if again {
		v.Hidden = []field{{Name: signInAgain, Value: "true"}}
	}
}

func (p *portal) openWith(w http.ResponseWriter, r *http.Request, link string) {
	resp, err := p.server.OpenPortal(p.call(r), &tokenvaultv1.OpenPortalRequest{Link: link, SignInAgain: r.PostForm.Has(signInAgain)})
	if err != nil {
		p.failed(w, r, status.Convert(err))
		return
	}
	if resp.GetFlowCookie() != "" {
		p.cookie.set(w, resp.GetFlowCookie())
	}
	if resp.GetLocation() != "" {
		p.sendOn(w, p.say("redirect.sign_in"), resp.GetLocation())
		return
	}
	p.signIn.set(w, resp.GetSignInCookie())
	p.leave(w, resp.GetSignInCookie(), note{Key: "note.signed_in"})
	http.Redirect(w, r, portalPath, http.StatusSeeOther)
}

// signOut has the browser forget its sign-in, whatever the server can do about it.
func (p *portal) signOut(w http.ResponseWriter, r *http.Request) {
	_, err := p.server.SignOut(p.call(r), &tokenvaultv1.SignOutRequest{})
	p.signIn.remove(w)
	p.note.remove(w)
	if err != nil && status.Code(err) != codes.Unauthenticated {
		p.signedOutPage(w, http.StatusServiceUnavailable, p.say("signed_out.here"))
		return
	}
	http.Redirect(w, r, portalPath+"/signed-out", http.StatusSeeOther)
}

func (p *portal) signedOut(w http.ResponseWriter, _ *http.Request) {
	p.signedOutPage(w, http.StatusOK, p.say("signed_out.text"))
}

func (p *portal) signedOutPage(w http.ResponseWriter, code int, text string) {
	view := stepView{frame: p.frame("signed_out.title"), ID: "signed-out", Text: []string{text}}
	if p.signsIn {
		view.signInButton(p, true) // of a browser that others may use, too
	}
	p.write(w, code, "step", view)
}

// sendOn is a page that sends the browser to another site at once.
func (p *portal) sendOn(w http.ResponseWriter, text, location string) {
	view := stepView{frame: p.frame("redirect.title"), ID: "redirect", Text: []string{text}, Next: step{Text: p.say("redirect.button"), Link: location}}
	view.Refresh = location
	p.write(w, http.StatusOK, "step", view)
}

// back leads to the portal, which says how an action has ended.
func (p *portal) back(w http.ResponseWriter, r *http.Request, n note) {
	p.leave(w, p.signIn.of(r), n)
	http.Redirect(w, r, portalPath, http.StatusSeeOther)
}

// backFrom is back for a flow, at the end of which it is the server's answer that
// leads to the portal.
func (p *portal) backFrom(ctx context.Context, w http.ResponseWriter, outcome *tokenvaultv1.PortalOutcome) {
	sent, _ := metadata.FromOutgoingContext(ctx)
	signIn := sent.Get(p.signIn.metadataKey)
	if outcome == nil || len(signIn) != 1 {
		return
	}
	n := note{Key: "note.connected", Provider: outcome.GetProvider(), Label: outcome.GetLabel(), Reason: outcome.GetReason()}
	p.leave(w, signIn[0], n)
}

// failed is the page of a request that came to nothing. nil: nobody is signed in.
func (p *portal) failed(w http.ResponseWriter, r *http.Request, st *status.Status) {
	reason := reasonOf(st)
	if st == nil {
		reason = "SIGN_IN_REQUIRED"
	}
	view := stepView{ID: strings.ToLower(strings.ReplaceAll(reason, "_", "-")), Failed: true}
	code := http.StatusBadRequest
	opening := strings.HasPrefix(r.URL.Path, portalPath+"/open") || strings.HasPrefix(r.URL.Path, portalPath+"/sign-in")
	switch {
	case reason == "SIGN_IN_REQUIRED":
		p.signInPage(w, r)
		return
	case opening && reason == "SESSION_EXPIRED":
		view.frame, view.Text = p.frame("link_expired.title"), []string{p.say("link_expired.text"), p.say("link_next")}
	case opening && reason == "SESSION_USED":
		view.frame, view.Text = p.frame("link_used.title"), []string{p.say("link_used.text"), p.say("link_next")}
	case reason == "SIGN_IN_FAILED":
		view.frame, view.Text = p.frame("sign_in_failed.title"), []string{p.say("sign_in_failed.text"), p.say("link_next")}
	default:
		view.frame, view.Text = p.frame("failed.title"), []string{p.text.about(reason, p.say("note.some_provider"))}
		if st.Code() != codes.InvalidArgument {
			code = http.StatusServiceUnavailable
		}
	}
	if p.signIn.of(r) != "" {
		view.Next = p.toPortal()
	}
	p.write(w, code, "step", view)
}

// signInPage is for those who are not signed in. Their cookie, if any, is of no use.
func (p *portal) signInPage(w http.ResponseWriter, r *http.Request) {
	view := stepView{frame: p.frame("sign_in.title"), ID: "sign-in", Text: []string{p.say("sign_in.ended")}}
	if p.signsIn {
		view.Text = append(view.Text, p.say("sign_in.how"))
		view.signInButton(p, false)
	} else {
		view.Text = append(view.Text, p.say("sign_in.link"))
	}
	p.write(w, http.StatusUnauthorized, "step", view)
}

// stale is for forms of pages that were made for another sign-in, or not here.
func (p *portal) stale(w http.ResponseWriter) {
	p.write(w, http.StatusForbidden, "step", stepView{
		frame: p.frame("stale.title"), ID: "stale", Failed: true, Text: []string{p.say("stale.text")}, Next: p.toPortal(),
	})
}

func (p *portal) toPortal() step { return step{Text: p.say("to_portal"), Link: portalPath} }

func (p *portal) say(key string, args ...any) string { return p.text.say(key, args...) }
