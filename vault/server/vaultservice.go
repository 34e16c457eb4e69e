package server

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// vaultService is tokenvault.v1.VaultService.
type vaultService struct {
	tokenvaultv1.UnsafeVaultServiceServer
	vault *vault.Vault
}

// named is what every request that names a connection has.
type named interface {
	GetSubject() string
	GetProvider() string
	GetLabel() string
}

// keyOf adds the caller's tenant to the names of a request.
func keyOf(ctx context.Context, r named) vault.Key {
	return vault.Key{
		Tenant:   callerFrom(ctx).Tenant(),
		Subject:  r.GetSubject(),
		Provider: r.GetProvider(),
		Label:    r.GetLabel(),
	}
}

func (s *vaultService) Connect(ctx context.Context, r *tokenvaultv1.ConnectRequest) (*tokenvaultv1.ConnectResponse, error) {
	grant, err := grantOf(r.GetGrant())
	if err != nil {
		return nil, err
	}
	result, err := s.vault.Connect(ctx, vault.ConnectRequest{
		Grant:     grant,
		Key:       keyOf(ctx, r),
		Scopes:    r.GetScopes(),
		ReturnURL: r.GetReturnUrl(),
		LoginHint: r.GetLoginHint(),
		Params:    r.GetParams(),
	})
	if err != nil {
		return nil, err
	}
	resp := &tokenvaultv1.ConnectResponse{
		ConnectUrl: result.ConnectURL,
		Session:    result.Session,
		ExpireTime: timestamp(result.ExpireTime),
		UserCode:   result.UserCode,
	}
	if result.Connection != nil {
		resp.Connection = connection(*result.Connection)
	}
	return resp, nil
}

// ConfirmConnection checks the provider itself: the request does not name it.
func (s *vaultService) ConfirmConnection(ctx context.Context, r *tokenvaultv1.ConfirmConnectionRequest) (*tokenvaultv1.ConfirmConnectionResponse, error) {
	caller := callerFrom(ctx)
	result, err := s.vault.Confirm(ctx, vault.ConfirmRequest{
		Confirmation: secret.New(r.GetConfirmation()),
		Tenant:       caller.Tenant(),
		Subject:      r.GetSubject(),
		Allow: func(k vault.Key) error {
			if !caller.MayUseProvider(k.Provider) {
				return errForbidden
			}
			return nil
		},
	})
	// On record is whom the caller has named, be it rightly or not.
	noteFrom(ctx).set(vault.Key{Tenant: caller.Tenant(), Subject: cut(r.GetSubject(), 256), Provider: result.Key.Provider, Label: result.Key.Label}, "")
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.ConfirmConnectionResponse{Connection: connection(result.Connection)}, nil
}

func grantOf(g tokenvaultv1.ConnectGrant) (vault.ConnectGrant, error) {
	switch g {
	case tokenvaultv1.ConnectGrant_CONNECT_GRANT_UNSPECIFIED, tokenvaultv1.ConnectGrant_CONNECT_GRANT_AUTHORIZATION_CODE:
		return vault.AuthorizationCode, nil
	case tokenvaultv1.ConnectGrant_CONNECT_GRANT_DEVICE_CODE:
		return vault.DeviceCode, nil
	case tokenvaultv1.ConnectGrant_CONNECT_GRANT_CLIENT_CREDENTIALS:
		return vault.ClientCredentials, nil
	default:
		return 0, &vault.Error{Reason: vault.InvalidConnectGrant, Field: "grant", Message: "grant: is not one that there is"}
	}
}

func (s *vaultService) GetCredentials(ctx context.Context, r *tokenvaultv1.GetCredentialsRequest) (*tokenvaultv1.GetCredentialsResponse, error) {
	minTTL, err := duration(r.GetMinTtl(), vault.InvalidMinTTL, "min_ttl")
	if err != nil {
		return nil, err
	}
	creds, err := s.vault.GetCredentials(ctx, vault.CredentialsRequest{Key: keyOf(ctx, r), MinTTL: minTTL, RequiredScopes: r.GetRequiredScopes()})
	if err != nil {
		return nil, err
	}
	resp := &tokenvaultv1.GetCredentialsResponse{
		ExpireTime: timestamp(creds.ExpireTime),
		Headers:    creds.Headers.Reveal(),
		ApiBaseUrl: creds.APIBaseURL,
		Metadata:   creds.Metadata,
		Account:    account(creds.Account),
		Generation: creds.Generation,
	}
	switch creds.Source {
	case vault.SourceAPIKey:
		resp.Source = tokenvaultv1.CredentialSource_CREDENTIAL_SOURCE_API_KEY
		resp.Credential = &tokenvaultv1.GetCredentialsResponse_ApiKey{ApiKey: &tokenvaultv1.APIKey{Key: creds.APIKey.Reveal()}}
	default:
		resp.Source = tokenvaultv1.CredentialSource_CREDENTIAL_SOURCE_OAUTH
		resp.Credential = &tokenvaultv1.GetCredentialsResponse_Oauth2{Oauth2: &tokenvaultv1.OAuth2Token{
			AccessToken: creds.AccessToken.Reveal(),
			TokenType:   creds.TokenType,
			Scopes:      creds.Scopes,
		}}
	}
	return resp, nil
}

func (s *vaultService) RefreshConnection(ctx context.Context, r *tokenvaultv1.RefreshConnectionRequest) (*tokenvaultv1.RefreshConnectionResponse, error) {
	conn, err := s.vault.RefreshConnection(ctx, keyOf(ctx, r))
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.RefreshConnectionResponse{Connection: connection(conn)}, nil
}

func (s *vaultService) GetConnection(ctx context.Context, r *tokenvaultv1.GetConnectionRequest) (*tokenvaultv1.GetConnectionResponse, error) {
	conn, err := s.vault.GetConnection(ctx, keyOf(ctx, r))
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.GetConnectionResponse{Connection: connection(conn)}, nil
}

func (s *vaultService) ListConnections(ctx context.Context, r *tokenvaultv1.ListConnectionsRequest) (*tokenvaultv1.ListConnectionsResponse, error) {
	caller := callerFrom(ctx)
	wanted, err := statusFilter(r.GetStatus())
	if err != nil {
		return nil, err
	}
	page, err := s.vault.ListConnections(ctx, vault.ListRequest{
		Tenant:    caller.Tenant(),
		Subject:   r.GetSubject(),
		Provider:  r.GetProvider(),
		Status:    wanted,
		PageSize:  int(r.GetPageSize()),
		PageToken: r.GetPageToken(),
		Visible:   func(k vault.Key) bool { return caller.MaySee(k.Subject, k.Provider) },
	})
	if err != nil {
		return nil, err
	}
	resp := &tokenvaultv1.ListConnectionsResponse{NextPageToken: page.NextPageToken}
	for _, conn := range page.Connections {
		resp.Connections = append(resp.Connections, connection(conn))
	}
	return resp, nil
}

func (s *vaultService) Disconnect(ctx context.Context, r *tokenvaultv1.DisconnectRequest) (*tokenvaultv1.DisconnectResponse, error) {
	result, err := s.vault.Disconnect(ctx, keyOf(ctx, r))
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.DisconnectResponse{
		Revocation: revocationOf(result.Revocation),
		NextStep:   result.NextStep,
	}, nil
}

func (s *vaultService) SetAPIKey(ctx context.Context, r *tokenvaultv1.SetAPIKeyRequest) (*tokenvaultv1.SetAPIKeyResponse, error) {
	conn, err := s.vault.SetAPIKey(ctx, keyOf(ctx, r), secret.New(r.GetApiKey()), r.GetParams())
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.SetAPIKeyResponse{Connection: connection(conn)}, nil
}

func (s *vaultService) DeleteAPIKey(ctx context.Context, r *tokenvaultv1.DeleteAPIKeyRequest) (*tokenvaultv1.DeleteAPIKeyResponse, error) {
	conn, err := s.vault.DeleteAPIKey(ctx, keyOf(ctx, r))
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.DeleteAPIKeyResponse{Connection: connection(conn)}, nil
}

func connection(c vault.Connection) *tokenvaultv1.Connection {
	return &tokenvaultv1.Connection{
		Subject:         c.Key.Subject,
		Provider:        c.Key.Provider,
		Label:           c.Key.Label,
		Status:          statusOf(c.Status),
		ConnectTime:     timestamp(c.ConnectTime),
		LastRefreshTime: timestamp(c.LastRefreshTime),
		LastUsedTime:    timestamp(c.LastUsedTime),
		ExpireTime:      timestamp(c.ExpireTime),
		Scopes:          c.Scopes,
		Account:         account(c.Account),
		Metadata:        c.Metadata,
		Generation:      c.Generation,
		HasApiKey:       c.HasAPIKey,
		Problem:         c.Problem,
	}
}

// account returns nil where nothing is known.
func account(a vault.Account) *tokenvaultv1.Account {
	if a == (vault.Account{}) {
		return nil
	}
	return &tokenvaultv1.Account{Id: a.ID, Name: a.Name, Email: a.Email}
}

// timestamp returns nil for the zero time: a field that is absent.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func statusOf(s vault.Status) tokenvaultv1.ConnectionStatus {
	switch s {
	case vault.Connected:
		return tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_CONNECTED
	case vault.ExpiringSoon:
		return tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_EXPIRING_SOON
	case vault.NeedsReauthorization:
		return tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_REAUTHORIZATION_REQUIRED
	case vault.Disconnected:
		return tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_DISCONNECTED
	default:
		return tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_UNSPECIFIED
	}
}

// statusFilter is the inverse of statusOf, with unspecified for all.
func statusFilter(wanted tokenvaultv1.ConnectionStatus) (vault.Status, error) {
	if wanted == tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_UNSPECIFIED {
		return 0, nil
	}
	for _, status := range []vault.Status{vault.Connected, vault.ExpiringSoon, vault.NeedsReauthorization, vault.Disconnected} {
		if statusOf(status) == wanted {
			return status, nil
		}
	}
	return 0, &vault.Error{Reason: vault.InvalidStatus, Field: "status", Message: "status: is not one that a connection can have"}
}

func revocationOf(r vault.Revocation) tokenvaultv1.Revocation {
	switch r {
	case vault.Revoked:
		return tokenvaultv1.Revocation_REVOCATION_REVOKED
	case vault.RevocationNotSupported:
		return tokenvaultv1.Revocation_REVOCATION_NOT_SUPPORTED
	case vault.RevocationFailed:
		return tokenvaultv1.Revocation_REVOCATION_FAILED
	default:
		return tokenvaultv1.Revocation_REVOCATION_UNSPECIFIED
	}
}
