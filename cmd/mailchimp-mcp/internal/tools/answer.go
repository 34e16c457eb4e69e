package tools

import (
	"encoding/json"
	"fmt"
	"strings"
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
	// maxName and maxDigits are how long names and numbers can be, in characters, and
	// maxDepth how deep an answer goes. Clients break on what goes far beyond.
	maxName   = 200
	maxDigits = 40
	maxDepth  = 32
)

// tidy makes an answer fit for a model: without links to the API's other places, and
// without what people would not see. The text is its JSON, in which HTML stays as it is:
// the SDK's own would have six characters for each < of it.
func tidy(a answer) (*mcp.CallToolResult, any, error) {
	out := tidyValue(a, 0)
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

// tidyValue makes a copy of a value that is so many levels deep in the answer.
func tidyValue(v any, depth int) any {
	switch v := v.(type) {
	case answer:
		return tidyValue(map[string]any(v), depth)
	case map[string]any, []any:
		if depth == maxDepth {
			return fmt.Sprintf("[cut: it goes deeper than %d levels]", maxDepth)
		}
		return tidyAll(v, depth+1)
	case content:
		return visible(string(v))
	case string:
		return cut(visible(v), maxText)
	case json.Number:
		if len(v) > maxDigits {
			return cut(v.String(), maxDigits)
		}
	}
	return v
}

// tidyAll is tidyValue for all that is in an object or a list.
func tidyAll(v any, depth int) any {
	if list, isList := v.([]any); isList {
		out := make([]any, len(list))
		for i, value := range list {
			out[i] = tidyValue(value, depth)
		}
		return out
	}
	object, _ := v.(map[string]any)
	out := make(map[string]any, len(object))
	for name, value := range object {
		if name != "_links" {
			out[cut(visible(name), maxName)] = tidyValue(value, depth)
		}
	}
	return out
}

// cut bounds a text, and says so in it.
func cut(s string, limit int) string {
	n := utf8.RuneCountInString(s)
	if n <= limit {
		return s
	}
	return fmt.Sprintf("%s… [cut: %d of %d characters]", string([]rune(s)[:limit]), limit, n)
}
