package tools

import (
	"context"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

func (r *registry) addAccount() {
	add(r, tool{
		name: "ping", title: "Check the connection",
		description: "Checks that Mailchimp's API is reached and takes the credentials. Other tools need no ping first.",
	}, ping)
	add(r, tool{
		name: "get_account", title: "Get the account",
		fields:      "industry_stats, last_login",
		description: "Returns the Mailchimp account: name, the person's role in it, e-mail address, plan, time zone, and how many subscribers it has.",
	}, getAccount)
}

type pingInput struct{}

func ping(ctx context.Context, c *marketing.Client, _ pingInput) (answer, error) {
	path, err := marketing.NewPath("ping")
	if err != nil {
		return nil, err
	}
	return c.Get(ctx, path, nil)
}

func getAccount(ctx context.Context, c *marketing.Client, in choice) (answer, error) {
	return selection{
		id:    []string{"account_id", "account_name"},
		usual: []string{"email", "first_name", "last_name", "role", "pricing_plan_type", "account_timezone", "member_since", "total_subscribers"},
	}.one(ctx, c, marketing.Path{}, in.Fields)
}
