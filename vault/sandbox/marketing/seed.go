package marketing

import (
	"fmt"
	"strings"
	"time"
)

// makeUp returns what an account holds when it is first used: a list of 250
// members, one of 24, tags and segments in both, and campaigns in several states.
func makeUp(info Account, now time.Time) *account {
	now = now.UTC().Truncate(time.Minute)
	a := &account{info: info, created: now.AddDate(-2, 0, 0), lastID: 10_000 + info.ID%10_000}
	news := a.makeList("news", info.Name+" news", 250, now.AddDate(0, -18, 0), now)
	a.makeList("friends", "Friends of "+info.Name, 24, now.AddDate(0, -6, 0), now)
	a.makeCampaigns(news, now)
	return a
}

func (a *account) makeList(key, name string, members int, created, now time.Time) *list {
	l := &list{
		id: hexID(10, "list", itoa(a.info.ID), key), webID: a.nextID(), name: name, created: created, contact: a.contact(),
		defaults:  object{"from_name": a.info.Name, "from_email": a.info.Email, "subject": "", "language": "en"},
		forgotten: map[string]bool{},
		fields: []mergeField{
			{1, "FNAME", "First Name", "text", false}, {2, "LNAME", "Last Name", "text", false}, {3, "PHONE", "Phone Number", "phone", false},
		},
	}
	for _, tag := range []string{"Customer", "Newsletter", "Beta", "Press"} {
		l.segments = append(l.segments, &segment{id: a.nextID(), name: tag, kind: "static", created: created, updated: created})
	}
	for i := range members {
		l.members = append(l.members, a.makeMember(l, i, created.Add(now.Sub(created)/time.Duration(members+2)*time.Duration(i+1)).Truncate(time.Second), now))
	}
	l.segments = append(l.segments,
		&segment{id: a.nextID(), name: "Keen readers", kind: "saved", created: created, updated: created, options: condition("MemberRating", "rating", "greater", "3")},
		&segment{id: a.nextID(), name: "Family Lovelace", kind: "saved", created: created, updated: created, options: condition("TextMerge", "LNAME", "is", "Lovelace")})
	a.lists = append(a.lists, l)
	return l
}

func condition(kind, field, op, value string) object {
	return object{"match": "all", "conditions": []any{object{"condition_type": kind, "field": field, "op": op, "value": value}}}
}

// makeMember makes up the member at a place of a list, who joined at some time. Of
// twenty, fifteen are
// subscribed.
func (a *account) makeMember(l *list, i int, joined, now time.Time) *member {
	firsts := []string{"Ada", "Alan", "Barbara", "Claude", "Donald", "Edsger", "Frances", "Grace", "Hedy", "Ida", "John", "Katherine", "Leslie", "Margaret", "Niklaus", "Radia"}
	lasts := []string{"Allen", "Babbage", "Dijkstra", "Goldberg", "Hamilton", "Hopper", "Johnson", "Knuth", "Lamarr", "Lamport", "Liskov", "Lovelace", "Perlman", "Rhodes", "Shannon", "Turing", "Wirth"}
	random := dice("member", l.id, itoa(i))
	first, last := firsts[i%len(firsts)], lasts[i%len(lasts)]
	email := fmt.Sprintf("%s.%s.%d@example.%s", strings.ToLower(first), strings.ToLower(last), i+1, []string{"com", "com", "net", "org"}[i%4])
	m := &member{
		email: email, contactID: hexID(32, "contact", l.id, hashOf(email)), webID: a.nextID(), status: "subscribed", emailType: "html",
		fields: object{"FNAME": first, "LNAME": last, "PHONE": ""}, language: "en", vip: random.IntN(20) == 0, source: "Hosted Signup Form",
		ip: fmt.Sprintf("192.0.2.%d", 1+i%250), rating: 2 + random.IntN(4), signedUp: joined, optIn: joined.Add(time.Minute), changed: joined.Add(time.Minute),
		location: object{"latitude": 51.5, "longitude": -0.12, "gmtoff": 0, "dstoff": 1, "country_code": "GB", "timezone": "Europe/London", "region": []string{"ENG", "ENG", "SCT", "WLS"}[random.IntN(4)]},
		tags:     map[int]time.Time{},
	}
	switch i % 20 {
	case 7, 13:
		m.status, m.left, m.reason, m.bound = "unsubscribed", joined.AddDate(0, 0, 40), "I no longer want to receive these emails", true
	case 16:
		m.status, m.left, m.bound = "cleaned", joined.AddDate(0, 0, 20), true
	case 18:
		m.status, m.optIn = "pending", time.Time{}
	case 19:
		m.status = []string{"transactional", "archived"}[i/20%2]
	}
	if m.left.After(now) {
		m.left = now.Add(-time.Hour)
	}
	m.changed = later(m.changed, m.left)
	for t, s := range l.segments {
		if random.IntN(3+t) == 0 {
			m.tags[s.id] = m.changed
		}
	}
	return m
}

// makeCampaigns makes up three that were sent, a draft, an empty draft, and one
// that is to be sent in three days.
func (a *account) makeCampaigns(l *list, now time.Time) {
	add := func(title, subject string, created time.Time) *campaign {
		k := &campaign{
			webID: a.nextID(), kind: "regular", status: "save", listID: l.id, created: created, tracking: object{}, other: object{}, contentType: "html",
			settings: object{"title": title, "subject_line": subject, "from_name": a.info.Name, "reply_to": a.info.Email, "to_name": "*|FNAME|*"},
		}
		k.id = hexID(10, "campaign", itoa(a.info.ID), itoa(k.webID))
		k.html = "<html><body><h1>" + subject + `</h1><p>Hello *|FNAME|*, read <a href="https://www.example.com/` + strings.ToLower(title) +
			`">the story</a> or visit <a href="https://shop.example.com/">the shop</a>.</p><p><a href="*|UNSUB|*">Unsubscribe</a></p></body></html>`
		k.plain = plainOf(k.html)
		a.campaigns = append(a.campaigns, k)
		return k
	}
	sent := func(k *campaign, at time.Time) {
		k.status, k.sendAt, k.sent = "sent", at, at
		there := only(l.members, func(m *member) bool {
			return m.signedUp.Before(at) && (m.status == "subscribed" || m.status == "unsubscribed" && m.left.After(at))
		})
		k.deliver(there, at)
		for _, m := range there {
			if m.status != "unsubscribed" || k.byHash[m.hash()].bounced {
				continue
			}
			for _, earlier := range a.campaigns {
				if d := earlier.deliveryTo(m.hash()); d != nil {
					d.left = time.Time{} // it was not the last straw
				}
			}
			k.byHash[m.hash()].left = m.left
		}
	}
	quarter := now.Truncate(15 * time.Minute)
	for i, each := range [][2]string{{"Spring", "A small step"}, {"Summer", "What the weavers wrote"}, {"Autumn", "Seventy years of bugs"}} {
		at := quarter.AddDate(0, 0, -90+40*i)
		sent(add(each[0], each[1], at.AddDate(0, 0, -2)), at)
	}
	add("Winter", "A giant leap", now.AddDate(0, 0, -1))
	empty := add("Untitled", "", now.Add(-2*time.Hour))
	empty.html, empty.plain, empty.contentType = "", "", "template"
	later := add("Launch", "It is nearly time", now.AddDate(0, 0, -3))
	later.status, later.sendAt = "schedule", quarter.AddDate(0, 0, 3)
}
