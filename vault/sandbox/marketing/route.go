package marketing

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// route is one method of one resource.
type route struct {
	method string
	path   string // "{name}" is any one step
	query  []string
	body   *schema // nil: none is read
	handle func(*call) (object, error)
}

// paged are the parameters of every list.
func paged(more ...string) []string { return append([]string{"count", "offset"}, more...) }

func get(path string, query []string, handle func(*call) (object, error)) route {
	return route{method: http.MethodGet, path: path, query: append([]string{"fields", "exclude_fields"}, query...), handle: handle}
}

// find returns the route of a request and what stands in its path. Where the path
// has only other methods, it returns these.
func (a *API) find(r *http.Request) (matched *route, params map[string]string, allowed []string) {
	for i := range a.routes {
		candidate := &a.routes[i]
		found, ok := match(candidate.path, r.URL.Path)
		if !ok {
			continue
		}
		if candidate.method == r.Method {
			return candidate, found, nil
		}
		if !slices.Contains(allowed, candidate.method) {
			allowed = append(allowed, candidate.method)
		}
	}
	return nil, nil, allowed
}

func match(pattern, path string) (map[string]string, bool) {
	wanted := strings.Split(strings.Trim(pattern, "/"), "/")
	steps := strings.Split(strings.Trim(path, "/"), "/")
	if len(wanted) != len(steps) {
		return nil, false
	}
	params := map[string]string{}
	for i, want := range wanted {
		name, isParam := strings.CutPrefix(want, "{")
		switch {
		case isParam && steps[i] != "":
			params[strings.TrimSuffix(name, "}")] = steps[i]
		case isParam || want != steps[i]:
			return nil, false
		}
	}
	return params, true
}

// checkQuery refuses parameters that the method does not have, or that are there
// twice.
func (r *route) checkQuery(q url.Values) error {
	var errs []FieldError
	for name, values := range q {
		switch {
		case !slices.Contains(r.query, name):
			errs = append(errs, FieldError{name, "The sandbox does not know this parameter of " + r.method + " " + r.path + "."})
		case len(values) > 1:
			errs = append(errs, FieldError{name, "The parameter is there twice."})
		}
	}
	if errs == nil {
		return nil
	}
	slices.SortFunc(errs, func(a, b FieldError) int { return strings.Compare(a.Field, b.Field) })
	return invalid(errs...)
}
