package server

import (
	"context"
	"log/slog"

	"google.golang.org/grpc/metadata"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// FlowCookieKey is the metadata key under which the gateway passes the browser's
// flow cookie on.
const FlowCookieKey = "tokenvault-flow-cookie"

// oauthService is tokenvault.v1.OAuthService, for the gateway.
type oauthService struct {
	tokenvaultv1.UnsafeOAuthServiceServer
	vault  *vault.Vault
	report reporter
}

func (s *oauthService) Authorize(ctx context.Context, r *tokenvaultv1.AuthorizeRequest) (*tokenvaultv1.AuthorizeResponse, error) {
	a, err := s.vault.Authorize(ctx, r.GetProvider(), r.GetSession(), flowCookie(ctx))
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.AuthorizeResponse{Location: a.Location, FlowCookie: a.FlowCookie.Reveal()}, nil
}

func (s *oauthService) Callback(ctx context.Context, r *tokenvaultv1.CallbackRequest) (*tokenvaultv1.CallbackResponse, error) {
	result, err := s.vault.Callback(ctx, vault.CallbackRequest{
		Provider:   r.GetProvider(),
		State:      r.GetState(),
		Code:       secret.New(r.GetCode()),
		Issuer:     r.GetIss(),
		Error:      r.GetError(),
		FlowCookie: flowCookie(ctx),
	})
	noteFrom(ctx).set(result.Key, vault.OutcomeOf(err))
	if err != nil && result.Location == "" {
		return nil, err
	}
	if err != nil {
		// The browser carries the reason to the host application.
		s.report.failure(ctx, slog.LevelInfo, tokenvaultv1.OAuthService_Callback_FullMethodName, string(vault.ReasonOf(err)), err, slog.String("provider", cut(r.GetProvider(), 63)))
	}
	return &tokenvaultv1.CallbackResponse{
		Location:     result.Location,
		ProviderName: result.ProviderName,
		AccountName:  result.AccountName,
	}, nil
}

func flowCookie(ctx context.Context) secret.String {
	values := metadata.ValueFromIncomingContext(ctx, FlowCookieKey)
	if len(values) != 1 {
		return secret.String{}
	}
	return secret.New(values[0])
}
