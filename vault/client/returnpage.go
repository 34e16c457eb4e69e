package client

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"io"
	"log"
	"net/http"

	"google.golang.org/grpc/codes"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

// page is what a browser shows that has come back.
type page struct {
	Status      int
	Title, Text string
}

// pageOf says how it has gone.
func pageOf(back Return) page {
	const nothing = "Nothing was connected"
	e, _ := errors.AsType[*Error](back.Err)
	switch {
	case e == nil:
		return connectedPage(back.Connection)
	case back.LinkWorks:
		return page{http.StatusForbidden, nothing, e.Message + " To try once more, open the link again."}
	case e.Reason == "" && (e.Code == codes.Unavailable || e.Code == codes.DeadlineExceeded):
		return page{http.StatusServiceUnavailable, nothing + " yet", "The program that sent you here does not reach its vault at the moment. Load this page again in a minute."}
	}
	return page{http.StatusForbidden, nothing, e.Message}
}

func connectedPage(c *tokenvaultv1.Connection) page {
	const goBack = "You can close this window and go back to the program that sent you here."
	if c == nil {
		return page{http.StatusOK, "The account is connected", goBack}
	}
	whom := c.GetSubject()
	if label := c.GetLabel(); label != "default" {
		whom += " (" + label + ")"
	}
	account := cmp.Or(c.GetAccount().GetName(), c.GetAccount().GetEmail(), c.GetAccount().GetId())
	if account != "" {
		whom += ", as " + account
	}
	return page{http.StatusOK, c.GetProvider() + " is connected", "It is connected for " + whom + ". " + goBack}
}

// notHere is for links that have ended, too.
func notHere() page {
	return page{http.StatusNotFound, "There is nothing here", "If you have opened a link, it does not work any more. Ask the program that gave it to you for a new one."}
}

// otherBrowser is for those who come back without the cookie. Their link may be used up.
func otherBrowser() page {
	return page{http.StatusForbidden, "The link was opened in another browser", "Nothing was connected. Open the link that you were given in this browser, which has to take cookies. If it has been used, ask the program that gave it to you for a new one."}
}

const pageStyle = `
:root { color-scheme: light dark; --ground: #f4f5f7; --card: #fff; --text: #1c2430; --quiet: #566072; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181f; --card: #1e242e; --text: #eef1f5; --quiet: #aab4c3; } }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--text); font: 1.0625rem/1.55 system-ui, sans-serif; }
main { box-sizing: border-box; width: 100%; max-width: 30rem; padding: 2rem; border-radius: 0.75rem; background: var(--card); overflow-wrap: anywhere; }
h1 { margin: 0 0 0.75rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: 0; color: var(--quiet); }
`

const pageTemplate = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>` + pageStyle + `</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
</main>
</body>
</html>
`

// write answers. The page has no scripts and loads nothing, and its address, with the
// confirmation in it, goes nowhere else.
func (p page) write(w http.ResponseWriter) {
	style := sha256.Sum256([]byte(pageStyle))
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(style[:])+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_ = template.Must(template.New("page").Parse(pageTemplate)).Execute(w, p) // the browser may have left
}

// noLog is for servers, which would log the errors of connections.
func noLog() *log.Logger { return log.New(io.Discard, "", 0) }
