package gateway

import (
	"bytes"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

// frame is what all pages of the portal have.
type frame struct {
	Title, Brand string
	HasLogo      bool
	// Refresh is where the browser goes at once. Empty: nowhere.
	Refresh string
	// Subject is who is signed in. Empty: nobody, or it is not said.
	Subject string
	// Form is the token that the page's forms carry.
	Form string
}

func (p *portal) frame(titleKey string, args ...any) frame {
	return frame{Title: p.say(titleKey, args...), Brand: p.brand.Title(), HasLogo: p.brand.Logo != nil}
}

// stepView is a page with one thing to read, and at most one form.
type stepView struct {
	frame
	// ID names the page for tests and style sheets.
	ID      string
	Failed  bool
	Text    []string
	Who     string
	Warning string
	Action  string // of the form; empty: there is none
	Hidden  []field
	Fields  []field
	Submit  string
	Danger  bool
	Cancel  string // the text of the way back; empty: there is none
	Next    step   // a link in place of the form
}

func (v stepView) hasErrors() bool {
	return slices.ContainsFunc(v.Fields, func(f field) bool { return f.Error != "" })
}

// field is one of a form's.
type field struct {
	Name, Value          string
	Label, Hint, Error   string
	Pattern, Placeholder string
	Required, Secret     bool
}

// portalView is the portal itself.
type portalView struct {
	frame
	Note                 *noteView
	Version              string
	ReturnURL, ReturnsTo string
	SessionEnd           timeView
	Working, Attention   int
	Connected, Available []*providerView
}

// noteView is how an action has ended.
type noteView struct {
	Failed       bool
	Text, Detail string
}

// noted words a note.
func (p *portal) noted(n note, resp *tokenvaultv1.GetPortalResponse) *noteView {
	name := p.say("note.some_provider")
	for _, provider := range resp.GetProviders() {
		if provider.GetName() == n.Provider {
			name = nameOf(p.text, provider.GetDisplayName(), n.Label)
		}
	}
	if n.Reason != "" {
		return &noteView{Failed: true, Text: p.text.about(n.Reason, name)}
	}
	return &noteView{Text: p.say(n.Key, name), Detail: n.Detail}
}

type providerView struct {
	Form                       string // the token of forms
	Name, DisplayName, Initial string
	// What the person can do here. Another page asks first.
	CanConnect, CanSetKey bool
	// Asks: something has to be entered before an account can be connected.
	Asks        bool
	Failing     string
	Connections []connectionView
}

type connectionView struct {
	Provider             *providerView
	Label                string
	Labelled             bool
	Status, StatusText   string
	Account, AccountMore string
	HasGrant, HasKey     bool
	IsUrgent             bool
	// What the person can do.
	CanRefresh, CanDisconnect, CanRemoveKey bool
	Problem                                 string
	Connected, LastUsed                     timeView
	Expires                                 timeView
	Renewed                                 bool
	Scopes                                  []string
}

// Name is how screen readers tell the connection's buttons from those of others.
func (c connectionView) Name() string {
	if !c.Labelled {
		return c.Provider.DisplayName
	}
	return c.Provider.DisplayName + " " + c.Label
}

// Query is what links about the connection carry.
func (c connectionView) Query() template.URL {
	return template.URL(url.Values{"provider": {c.Provider.Name}, "label": {c.Label}}.Encode()) // percent-encoded
}

// ID is part of the ids of the connection's elements.
func (c connectionView) ID() string { return c.Provider.Name + "-" + c.Label }

// timeView is a time for people. Zero: there is none.
type timeView struct {
	ISO, Text string
	// Relative: Text says how far away it is, and Full when it is.
	Relative bool
	Full     string
}

// view makes what the template shows.
func (p *portal) view(resp *tokenvaultv1.GetPortalResponse, formToken string, now time.Time) portalView {
	v := portalView{
		frame: p.frame("title"), Version: resp.GetVersion(), ReturnURL: resp.GetReturnUrl(),
		SessionEnd: p.relative(resp.GetExpireTime(), now),
	}
	v.Subject, v.Form = resp.GetSubject(), formToken
	if u, err := url.Parse(v.ReturnURL); err == nil && v.ReturnURL != "" {
		v.ReturnsTo = u.Hostname()
	}
	for _, provider := range resp.GetProviders() {
		seen := p.provider(provider, resp.GetActions(), formToken, now)
		if len(seen.Connections) == 0 {
			if seen.CanConnect || seen.CanSetKey {
				v.Available = append(v.Available, seen)
			}
			continue
		}
		v.Connected = append(v.Connected, seen)
		for _, conn := range seen.Connections {
			if conn.IsUrgent {
				v.Attention++
			} else {
				v.Working++
			}
		}
	}
	return v
}

// provider makes what is shown of one, with buttons for those actions alone.
func (p *portal) provider(provider *tokenvaultv1.PortalProvider, actions []string, formToken string, now time.Time) *providerView {
	first, _ := utf8.DecodeRuneInString(provider.GetDisplayName())
	v := &providerView{
		Form: formToken, Name: provider.GetName(), DisplayName: provider.GetDisplayName(), Initial: string(unicode.ToUpper(first)),
		Asks:       len(provider.GetVariables()) > 0,
		CanConnect: provider.GetHasBrowserFlow() && slices.Contains(actions, "Connect"),
		CanSetKey:  provider.GetHasApiKeys() && slices.Contains(actions, "SetAPIKey"),
	}
	if provider.GetIsFailing() {
		v.Failing = p.say("failing", v.DisplayName)
	}
	for _, conn := range provider.GetConnections() {
		seen := p.connection(conn, now)
		seen.Provider = v
		seen.CanRefresh = seen.CanRefresh && slices.Contains(actions, "RefreshConnection")
		seen.CanDisconnect = seen.HasGrant && slices.Contains(actions, "Disconnect")
		seen.CanRemoveKey = seen.HasKey && provider.GetHasApiKeys() && slices.Contains(actions, "DeleteAPIKey")
		v.Connections = append(v.Connections, seen)
	}
	return v
}

func (p *portal) connection(pc *tokenvaultv1.PortalConnection, now time.Time) connectionView {
	c := pc.GetConnection()
	v := connectionView{
		Label: c.GetLabel(), Labelled: c.GetLabel() != defaultLabel, Account: accountOf(c), HasGrant: hasGrant(c), HasKey: c.GetHasApiKey(), Scopes: c.GetScopes(),
		Problem: c.GetProblem(), Connected: p.date(c.GetConnectTime()), LastUsed: p.relative(c.GetLastUsedTime(), now), Expires: p.relative(c.GetExpireTime(), now),
	}
	if email := c.GetAccount().GetEmail(); email != v.Account {
		v.AccountMore = email
	}
	switch c.GetStatus() {
	case tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_EXPIRING_SOON:
		v.Status, v.IsUrgent, v.CanRefresh = "expiring", true, true
		v.Expires = p.relative(pc.GetEndTime(), now)
		v.Problem = orElse(v.Problem, p.say("expiring_explained"))
	case tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_REAUTHORIZATION_REQUIRED:
		v.Status, v.IsUrgent = "attention", true
		v.Problem = orElse(v.Problem, p.say("attention_explained"))
	case tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_DISCONNECTED:
		v.Status = "connected" // by the key
	default:
		v.Status, v.CanRefresh = "connected", true
		v.Renewed = c.GetExpireTime() != nil && !pc.GetEndTime().AsTime().Equal(c.GetExpireTime().AsTime())
	}
	v.StatusText = p.say("status." + v.Status)
	return v
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// hasGrant reports whether there is something to disconnect.
func hasGrant(c *tokenvaultv1.Connection) bool {
	return c != nil && c.GetStatus() != tokenvaultv1.ConnectionStatus_CONNECTION_STATUS_DISCONNECTED
}

// accountOf is what an account is called. Empty: that is not known.
func accountOf(c *tokenvaultv1.Connection) string {
	a := c.GetAccount()
	for _, name := range []string{a.GetName(), a.GetEmail(), a.GetId()} {
		if strings.TrimSpace(name) != "" {
			return name
		}
	}
	return ""
}

func (p *portal) date(at *timestamppb.Timestamp) timeView {
	if at == nil {
		return timeView{}
	}
	utc := at.AsTime().UTC()
	return timeView{ISO: utc.Format(time.RFC3339), Text: utc.Format(p.say("period"))}
}

func (p *portal) relative(at *timestamppb.Timestamp, now time.Time) timeView {
	v := p.date(at)
	if at != nil {
		v.Relative, v.Full, v.Text = true, v.Text, p.text.relative(at.AsTime(), now)
	}
	return v
}

// write renders into memory first: a page is sent whole or not at all.
func (p *portal) write(w http.ResponseWriter, code int, name string, data any) {
	var out bytes.Buffer
	if err := p.template.ExecuteTemplate(&out, name+".html", data); err != nil {
		p.log.Error("page of the portal not rendered", slog.Any("cause", err))
		http.Error(w, p.say("problem."), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", htmlType)
	w.WriteHeader(code)
	_, _ = w.Write(out.Bytes())
}
