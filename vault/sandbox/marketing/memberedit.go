package marketing

import (
	"fmt"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"
)

func (c *call) addMember() (object, error) {
	l, err := c.list()
	if err != nil {
		return nil, err
	}
	email := textOf(c.body, "email_address")
	if l.find(email) != nil {
		return nil, memberExists(email)
	}
	m, err := c.newMember(l, email, textOf(c.body, "status"))
	if err != nil {
		return nil, err
	}
	if err := c.change(l, m); err != nil {
		return nil, err
	}
	l.members = append(l.members, m)
	for _, name := range textsOf(c.body, "tags") {
		c.tag(l, m, name)
	}
	return c.showMember(l, m), nil
}

// newMember is one that is not on the list yet.
func (c *call) newMember(l *list, email, status string) (*member, error) {
	if err := checkEmail("email_address", email); err != nil {
		return nil, err
	}
	if l.forgotten[hashOf(email)] {
		return nil, problem(http.StatusBadRequest, "Forgotten Email Not Subscribed", email+" was permanently deleted and cannot be re-imported. The contact must re-subscribe to get back on the list.")
	}
	m := &member{
		email: email, contactID: hexID(32, "contact", l.id, hashOf(email)), webID: c.nextID(), emailType: "html", language: "en", source: "API - Generic",
		rating: 2, location: object{"latitude": 0, "longitude": 0, "gmtoff": 0, "dstoff": 0, "country_code": "", "timezone": "", "region": ""},
		fields: object{}, tags: map[int]time.Time{}, signedUp: c.now,
	}
	for _, f := range l.fields {
		m.fields[f.tag] = ""
	}
	c.setStatus(m, status)
	return m, nil
}

func memberExists(email string) *Problem {
	return problem(http.StatusBadRequest, "Member Exists", email+" is already a list member. Use PUT to insert or update list members.")
}

// checkEmail refuses what is no address, and those that Mailchimp takes for fakes.
func checkEmail(field, email string) error {
	address, err := mail.ParseAddress(email)
	_, domain, _ := strings.Cut(email, "@")
	if err != nil || address.Address != email || !strings.Contains(domain, ".") {
		p := problem(http.StatusBadRequest, "Invalid Resource", "Please provide a valid email address.")
		p.Errors = []FieldError{{field, "This value is not an email address."}}
		return p
	}
	if strings.HasSuffix(domain, ".invalid") {
		return problem(http.StatusBadRequest, "Invalid Resource", email+" looks fake or invalid, please enter a real email address.")
	}
	return nil
}

// putMember adds who is not there, and changes who is.
func (c *call) putMember() (object, error) {
	l, err := c.list()
	if err != nil {
		return nil, err
	}
	key, email := c.params["member"], textOf(c.body, "email_address")
	if m := l.find(key); m != nil {
		return c.update(l, m)
	}
	switch {
	case l.find(email) != nil:
		return nil, memberExists(email)
	case !c.has("status_if_new"):
		return nil, invalid(FieldError{"", "Required fields were not provided: status_if_new"})
	case !strings.EqualFold(key, email) && strings.ToLower(key) != hashOf(email):
		return nil, invalid(FieldError{"email_address", "The path names another member: it has the MD5 of another address, or of this one with capitals."})
	}
	m, err := c.newMember(l, email, textOf(c.body, "status_if_new"))
	if err != nil {
		return nil, err
	}
	delete(c.body, "status")
	if err := c.change(l, m); err != nil {
		return nil, err
	}
	l.members = append(l.members, m)
	return c.showMember(l, m), nil
}

func (c *call) patchMember() (object, error) {
	l, m, err := c.member()
	if err != nil {
		return nil, err
	}
	return c.update(l, m)
}

// update changes a member, all or nothing.
func (c *call) update(l *list, m *member) (object, error) {
	changed := *m
	if email := textOf(c.body, "email_address"); c.has("email_address") && !strings.EqualFold(email, m.email) {
		if err := checkEmail("email_address", email); err != nil {
			return nil, err
		}
		if l.find(email) != nil {
			return nil, memberExists(email)
		}
		changed.email = email
	}
	if err := c.change(l, &changed); err != nil {
		return nil, err
	}
	*m = changed
	return c.showMember(l, m), nil
}

// change does what the body says, but for the address.
func (c *call) change(l *list, m *member) error {
	fields, err := c.mergeFields(l, m)
	if err != nil {
		return err
	}
	if status := textOf(c.body, "status"); status != "" && status != m.status {
		if m.bound && status == "subscribed" {
			return problem(http.StatusBadRequest, "Member In Compliance State", m.email+" is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be subscribed.")
		}
		c.setStatus(m, status)
	}
	for name, into := range map[string]*time.Time{"timestamp_signup": &m.signedUp, "timestamp_opt": &m.optIn} {
		if text := textOf(c.body, name); text != "" {
			t, ok := parseTime(text)
			if !ok {
				return invalid(FieldError{name, "This value is not a time as in 2015-10-21T15:41:36+00:00."})
			}
			*into = t
		}
	}
	for name, into := range map[string]*string{"email_type": &m.emailType, "language": &m.language, "ip_signup": &m.ip} {
		if c.has(name) {
			*into = textOf(c.body, name)
		}
	}
	if c.has("vip") {
		m.vip = boolOf(c.body, "vip")
	}
	m.fields, m.changed = fields, c.now
	return nil
}

func (c *call) setStatus(m *member, status string) {
	m.status, m.changed, m.left, m.reason = status, c.now, time.Time{}, ""
	switch status {
	case "subscribed":
		m.optIn, m.bound = c.now, false
	case "unsubscribed":
		m.left, m.reason = c.now, "N/A (Unsubscribed by an admin)"
	case "cleaned":
		m.left, m.bound = c.now, true
	}
}

// mergeFields returns a member's merge fields with those of the body.
func (c *call) mergeFields(l *list, m *member) (object, error) {
	skip, err := c.flag("skip_merge_validation")
	if err != nil {
		return nil, err
	}
	fields := object{}
	for tag, value := range m.fields {
		fields[tag] = value
	}
	var errs []FieldError
	given := objectOf(c.body, "merge_fields")
	for tag, value := range given {
		known := slices.ContainsFunc(l.fields, func(f mergeField) bool { return f.tag == tag })
		switch kind := kindOf(value); {
		case !known:
			errs = append(errs, FieldError{tag, "The list has no merge field of this tag."})
		case kind != "string" && kind != "number":
			errs = append(errs, FieldError{tag, fmt.Sprintf("Schema describes string, %s found instead", kind)})
		default:
			fields[tag] = value
		}
	}
	for _, f := range l.fields {
		if f.required && !skip && fields[f.tag] == "" {
			errs = append(errs, FieldError{f.tag, "This value should not be blank."})
		}
	}
	if errs != nil {
		p := problem(http.StatusBadRequest, "Invalid Resource", "Your merge fields were invalid.")
		slices.SortFunc(errs, func(a, b FieldError) int { return strings.Compare(a.Field, b.Field) })
		p.Errors = errs
		return nil, p
	}
	return fields, nil
}

// archiveMember is what DELETE does.
func (c *call) archiveMember() (object, error) {
	_, m, err := c.member()
	if err != nil {
		return nil, err
	}
	if m.status != "subscribed" && m.status != "unsubscribed" && m.status != "transactional" {
		return nil, methodNotAllowed("This list member cannot be removed. Cannot archive a contact that is bounced, pending or archived.")
	}
	m.status, m.changed = "archived", c.now
	return nil, nil
}

func (c *call) deleteMember() (object, error) {
	l, m, err := c.member()
	if err != nil {
		return nil, err
	}
	l.members = slices.DeleteFunc(l.members, func(other *member) bool { return other == m })
	l.forgotten[m.hash()] = true
	return nil, nil
}
