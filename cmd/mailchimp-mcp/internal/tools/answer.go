package tools

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// maxAnswer is how much an answer may have, in bytes of JSON: about 25,000 tokens,
	// which is as much as hosts usually show a model.
	maxAnswer = 100_000
	// maxText is how much of one text a model is shown, in characters. Content of
	// campaigns has a limit of its own.
	maxText = 2_000
)

// tidy makes an answer fit for a model: without links to the API's other places, and
// without what people would not see. The text is its JSON, in which HTML stays as it is:
// the SDK's own would have six characters for each < of it.
func tidy(a answer) (*mcp.CallToolResult, any, error) {
	out := tidyValue(a)
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(out); err != nil {
		return nil, nil, fmt.Errorf("write the answer: %w", err)
	}
	if text.Len() > maxAnswer {
		return nil, nil, fmt.Errorf("the answer would have %d kB, and may have %d: ask for fewer items (count), or for fewer fields", text.Len()/1000, maxAnswer/1000)
	}
	said := &mcp.TextContent{Text: strings.TrimSpace(text.String())}
	return &mcp.CallToolResult{Content: []mcp.Content{said}}, out, nil
}

// content is a text that a tool has cut itself.
type content string

func tidyValue(v any) any {
	switch v := v.(type) {
	case answer:
		return tidyValue(map[string]any(v))
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, value := range v {
			if name != "_links" {
				out[name] = tidyValue(value)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = tidyValue(value)
		}
		return out
	case content:
		return visible(string(v))
	case string:
		return cut(visible(v), maxText)
	}
	return v
}

// visible leaves out what hides text from people and shows it to models, or turns it
// around: Unicode tags, direction marks and control characters.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		isHidden := r >= 0xE0000 && r <= 0xE007F || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069
		if isHidden || unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
}

// cut bounds a text, and says so in it.
func cut(s string, limit int) string {
	n := utf8.RuneCountInString(s)
	if n <= limit {
		return s
	}
	return fmt.Sprintf("%s… [cut: %d of %d characters]", string([]rune(s)[:limit]), limit, n)
}
