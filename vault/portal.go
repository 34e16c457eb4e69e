package vault

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
	"github.com/tokenvault/tokenvault/vault/store"
)

// Portal is what a person sees.
type Portal struct {
	// Providers are those that they may use, by display name.
	Providers []PortalProvider
	// Version changes with what there is to see.
	Version string
}

// PortalProvider is a provider and what the person has there.
type PortalProvider struct {
	Name, DisplayName string
	// HasBrowserFlow: accounts can be connected in a browser.
	HasBrowserFlow, HasAPIKeys bool
	// Variables have to be known before an account can be connected.
	Variables []PortalVariable
	// Connections are in the order of their labels, the default one first.
	Connections []Connection
	// IsFailing: the provider is failing for everybody at the moment.
	IsFailing bool
}

// PortalVariable is a variable of a provider.
type PortalVariable struct{ Name, Pattern, Default string }

// Portal returns what a person sees.
func (v *Vault) Portal(ctx context.Context, person Person) (Portal, error) {
	// First: a change while the rest is read shows as a new version later.
	version, err := v.portalVersion(ctx, person)
	if err != nil {
		return Portal{}, err
	}
	connections := map[string][]Connection{}
	for r := (ListRequest{Tenant: person.Tenant, Subject: person.Subject, PageSize: MaxPageSize, Visible: func(k Key) bool { return person.MayUse(k.Provider) }}); ; {
		page, err := v.ListConnections(ctx, r)
		if err != nil {
			return Portal{}, err
		}
		for _, conn := range page.Connections {
			connections[conn.Key.Provider] = append(connections[conn.Key.Provider], conn)
		}
		if r.PageToken = page.NextPageToken; r.PageToken == "" {
			break
		}
	}
	portal := Portal{Version: version}
	for name, p := range v.providers {
		if person.MayUse(name) {
			portal.Providers = append(portal.Providers, v.portalProvider(p, connections[name]))
		}
	}
	slices.SortFunc(portal.Providers, func(a, b PortalProvider) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.DisplayName), strings.ToLower(b.DisplayName)), cmp.Compare(a.Name, b.Name))
	})
	return portal, nil
}

func (v *Vault) portalProvider(p *provider.Provider, connections []Connection) PortalProvider {
	described := PortalProvider{
		Name: p.Name(), DisplayName: p.DisplayName(), HasBrowserFlow: p.Grants(provider.GrantAuthorizationCode), HasAPIKeys: p.HasAPIKey(),
		Connections: connections, IsFailing: v.describeProvider(p).Problem != "",
	}
	variables := p.Definition().Variables
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		described.Variables = append(described.Variables, PortalVariable{name, variables[name].Pattern, variables[name].Default})
	}
	slices.SortFunc(connections, func(a, b Connection) int {
		if first := a.Key.Label == DefaultLabel; first != (b.Key.Label == DefaultLabel) {
			if first {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Key.Label, b.Key.Label)
	})
	return described
}

// portalVersion is a hash of which revisions the person's connections have.
func (v *Vault) portalVersion(ctx context.Context, person Person) (string, error) {
	prefix, err := v.blind.subject(person.Tenant, person.Subject)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for after := ""; ; {
		page, err := v.store.List(ctx, store.Key{Kind: kindConnections, ID: prefix}, after, maxStep)
		if err != nil {
			return "", err
		}
		for _, rec := range page.Records {
			after = rec.Key.ID
			_, _ = sum.Write(binary.BigEndian.AppendUint64([]byte(rec.Key.ID), uint64(rec.Revision))) // never fails
		}
		if len(page.Records) < maxStep {
			return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:12]), nil
		}
	}
}

// portalWait is how long WaitPortal waits. Proxies cut off what is silent for a
// minute or so.
const portalWait = 25 * time.Second

// WaitPortal returns when there is something else to see than in that version, or
// after a while, and reports which. Where too many wait already, it answers at once.
// The error is SignInRequired where the sign-in has ended meanwhile.
func (v *Vault) WaitPortal(ctx context.Context, person Person, version string) (changed bool, err error) {
	changed, err = v.waitPortal(ctx, person, version)
	if err != nil || !changed {
		return false, err
	}
	signIn := new(storagev1.SignIn)
	_, err = v.records.get(ctx, person.signIn.storeKey, signIn)
	if errors.Is(err, store.ErrNotFound) || err == nil && !v.now().Before(signIn.GetExpireTime().AsTime()) {
		return false, errSignInRequired()
	}
	return err == nil, err
}

func (v *Vault) waitPortal(ctx context.Context, person Person, version string) (changed bool, err error) {
	if !v.waiting.enter(person) {
		now, err := v.portalVersion(ctx, person)
		return err == nil && now != version, err
	}
	defer v.waiting.leave(person)
	wait, cancel := context.WithTimeout(ctx, min(portalWait, person.ExpireTime.Sub(v.now())))
	defer cancel()
	for _, err := range v.Watch(wait, WatchRequest{Tenant: person.Tenant, Subject: person.Subject}) {
		if err != nil {
			break
		}
		// Also with the checkpoint that comes first, so that nothing falls between.
		now, err := v.portalVersion(ctx, person)
		if err != nil || now != version {
			return err == nil, err
		}
	}
	if ctx.Err() != nil {
		return false, nil // nobody waits any more, or the server stops
	}
	now, err := v.portalVersion(ctx, person) // some changes are no events
	return err == nil && now != version, err
}

// ConnectInPortal begins a flow that ends in the portal, and that only a browser in
// which this person is signed in can finish. The sign-in lasts at least as long as the
// flow, unless that was begun at its very end: a sign-in has an end, whatever is done
// with it.
func (v *Vault) ConnectInPortal(ctx context.Context, person Person, key Key, params map[string]string) (ConnectResult, error) {
	begun, err := v.Connect(ctx, ConnectRequest{Key: key, Params: params, portal: true})
	if err != nil {
		return ConnectResult{}, err
	}
	end := v.now().Add(forFlow)
	if latest := timeOf(person.signIn.GetLatestExpireTime()); end.After(latest) {
		end = latest
	}
	if !end.After(person.ExpireTime) {
		return begun, nil
	}
	person.signIn.ExpireTime = timestamppb.New(end)
	op, err := v.records.put(person.signIn.storeKey, person.signIn.SignIn, person.signIn.revision)
	if err != nil {
		return ConnectResult{}, err
	}
	if _, err := v.store.Commit(ctx, op); err != nil && !errors.Is(err, store.ErrConflict) {
		return ConnectResult{}, err
	}
	return begun, nil
}
