package client_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// newHome is a rig whose vault lets people come back to programs on this machine.
func newHome(t *testing.T) *rig {
	t.Helper()
	return newRig(t, homely())
}

func homely() vaulttest.Config {
	return vaulttest.Config{Binding: vault.BindingConfirm, ReturnURLs: []string{"http://127.0.0.1/*"}}
}

// listen returns a listener of a subject, and who comes back to it.
func listen(t *testing.T, r *rig, subject string) (*client.ReturnListener, chan client.Return) {
	t.Helper()
	told := make(chan client.Return, 10)
	l := r.c.ListenForReturn(subject, func(back client.Return) { told <- back })
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, told
}

func linkOf(t *testing.T, l *client.ReturnListener) string {
	t.Helper()
	link, err := l.Connect(t.Context(), "acme", client.ConnectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return link.URL
}

func urlOf(t *testing.T, l *client.ReturnListener) string {
	t.Helper()
	at, err := l.URL()
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// show reads a page and closes it.
func show(t *testing.T, page *http.Response, err error) (code int, text string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(page.Body)
	if err := errors.Join(err, page.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return page.StatusCode, string(body)
}

func wantPage(t *testing.T, page *http.Response, err error, code int, text string) {
	t.Helper()
	if got, body := show(t, page, err); got != code || !strings.Contains(body, text) {
		t.Errorf("the browser shows %d, want %d and %q:\n%s", got, code, text, body)
	}
}

// get asks for an address as a browser that is new there.
func get(t *testing.T, method, at string) (*http.Response, error) {
	t.Helper()
	return load(t, http.DefaultClient, method, at)
}

// load asks for an address in a browser that has been somewhere.
func load(t *testing.T, browser *http.Client, method, at string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	return browser.Do(req)
}

func wantNotConnected(t *testing.T, r *rig, subject string) {
	t.Helper()
	_, err := r.c.Credentials(t.Context(), subject, "acme")
	wantReason(t, err, "NOT_CONNECTED")
}

func TestWhoComesBackToThisMachineIsConnected(t *testing.T) {
	r := newHome(t)
	l, told := listen(t, r, "alice")
	browser := sandbox.Person{Client: r.NewBrowser()}
	page, err := browser.Approve(t.Context(), linkOf(t, l), vaulttest.Ada)
	wantPage(t, page, err, http.StatusOK, "acme is connected")
	if back := <-told; back.Err != nil || back.Connection.GetSubject() != "alice" || back.LinkWorks {
		t.Errorf("told: %+v, want alice's connection", back)
	}
	if _, err := r.c.Credentials(t.Context(), "alice", "acme"); err != nil {
		t.Error(err)
	}

	// The person loads the page again, and then connects another account.
	again, err := load(t, browser.Client, http.MethodGet, page.Request.URL.String())
	wantPage(t, again, err, http.StatusOK, "acme is connected")
	if n := r.rpcs.of("ConfirmConnection"); n != 1 || len(told) != 0 {
		t.Errorf("%d ConfirmConnection and %d more returns, want one and none: it is the same return", n, len(told))
	}
	link, err := l.Connect(t.Context(), "acme", client.ConnectOptions{Label: "work"})
	if err != nil {
		t.Fatal(err)
	}
	page, err = sandbox.Person{Client: r.NewBrowser()}.Approve(t.Context(), link.URL, vaulttest.Grace)
	wantPage(t, page, err, http.StatusOK, "alice (work)")
	if back := <-told; back.Connection.GetLabel() != "work" {
		t.Errorf("told: %+v, want the connection work", back)
	}
}

func TestWhoDeclinesMayThinkBetterOfIt(t *testing.T) {
	r := newHome(t)
	l, told := listen(t, r, "alice")
	link := linkOf(t, l)
	page, err := sandbox.Person{Client: r.NewBrowser()}.Deny(t.Context(), link)
	wantPage(t, page, err, http.StatusForbidden, "open the link again")
	back := <-told
	wantReason(t, back.Err, "ACCESS_DENIED")
	if !back.LinkWorks || back.Connection != nil {
		t.Errorf("told: %+v, want a link that works still", back)
	}
	wantNotConnected(t, r, "alice")
	page, err = sandbox.Person{Client: r.NewBrowser()}.Approve(t.Context(), link, vaulttest.Ada)
	wantPage(t, page, err, http.StatusOK, "acme is connected")
}

// TestOnlyTheReturnURLItselfIsServed has a browser with the cookie be led elsewhere.
func TestOnlyTheReturnURLItselfIsServed(t *testing.T) {
	r := newHome(t)
	l, told := listen(t, r, "alice")
	browser, root := r.NewBrowser(), urlOf(t, l)
	link := linkOf(t, l)
	o := open(t, browser, link)
	path := strings.TrimPrefix(o.back, root)
	for _, secret := range []string{path, strings.TrimPrefix(link, root)} {
		if len(secret) < 1+26 {
			t.Errorf("the path %q is short enough to be guessed", secret)
		}
	}
	for _, row := range []struct{ name, method, at, host string }{
		{"the root", http.MethodGet, root + "/", ""},
		{"part of the path", http.MethodGet, o.back[:len(o.back)-1], ""},
		{"below the path", http.MethodGet, o.back + "/x", ""},
		{"another method", http.MethodPost, o.back, ""},
		{"its head", http.MethodHead, o.back, ""},
		{"by another name", http.MethodGet, o.back, "attacker.example"},
		{"the link by another name", http.MethodGet, link, "attacker.example"},
		{"the link by another method", http.MethodPost, link, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), row.method, row.at+"?confirmation=x&status=confirm", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = row.host
			page, err := browser.Do(req)
			if code, body := show(t, page, err); code != http.StatusNotFound || strings.Contains(body, path) {
				t.Errorf("the browser shows %d, want 404 and nothing of the path:\n%s", code, body)
			}
		})
	}
	if n := r.rpcs.of("ConfirmConnection"); n != 0 || len(told) != 0 {
		t.Errorf("%d ConfirmConnection and %d returns, want none", n, len(told))
	}
}

// TestAnothersConfirmationConnectsNothing brings bob's listener what alice's browser was
// given.
func TestAnothersConfirmationConnectsNothing(t *testing.T) {
	r := newHome(t)
	alice, _ := listen(t, r, "alice")
	bob, told := listen(t, r, "bob")
	back := comeBack(t, r, linkOf(t, alice), urlOf(t, alice))
	confirmation := back.Query().Get("confirmation")
	browser := r.NewBrowser()
	page, err := load(t, browser, http.MethodGet, open(t, browser, linkOf(t, bob)).back+"?"+back.RawQuery)
	wantPage(t, page, err, http.StatusForbidden, "somebody else")
	got := <-told
	wantReason(t, got.Err, "SESSION_WRONG_SUBJECT")
	wantText(t, got.Err.Error(), "Nothing was connected", confirmation)
	if got.LinkWorks || got.Connection != nil {
		t.Errorf("told: %+v, want a link that is used up", got)
	}
	wantNotConnected(t, r, "alice")
	wantNotConnected(t, r, "bob")
}

// TestWhoComesBackWhileTheVaultIsAwayLoadsThePageAgain restarts the vault while somebody
// is at the provider.
func TestWhoComesBackWhileTheVaultIsAwayLoadsThePageAgain(t *testing.T) {
	r, move, lines := newMovable(t, homely())
	r.watched()
	l, told := listen(t, r, "alice")
	browser := r.NewBrowser()
	back := comeBackIn(t, browser, linkOf(t, l), urlOf(t, l), vaulttest.Ada).String()
	r.Restart()
	wantText(t, nextLine(t, lines), "the watch of connections has ended", r.Token.Reveal())
	page, err := load(t, browser, http.MethodGet, back)
	wantPage(t, page, err, http.StatusServiceUnavailable, "Load this page again")
	if e, ok := errors.AsType[*client.Error]((<-told).Err); !ok || e.Code != codes.Unavailable {
		t.Errorf("told: %v, want that the vault is away", e)
	}
	move()
	r.watched()
	page, err = load(t, browser, http.MethodGet, back)
	wantPage(t, page, err, http.StatusOK, "acme is connected")
	if again := <-told; again.Connection.GetSubject() != "alice" {
		t.Errorf("told: %+v, want alice's connection", again)
	}
}

// awaitNobody waits until nobody is taken in.
func awaitNobody(t *testing.T, at string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		page, err := get(t, http.MethodGet, at+"/x")
		if err != nil {
			return
		}
		_ = page.Body.Close()
	}
	t.Fatal("browsers are taken in still")
}

func TestABrowserReadsItsAnswerBeforeTheListenerEnds(t *testing.T) {
	r := newHome(t)
	l, _ := listen(t, r, "alice")
	at := urlOf(t, l)
	browser := r.NewBrowser()
	back := comeBackIn(t, browser, linkOf(t, l), at, vaulttest.Ada)
	asked, goOn := make(chan struct{}), make(chan struct{})
	r.rpcs.setHold(func(rpc string, answered bool) {
		if rpc == "ConfirmConnection" && !answered {
			close(asked)
			<-goOn
		}
	})
	type answer struct {
		page *http.Response
		err  error
	}
	read := make(chan answer, 1)
	go func() {
		page, err := load(t, browser, http.MethodGet, back.String())
		read <- answer{page, err}
	}()
	r.await("the browser", asked)
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	awaitNobody(t, at)
	close(goOn)
	a := <-read
	wantPage(t, a.page, a.err, http.StatusOK, "acme is connected")
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := l.URL(); err == nil {
		t.Error("a closed listener has a URL, want an error")
	}
}

func TestClosingTheClientClosesItsListeners(t *testing.T) {
	r := newHome(t)
	c, err := client.New(t.Context(), r.GRPCAddress, client.WithToken(r.Token.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	l := c.ListenForReturn("alice", nil)
	at := urlOf(t, l)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	awaitNobody(t, at)
	if _, err := l.URL(); err == nil {
		t.Error("the listener of a closed client has a URL, want an error")
	}
}

func TestTheListenerIsUsedOnlyWhereTheVaultWantsOne(t *testing.T) {
	t.Run("it wants none", func(t *testing.T) {
		r := newRig(t, vaulttest.Config{})
		l, _ := listen(t, r, "alice")
		page, err := sandbox.Person{Client: r.NewBrowser()}.Approve(t.Context(), linkOf(t, l), vaulttest.Ada)
		if code, _ := show(t, page, err); code != http.StatusOK || !strings.HasPrefix(page.Request.URL.String(), r.GatewayURL) {
			t.Errorf("the browser ends at %v with %d, want a page of the vault's", page.Request.URL, code)
		}
		if n := r.rpcs.of("Connect"); n != 1 {
			t.Errorf("%d Connect, want 1", n)
		}
	})
	t.Run("it allows none", func(t *testing.T) {
		r := newRig(t, vaulttest.Config{Binding: vault.BindingConfirm, ReturnURLs: []string{"https://app.example.com/*"}})
		l, _ := listen(t, r, "alice")
		_, err := l.Connect(t.Context(), "acme", client.ConnectOptions{})
		wantReason(t, err, "INVALID_RETURN_URL")
		wantText(t, err.Error(), `add "http://127.0.0.1/*" to return_urls`, urlOf(t, l))
	})
	t.Run("another is named", func(t *testing.T) {
		r := newHome(t)
		l, _ := listen(t, r, "alice")
		_, err := l.Connect(t.Context(), "acme", client.ConnectOptions{ReturnURL: "https://other.example/"})
		wantReason(t, err, "INVALID_RETURN_URL")
		if n := r.rpcs.of("Connect"); n != 1 {
			t.Errorf("%d Connect, want 1: it was asked for that return URL", n)
		}
	})
	t.Run("the request names another subject", func(t *testing.T) {
		r := newHome(t)
		l, _ := listen(t, r, "alice")
		resp, err := l.Begin(t.Context(), &tokenvaultv1.ConnectRequest{Subject: "bob", Provider: "acme"})
		if err != nil {
			t.Fatal(err)
		}
		page, err := sandbox.Person{Client: r.NewBrowser()}.Approve(t.Context(), resp.GetConnectUrl(), vaulttest.Ada)
		wantPage(t, page, err, http.StatusOK, "acme is connected")
		wantNotConnected(t, r, "bob")
	})
}

// TestThePageIsTextAlone has a person's name that would be markup.
func TestThePageIsTextAlone(t *testing.T) {
	c := homely()
	c.Accounts = []sandbox.Account{{ID: vaulttest.Ada, Person: "Ada <script>alert(1)</script>", Name: "<script>", Email: "ada@example.com", DataCenter: "us6"}}
	r := newRig(t, c)
	l, _ := listen(t, r, "alice")
	page, err := sandbox.Person{Client: r.NewBrowser()}.Approve(t.Context(), linkOf(t, l), vaulttest.Ada)
	code, body := show(t, page, err)
	if code != http.StatusOK || strings.Contains(body, "<script") || !strings.Contains(body, "&lt;script&gt;") {
		t.Errorf("the browser shows %d, with a name that is not escaped:\n%s", code, body)
	}
	_, rest, _ := strings.Cut(body, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	hash := sha256.Sum256([]byte(style))
	policy := page.Header.Get("Content-Security-Policy")
	if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"; !strings.Contains(policy, want) || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("Content-Security-Policy: %s, want the page's style alone (%s)", policy, want)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
		if got := page.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestAFlowThatEndsWithoutAConfirmationSaysWhy(t *testing.T) {
	r := newHome(t)
	l, told := listen(t, r, "alice")
	browser := r.NewBrowser()
	at := open(t, browser, linkOf(t, l)).back
	for _, row := range []struct {
		name, reason, want, text string
		linkWorks                bool
	}{
		{"declined", "access_denied", "ACCESS_DENIED", "Access was declined.", true},
		{"refused", "authorization_failed", "AUTHORIZATION_FAILED", "The provider has not given access.", true},
		{"too late", "session_expired", "SESSION_EXPIRED", "The link does not work any more.", false},
		{"no reason of the vault's", "<b>bold</b>", "", "The provider has not given access.", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			page, err := load(t, browser, http.MethodGet, at+"?"+url.Values{"status": {"error"}, "reason": {row.reason}}.Encode())
			wantPage(t, page, err, http.StatusForbidden, row.text)
			back := <-told
			wantReason(t, back.Err, row.want)
			wantText(t, back.Err.Error(), row.text, "bold")
			if back.LinkWorks != row.linkWorks {
				t.Errorf("the link works: %v, want %v", back.LinkWorks, row.linkWorks)
			}
		})
	}
}
