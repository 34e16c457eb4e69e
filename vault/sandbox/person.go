package sandbox

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Person stands for somebody at a browser: follows links, keeps cookies (when
// its Client has a jar), and answers the consent page by its form.
type Person struct {
	Client *http.Client
}

// Approve opens an app's link and consents as the account of that id. It returns
// the page at which the browser ends.
func (p Person) Approve(ctx context.Context, link string, account int) (*http.Response, error) {
	return p.answer(ctx, link, url.Values{"decision": {"approve"}, "account": {strconv.Itoa(account)}})
}

// Deny opens an app's link and declines.
func (p Person) Deny(ctx context.Context, link string) (*http.Response, error) {
	return p.answer(ctx, link, url.Values{"decision": {"deny"}})
}

// formAction finds where the consent page's form leads.
var formAction = regexp.MustCompile(`<form method="post" action="([^"]+)"`)

func (p Person) answer(ctx context.Context, link string, form url.Values) (*http.Response, error) {
	consent, err := p.get(ctx, link)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(consent.Body, 1<<20))
	if err := errors.Join(err, consent.Body.Close()); err != nil {
		return nil, fmt.Errorf("read the consent page: %w", err)
	}
	match := formAction.FindSubmatch(body)
	if match == nil {
		return nil, fmt.Errorf("the link did not lead to a consent page but to one with status %d", consent.StatusCode)
	}
	action, err := consent.Request.URL.Parse(html.UnescapeString(string(match[1])))
	if err != nil {
		return nil, fmt.Errorf("the consent page's form: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, action.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return p.Client.Do(req)
}

func (p Person) get(ctx context.Context, link string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return nil, err
	}
	return p.Client.Do(req)
}
