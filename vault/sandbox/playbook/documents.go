package playbook

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tokenvault/tokenvault/vault/provider"
)

// capture makes up a value for all that the definition captures.
func (p *Part) capture() error {
	p.Metadata = maps.Clone(p.Params)
	for _, captures := range p.captures() {
		for _, name := range slices.Sorted(maps.Keys(captures)) {
			value, err := sample(captures[name].Pattern, "the-"+name)
			if err != nil {
				return fmt.Errorf("playbook: %s: %w", name, err)
			}
			p.Metadata[name] = value
		}
	}
	return nil
}

// captures are those of the token response and of the document about the account.
func (p Part) captures() []map[string]provider.Capture {
	all := []map[string]provider.Capture{p.definition.TokenCapture}
	if after := p.definition.AfterConnect; after != nil {
		all = append(all, after.Capture)
	}
	return all
}

// tokenDocument is what a token response has besides the tokens.
func (p Part) tokenDocument() any {
	var document any
	if p.definition.AfterConnect == nil {
		document = p.account(document)
	}
	return p.captured(document, p.definition.TokenCapture)
}

// accountDocument is what the account look-up answers.
func (p Part) accountDocument() any {
	document := p.captured(p.account(nil), p.definition.AfterConnect.Capture)
	if document == nil {
		return map[string]any{}
	}
	return document
}

func (p Part) account(document any) any {
	pointers := p.definition.Account
	for _, field := range []struct{ pointer, value string }{
		{pointers.ID, "{account.id}"}, {pointers.Name, "{account.name}"}, {pointers.Email, "{account.email}"},
	} {
		if field.pointer != "" {
			document = setAt(document, field.pointer, field.value)
		}
	}
	return document
}

func (p Part) captured(document any, captures map[string]provider.Capture) any {
	for name, capture := range captures {
		document = setAt(document, capture.Pointer, p.Metadata[name])
	}
	return document
}

// setAt returns the document with a value where a JSON pointer (RFC 6901) leads to.
// Steps that are numbers make lists.
func setAt(document any, pointer, value string) any {
	return setBelow(document, strings.Split(pointer, "/")[1:], value)
}

func setBelow(node any, steps []string, value string) any {
	if len(steps) == 0 {
		return value
	}
	step := strings.NewReplacer("~1", "/", "~0", "~").Replace(steps[0])
	if i, err := strconv.Atoi(step); err == nil {
		list, _ := node.([]any)
		for len(list) <= i {
			list = append(list, nil)
		}
		list[i] = setBelow(list[i], steps[1:], value)
		return list
	}
	members, ok := node.(map[string]any)
	if !ok {
		members = map[string]any{}
	}
	members[step] = setBelow(members[step], steps[1:], value)
	return members
}
