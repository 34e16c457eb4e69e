package provider

import (
	"maps"
	"regexp"

	"golang.org/x/oauth2"
)

// telling is a value of the token response to keep.
type telling struct {
	pointer string
	pattern *regexp.Regexp // nil: any
}

// tellings are named as captures are; those of the account have names that
// captures cannot have.
type tellings map[string]telling

const (
	toldID    = "account.id"
	toldName  = "account.name"
	toldEmail = "account.email"
)

// tellings returns what to keep of token responses.
func (d Definition) tellings() tellings {
	asked := tellings{}
	for name, capture := range d.TokenCapture {
		t := telling{pointer: capture.Pointer}
		if capture.Pattern != "" {
			t.pattern = matcher(capture.Pattern) // validated
		}
		asked[name] = t
	}
	asked[toldID] = telling{pointer: d.Account.ID}
	asked[toldName] = telling{pointer: d.Account.Name}
	asked[toldEmail] = telling{pointer: d.Account.Email}
	return asked
}

// in takes from a token response what was asked for. What does not have its
// form is left out: an issued token must not be lost for it.
func (all tellings) in(fields map[string]any) map[string]string {
	told := map[string]string{}
	for name, t := range all {
		value, ok := valueAt(fields, t.pointer)
		if ok && (t.pattern == nil || t.pattern.MatchString(value)) {
			told[name] = value
		}
	}
	return told
}

// capturedOf reads what the normaliser has handed on.
func capturedOf(t *oauth2.Token) Captured {
	told, _ := t.Extra("told").(map[string]any)
	out := Captured{Metadata: map[string]string{}}
	for name, value := range told {
		switch name {
		case toldID:
			out.Account.ID = text(value)
		case toldName:
			out.Account.Name = text(value)
		case toldEmail:
			out.Account.Email = text(value)
		default:
			out.Metadata[name] = text(value)
		}
	}
	return out
}

// captures returns the captures of both documents. Validate makes sure that no
// name stands in both.
func (d Definition) captures() map[string]Capture {
	all := make(map[string]Capture, len(d.TokenCapture))
	maps.Copy(all, d.TokenCapture)
	if d.AfterConnect != nil {
		maps.Copy(all, d.AfterConnect.Capture)
	}
	return all
}
