package gateway

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/grpc/status"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

// Each action of the portal has a form of its own, so that it works with a keyboard,
// a screen reader, and without a script. What can be done with one click has its form
// on the portal itself.

// about is what a form is about: a provider, and the label of a connection.
type about struct {
	provider *tokenvaultv1.PortalProvider
	label    string
	// connection is nil where there is none of that label.
	connection *tokenvaultv1.Connection
}

// name is how the connection is called in a sentence: without its label where there is
// none, since a link of others can say any.
func (a about) name(t texts) string {
	if a.connection == nil {
		return a.provider.GetDisplayName()
	}
	return nameOf(t, a.provider.GetDisplayName(), a.label)
}

func nameOf(t texts, provider, label string) string {
	if label == "" || label == defaultLabel {
		return provider
	}
	return t.say("provider_labelled", provider, label)
}

// defaultLabel is the label of connections without one.
const defaultLabel = "default"

// found finds out what a form is about. If it cannot, it has answered.
func (p *portal) found(w http.ResponseWriter, r *http.Request) (about, bool) {
	values := r.URL.Query()
	if r.Method == http.MethodPost {
		values = r.PostForm
	}
	resp, err := p.server.GetPortal(p.call(r), &tokenvaultv1.GetPortalRequest{})
	if err != nil {
		p.failed(w, r, status.Convert(err))
		return about{}, false
	}
	a := about{label: values.Get("label")}
	if a.label == "" {
		a.label = defaultLabel
	}
	at := slices.IndexFunc(resp.GetProviders(), func(one *tokenvaultv1.PortalProvider) bool { return one.GetName() == values.Get("provider") })
	if at < 0 || !labelPattern.MatchString(a.label) && !values.Has("another") { // which a form is to say at its field
		p.back(w, r, note{Reason: "CALLER_FORBIDDEN"})
		return about{}, false
	}
	a.provider = resp.GetProviders()[at]
	for _, conn := range a.provider.GetConnections() {
		if conn.GetConnection().GetLabel() == a.label {
			a.connection = conn.GetConnection()
		}
	}
	return a, true
}

// toAdd is found for what can be added. An address names none but the connections that
// there are: the label of a new one is for the person to type, and is empty until then.
func (p *portal) toAdd(w http.ResponseWriter, r *http.Request) (about, bool) {
	a, ok := p.found(w, r)
	if r.URL.Query().Has("another") || a.connection == nil && a.label != defaultLabel {
		a.label = ""
	}
	return a, ok
}

// formFrame is the frame of a page with a form for who is signed in.
func (p *portal) formFrame(r *http.Request, titleKey string, args ...any) frame {
	f := p.frame(titleKey, args...)
	f.Form = formToken(p.signIn.of(r))
	return f
}

// hidden are the fields of a form that say what it is about.
func (a about) hidden() []field {
	return []field{{Name: "provider", Value: a.provider.GetName()}, {Name: "label", Value: a.label}}
}

// ended leads back to the portal with how an action has ended: well, with what key
// says, or not.
func (p *portal) ended(w http.ResponseWriter, r *http.Request, n note, err error) {
	n.Provider = r.PostForm.Get("provider")
	if label := r.PostForm.Get("label"); labelPattern.MatchString(label) {
		n.Label = label
	}
	if err != nil {
		st := status.Convert(err)
		if n.Reason = reasonOf(st); n.Reason == "SIGN_IN_REQUIRED" {
			p.failed(w, r, st)
			return
		}
		if n.Reason == "" {
			n.Reason = "INTERNAL"
		}
	}
	p.back(w, r, n)
}

// askToConnect asks for what has to be known before: variables, and for another
// account a label.
func (p *portal) askToConnect(w http.ResponseWriter, r *http.Request) {
	if a, ok := p.toAdd(w, r); ok {
		p.write(w, http.StatusOK, "step", p.connectForm(a, nil, r))
	}
}

// connectForm is the form with what was entered in values, and what is wrong with it.
// values nil: nothing was entered yet.
func (p *portal) connectForm(a about, values url.Values, r *http.Request) stepView {
	name := a.provider.GetDisplayName()
	view := stepView{
		frame: p.formFrame(r, "connect.title", name), ID: "connect", Text: []string{p.say("connect.text", name)}, Action: portalPath + "/connect",
		Submit: p.say("connect"), Cancel: p.say("cancel"),
	}
	view.Hidden, view.Fields = p.addFields(a, values)
	return view
}

// addFields are the fields, hidden and shown, of a form that adds something: with one
// for the label where the person is to type it, and with the provider's variables.
func (p *portal) addFields(a about, values url.Values) (hidden, shown []field) {
	if a.label != "" && !values.Has("another") {
		return a.hidden(), p.variableFields(a, values)
	}
	hidden = []field{{Name: "provider", Value: a.provider.GetName()}, {Name: "another", Value: "1"}}
	return hidden, append([]field{p.labelField(a, values)}, p.variableFields(a, values)...)
}

var labelPattern = regexp.MustCompile(`\A[A-Za-z0-9._-]{1,64}\z`)

func (p *portal) labelField(a about, values url.Values) field {
	f := field{Name: "label", Label: p.say("connect.label"), Hint: p.say("connect.label_hint"), Pattern: "[A-Za-z0-9._\\-]{1,64}", Required: true}
	if values == nil {
		return f
	}
	f.Value = values.Get("label")
	if !labelPattern.MatchString(f.Value) {
		f.Error = p.say("connect.label_error")
	} else if a.connection != nil {
		f.Error = p.say("connect.label_taken")
	}
	return f
}

// variableFields ask for the provider's variables. What is known of the connection is
// there already.
func (p *portal) variableFields(a about, values url.Values) []field {
	var fields []field
	for _, variable := range a.provider.GetVariables() {
		f := field{
			Name: "param." + variable.GetName(), Label: p.say("connect.field", spoken(variable.GetName())), Hint: p.say("connect.field_hint", a.provider.GetDisplayName()),
			Pattern: variable.GetPattern(), Placeholder: variable.GetDefault(), Required: variable.GetDefault() == "",
			Value: a.connection.GetMetadata()[variable.GetName()],
		}
		if values != nil {
			f.Value = strings.TrimSpace(values.Get(f.Name))
			pattern, err := regexp.Compile(`\A(?:` + variable.GetPattern() + `)\z`)
			if f.Value == "" && f.Required || f.Value != "" && (err != nil || !pattern.MatchString(f.Value)) {
				f.Error = p.say("connect.field_error", a.provider.GetDisplayName())
			}
		}
		fields = append(fields, f)
	}
	return fields
}

// spoken makes words of a name.
func spoken(name string) string {
	words := strings.ReplaceAll(name, "_", " ")
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// params are the values of variables in a form.
func params(values url.Values) map[string]string {
	found := map[string]string{}
	for name := range values {
		if variable, ok := strings.CutPrefix(name, "param."); ok {
			if value := strings.TrimSpace(values.Get(name)); value != "" {
				found[variable] = value
			}
		}
	}
	return found
}

func (p *portal) connect(w http.ResponseWriter, r *http.Request) {
	a, ok := p.found(w, r)
	if !ok {
		return
	}
	if view := p.connectForm(a, r.PostForm, r); view.hasErrors() {
		p.write(w, http.StatusUnprocessableEntity, "step", view)
		return
	}
	resp, err := p.server.PortalConnect(p.call(r), &tokenvaultv1.PortalConnectRequest{Provider: a.provider.GetName(), Label: a.label, Params: params(r.PostForm)})
	if err != nil {
		p.ended(w, r, note{}, err)
		return
	}
	p.signIn.set(w, p.signIn.of(r)) // which lasts as long as the flow, at least
	p.sendOn(w, p.say("redirect.text", a.provider.GetDisplayName()), resp.GetLocation())
}

func (p *portal) refresh(w http.ResponseWriter, r *http.Request) {
	_, err := p.server.PortalRefresh(p.call(r), &tokenvaultv1.PortalRefreshRequest{Provider: r.PostForm.Get("provider"), Label: r.PostForm.Get("label")})
	p.ended(w, r, note{Key: "note.refreshed"}, err)
}

func (p *portal) askToDisconnect(w http.ResponseWriter, r *http.Request) {
	a, ok := p.found(w, r)
	if !ok {
		return
	}
	if !hasGrant(a.connection) {
		p.back(w, r, note{Key: "note.gone", Provider: a.provider.GetName()})
		return
	}
	view := stepView{
		frame: p.formFrame(r, "disconnect.title", a.name(p.text)), ID: "disconnect", Text: []string{p.say("disconnect.text", a.provider.GetDisplayName())},
		Action: portalPath + "/disconnect", Hidden: a.hidden(), Submit: p.say("disconnect"), Danger: true, Cancel: p.say("keep"),
	}
	if account := accountOf(a.connection); account != "" {
		view.Text = append(view.Text, p.say("disconnect.account", account))
	}
	if a.connection.GetHasApiKey() {
		view.Text = append(view.Text, p.say("disconnect.key_stays"))
	}
	p.write(w, http.StatusOK, "step", view)
}

// disconnect says honestly what was revoked, and what is left to do.
func (p *portal) disconnect(w http.ResponseWriter, r *http.Request) {
	resp, err := p.server.PortalDisconnect(p.call(r), &tokenvaultv1.PortalDisconnectRequest{Provider: r.PostForm.Get("provider"), Label: r.PostForm.Get("label")})
	n := note{Detail: resp.GetNextStep()}
	switch resp.GetRevocation() {
	case tokenvaultv1.Revocation_REVOCATION_REVOKED:
		n.Key = "note.revoked"
	case tokenvaultv1.Revocation_REVOCATION_NOT_SUPPORTED:
		n.Key = "note.not_supported"
	default:
		n.Key = "note.not_confirmed"
	}
	if reasonOf(status.Convert(err)) == "NOT_CONNECTED" {
		n, err = note{Key: "note.gone"}, nil
	}
	p.ended(w, r, n, err)
}

func (p *portal) askForKey(w http.ResponseWriter, r *http.Request) {
	if a, ok := p.toAdd(w, r); ok {
		p.write(w, http.StatusOK, "step", p.keyForm(a, nil, r))
	}
}

// keyForm never shows a key, not even the one that was just entered.
func (p *portal) keyForm(a about, values url.Values, r *http.Request) stepView {
	view := stepView{
		frame: p.formFrame(r, "key.title", a.name(p.text)), ID: "api-key", Text: []string{p.say("key.text")}, Action: portalPath + "/api-key",
		Submit: p.say("key.submit"), Cancel: p.say("cancel"),
	}
	view.Hidden, view.Fields = p.addFields(a, values)
	view.Fields = append(view.Fields, field{Name: "api_key", Label: p.say("key.field"), Hint: p.say("key.field_hint", a.provider.GetDisplayName()), Secret: true, Required: true})
	return view
}

func (p *portal) setKey(w http.ResponseWriter, r *http.Request) {
	if r.PostForm.Has("another") && !p.mayAdd(w, r) {
		return
	}
	key := strings.TrimSpace(r.PostForm.Get("api_key"))
	_, err := p.server.PortalSetAPIKey(p.call(r), &tokenvaultv1.PortalSetAPIKeyRequest{
		Provider: r.PostForm.Get("provider"), Label: r.PostForm.Get("label"), ApiKey: key, Params: params(r.PostForm),
	})
	reason := reasonOf(status.Convert(err))
	if reason != "INVALID_API_KEY" && reason != "INVALID_PARAMS" {
		p.ended(w, r, note{Key: "note.key_stored"}, err)
		return
	}
	a, ok := p.found(w, r)
	if !ok {
		return
	}
	view := p.keyForm(a, r.PostForm, r)
	if reason == "INVALID_API_KEY" {
		view.Fields[len(view.Fields)-1].Error = p.say("key.field_error", a.provider.GetDisplayName())
	}
	p.write(w, http.StatusUnprocessableEntity, "step", view)
}

// mayAdd looks at the label that a person has typed for a key. If there is something
// wrong with it, it has answered.
func (p *portal) mayAdd(w http.ResponseWriter, r *http.Request) bool {
	a, ok := p.found(w, r)
	if !ok || p.labelField(a, r.PostForm).Error == "" {
		return ok
	}
	p.write(w, http.StatusUnprocessableEntity, "step", p.keyForm(a, r.PostForm, r))
	return false
}

func (p *portal) askToRemoveKey(w http.ResponseWriter, r *http.Request) {
	a, ok := p.found(w, r)
	if !ok {
		return
	}
	if !a.connection.GetHasApiKey() {
		p.back(w, r, note{Key: "note.key_gone", Provider: a.provider.GetName()})
		return
	}
	p.write(w, http.StatusOK, "step", stepView{
		frame: p.formFrame(r, "remove_key.title", a.name(p.text)), ID: "remove-api-key", Text: []string{p.say("remove_key.text", a.provider.GetDisplayName())},
		Action: portalPath + "/api-key/remove", Hidden: a.hidden(), Submit: p.say("remove_key"), Danger: true, Cancel: p.say("keep"),
	})
}

func (p *portal) removeKey(w http.ResponseWriter, r *http.Request) {
	_, err := p.server.PortalDeleteAPIKey(p.call(r), &tokenvaultv1.PortalDeleteAPIKeyRequest{Provider: r.PostForm.Get("provider"), Label: r.PostForm.Get("label")})
	n := note{Key: "note.key_removed"}
	if reasonOf(status.Convert(err)) == "NOT_CONNECTED" {
		n, err = note{Key: "note.key_gone"}, nil
	}
	p.ended(w, r, n, err)
}
