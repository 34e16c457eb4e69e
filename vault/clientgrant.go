package vault

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/tokenvault/tokenvault/proto/tokenvault/storage/v1"
	"github.com/tokenvault/tokenvault/vault/provider"
)

// connectClient makes a connection for the client itself (RFC 6749, section 4.4).
// There is no person to wait for, and no refresh token: it is renewed by asking
// again.
func (v *Vault) connectClient(ctx context.Context, p *provider.Provider, r ConnectRequest) (ConnectResult, error) {
	ctx, done := v.detached(ctx)
	defer done()

	id, err := v.blind.connection(r.Key)
	if err != nil {
		return ConnectResult{}, err
	}
	asked := v.now()
	link := openSession{Session: &storagev1.Session{
		Key: keyRecord(r.Key), Scopes: r.Scopes, Params: r.Params, CreateTime: timestamppb.New(asked),
	}}
	token, err := asClient(ctx, v, p, func(ctx context.Context, p *provider.Provider) (provider.Token, error) {
		return p.ClientCredentials(ctx, r.Scopes)
	})
	if err != nil {
		return ConnectResult{}, grantError(p, err)
	}
	grant := newGrant(p, link.Session, token, asked)
	grant.Type = storagev1.Grant_TYPE_CLIENT_CREDENTIALS
	grant.RefreshToken, grant.Rotation = "", storagev1.Grant_ROTATION_KEPT
	conn, err := v.keep(ctx, p, id, link, grant)
	if err != nil {
		return ConnectResult{}, err
	}
	described, err := v.describe(ctx, id, conn)
	return ConnectResult{Connection: &described}, err
}
