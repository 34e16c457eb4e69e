package client_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/client"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// app is an application with users of its own, on a vault with binding: confirm.
type app struct {
	url   string
	vault *client.Client
}

// signedIn returns the user of the application's own session. It is never one that the
// request names.
func (a *app) signedIn(*http.Request) string { return "alice" }

// connect sends the user's browser to the provider.
func (a *app) connect(w http.ResponseWriter, r *http.Request) {
	link, err := a.vault.Connect(r.Context(), a.signedIn(r), "mailchimp", client.ConnectOptions{ReturnURL: a.url + "/connected"})
	if err != nil {
		http.Error(w, "Mailchimp cannot be connected now.", http.StatusBadGateway)
		return
	}
	http.Redirect(w, r, link.URL, http.StatusSeeOther)
}

// connected is where the browser comes back to.
func (a *app) connected(w http.ResponseWriter, r *http.Request) {
	switch r.FormValue("status") {
	case "confirm":
		if _, err := a.vault.Confirm(r.Context(), r.FormValue("confirmation"), a.signedIn(r)); err != nil {
			http.Error(w, "This was begun by somebody else, or is over. Begin again.", http.StatusForbidden)
			return
		}
		fmt.Fprintln(w, "Mailchimp is connected.")
	default: // error; reason says why
		fmt.Fprintln(w, "Nothing was connected.")
	}
}

// portal sends the user's browser to where they see and change what is connected.
func (a *app) portal(w http.ResponseWriter, r *http.Request) {
	link, err := a.vault.PortalLink(r.Context(), a.signedIn(r), a.url+"/")
	if err != nil {
		http.Error(w, "The connections cannot be shown now.", http.StatusBadGateway)
		return
	}
	http.Redirect(w, r, link.Reveal(), http.StatusSeeOther)
}

// An application that has its own users sends them to the vault, and says who came back.
func Example_hostApplication() {
	a := &app{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /connect", a.connect)
	mux.HandleFunc("GET /connected", a.connected)
	mux.HandleFunc("GET /portal", a.portal)
	web := httptest.NewServer(mux)
	defer web.Close()
	running := startVaultWith(vaulttest.Config{Binding: vault.BindingConfirm, ReturnURLs: []string{web.URL + "/*"}})
	defer running.stop()
	var err error
	a.url = web.URL
	if a.vault, err = client.New(context.Background(), running.address, client.WithToken(running.token)); err != nil {
		log.Fatal(err)
	}
	defer a.vault.Close()

	alice := running.stack.NewBrowser()
	page, err := sandbox.Person{Client: alice}.Approve(context.Background(), web.URL+"/connect", vaulttest.Ada)
	printPage(page, err)
	page, err = alice.Get(web.URL + "/portal")
	printPage(page, err)
	// Output:
	// 200 /connected: Mailchimp is connected.
	// 200 /portal/open
}

// printPage prints where a browser is, and what the application says there.
func printPage(page *http.Response, err error) {
	if err != nil {
		log.Fatal(err)
	}
	defer page.Body.Close()
	body, err := io.ReadAll(page.Body)
	if err != nil {
		log.Fatal(err)
	}
	where := page.Request.URL.Path
	if where != "/connected" {
		fmt.Println(page.StatusCode, where)
		return
	}
	fmt.Printf("%d %s: %s", page.StatusCode, where, body)
}
