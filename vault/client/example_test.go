package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/tokenvault/tokenvault/vault/client"
)

func Example() {
	running := startVault()
	defer running.stop()
	ctx := context.Background()

	vault, err := client.New(ctx, running.address, client.WithToken(running.token))
	if err != nil {
		log.Fatal(err)
	}
	defer vault.Close()

	mailchimp := vault.HTTPClient("alice", "mailchimp")
	_, err = mailchimp.Get("/ping")
	if missing, ok := errors.AsType[*client.ConnectRequired](err); ok {
		fmt.Println("reason:", missing.Err.Reason)
		link, err := missing.URL(ctx)
		if err != nil {
			log.Fatal(err)
		}
		running.browse(link)
	}
	resp, err := mailchimp.Get("/ping")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", body)
	// Output:
	// reason: NOT_CONNECTED
	// {"health_status":"Everything's Chimpy!"}
}

// An oauth2.Transport asks the source for each request, and so learns of a disconnect.
// oauth2.NewClient does not: it keeps the token until it ends.
func ExampleClient_TokenSource() {
	running := startVault()
	defer running.stop()
	ctx := context.Background()
	vault, err := client.New(ctx, running.address, client.WithToken(running.token))
	if err != nil {
		log.Fatal(err)
	}
	defer vault.Close()
	link, err := vault.Connect(ctx, "alice", "acme", client.ConnectOptions{})
	if err != nil {
		log.Fatal(err)
	}
	running.browse(link.URL)

	source := vault.TokenSource(ctx, "alice", "acme", client.WithMinTTL(5*time.Minute))
	token, err := source.Token()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Type(), time.Until(token.Expiry) > 5*time.Minute)
	// Output: Bearer true
}

// A program on the person's own machine, whose vault has binding: confirm, and
// http://127.0.0.1/* in return_urls.
func ExampleClient_ListenForReturn() {
	running := startVaultWith(homely())
	defer running.stop()
	ctx := context.Background()
	vault, err := client.New(ctx, running.address, client.WithToken(running.token))
	if err != nil {
		log.Fatal(err)
	}
	defer vault.Close()

	came := make(chan client.Return, 1)
	listener := vault.ListenForReturn("alice", func(back client.Return) { came <- back })
	defer listener.Close()
	link, err := listener.Connect(ctx, "acme", client.ConnectOptions{})
	if err != nil {
		log.Fatal(err)
	}
	go running.browse(link.URL) // show it to alice
	back := <-came
	fmt.Println(back.Connection.GetStatus(), back.Err)
	// Output: CONNECTION_STATUS_CONNECTED <nil>
}

func ExampleClient_WaitConnected() {
	running := startVault()
	defer running.stop()
	ctx := context.Background()
	vault, err := client.New(ctx, running.address, client.WithToken(running.token))
	if err != nil {
		log.Fatal(err)
	}
	defer vault.Close()

	link, err := vault.Connect(ctx, "alice", "mailchimp", client.ConnectOptions{})
	if err != nil {
		log.Fatal(err)
	}
	go running.browse(link.URL) // show it to alice
	patient, cancel := context.WithDeadline(ctx, link.ExpireTime)
	defer cancel()
	if err := vault.WaitConnected(patient, "alice", "mailchimp"); err != nil {
		log.Fatal(err)
	}
	creds, err := vault.Credentials(ctx, "alice", "mailchimp")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(creds.Account.Name, creds.Metadata["dc"], creds.AccessToken)
	// Output: Analytical Engines Ltd us6 [redacted]
}
