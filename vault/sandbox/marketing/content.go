package marketing

import (
	"html"
	"regexp"
	"strings"
)

func contentSchema() schema {
	return thing(map[string]schema{
		"plain_text": text(), "html": text(), "url": text(),
		"template":         thing(map[string]schema{"id": integer(), "sections": thing(nil)}),
		"archive":          thing(texts("archive_content", "archive_type")),
		"variate_contents": array(thing(nil)),
	})
}

func (c *call) getContent() (object, error) {
	k, err := c.campaign()
	if err != nil {
		return nil, err
	}
	return c.showContent(k), nil
}

func (c *call) showContent(k *campaign) object {
	return object{
		"variate_contents": []any{}, "plain_text": k.plain, "html": k.html, "archive_html": k.html,
		"_links": append(c.links("/campaigns/"+k.id+"/content"), c.link("update", "/campaigns/"+k.id+"/content", "PUT", "Campaigns/Content")),
	}
}

func (c *call) putContent() (object, error) {
	k, err := c.draft("edited")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"url", "template", "archive", "variate_contents"} {
		if c.has(name) {
			return nil, invalid(FieldError{name, "The sandbox knows content from html and plain_text only."})
		}
	}
	switch {
	case !c.has("html") && !c.has("plain_text"):
		return nil, invalid(FieldError{"", "Required fields were not provided: html"})
	case c.has("html") && k.kind == "plaintext":
		return nil, invalid(FieldError{"html", "A plaintext campaign has plain_text only."})
	}
	if c.has("html") {
		k.html, k.plain = textOf(c.body, "html"), plainOf(textOf(c.body, "html"))
		k.contentType = "html"
	}
	if c.has("plain_text") {
		k.plain = textOf(c.body, "plain_text")
	}
	return c.showContent(k), nil
}

var (
	tags = regexp.MustCompile(`(?s)<(style|script|head)\b.*?</(style|script|head)>|<[^>]*>`)
	href = regexp.MustCompile(`(?i)href\s*=\s*["'](https?://[^"'*|]+)["']`)
)

// plainOf makes text of HTML, about as Mailchimp does.
func plainOf(source string) string {
	var lines []string
	for line := range strings.Lines(html.UnescapeString(tags.ReplaceAllString(source, "\n"))) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// urls are what a campaign's content links to, each once.
func (k *campaign) urls() []string {
	var found []string
	seen := map[string]bool{}
	for _, match := range href.FindAllStringSubmatch(k.html, -1) {
		if url := html.UnescapeString(match[1]); !seen[url] {
			seen[url] = true
			found = append(found, url)
		}
	}
	return found
}
