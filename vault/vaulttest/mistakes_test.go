package vaulttest_test

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/secret"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// field is a field of a definition, with the names that lead to it.
type field struct {
	name  string
	index [][]int // one of each struct on the way
}

// fieldsOf returns the fields of definitions that hold values: those of structs
// within count by themselves.
func fieldsOf(at reflect.Type, name string, index [][]int) []field {
	var all []field
	for i := range at.NumField() {
		f := at.Field(i)
		here, path := strings.TrimPrefix(name+"."+f.Name, "."), append(slices.Clone(index), f.Index)
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			all = append(all, fieldsOf(inner, here, path)...)
			continue
		}
		all = append(all, field{name: here, index: path})
	}
	return all
}

// in returns the field of a definition; the zero Value where a struct on the way is
// not there.
func (f field) in(d *provider.Definition) reflect.Value {
	v := reflect.ValueOf(d).Elem()
	for _, index := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return reflect.Value{}
			}
			v = v.Elem()
		}
		v = v.FieldByIndex(index)
	}
	return v
}

// mistaken returns the definition with another value in the field, such as
// somebody could have written by mistake. ok is false where the definition does not
// have the field.
func (f field) mistaken(d provider.Definition) (wrong provider.Definition, ok bool) {
	wrong = d.Override(provider.Definition{}) // parts of its own
	if d.AfterConnect != nil {
		after := *d.AfterConnect
		wrong.AfterConnect = &after
	}
	if d.APIKey != nil {
		key := *d.APIKey
		wrong.APIKey = &key
	}
	v := f.in(&wrong)
	if !v.IsValid() || v.IsZero() {
		return wrong, false
	}
	if v.Kind() == reflect.String {
		v.SetString(mistakenText(v.String()))
	} else {
		v.SetZero()
	}
	return wrong, true
}

func mistakenText(text string) string {
	alike := map[string]string{"basic": "post", "post": "basic", "S256": "none", "none": "S256", "json": "form", "POST": "GET", ",": " ", ";": " "}
	switch {
	case alike[text] != "":
		return alike[text]
	case strings.HasPrefix(text, "https://"):
		return "https://elsewhere.example/there"
	case strings.HasPrefix(text, "/"):
		return "/elsewhere"
	case strings.HasPrefix(text, "^"):
		return "^elsewhere$"
	case strings.Contains(text, "{api_key}:"), strings.Contains(text, ":{api_key}"):
		return "elsewhere:{api_key}"
	case strings.Contains(text, "{"):
		return "Elsewhere " + text[strings.Index(text, "{"):strings.Index(text, "}")+1]
	default:
		return "elsewhere"
	}
}

// outcome is all that people and programs see of a definition: what is different
// when something in it is wrong.
func (d *drive) outcome() map[string]string {
	seen := map[string]string{}
	note := func(step string, err error, values ...any) {
		seen[step] = strings.TrimSpace(fmt.Sprintln(append([]any{vault.ReasonOf(err), err != nil}, values...)...))
	}
	info := d.Vault.ListProviders(nil)[0]
	note("list", nil, info.DisplayName, info.Scopes, info.Variables)
	ctx := d.t.Context()
	_, err := d.Vault.Connect(ctx, vault.ConnectRequest{Key: d.key, Grant: vault.DeviceCode, Params: d.part.Params})
	note("device", err)
	note("connect", d.ConnectTo(vault.ConnectRequest{Key: d.key, Params: d.part.Params}, vaulttest.Ada))
	note("reconnect", d.ConnectTo(vault.ConnectRequest{Key: d.key, Params: d.part.Params, Scopes: []string{"first", "second"}}, vaulttest.Ada))
	d.noteCredentials(note, "credentials")
	for _, step := range []string{"refresh", "lost answer", "after it"} {
		d.Sandbox.ClearFaults()
		if step == "lost answer" {
			d.Sandbox.Fault(sandbox.Token, sandbox.Fault{DropAfter: true})
		}
		_, err := d.Vault.RefreshConnection(ctx, d.key)
		note(step, err)
		d.clock.Advance(10 * time.Second)
	}
	d.clock.Advance(31 * 24 * time.Hour)
	d.noteCredentials(note, "later")
	result, err := d.Vault.Disconnect(ctx, d.key)
	note("disconnect", err, result.Revocation, result.NextStep)
	d.clock.Advance(time.Second)
	note("again", d.ConnectTo(vault.ConnectRequest{Key: d.key, Params: d.part.Params}, vaulttest.Ada))
	d.Sandbox.Fault(sandbox.Revoke, sandbox.Fault{Status: http.StatusBadGateway})
	result, err = d.Vault.Disconnect(ctx, d.key)
	note("disconnect in vain", err, result.Revocation, result.NextStep)
	_, err = d.Vault.SetAPIKey(ctx, d.key, secret.New(d.part.APIKey), d.part.Params)
	note("set key", err)
	d.noteCredentials(note, "key")
	return seen
}

// noteCredentials notes what credentials there are, and what the API says to them.
func (d *drive) noteCredentials(note func(string, error, ...any), step string) {
	creds, err := d.Vault.GetCredentials(d.t.Context(), vault.CredentialsRequest{Key: d.key})
	status := 0
	if creds.APIBaseURL != "" {
		status = d.get(creds, "").StatusCode
	}
	shape := slices.Sorted(maps.Keys(creds.Headers.Reveal()))
	note(step, err, creds.Scopes, creds.Metadata, creds.Account, creds.APIBaseURL, creds.ExpireTime.IsZero(), shape, status)
}

// TestAMistakeInAnEntryIsNoticed makes a mistake in each field, in entries of the
// catalogue that have it. Either the vault does not start with it, or a provider
// that is played by the right entry, or the people and programs in front, see a
// difference: a field with which nothing differs is one that nothing reads.
func TestAMistakeInAnEntryIsNoticed(t *testing.T) {
	t.Parallel()
	// What cannot be seen in a single flow.
	elsewhere := map[string]string{"Refresh.IdleLimit": "TestARefreshTokenThatMustNotIdleIsKeptAlive"}
	const entriesPerField = 3
	all := templates(t)
	for _, f := range fieldsOf(reflect.TypeFor[provider.Definition](), "", nil) {
		if elsewhere[f.name] != "" {
			continue
		}
		tried := 0
		for _, name := range slices.Sorted(maps.Keys(all)) {
			wrong, has := f.mistaken(all[name])
			if !has || tried == entriesPerField {
				continue
			}
			tried++
			t.Run(f.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				if len(wrong.Validate()) > 0 {
					return // refused at start
				}
				synctest.Test(t, func(t *testing.T) {
					right := newDrive(t, name, all[name], all[name]).outcome()
					if diff := cmp.Diff(right, newDrive(t, name, all[name], wrong).outcome()); diff == "" {
						t.Error("nothing differs")
					}
				})
			})
		}
	}
}
