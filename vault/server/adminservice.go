package server

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/audit"
	"github.com/tokenvault/tokenvault/vault/secret"
)

// adminService is tokenvault.v1.AdminService.
type adminService struct {
	tokenvaultv1.UnsafeAdminServiceServer
	vault *vault.Vault
	audit *audit.Log // may be nil
}

// errAuditOff says that there is no audit log.
var errAuditOff = errors.New("no audit log is kept")

func (s *adminService) VerifyAudit(_ context.Context, _ *tokenvaultv1.VerifyAuditRequest) (*tokenvaultv1.VerifyAuditResponse, error) {
	if s.audit == nil {
		return nil, errAuditOff
	}
	report, err := s.audit.Verify()
	if err != nil {
		return nil, err
	}
	resp := &tokenvaultv1.VerifyAuditResponse{Entries: int64(report.Entries), FirstSequence: report.First, LastSequence: report.Last.Sequence}
	for _, problem := range report.Problems {
		resp.Problems = append(resp.Problems, problem.String())
	}
	return resp, nil
}

func (s *adminService) ListProviders(ctx context.Context, _ *tokenvaultv1.ListProvidersRequest) (*tokenvaultv1.ListProvidersResponse, error) {
	resp := &tokenvaultv1.ListProvidersResponse{}
	for _, info := range s.vault.ListProviders(callerFrom(ctx).MayUseProvider) {
		resp.Providers = append(resp.Providers, providerOf(info))
	}
	return resp, nil
}

func (s *adminService) RotateClientSecret(ctx context.Context, r *tokenvaultv1.RotateClientSecretRequest) (*tokenvaultv1.RotateClientSecretResponse, error) {
	grace, err := duration(r.GetGrace(), vault.InvalidGrace, "grace")
	if err != nil {
		return nil, err
	}
	if r.GetGrace() == nil {
		grace = vault.DefaultSecretGrace
	}
	info, err := s.vault.RotateClientSecret(ctx, r.GetProvider(), secret.New(r.GetClientSecret()), grace)
	if err != nil {
		return nil, err
	}
	return &tokenvaultv1.RotateClientSecretResponse{Provider: providerOf(info)}, nil
}

// duration reads a field. Absent is 0.
func duration(d *durationpb.Duration, reason vault.Reason, field string) (time.Duration, error) {
	if d == nil {
		return 0, nil
	}
	if err := d.CheckValid(); err != nil {
		return 0, &vault.Error{Reason: reason, Field: field, Message: field + ": is not a duration"}
	}
	return d.AsDuration(), nil
}

func providerOf(info vault.ProviderInfo) *tokenvaultv1.Provider {
	return &tokenvaultv1.Provider{
		Name:             info.Name,
		DisplayName:      info.DisplayName,
		RedirectUri:      info.RedirectURI,
		GrantTypes:       info.GrantTypes,
		ApiKeys:          info.APIKeys,
		Scopes:           info.Scopes,
		Variables:        info.Variables,
		SecretRotateTime: timestamp(info.SecretRotateTime),
		Problem:          info.Problem,
	}
}
