package gateway

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
)

//go:embed templates
var templates embed.FS

// page is what the one template shows.
type page struct {
	Title  string
	Text   []string // paragraphs
	Failed bool     // false: something good, or nothing special
	Done   bool     // the person has finished
}

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
	text := fmt.Sprintf("The account %q is now connected.", account)
	if account == "" {
		text = fmt.Sprintf("Your %s account is now connected.", provider)
	}
	return page{
		Title: provider + " is connected",
		Text:  []string{text, "You can close this window and go back to your program."},
		Done:  true,
	}
}

// redirectPage is the body of a redirect, which people see only where a browser
// does not follow it.
func redirectPage() page {
	return page{Title: "One moment", Text: []string{"You are being sent on."}}
}
