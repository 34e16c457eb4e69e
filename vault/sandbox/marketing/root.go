package marketing

import "strings"

func routes() []route {
	all := []route{
		get("/", nil, (*call).getRoot),
		get("/ping", nil, func(*call) (object, error) { return object{"health_status": "Everything's Chimpy!"}, nil }),
	}
	for _, part := range [][]route{listRoutes(), memberRoutes(), batchRoutes(), segmentRoutes(), campaignRoutes(), reportRoutes(), searchRoutes()} {
		all = append(all, part...)
	}
	return all
}

func (c *call) getRoot() (object, error) {
	first, last, _ := strings.Cut(c.info.Person, " ")
	subscribers := 0
	for _, l := range c.lists {
		subscribers += l.count("subscribed")
	}
	return object{
		"account_id": itoa(c.info.ID), "login_id": itoa(c.info.ID), "account_name": c.info.Name, "email": c.info.Email,
		"first_name": first, "last_name": last, "username": c.info.Email, "avatar_url": "", "role": c.info.Role(),
		"member_since": stamp(c.created), "pricing_plan_type": "monthly", "first_payment": stamp(c.created),
		"account_timezone": "Europe/London", "account_industry": "other", "contact": c.contact(),
		"pro_enabled": false, "last_login": stamp(c.now), "total_subscribers": subscribers,
		"industry_stats": object{"open_rate": 0.2, "bounce_rate": 0.01, "click_rate": 0.03},
		"_links": []object{
			c.link("self", "/", "GET", "Root"), c.link("lists", "/lists", "GET", "Lists"), c.link("campaigns", "/campaigns", "GET", "Campaigns"),
			c.link("reports", "/reports", "GET", "Reports"), c.link("search-members", "/search-members", "GET", ""),
			c.link("search-campaigns", "/search-campaigns", "GET", ""),
		},
	}, nil
}

func (a *account) contact() object {
	return object{"company": a.info.Name, "addr1": "1 Sandbox Street", "addr2": "", "city": "London", "state": "", "zip": "EC1A 1AA", "country": "GB", "phone": ""}
}
