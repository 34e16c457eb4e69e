package gateway

import (
	"context"
	"net/http"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/proto"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

// The browser's two RPCs answer with redirects and pages. grpc-gateway asks
// twice: forwardOAuth sets status and headers, rewriteOAuth makes the body.

const htmlType = "text/html; charset=utf-8"

func (g *gateway) forwardOAuth(_ context.Context, w http.ResponseWriter, m proto.Message) error {
	location := ""
	switch m := m.(type) {
	case *tokenvaultv1.AuthorizeResponse:
		location = m.GetLocation()
		g.cookie.set(w, m.GetFlowCookie())
	case *tokenvaultv1.CallbackResponse:
		location = m.GetLocation()
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
