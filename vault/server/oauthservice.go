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

// SignInCookieKey is that for the cookie of the browser's sign-in.
const SignInCookieKey = "tokenvault-sign-in-cookie"

// oauthService is tokenvault.v1.OAuthService, for the gateway.
type oauthService struct {
	tokenvaultv1.UnsafeOAuthServiceServer
	vault  *vault.Vault
	report reporter
}

func (s *oauthService) Authorize(ctx context.Context, r *tokenvaultv1.AuthorizeRequest) (*tokenvaultv1.AuthorizeResponse, error) {
	a, err := s.vault.Authorize(ctx, vault.AuthorizeRequest{
		Provider:     r.GetProvider(),
		Session:      r.GetSession(),
		FlowCookie:   cookie(ctx, FlowCookieKey),
		SignInCookie: cookie(ctx, SignInCookieKey),
		SignInAgain:  r.GetSignInAgain(),
	})
	if err != nil {
		noteFrom(ctx).set(a.Key, "")
		return nil, err
	}
	resp := &tokenvaultv1.AuthorizeResponse{Location: a.Location, FlowCookie: a.FlowCookie.Reveal()}
	if a.ConsentPage {
		resp.Consent = &tokenvaultv1.Consent{ProviderName: a.ProviderName, Subject: a.Key.Subject, Label: a.Key.Label}
	}
	return resp, nil
}

func (s *oauthService) LoginCallback(ctx context.Context, r *tokenvaultv1.LoginCallbackRequest) (*tokenvaultv1.LoginCallbackResponse, error) {
	signIn, err := s.vault.FinishSignIn(ctx, vault.SignInRequest{
		State:        r.GetState(),
		Code:         secret.New(r.GetCode()),
		Error:        r.GetError(),
		FlowCookie:   cookie(ctx, FlowCookieKey),
		SignInCookie: cookie(ctx, SignInCookieKey),
	})
	noteFrom(ctx).set(vault.Key{Tenant: signIn.Tenant, Subject: signIn.Subject}, "")
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.LoginCallbackResponse{Location: signIn.Location, SignInCookie: signIn.Cookie.Reveal()}, nil
}

func (s *oauthService) Callback(ctx context.Context, r *tokenvaultv1.CallbackRequest) (*tokenvaultv1.CallbackResponse, error) {
	result, err := s.vault.Callback(ctx, vault.CallbackRequest{
		Provider:     r.GetProvider(),
		State:        r.GetState(),
		Code:         secret.New(r.GetCode()),
		Issuer:       r.GetIss(),
		Error:        r.GetError(),
		FlowCookie:   cookie(ctx, FlowCookieKey),
		SignInCookie: cookie(ctx, SignInCookieKey),
	})
	noteFrom(ctx).set(result.Key, vault.OutcomeOf(err))
	if err != nil && result.Location == "" {
		return nil, err
	}
	if err != nil {
		// The browser carries the reason to the host application.
		s.report.failure(ctx, slog.LevelInfo, tokenvaultv1.OAuthService_Callback_FullMethodName, string(vault.ReasonOf(err)), err, slog.String("provider", cut(r.GetProvider(), 63)))
	}
	resp := &tokenvaultv1.CallbackResponse{
		Location:     result.Location,
		ProviderName: result.ProviderName,
		AccountName:  result.AccountName,
	}
	if result.Portal {
		resp.Portal = &tokenvaultv1.PortalOutcome{Provider: result.Key.Provider, Label: result.Key.Label, Reason: string(vault.OutcomeOf(err))}
	}
	return resp, nil
}

// cookie returns one of the browser's cookies, if the gateway has passed it on.
func cookie(ctx context.Context, key string) secret.String {
	values := metadata.ValueFromIncomingContext(ctx, key)
	if len(values) != 1 {
		return secret.String{}
	}
	return secret.New(values[0])
}
