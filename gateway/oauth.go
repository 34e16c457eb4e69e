package gateway

import (
	"context"
	"net/http"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/proto"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

// The browser's RPCs answer with redirects and pages. grpc-gateway asks
// twice: forwardOAuth sets status and headers, rewriteOAuth makes the body.

const htmlType = "text/html; charset=utf-8"

func (g *gateway) forwardOAuth(ctx context.Context, w http.ResponseWriter, m proto.Message) error {
	location := ""
	switch m := m.(type) {
	case *tokenvaultv1.AuthorizeResponse:
		g.cookie.set(w, m.GetFlowCookie())
		if m.GetConsent() == nil {
			location = m.GetLocation()
		}
	case *tokenvaultv1.LoginCallbackResponse:
		location = m.GetLocation()
		g.signIn.set(w, m.GetSignInCookie())
	case *tokenvaultv1.CallbackResponse:
		location = m.GetLocation()
		g.portal.backFrom(ctx, w, m.GetPortal())
	default:
		return nil
	}
	w.Header().Set("Content-Type", htmlType)
	if location != "" {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusFound)
	}
	return nil
}

func (g *gateway) rewriteOAuth(_ context.Context, m proto.Message) (any, error) {
	var p page
	switch m := m.(type) {
	case *tokenvaultv1.AuthorizeResponse:
		p = redirectPage()
		if m.GetConsent() != nil {
			p = consentPage(m.GetConsent(), m.GetLocation())
		}
	case *tokenvaultv1.LoginCallbackResponse:
		p = redirectPage()
	case *tokenvaultv1.CallbackResponse:
		p = redirectPage()
		if m.GetLocation() == "" {
			p = connectedPage(m.GetProviderName(), m.GetAccountName())
		}
	default:
		return m, nil
	}
	body, err := g.pages.render(p)
	if err != nil {
		return nil, err
	}
	return &httpbody.HttpBody{ContentType: htmlType, Data: body}, nil
}
