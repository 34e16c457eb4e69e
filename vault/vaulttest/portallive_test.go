package vaulttest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

func TestThePageIsToldOfChanges(t *testing.T) {
	s := vaulttest.New(t, vaulttest.Config{Audit: true})
	v := inPortal(t, s, "alice")
	version := func() string {
		_, rest, _ := strings.Cut(v.page, `data-version="`)
		found, _, _ := strings.Cut(rest, `"`)
		return found
	}
	before := version()
	told := make(chan string, 1)
	go func() {
		resp, err := v.client.Get(s.GatewayURL + "/portal/changes?version=" + url.QueryEscape(before))
		if err != nil {
			told <- err.Error()
			return
		}
		told <- s.Body(resp)
	}()
	s.Connect("bob", "acme", vaulttest.Grace) // is none of alice's business
	s.Connect("alice", "acme", vaulttest.Ada)
	if got := strings.TrimSpace(<-told); got != `{"changed":true}` {
		t.Errorf("the page is told %s", got)
	}
	at := *v
	at.get("/portal/changes?version=" + url.QueryEscape(before)) // what came while it did not ask
	at.want(http.StatusOK)
	if !strings.Contains(at.page, "true") {
		t.Errorf("the page is told %s", at.page)
	}
	v.get("/portal")
	if version() == before {
		t.Error("the version is still the same")
	}
	for _, e := range entries(t, s) {
		if e.RPC == "WaitPortal" {
			t.Error("waiting is on record")
		}
	}
}

func TestWhoHasSignedOutIsToldOfNoChanges(t *testing.T) {
	for name, end := range map[string]func(s *vaulttest.Stack, cookie secret.String) error{
		"signed out":    func(s *vaulttest.Stack, cookie secret.String) error { return s.Vault.SignOut(t.Context(), cookie) },
		"for long past": func(s *vaulttest.Stack, _ secret.String) error { s.Clock.Advance(vault.SignInLifetime); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := vaulttest.New(t, vaulttest.Config{})
			cookie := signInCookie(t, inPortal(t, s, "alice"))
			person, err := s.Vault.Person(t.Context(), cookie)
			if err != nil {
				t.Fatal(err)
			}
			if changed, err := s.Vault.WaitPortal(t.Context(), person, "another"); !changed || err != nil {
				t.Fatalf("who is signed in is told %v, %v", changed, err)
			}
			if err := end(s, cookie); err != nil {
				t.Fatal(err)
			}
			changed, err := s.Vault.WaitPortal(t.Context(), person, "another")
			if refusal, ok := errors.AsType[*vault.Error](err); changed || !ok || refusal.Reason != vault.SignInRequired {
				t.Errorf("the one who waits is told %v, %v", changed, err)
			}
		})
	}
}

// signInCookie is the cookie of a visitor's sign-in.
func signInCookie(t *testing.T, v *visitor) secret.String {
	t.Helper()
	u, err := url.Parse(v.s.GatewayURL)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range v.client.Jar.Cookies(u) {
		if strings.Contains(cookie.Name, "sign-in") {
			return secret.New(cookie.Value)
		}
	}
	t.Fatal("nobody is signed in")
	return secret.String{}
}

// BenchmarkPortal loads the portal of a person with 50 connections: the median time
// until its page is there, through the gateway.
func BenchmarkPortal(b *testing.B) {
	s := vaulttest.New(b, vaulttest.Config{Audit: true})
	for i := range 50 {
		key := vault.Key{Tenant: vault.DefaultTenant, Subject: "alice", Provider: "mailchimp", Label: fmt.Sprint("account-", i)}
		if _, err := s.Vault.SetAPIKey(b.Context(), key, secret.New(strings.Repeat("0", 32)+"-us6"), nil); err != nil {
			b.Fatal(err)
		}
	}
	resp, err := s.Client.CreatePortalSession(b.Context(), &tokenvaultv1.CreatePortalSessionRequest{Subject: "alice"})
	if err != nil {
		b.Fatal(err)
	}
	link, err := url.Parse(resp.GetPortalUrl())
	if err != nil {
		b.Fatal(err)
	}
	browser := s.NewBrowser()
	page, err := browser.PostForm(s.GatewayURL+"/portal/open", url.Values{"link": {link.Query().Get("link")}})
	if err != nil {
		b.Fatal(err)
	}
	if body := s.Body(page); strings.Count(body, "<article") != 50 {
		b.Fatalf("the page does not show 50 connections:\n%s", body)
	}
	var times []float64
	for b.Loop() {
		began := time.Now()
		page, err := browser.Get(s.GatewayURL + "/portal")
		if err != nil {
			b.Fatal(err)
		}
		s.Body(page)
		times = append(times, time.Since(began).Seconds()*1000)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(times), "median-ms")
}
