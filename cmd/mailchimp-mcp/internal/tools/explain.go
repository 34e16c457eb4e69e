package tools

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

// explain adds to what Mailchimp has refused which tool helps.
func explain(err error) error {
	e, ok := errors.AsType[*marketing.Error](err)
	if !ok || e.Status != http.StatusNotFound {
		return err
	}
	if hint := whereToLook(e.Path.Parts()); hint != "" {
		return fmt.Errorf("%w: %s", err, hint)
	}
	return err
}

// whereToLook names the tools that list what a path is made of.
func whereToLook(parts []string) string {
	if len(parts) < 2 {
		return ""
	}
	id := parts[1]
	switch {
	case parts[0] == "campaigns":
		return fmt.Sprintf("list_campaigns and search_campaigns have the campaigns that there are, %q may not be one", id)
	case parts[0] == "reports":
		return fmt.Sprintf("list_reports has the campaigns with a report, %q may not be one, or has not been sent yet", id)
	case parts[0] != "lists":
		return ""
	case len(parts) > 3 && parts[2] == "members":
		return fmt.Sprintf("nobody with this e-mail address is in audience %q: search_members finds people in all audiences, list_audiences has the audiences that there are", id)
	case len(parts) > 3 && parts[2] == "segments":
		return fmt.Sprintf("list_segments has the segments of audience %q, %q may not be one; list_audiences has the audiences that there are", id, parts[3])
	}
	return fmt.Sprintf("list_audiences has the audiences that there are, %q may not be one", id)
}
