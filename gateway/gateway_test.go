package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tokenvault/tokenvault/gateway"
	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

const cookieKey, signInKey = "flow-cookie", "sign-in-cookie"

// server answers every call of the gateway, and remembers the last.
type server struct {
	tokenvaultv1.UnimplementedVaultServiceServer
	tokenvaultv1.UnimplementedOAuthServiceServer

	mu       sync.Mutex
	calls    int
	metadata metadata.MD
	deadline bool
	err      error // the answer, if not nil
	// entered, unless nil, takes word of each call, which then waits for proceed.
	entered, proceed chan struct{}
}

func (s *server) note(ctx context.Context) error {
	if s.entered != nil {
		s.entered <- struct{}{}
		<-s.proceed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.metadata, _ = metadata.FromIncomingContext(ctx)
	_, s.deadline = ctx.Deadline()
	return s.err
}

func (s *server) ListConnections(ctx context.Context, _ *tokenvaultv1.ListConnectionsRequest) (*tokenvaultv1.ListConnectionsResponse, error) {
	return &tokenvaultv1.ListConnectionsResponse{}, s.note(ctx)
}

func (s *server) Connect(ctx context.Context, r *tokenvaultv1.ConnectRequest) (*tokenvaultv1.ConnectResponse, error) {
	return &tokenvaultv1.ConnectResponse{Session: r.GetLabel()}, s.note(ctx)
}

func (s *server) Disconnect(ctx context.Context, _ *tokenvaultv1.DisconnectRequest) (*tokenvaultv1.DisconnectResponse, error) {
	return &tokenvaultv1.DisconnectResponse{}, s.note(ctx)
}

func (s *server) Authorize(ctx context.Context, _ *tokenvaultv1.AuthorizeRequest) (*tokenvaultv1.AuthorizeResponse, error) {
	return &tokenvaultv1.AuthorizeResponse{Location: "https://provider.example/", FlowCookie: "browser-1"}, s.note(ctx)
}

func (s *server) Callback(ctx context.Context, _ *tokenvaultv1.CallbackRequest) (*tokenvaultv1.CallbackResponse, error) {
	return &tokenvaultv1.CallbackResponse{ProviderName: "Acme"}, s.note(ctx)
}

func (s *server) LoginCallback(ctx context.Context, _ *tokenvaultv1.LoginCallbackRequest) (*tokenvaultv1.LoginCallbackResponse, error) {
	return &tokenvaultv1.LoginCallbackResponse{Location: "https://connect.example.com/oauth/acme/authorize?session=x", SignInCookie: "person-1"}, s.note(ctx)
}

// newGateway returns a gateway at that public URL before a server.
func newGateway(t *testing.T, publicURL string, change ...func(*gateway.Config)) (http.Handler, *server) {
	t.Helper()
	lis := bufconn.Listen(64 << 10)
	srv, fake := grpc.NewServer(), &server{}
	tokenvaultv1.RegisterVaultServiceServer(srv, fake)
	tokenvaultv1.RegisterOAuthServiceServer(srv, fake)
	go func() { _ = srv.Serve(lis) }()
	t.Cleanup(srv.Stop)
	conn, err := grpc.NewClient("passthrough:server", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := gateway.Config{
		Conn: conn, PublicURL: publicURL, FlowCookieKey: cookieKey, FlowLifetime: 7 * time.Minute, SignInCookieKey: signInKey, SignInLifetime: 9 * time.Minute,
		BrowserRate: rate.Inf,
	}
	for _, f := range change {
		f(&c)
	}
	g, err := gateway.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return g, fake
}

// do makes a request. Headers are pairs of name and value.
func do(g http.Handler, method, target string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, body)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

func TestNoHeaderReachesTheServerButThoseThatAreNamed(t *testing.T) {
	g, srv := newGateway(t, "https://connect.example.com")
	own := []string{":authority", "content-type", "user-agent", "grpc-accept-encoding"}
	for _, row := range []struct {
		name    string
		headers []string
		want    []string // metadata besides gRPC's own
	}{
		{"nothing", nil, nil},
		{"a credential", []string{"Authorization", "Bearer a"}, []string{"authorization"}},
		{"two credentials", []string{"Authorization", "Bearer a", "Authorization", "Bearer b"}, []string{"authorization"}},
		{"the flow cookie", []string{"Cookie", "__Host-tokenvault-flow=a"}, []string{cookieKey}},
		{"two flow cookies", []string{"Cookie", "__Host-tokenvault-flow=a; __Host-tokenvault-flow=b"}, nil},
		{"two headers of flow cookies", []string{"Cookie", "__Host-tokenvault-flow=a", "Cookie", "__Host-tokenvault-flow=b"}, nil},
		{"the flow cookie without its prefix", []string{"Cookie", "tokenvault-flow=a"}, nil},
		{"the flow cookie as a header", []string{"Flow-Cookie", "a", "Grpc-Metadata-Flow-Cookie", "a"}, nil},
		{"the cookie of a sign-in", []string{"Cookie", "__Host-tokenvault-sign-in=a; __Host-tokenvault-flow=b"}, []string{cookieKey, signInKey}},
		{"two of a sign-in", []string{"Cookie", "__Host-tokenvault-sign-in=a; __Host-tokenvault-sign-in=b"}, nil},
		{"that of a sign-in without its prefix", []string{"Cookie", "tokenvault-sign-in=a"}, nil},
		{"metadata", []string{"Grpc-Metadata-Authorization", "Bearer a"}, nil},
		{"binary metadata", []string{"Grpc-Metadata-Authorization-Bin", "YQ=="}, nil},
		{"malformed binary metadata", []string{"Grpc-Metadata-X-Bin", "!"}, nil},
		{"gateway metadata", []string{"Grpcgateway-Authorization", "Bearer a"}, nil},
		{"forwarded", []string{"Forwarded", "for=192.0.2.1", "X-Forwarded-For", "192.0.2.1", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "X-Real-Ip", "192.0.2.1"}, nil},
		{"forwarded metadata", []string{"Grpc-Metadata-X-Forwarded-For", "192.0.2.1"}, nil},
		{"a timeout", []string{"Grpc-Timeout", "1H"}, nil},
		{"a malformed timeout", []string{"Grpc-Timeout", "soon"}, nil},
		{"tracing", []string{"Grpc-Trace-Bin", "YQ==", "Traceparent", "00-a-b-01"}, nil},
		{"another method", []string{"X-Http-Method-Override", "DELETE"}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			if w := do(g, http.MethodGet, "/v1/connections", nil, row.headers...); w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			got := slices.DeleteFunc(slices.Sorted(maps.Keys(srv.metadata)), func(key string) bool { return slices.Contains(own, key) })
			if diff := cmp.Diff(row.want, got, cmp.Transformer("", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
			if srv.deadline {
				t.Error("the request has set a deadline")
			}
		})
	}
}

func TestTwoCredentialsReachTheServerAsTwo(t *testing.T) {
	g, srv := newGateway(t, "https://connect.example.com")
	do(g, http.MethodGet, "/v1/connections", nil, "Authorization", "Bearer a", "Authorization", "Bearer b")
	if diff := cmp.Diff([]string{"Bearer a", "Bearer b"}, srv.metadata.Get("authorization")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAMethodCannotBeOverridden(t *testing.T) {
	g, srv := newGateway(t, "https://connect.example.com")
	w := do(g, http.MethodPost, "/v1/subjects/alice/connections/acme", strings.NewReader("label=x"),
		"X-HTTP-Method-Override", "DELETE", "Content-Type", "application/x-www-form-urlencoded")
	if w.Code < 400 || srv.calls != 0 {
		t.Errorf("status %d, %d calls", w.Code, srv.calls)
	}
}

// zeros are n bytes without a known length.
func zeros(n int64) io.Reader { return io.LimitReader(zero{}, n) }

type zero struct{}

func (zero) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func TestARequestThatMakesNoSenseIsRefusedBeforeTheServerSeesIt(t *testing.T) {
	g, srv := newGateway(t, "https://connect.example.com")
	const connect = "/v1/subjects/alice/connections/acme:connect"
	for _, row := range []struct {
		name, method, target string
		body                 io.Reader
		want                 int
		code                 codes.Code
	}{
		{"a large body", http.MethodPost, connect, strings.NewReader(`{"label":"` + strings.Repeat("x", 64<<10) + `"}`), http.StatusRequestEntityTooLarge, codes.ResourceExhausted},
		{"a large body of unknown length", http.MethodPost, connect, zeros(1 << 30), http.StatusRequestEntityTooLarge, codes.ResourceExhausted},
		{"a body that is not JSON", http.MethodPost, connect, strings.NewReader("x"), http.StatusBadRequest, codes.InvalidArgument},
		{"an unknown field", http.MethodPost, connect, strings.NewReader(`{"tenant":"other"}`), http.StatusBadRequest, codes.InvalidArgument},
		{"a body to get", http.MethodGet, "/v1/connections", strings.NewReader("{}"), http.StatusBadRequest, codes.InvalidArgument},
		{"a body of unknown length to get", http.MethodGet, "/v1/connections", zeros(1), http.StatusBadRequest, codes.InvalidArgument},
		{"a body to delete", http.MethodDelete, "/v1/subjects/alice/connections/acme", strings.NewReader("{}"), http.StatusBadRequest, codes.InvalidArgument},
		{"a slash in a subject", http.MethodGet, "/v1/subjects/team%2Falice/connections", nil, http.StatusBadRequest, codes.InvalidArgument},
		{"slashes for parts of the address", http.MethodDelete, "/v1/subjects/victim%2fconnections%2facme", nil, http.StatusBadRequest, codes.InvalidArgument},
		{"a slash for the whole address", http.MethodGet, "/v1%2Fconnections", nil, http.StatusBadRequest, codes.InvalidArgument},
		{"other bytes in the query", http.MethodGet, "/v1/connections?provider=%ff", nil, http.StatusBadRequest, codes.InvalidArgument},
		{"other bytes in the path", http.MethodGet, "/v1/subjects/%ff/connections", nil, http.StatusBadRequest, codes.InvalidArgument},
		{"an unknown address", http.MethodGet, "/v1/else", nil, http.StatusNotFound, codes.NotFound},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := do(g, row.method, row.target, row.body)
			var st struct {
				Code    codes.Code
				Message string
			}
			if err := json.Unmarshal(w.Body.Bytes(), &st); err != nil || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("the answer is not a status in JSON: %s", w.Body)
			}
			if w.Code != row.want || st.Code != row.code || st.Message == "" {
				t.Errorf("status %d, %v; want %d, %v", w.Code, st, row.want, row.code)
			}
			if srv.calls != 0 {
				t.Error("the server was called")
			}
		})
	}
	if w := do(g, http.MethodPost, connect, strings.NewReader(`{"label":"x"}`)); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"session":"x"`) {
		t.Errorf("a sensible request: %d %s", w.Code, w.Body)
	}
}

func TestAPanicIsAFaultLikeAnyOther(t *testing.T) {
	g, err := gateway.New(t.Context(), gateway.Config{PublicURL: "https://connect.example.com"}) // whose calls lead nowhere
	if err != nil {
		t.Fatal(err)
	}
	if w := do(g, http.MethodGet, "/v1/connections", nil); w.Code != http.StatusInternalServerError || w.Header().Get("X-Frame-Options") != "DENY" {
		t.Errorf("status %d, headers %v", w.Code, w.Header())
	}
}

func TestBrowsersGetPagesForErrors(t *testing.T) {
	g, srv := newGateway(t, "https://connect.example.com")
	withReason, err := status.New(codes.FailedPrecondition, "Ask for a new link.").WithDetails(&errdetails.ErrorInfo{Reason: "SESSION_EXPIRED"})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, target string
		err          error
		code         int
		want         string
	}{
		{"the engine's", "/oauth/acme/authorize?session=x", withReason.Err(), http.StatusBadRequest, "Ask for a new link."},
		{"a bad argument", "/oauth/acme/authorize?session=x", status.Error(codes.InvalidArgument, "proto: detail"), http.StatusBadRequest, "The address is not complete"},
		{"no such address", "/oauth/acme/else", nil, http.StatusNotFound, "The address is not complete"},
		{"other bytes", "/oauth/acme/authorize?session=%ff", nil, http.StatusBadRequest, "The address is not complete"},
		{"a server that is away", "/oauth/acme/callback?state=x", status.Error(codes.Unavailable, "transport: detail"), http.StatusServiceUnavailable, "try again"},
		{"a fault", "/oauth/acme/callback?state=x", status.Error(codes.Unknown, "panic: detail"), http.StatusInternalServerError, "try again"},
	} {
		t.Run(row.name, func(t *testing.T) {
			srv.err = row.err
			w := do(g, http.MethodGet, row.target, nil)
			if w.Code != row.code || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || !strings.Contains(w.Body.String(), row.want) || strings.Contains(w.Body.String(), "detail") {
				t.Errorf("%d %s; want %d and %q", w.Code, w.Body, row.code, row.want)
			}
		})
	}
}

func TestErrorsSayWhatToDoInHeaders(t *testing.T) {
	g, srv := newGateway(t, "https://connect.example.com")
	later, err := status.New(codes.Unavailable, "Later.").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(1200 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, header, want string
		err                error
		code               int
	}{
		{"when to try again", "Retry-After", "2", later.Err(), http.StatusServiceUnavailable},
		{"how to authenticate", "WWW-Authenticate", `Bearer realm="tokenvault"`, status.Error(codes.Unauthenticated, "Who?"), http.StatusUnauthorized},
	} {
		srv.err = row.err
		w := do(g, http.MethodGet, "/v1/connections", nil)
		if got := w.Header().Get(row.header); w.Code != row.code || got != row.want {
			t.Errorf("%s: %d, %q; want %d, %q", row.name, w.Code, got, row.code, row.want)
		}
	}
}

func TestTheFlowCookieIsTheBrowsersAlone(t *testing.T) {
	for publicURL, want := range map[string]string{
		"https://connect.example.com": "__Host-tokenvault-flow=browser-1; Path=/; Max-Age=420; HttpOnly; Secure; SameSite=Lax",
		"http://127.0.0.1:8080":       "tokenvault-flow=browser-1; Path=/; Max-Age=420; HttpOnly; SameSite=Lax",
	} {
		g, _ := newGateway(t, publicURL)
		w := do(g, http.MethodGet, "/oauth/acme/authorize?session=x", nil)
		if w.Code != http.StatusFound || w.Header().Get("Location") != "https://provider.example/" {
			t.Errorf("%s: status %d to %q", publicURL, w.Code, w.Header().Get("Location"))
		}
		if diff := cmp.Diff([]string{want}, w.Header().Values("Set-Cookie")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", publicURL, diff)
		}
	}
}

func TestTheCookieOfASignInIsTheBrowsersAlone(t *testing.T) {
	for publicURL, want := range map[string]string{
		"https://connect.example.com": "__Host-tokenvault-sign-in=person-1; Path=/; Max-Age=540; HttpOnly; Secure; SameSite=Lax",
		"http://127.0.0.1:8080":       "tokenvault-sign-in=person-1; Path=/; Max-Age=540; HttpOnly; SameSite=Lax",
	} {
		g, _ := newGateway(t, publicURL)
		w := do(g, http.MethodGet, "/login/callback?code=x&state=y", nil)
		if w.Code != http.StatusFound || w.Header().Get("Location") != "https://connect.example.com/oauth/acme/authorize?session=x" {
			t.Errorf("%s: status %d to %q", publicURL, w.Code, w.Header().Get("Location"))
		}
		if diff := cmp.Diff([]string{want}, w.Header().Values("Set-Cookie")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", publicURL, diff)
		}
	}
}

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	g, srv := newGateway(t, "https://connect.example.com")
	for _, target := range []string{"/", "/openapi.json", "/static/style.css", "/static/", "/else", "/v1/connections", "/v1/else", "/v1/connections?x=%ff", "/oauth/acme/authorize?session=x", "/oauth/acme/callback", "/oauth/", "/login/callback", "/portal", "/portal/open?link=x", "/portal/open?link=%ff", "/portal/connect", "/portal/signed-out", "/portal/brand.css", "/portal/else"} {
		for _, err := range []error{nil, status.Error(codes.Internal, "")} {
			srv.err = err
			w := do(g, http.MethodGet, target, nil)
			referrer := "no-referrer"
			if strings.HasPrefix(target, "/portal") && strings.HasPrefix(w.Body.String(), "<!DOCTYPE") && target != "/portal/else" {
				referrer = "same-origin" // or browsers do not say where its forms come from
			}
			for name, want := range map[string]string{
				"Content-Security-Policy": "default-src 'none'", "Referrer-Policy": referrer, "X-Content-Type-Options": "nosniff",
				"X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			} {
				if got := w.Header().Get(name); !strings.Contains(got, want) {
					t.Errorf("%s: %s is %q, want %q in it", target, name, got, want)
				}
			}
			cached := w.Code == http.StatusOK && (strings.HasPrefix(target, "/static/") || target == "/portal/brand.css")
			if got := w.Header().Get("Cache-Control"); cached != strings.Contains(got, "max-age") || !cached && got != "no-store" {
				t.Errorf("%s: status %d with Cache-Control %q", target, w.Code, got)
			}
		}
	}
}

func TestThePortalsPolicyLetsNothingInAndNoFormOut(t *testing.T) {
	g, _ := newGateway(t, "https://connect.example.com")
	got := do(g, http.MethodGet, "/portal", nil).Header().Get("Content-Security-Policy")
	want := "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	if got != want {
		t.Errorf("policy = %s, want %s", got, want)
	}
}

func TestThePagesFilesAreServedButNotListed(t *testing.T) {
	g, _ := newGateway(t, "https://connect.example.com")
	for target, want := range map[string]int{
		"/static/style.css": http.StatusOK, "/static/": http.StatusNotFound, "/static/else.css": http.StatusNotFound,
		"/static/..%2fgateway.go": http.StatusNotFound, "/static/style.css/": http.StatusNotFound,
	} {
		w := do(g, http.MethodGet, target, nil)
		if w.Code != want {
			t.Errorf("%s: status %d, want %d", target, w.Code, want)
		}
	}
}

func TestTheOpenAPIDocumentIsServed(t *testing.T) {
	g, _ := newGateway(t, "https://connect.example.com")
	w := do(g, http.MethodGet, "/openapi.json", nil)
	var doc struct{ Paths map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%v: %s", err, w.Header().Get("Content-Type"))
	}
	if _, ok := doc.Paths["/v1/connections"]; !ok {
		t.Error("the document does not name /v1/connections")
	}
	if strings.Contains(w.Body.String(), "GetCredentials") {
		t.Error("the document has GetCredentials, which is not to be had over REST")
	}
}
