package marketing

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// delivery is one campaign to one member, and what they will do with it.
type delivery struct {
	email, hash, name string
	fields, location  object
	bounced           bool
	opens             []time.Time
	clicks            []click
	left              time.Time // unsubscribed by it; zero: did not
	abuse             time.Time // reported it as spam; zero: did not
}

type click struct {
	at  time.Time
	url string
}

// deliver sends a campaign to members. What they do with it is made up, the same
// for one campaign and member every time.
func (k *campaign) deliver(members []*member, at time.Time) {
	k.deliveries, k.byHash = nil, map[string]*delivery{}
	urls := k.urls()
	for _, m := range members {
		random := dice("delivery", k.id, m.hash())
		d := &delivery{email: m.email, hash: m.hash(), name: m.fullName(), fields: m.fields, location: m.location, bounced: random.IntN(100) < 2}
		k.deliveries, k.byHash[d.hash] = append(k.deliveries, d), d
		if d.bounced || random.IntN(100) >= 48 {
			continue
		}
		first := at.Add(time.Duration(1+random.IntN(2*24*60)) * time.Minute)
		d.opens = append(d.opens, first)
		if random.IntN(60) == 0 {
			d.abuse = first.Add(time.Minute)
		}
		for random.IntN(3) == 0 && len(d.opens) < 5 {
			d.opens = append(d.opens, d.opens[len(d.opens)-1].Add(time.Duration(1+random.IntN(600))*time.Minute))
		}
		for len(urls) > 0 && random.IntN(3) == 0 && len(d.clicks) < 4 {
			d.clicks = append(d.clicks, click{first.Add(time.Duration(len(d.clicks)+1) * time.Minute), urls[random.IntN(len(urls))]})
		}
	}
}

func (d *delivery) opensUntil(now time.Time) []time.Time {
	return only(d.opens, func(at time.Time) bool { return !at.After(now) })
}

func (d *delivery) clicksUntil(now time.Time) []click {
	return only(d.clicks, func(c click) bool { return !c.at.After(now) })
}

// tally is what became of a campaign by some moment.
type tally struct {
	sent, bounced, delivered, opens, openers, clicks, clickers, left, abuse int
	lastOpen, lastClick                                                     time.Time
}

func (k *campaign) tally(now time.Time) (t tally) {
	if k.sent.IsZero() || k.sent.After(now) {
		return t
	}
	for _, d := range k.deliveries {
		t.sent++
		if d.bounced {
			t.bounced++
			continue
		}
		t.delivered++
		opens, clicks := d.opensUntil(now), d.clicksUntil(now)
		t.opens, t.openers = t.opens+len(opens), t.openers+min(1, len(opens))
		t.clicks, t.clickers = t.clicks+len(clicks), t.clickers+min(1, len(clicks))
		if len(opens) > 0 {
			t.lastOpen = later(t.lastOpen, slices.MaxFunc(opens, time.Time.Compare))
		}
		for _, c := range clicks {
			t.lastClick = later(t.lastClick, c.at)
		}
		if !d.left.IsZero() && !d.left.After(now) {
			t.left++
		}
		if !d.abuse.IsZero() && !d.abuse.After(now) {
			t.abuse++
		}
	}
	return t
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (t tally) summary() object {
	return object{
		"opens": t.opens, "unique_opens": t.openers, "open_rate": rate(t.openers, t.delivered),
		"clicks": t.clicks, "subscriber_clicks": t.clickers, "click_rate": rate(t.clickers, t.delivered),
		"ecommerce": object{"total_orders": 0, "total_spent": 0, "total_revenue": 0},
	}
}

// dice are the same for the same words.
func dice(words ...string) *rand.Rand {
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])))
}

// hexID is an id in hexadecimal digits, 64 at the most, that is the same for the
// same words.
func hexID(digits int, words ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return hex.EncodeToString(sum[:])[:digits]
}
