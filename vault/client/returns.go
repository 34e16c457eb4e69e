package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

// Limits of a browser that comes back.
const (
	// confirmPatience is longer than a vault waits for a provider.
	confirmPatience = 90 * time.Second
	readPatience    = 10 * time.Second
	writePatience   = confirmPatience + readPatience
	goodbyePatience = 10 * time.Second
	maxHeader       = 16 << 10 // bytes
	maxBrowsers     = 64       // connections at a time
)

// loopbackReturnURLs is what the vault's return_urls need for programs on the person's
// machine.
const loopbackReturnURLs = "http://127.0.0.1/*"

// Return is how a browser has come back to a [ReturnListener].
type Return struct {
	// Connection is what is connected now. Nil: nothing, or something of which the vault
	// tells the browser no more than that, where it needs no confirmation.
	Connection *tokenvaultv1.Connection
	// Err is an [*Error] that says why nothing is connected, such as one with the reason
	// ACCESS_DENIED. Nil: something is.
	Err error
	// LinkWorks is set where nothing is connected, and the same link can be opened again:
	// the person has declined, perhaps, and may think better of it.
	LinkWorks bool
}

// ReturnListener takes in the browsers of one person who come back from providers, where
// a vault has binding: confirm, and the program runs on that person's machine: a
// command, or an MCP server on stdio. It listens on 127.0.0.1 (RFC 8252, section 7.3),
// so only a browser on the same machine reaches it, and confirms that its subject is
// who has come back. It is safe for concurrent use.
//
// Its links are its own addresses. Who opens one on this machine is sent on to the vault,
// with a cookie, and only a browser with the cookie of a flow can come back from that
// flow. So a link is of no use on another machine, and nobody can have the person's
// browser bring back what they have begun elsewhere. Each flow has addresses and a cookie
// that nobody can guess. Links work until the vault's end, up to 64 at a time: with one
// more, the oldest ends.
//
// Loopback is the same for all users of a machine. Where others use it too, one of them
// who gets to see a link while it works (in the command line of a browser, for one) can
// open it, and finish the flow with an account of their own: the subject is then connected
// to that.
//
// The vault's return_urls must have "http://127.0.0.1/*".
type ReturnListener struct {
	client  *Client
	subject string
	told    func(Return)

	mu     sync.Mutex
	server *http.Server // nil: it does not listen yet
	unhook func() bool  // from the client's end
	host   string       // 127.0.0.1 and the port
	closed bool
	flows  []*returnFlow // the oldest first
}

// ListenForReturn returns a listener for the browsers of a subject, who must be the
// person at this machine. It listens from when that is first needed, until
// [ReturnListener.Close] or [Client.Close].
//
// told is called for each browser that comes back, from many goroutines at once,
// perhaps. It must return soon, for the browser waits. Nil: nobody is told.
// [Client.WaitConnected] tells of what is connected, too.
func (c *Client) ListenForReturn(subject string, told func(Return)) *ReturnListener {
	if told == nil {
		told = func(Return) {}
	}
	return &ReturnListener{client: c, subject: subject, told: told}
}

// Connect is [Client.Connect] for the subject. Where the vault wants people to come back,
// and no return URL says where to, they come back to this listener: the link is one of
// its own then, for a browser on this machine.
func (l *ReturnListener) Connect(ctx context.Context, provider string, o ConnectOptions) (*Link, error) {
	resp, err := l.Begin(ctx, l.client.connectRequest(l.subject, provider, o))
	if err != nil {
		return nil, l.client.fail(name{l.subject, provider, o.Label}, err)
	}
	link := linkOf(resp)
	link.Local = l.isOurs(link.URL)
	return link, nil
}

// isOurs reports whether a link leads to this listener.
func (l *ReturnListener) isOurs(link string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.host != "" && strings.HasPrefix(link, "http://"+l.host+"/")
}

// Begin is [ReturnListener.Connect] for all that a request can say. Its subject is the
// listener's, whatever it says. Errors are gRPC statuses, as those of [Client.Vault].
func (l *ReturnListener) Begin(ctx context.Context, req *tokenvaultv1.ConnectRequest) (*tokenvaultv1.ConnectResponse, error) {
	req = proto.CloneOf(req)
	req.Subject = l.subject
	resp, err := l.client.vault.Connect(ctx, req)
	if req.GetReturnUrl() != "" || infoOf(err).GetReason() != "INVALID_RETURN_URL" {
		return resp, err
	}
	host, err := l.listen()
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	f := newReturnFlow()
	req.ReturnUrl = "http://" + host + f.back
	resp, err = l.client.vault.Connect(ctx, req)
	switch {
	case infoOf(err).GetReason() == "INVALID_RETURN_URL":
		return nil, reworded(err, fmt.Sprintf("this vault does not let people come back to a program on their machine: add %q to return_urls in its configuration, or name the page of an application that confirms", loopbackReturnURLs))
	case err != nil:
		return nil, err
	}
	f.connectURL, f.end = resp.GetConnectUrl(), resp.GetExpireTime().AsTime().Add(lastReturn)
	l.remember(f)
	resp.ConnectUrl = "http://" + host + f.start
	return resp, nil
}

// reworded is a vault's error with another text.
func reworded(err error, text string) error {
	st := statusOf(err).Proto()
	st.Message = text
	return status.ErrorProto(st)
}

// listen returns the host and port at which it listens from now on.
func (l *ReturnListener) listen() (host string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed || l.client.ctx.Err() != nil:
		return "", errors.New("client: the listener for browsers that come back is closed")
	case l.server != nil:
		return l.host, nil
	}
	lis, err := new(net.ListenConfig).Listen(l.client.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("client: listen for the browser to come back: %w", err)
	}
	l.host = lis.Addr().String()
	l.server = &http.Server{
		Handler: http.HandlerFunc(l.takeIn), ErrorLog: noLog(),
		ReadTimeout: readPatience, WriteTimeout: writePatience, MaxHeaderBytes: maxHeader,
	}
	l.server.SetKeepAlivesEnabled(false) // a browser that has its answer holds up no Close
	server := l.server
	l.unhook = context.AfterFunc(l.client.ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(netutil.LimitListener(lis, maxBrowsers)) }() // until it is closed
	return l.host, nil
}

// Close lets browsers that have come back read their answers, for 10 seconds at most,
// and takes in no more.
func (l *ReturnListener) Close() error {
	l.mu.Lock()
	l.closed = true
	server, unhook := l.server, l.unhook
	l.mu.Unlock()
	if server == nil {
		return nil
	}
	defer unhook()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.client.ctx), goodbyePatience)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		return server.Close()
	}
	return nil
}

// takeIn takes a browser in. It has to name this listener: a page whose name leads to
// 127.0.0.1 gets nothing.
func (l *ReturnListener) takeIn(w http.ResponseWriter, r *http.Request) {
	f, isStart := l.find(r.URL.Path)
	switch {
	case f == nil || r.Method != http.MethodGet || r.Host != l.host:
		notHere().write(w)
	case isStart:
		f.sendOn(w, r, l.client.now())
	case !f.isOpenedBy(r):
		otherBrowser().write(w)
	default:
		back, isNew := l.read(f, r.URL.Query())
		pageOf(back).write(w)
		if isNew {
			l.told(back)
		}
	}
}

// read takes in what a browser brings. It is not new where the person has only loaded
// the page once more.
func (l *ReturnListener) read(f *returnFlow, q url.Values) (back Return, isNew bool) {
	if confirmation := q.Get("confirmation"); confirmation != "" {
		connection, isNew, err := l.confirm(f, confirmation)
		return Return{Connection: connection, Err: err}, isNew
	}
	if q.Get("status") == "connected" {
		return Return{}, true
	}
	back = Return{Err: l.cameToNothing(q.Get("reason"))}
	back.LinkWorks = !strings.HasPrefix(reasonOf(back.Err), "SESSION_")
	return back, true
}

// cameToNothing is the error of a flow that ended before there was a confirmation, with
// the vault's reason as it stands in the query.
func (l *ReturnListener) cameToNothing(reason string) error {
	e := &Error{Code: codes.FailedPrecondition, Message: "The provider has not given access. Nothing was connected.", Subject: l.subject}
	if reason = strings.ToUpper(reason); isReason(reason) {
		e.Reason = reason
	}
	switch {
	case e.Reason == accessDenied:
		e.Message = "Access was declined. Nothing was connected."
	case strings.HasPrefix(e.Reason, "SESSION_"):
		e.Message = "The link does not work any more. Nothing was connected."
	}
	e.err = status.Error(e.Code, e.Message)
	return e
}

// accessDenied is the reason where the person has declined.
const accessDenied = "ACCESS_DENIED"

// isReason reports whether a text is one of the vault's reasons, by its looks.
func isReason(text string) bool {
	return regexp.MustCompile(`\A[A-Z_]{1,64}\z`).MatchString(text)
}

// confirm has the vault confirm. A confirmation works once, and the person may load the
// page again: what was connected by it is remembered.
func (l *ReturnListener) confirm(f *returnFlow, confirmation string) (connection *tokenvaultv1.Connection, isNew bool, err error) {
	key := sha256.Sum256([]byte(confirmation))
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.connection != nil && f.confirmation == key {
		return f.connection, false, nil
	}
	// The browser may leave: that changes nothing.
	ctx, cancel := context.WithTimeout(l.client.ctx, confirmPatience)
	defer cancel()
	connection, err = l.client.Confirm(ctx, confirmation, l.subject)
	if err == nil {
		f.connection, f.confirmation = connection, key
	}
	return connection, true, err
}
