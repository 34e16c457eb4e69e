package server

import (
	"context"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// portalService is tokenvault.v1.PortalService, for the gateway. The guard has found
// out who is signed in, and that a request is about a provider within their reach.
type portalService struct {
	tokenvaultv1.UnsafePortalServiceServer
	vault *vault.Vault
}

// keyOfPerson adds who is signed in to the names of a request.
func keyOfPerson(ctx context.Context, r interface {
	GetProvider() string
	GetLabel() string
}) vault.Key {
	p := personFrom(ctx)
	return vault.Key{Tenant: p.Tenant, Subject: p.Subject, Provider: r.GetProvider(), Label: r.GetLabel()}
}

// CreatePortalSession passes on which of the providers the caller may use, and what it
// may do there: it could open the link itself.
func (s *vaultService) CreatePortalSession(ctx context.Context, r *tokenvaultv1.CreatePortalSessionRequest) (*tokenvaultv1.CreatePortalSessionResponse, error) {
	caller := callerFrom(ctx)
	if !caller.MayCall("ListConnections") && !caller.MayCall("GetConnection") {
		return nil, errForbidden
	}
	scope := vault.PortalScope{Tenant: caller.Tenant(), Caller: caller.Name(), RPCs: portalActions(caller.MayCall)}
	for _, p := range s.vault.ListProviders(caller.MayUseProvider) {
		scope.Providers = append(scope.Providers, p.Name)
	}
	link, err := s.vault.CreatePortalLink(ctx, vault.PortalLinkRequest{Subject: r.GetSubject(), ReturnURL: r.GetReturnUrl(), Scope: scope})
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.CreatePortalSessionResponse{PortalUrl: link.URL.Reveal(), ExpireTime: timestamp(link.ExpireTime)}, nil
}

func (s *portalService) LookAtPortalLink(ctx context.Context, r *tokenvaultv1.LookAtPortalLinkRequest) (*tokenvaultv1.LookAtPortalLinkResponse, error) {
	link, err := s.vault.LookAtPortalLink(ctx, secret.New(r.GetLink()))
	noteFrom(ctx).set(vault.Key{Tenant: link.Tenant, Subject: link.Subject}, "")
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.LookAtPortalLinkResponse{Subject: link.Subject, ExpireTime: timestamp(link.ExpireTime)}, nil
}

func (s *portalService) OpenPortal(ctx context.Context, r *tokenvaultv1.OpenPortalRequest) (*tokenvaultv1.OpenPortalResponse, error) {
	opening, err := s.vault.OpenPortal(ctx, vault.OpenPortalRequest{
		Link: secret.New(r.GetLink()), FlowCookie: cookie(ctx, FlowCookieKey), SignInCookie: cookie(ctx, SignInCookieKey), SignInAgain: r.GetSignInAgain(),
	})
	noteFrom(ctx).set(vault.Key{Tenant: opening.Tenant, Subject: opening.Subject}, "")
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.OpenPortalResponse{
		Location: opening.Location, FlowCookie: opening.FlowCookie.Reveal(), SignInCookie: opening.SignInCookie.Reveal(),
	}, nil
}

func (s *portalService) SignOut(ctx context.Context, _ *tokenvaultv1.SignOutRequest) (*tokenvaultv1.SignOutResponse, error) {
	return &tokenvaultv1.SignOutResponse{}, s.vault.SignOut(ctx, cookie(ctx, SignInCookieKey))
}

func (s *portalService) GetPortal(ctx context.Context, _ *tokenvaultv1.GetPortalRequest) (*tokenvaultv1.GetPortalResponse, error) {
	p := personFrom(ctx)
	portal, err := s.vault.Portal(ctx, *p)
	if err != nil {
		return nil, err
	}
	resp := &tokenvaultv1.GetPortalResponse{Subject: p.Subject, ExpireTime: timestamp(p.ExpireTime), ReturnUrl: p.ReturnURL, Version: portal.Version, Actions: portalActions(p.MayCall)}
	for _, provider := range portal.Providers {
		resp.Providers = append(resp.Providers, portalProvider(provider))
	}
	return resp, nil
}

func portalProvider(p vault.PortalProvider) *tokenvaultv1.PortalProvider {
	told := &tokenvaultv1.PortalProvider{
		Name: p.Name, DisplayName: p.DisplayName, HasBrowserFlow: p.HasBrowserFlow, HasApiKeys: p.HasAPIKeys, IsFailing: p.IsFailing,
	}
	for _, variable := range p.Variables {
		told.Variables = append(told.Variables, &tokenvaultv1.PortalVariable{Name: variable.Name, Pattern: variable.Pattern, Default: variable.Default})
	}
	for _, conn := range p.Connections {
		told.Connections = append(told.Connections, &tokenvaultv1.PortalConnection{Connection: connection(conn), EndTime: timestamp(conn.EndTime)})
	}
	return told
}

func (s *portalService) WaitPortal(ctx context.Context, r *tokenvaultv1.WaitPortalRequest) (*tokenvaultv1.WaitPortalResponse, error) {
	changed, err := s.vault.WaitPortal(ctx, *personFrom(ctx), r.GetVersion())
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.WaitPortalResponse{Changed: changed}, nil
}

func (s *portalService) PortalConnect(ctx context.Context, r *tokenvaultv1.PortalConnectRequest) (*tokenvaultv1.PortalConnectResponse, error) {
	begun, err := s.vault.ConnectInPortal(ctx, *personFrom(ctx), keyOfPerson(ctx, r), r.GetParams())
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.PortalConnectResponse{Location: begun.ConnectURL}, nil
}

func (s *portalService) PortalRefresh(ctx context.Context, r *tokenvaultv1.PortalRefreshRequest) (*tokenvaultv1.PortalRefreshResponse, error) {
	conn, err := s.vault.RefreshConnection(ctx, keyOfPerson(ctx, r))
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.PortalRefreshResponse{Connection: connection(conn)}, nil
}

func (s *portalService) PortalDisconnect(ctx context.Context, r *tokenvaultv1.PortalDisconnectRequest) (*tokenvaultv1.PortalDisconnectResponse, error) {
	result, err := s.vault.Disconnect(ctx, keyOfPerson(ctx, r))
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.PortalDisconnectResponse{Revocation: revocationOf(result.Revocation), NextStep: result.NextStep}, nil
}

func (s *portalService) PortalSetAPIKey(ctx context.Context, r *tokenvaultv1.PortalSetAPIKeyRequest) (*tokenvaultv1.PortalSetAPIKeyResponse, error) {
	conn, err := s.vault.SetAPIKey(ctx, keyOfPerson(ctx, r), secret.New(r.GetApiKey()), r.GetParams())
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.PortalSetAPIKeyResponse{Connection: connection(conn)}, nil
}

func (s *portalService) PortalDeleteAPIKey(ctx context.Context, r *tokenvaultv1.PortalDeleteAPIKeyRequest) (*tokenvaultv1.PortalDeleteAPIKeyResponse, error) {
	conn, err := s.vault.DeleteAPIKey(ctx, keyOfPerson(ctx, r))
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.PortalDeleteAPIKeyResponse{Connection: connection(conn)}, nil
}
