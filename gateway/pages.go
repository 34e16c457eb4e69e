package gateway

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

//go:embed templates
var templates embed.FS

// page is what the one template shows.
type page struct {
	Title  string
	Text   []string // paragraphs
	Failed bool     // false: something good, or nothing special
	Done   bool     // the person has finished
	Next   *step    // what there is to do; nil: nothing
}

// step is a link that looks like a button: it works without a script, and where
// forms may lead nowhere.
type step struct{ Text, Link string }

// pages renders pages. It is safe for concurrent use.
type pages struct {
	template *template.Template
}

func newPages() (pages, error) {
	t, err := template.ParseFS(templates, "templates/*.html")
	if err != nil {
		return pages{}, fmt.Errorf("gateway: %w", err)
	}
	return pages{template: t}, nil
}

func (p pages) render(data page) ([]byte, error) {
	var out bytes.Buffer
	if err := p.template.ExecuteTemplate(&out, "page.html", data); err != nil {
		return nil, fmt.Errorf("gateway: render a page: %w", err)
	}
	return out.Bytes(), nil
}

// write renders into memory first: a page is sent whole or not at all.
func (p pages) write(w http.ResponseWriter, code int, data page) {
	body, err := p.render(data)
	if err != nil {
		http.Error(w, "Something went wrong. Please try again.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", htmlType)
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

func connectedPage(provider, account string) page {
	text := fmt.Sprintf("The account “%s” is now connected.", account)
	if account == "" {
		text = fmt.Sprintf("Your %s account is now connected.", provider)
	}
	return page{
		Title: provider + " is connected",
		Text:  []string{text, "You can close this window and go back to your program."},
		Done:  true,
	}
}

// consentPage asks before the browser leaves for the provider. Its link is the only
// way there: the state in it is known to nobody else, so whoever hands out links
// cannot hand out one that leads past the page.
func consentPage(c *tokenvaultv1.Consent, location string) page {
	whose := fmt.Sprintf("It will be connected for %s.", c.GetSubject())
	if c.GetLabel() != "default" {
		whose = fmt.Sprintf("It will be connected for %s, as %q.", c.GetSubject(), c.GetLabel())
	}
	return page{
		Title: "Connect your " + c.GetProviderName() + " account?",
		Text:  []string{whose, "If that is not you, or you did not ask for this, close the window: somebody may be trying to get at your account."},
		Next:  &step{Text: "Go on to " + c.GetProviderName(), Link: location},
	}
}

// redirectPage is the body of a redirect, which people see only where a browser
// does not follow it.
func redirectPage() page {
	return page{Title: "One moment", Text: []string{"You are being sent on."}}
}
