package gateway

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"

	"github.com/tokenvault/tokenvault/gateway/brand"
	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

//go:embed openapi.swagger.json
var openAPI []byte

//go:embed static
var static embed.FS

// Config is what a gateway is made of.
type Config struct {
	// Conn leads to the server: Server.DialGateway.
	Conn *grpc.ClientConn
	// PublicURL is where browsers reach the gateway. With https, cookies are
	// for https only.
	PublicURL string
	// FlowCookieKey is the metadata key under which the server expects the
	// browser's flow cookie.
	FlowCookieKey string
	// FlowLifetime is how long a browser keeps the flow cookie: as long as a
	// flow may take. 0: until the browser is closed.
	FlowLifetime time.Duration
	// SignInCookieKey and SignInLifetime are the same for the cookie of a browser
	// that is signed in. Empty: there are no sign-ins.
	SignInCookieKey string
	SignInLifetime  time.Duration
	// PortalSignIn says that people can sign in in the portal with the operator's
	// OpenID provider, without a link.
	PortalSignIn bool
	// Brand is how the portal looks.
	Brand brand.Brand
	// ClientAddressKey is the metadata key under which the server expects the
	// address of whoever calls the gateway, for its log. Empty: it is not told.
	ClientAddressKey string
	// TrustedProxies are the addresses of proxies that are believed, in
	// X-Forwarded-For, where a request came from. Empty: nobody is.
	TrustedProxies []netip.Prefix
	// BrowserRate and BrowserBurst are how many requests one address may make on
	// the browser's paths each second, and at once. 0: 5 and 100.
	BrowserRate  rate.Limit
	BrowserBurst int
	// Logger gets what goes wrong in the gateway itself. Nil: none.
	Logger *slog.Logger
}

// gateway is what the parts of the handler share.
type gateway struct {
	pages     pages
	cookie    cookie // the flow's
	signIn    cookie
	portal    *portal
	marshaler runtime.Marshaler
	routes    routes
	// addressKey is Config.ClientAddressKey.
	addressKey string
	proxies    proxies
	rates      *rates
	log        *slog.Logger
}

// New returns the gateway's handler. It is safe for concurrent use.
func New(ctx context.Context, c Config) (http.Handler, error) {
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("gateway: public URL %q is not a URL", c.PublicURL)
	}
	p, err := newPages()
	if err != nil {
		return nil, err
	}
	known, err := newRoutes(openAPI)
	if err != nil {
		return nil, err
	}
	g := &gateway{
		pages:      p,
		cookie:     newCookie("tokenvault-flow", u.Scheme == "https", c.FlowCookieKey, c.FlowLifetime),
		signIn:     newCookie("tokenvault-sign-in", u.Scheme == "https", c.SignInCookieKey, c.SignInLifetime),
		marshaler:  &runtime.HTTPBodyMarshaler{Marshaler: &runtime.JSONPb{}},
		routes:     known,
		addressKey: c.ClientAddressKey,
		proxies:    c.TrustedProxies,
		rates:      newRates(c.BrowserRate, c.BrowserBurst),
		log:        c.Logger,
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	rest, conn := g.newREST(), holding{c.Conn}
	if g.portal, err = newPortal(g, conn, c, u); err != nil {
		return nil, err
	}
	err = errors.Join(
		tokenvaultv1.RegisterVaultServiceHandlerClient(ctx, rest, tokenvaultv1.NewVaultServiceClient(conn)),
		tokenvaultv1.RegisterOAuthServiceHandlerClient(ctx, rest, tokenvaultv1.NewOAuthServiceClient(conn)),
	)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	files, err := fs.Sub(static, "static")
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", http.HandlerFunc(g.index))
	mux.Handle("GET /static/{name...}", served(files))
	mux.Handle("GET /openapi.json", http.HandlerFunc(serveOpenAPI))
	g.portal.routes(mux)
	mux.Handle("/", g.limited(g.checked(rest)))
	return secured(g.located(g.recoverPanics(weighed(mux)))), nil
}

// newREST returns grpc-gateway's mux with its doors shut: no header becomes
// metadata or the other way round, no method override, no fallback from GET to
// POST.
func (g *gateway) newREST() *runtime.ServeMux {
	noHeader := func(string) (string, bool) { return "", false }
	return runtime.NewServeMux(
		runtime.WithIncomingHeaderMatcher(noHeader),
		runtime.WithOutgoingHeaderMatcher(noHeader),
		runtime.WithOutgoingTrailerMatcher(noHeader),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithUnescapingMode(runtime.UnescapingModeAllCharacters),
		runtime.WithMetadata(g.cookie.annotate),
		runtime.WithMetadata(g.signIn.annotate),
		runtime.WithMetadata(g.annotateAddress),
		runtime.WithMarshalerOption(runtime.MIMEWildcard, g.marshaler),
		runtime.WithForwardResponseOption(g.forwardOAuth),
		runtime.WithForwardResponseRewriter(g.rewriteOAuth),
		runtime.WithErrorHandler(g.fail),
		runtime.WithRoutingErrorHandler(g.misrouted),
	)
}

// index tells a person who comes here by hand what this is.
func (g *gateway) index(w http.ResponseWriter, r *http.Request) {
	g.pages.write(w, http.StatusOK, page{
		Title: "This is tokenvault",
		Text:  []string{"It keeps the connections between your accounts and the programs that work with them.", "To connect an account, open the link that your program gives you."},
	})
}

func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI)
}
