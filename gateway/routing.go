package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// routes says which methods an address takes, as the OpenAPI document has it.
type routes []route

type route struct {
	path    *regexp.Regexp
	methods []string
}

func newRoutes(openAPI []byte) (routes, error) {
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(openAPI, &document); err != nil {
		return nil, fmt.Errorf("gateway: read the OpenAPI document: %w", err)
	}
	parameter := regexp.MustCompile(`\\\{[^/}]*\\\}`)
	var all routes
	for template, methods := range document.Paths {
		pattern := parameter.ReplaceAllLiteralString(regexp.QuoteMeta(template), `[^/]+`)
		path, err := regexp.Compile(`\A` + pattern + `\z`)
		if err != nil {
			return nil, fmt.Errorf("gateway: path %s: %w", template, err)
		}
		all = append(all, route{path, slices.Sorted(maps.Keys(methods))})
	}
	return all, nil
}

// allowed is the value of the header Allow (RFC 9110, section 10.2.1).
func (all routes) allowed(path string) string {
	var methods []string
	for _, r := range all {
		if r.path.MatchString(path) {
			methods = append(methods, r.methods...)
		}
	}
	slices.Sort(methods)
	return strings.ToUpper(strings.Join(slices.Compact(methods), ", "))
}

// misrouted answers requests that lead to no RPC: with a page where a browser asks.
// HEAD is among them, since GET on the browser's paths is more than a look, and
// programs that preview links ask with it.
func (g *gateway) misrouted(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	st := status.New(codes.InvalidArgument, "The request is not as HTTP would have it.")
	switch code {
	case http.StatusNotFound:
		st = status.New(codes.NotFound, "There is nothing at this address. /openapi.json lists those that there are.")
	case http.StatusMethodNotAllowed:
		allowed := g.routes.allowed(r.URL.Path)
		w.Header().Set("Allow", allowed)
		st = status.Newf(codes.Unimplemented, "This address takes %s only.", allowed)
	}
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		g.pages.write(w, code, errorPage(st))
		return
	}
	g.answerError(w, r, code, st)
}

// isForBrowsers reports whether a path is one that people's browsers are sent to.
func isForBrowsers(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/oauth/") || strings.HasPrefix(r.URL.Path, "/login/") || strings.HasPrefix(r.URL.Path, portalPath)
}
