package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// explain words the error of a command for the terminal: a status without its
// machinery, and with flags in place of the fields of requests.
func explain(cmd *cobra.Command, err error) string {
	st, ok := status.FromError(err)
	if !ok || st.Code() == codes.Unknown {
		return err.Error()
	}
	text := st.Message()
	if field := fieldOf(st); field != "" {
		text = nameFlag(cmd, field, text)
	}
	if reason := reasonOf(err); reason != "" {
		return fmt.Sprintf("%s (%s)", text, reason)
	}
	return text
}

// fieldOf returns the field of the request that is at fault, or "".
func fieldOf(st *status.Status) string {
	for _, detail := range st.Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok && len(bad.GetFieldViolations()) == 1 {
			return bad.GetFieldViolations()[0].GetField()
		}
	}
	return ""
}

// aboutParam is what a vault says of one of the params.
var aboutParam = regexp.MustCompile(`\A(\S+) ((?:is|must) .*)\z`)

// nameFlag puts the flag that fills a field in the field's place. Text about a
// field that has no flag, but is an argument, stays as it is.
func nameFlag(cmd *cobra.Command, field, text string) string {
	about, found := strings.CutPrefix(text, field+": ")
	flag := flagOf(field)
	if !found || cmd.Flags().Lookup(flag) == nil {
		return text
	}
	if param := aboutParam.FindStringSubmatch(about); field == "params" && param != nil {
		return fmt.Sprintf("--%s %s=...: %s", flag, param[1], param[2])
	}
	return fmt.Sprintf("--%s: %s", flag, about)
}

// flagOf returns what the flag of a field is called.
func flagOf(field string) string {
	switch field {
	case "params":
		return "param"
	case "scopes":
		return "scope"
	case "required_scopes":
		return "require-scope"
	case "api_key":
		return "key"
	case "client_secret":
		return "secret"
	}
	return strings.ReplaceAll(field, "_", "-")
}
