package client

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// Option says how a Client reaches the vault, and what it keeps.
type Option func(*config)

// config is what Options say. The zero value is what they do without.
type config struct {
	token     secret.String
	tokenFile string
	files     files
	tls       func() (*tls.Config, error)
	plaintext bool
	returnURL string
	cacheSize int
	api       http.RoundTripper
	log       *slog.Logger
	dial      []grpc.DialOption
	now       func() time.Time // of answers and tokens
}

// WithToken has the client call with a caller token (or a JWT), without "Bearer".
func WithToken(token string) Option {
	return func(c *config) { c.token = secret.New(token) }
}

// WithTokenFile has the client call with the caller token or the JWT that a file holds.
// It is read for each call of the vault, so that tokens can be replaced: Kubernetes does
// so with those that it projects, and spiffe-helper with JWT-SVIDs. A file that is empty
// or gone for a moment changes nothing.
func WithTokenFile(path string) Option {
	return func(c *config) { c.tokenFile = path }
}

// WithCAFile has the client trust the authorities in a file alone, in PEM, in place of
// the system's. It is read anew for each connection.
func WithCAFile(path string) Option {
	return func(c *config) { c.files.authorities = path }
}

// WithCertificateFiles has the client show a certificate, with the SPIFFE ID or DNS name
// by which the vault knows it. The files, in PEM, are read anew for each connection, and
// a connection ends before the certificate does that it began with. Files that are not
// whole change nothing.
func WithCertificateFiles(certificate, key string) Option {
	return func(c *config) { c.files.certificate, c.files.key = certificate, key }
}

// WithTLSConfig has the client secure each connection with what read returns then, on
// loopback too. A connection ends before the first of its Certificates does, where that
// has its Leaf. An error of the first call is [New]'s; after another, the config before
// is used again. What it returns must not be changed later. For SPIFFE there is
// [WithSPIFFE].
func WithTLSConfig(read func() (*tls.Config, error)) Option {
	return func(c *config) { c.tls = read }
}

// WithPlaintext leaves out TLS off loopback too. Whoever is on the way can read the
// caller token and all credentials: it is for a way that is secured otherwise.
func WithPlaintext() Option {
	return func(c *config) { c.plaintext = true }
}

// WithReturnURL says where links lead back to when nothing else is said
// ([ConnectOptions]). The vault's return_urls must allow it.
func WithReturnURL(url string) Option {
	return func(c *config) { c.returnURL = url }
}

// WithCacheSize bounds how many answers are kept. 0 or less: 10,000.
func WithCacheSize(n int) Option {
	return func(c *config) { c.cacheSize = n }
}

// WithHTTPTransport is what [Client.HTTPClient] sends requests with. Nil:
// http.DefaultTransport.
func WithHTTPTransport(t http.RoundTripper) Option {
	return func(c *config) { c.api = t }
}

// WithLogger tells of the watch: when it goes down, comes back, or is not allowed. Nil:
// nothing is logged.
func WithLogger(log *slog.Logger) Option {
	return func(c *config) { c.log = log }
}

// WithDialOptions adds to what gRPC is dialled with, such as tracing.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(c *config) { c.dial = append(c.dial, options...) }
}

// RequestOption says more about the credentials that are asked for.
type RequestOption func(*request)

// WithLabel names one of several connections of a subject at a provider. Empty:
// "default".
func WithLabel(label string) RequestOption {
	return func(r *request) { r.label = label }
}

// WithMinTTL is the life that a token must have left, at most 24 hours. 0: 60 seconds.
// Where the provider does not issue tokens that live as long, it is the best to be had.
func WithMinTTL(d time.Duration) RequestOption {
	return func(r *request) { r.minTTL = d }
}

// WithRequiredScopes are scopes that must all have been granted. Where they are not, the
// error has the reason SCOPES_MISSING.
func WithRequiredScopes(scopes ...string) RequestOption {
	return func(r *request) { r.scopes = slices.Sorted(slices.Values(scopes)) }
}

// WithSubjectToken shows the token that the user has signed in with, which fixes the
// subject: leave that empty, or name the same. Answers are kept for each token apart,
// until it ends at most.
func WithSubjectToken(token string) RequestOption {
	return func(r *request) { r.subjectToken = secret.New(token) }
}

// WithAPIHosts are hosts of the provider's API besides that of its base URL, such as
// "uploads.example.com": [Client.HTTPClient] sends the credentials there too, over https.
func WithAPIHosts(hosts ...string) RequestOption {
	return func(r *request) {
		for _, host := range hosts {
			r.hosts = append(r.hosts, strings.ToLower(host))
		}
	}
}
