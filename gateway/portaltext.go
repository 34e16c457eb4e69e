package gateway

import (
	"fmt"
	"strings"
	"time"
)

// texts is all that the portal says, by key: what a translation has to say in its
// own words. Texts with arguments name them by number, so that their order is free.
type texts map[string]string

// say returns a text. A key that there is not shows as itself; a test keeps that from
// happening.
func (t texts) say(key string, args ...any) string {
	text, ok := t[key]
	if !ok {
		return key
	}
	if len(args) == 0 || !strings.Contains(text, "%") {
		return text // it may leave out what it could tell
	}
	return fmt.Sprintf(text, args...)
}

// about says how an action has ended at a provider. Reasons without words of their own
// have those of the empty one.
func (t texts) about(reason, providerName string) string {
	if _, ok := t["problem."+reason]; !ok {
		reason = ""
	}
	return t.say("problem."+reason, providerName)
}

// relative says when something was or will be. The page's script says it in the
// reader's language.
func (t texts) relative(at, now time.Time) string {
	away := at.Sub(now)
	past := away < 0
	if past {
		away = -away
	}
	unit, n := "minute", int(away/time.Minute)
	switch {
	case away < time.Minute:
		if past {
			return t.say("time.just_now")
		}
		return t.say("time.soon")
	case away >= 365*24*time.Hour:
		unit, n = "year", int(away/(365*24*time.Hour))
	case away >= 60*24*time.Hour:
		unit, n = "month", int(away/(30*24*time.Hour))
	case away >= 48*time.Hour:
		unit, n = "day", int(away/(24*time.Hour))
	case away >= 2*time.Hour:
		unit, n = "hour", int(away/time.Hour)
	}
	number := "many"
	if n == 1 {
		number = "one"
	}
	amount := t.say("time."+unit+"."+number, n)
	if past {
		return t.say("time.ago", amount)
	}
	return t.say("time.in", amount)
}

// english is the portal in English.
func english() texts {
	return texts{
		"lang":   "en",
		"period": "2 Jan 2006, 15:04 UTC", // a layout of package time

		"title":             "Your connections",
		"skip":              "Skip to the content",
		"signed_in_as":      "Signed in as",
		"sign_out":          "Sign out",
		"back_to":           "Back to %[1]s",
		"lead":              "These are the accounts that programs may use for you. You can take that back at any time.",
		"yours":             "Connected",
		"available":         "Available",
		"nothing":           "There is nothing that you could connect here.",
		"nothing_connected": "Nothing is connected yet. Choose a service below to begin.",
		"summary.connected": "%[1]d connected",
		"summary.attention": "%[1]d to look at",
		"update":            "This page has been brought up to date.",
		"session_ends":      "You are signed out automatically",
		"footer":            "Passwords are never seen or kept here. Access is stored encrypted, and handed only to the programs that you use.",

		"status.connected": "Connected",
		"status.expiring":  "Expiring soon",
		"status.attention": "Needs attention",
		"status.none":      "Not connected",

		"account":              "Account",
		"account_unknown":      "Not known",
		"connected_on":         "Connected",
		"token":                "Access expires",
		"token_never":          "Does not expire",
		"token_renewed":        "renewed automatically",
		"last_used":            "Last used",
		"never":                "Not yet",
		"permissions":          "Permissions",
		"permissions_unnamed":  "Those of the account",
		"api_key":              "API key",
		"api_key_fallback":     "Stored. It is used when the connection does not work.",
		"api_key_serves":       "Stored, and in use.",
		"label":                "Name",
		"expiring_explained":   "This connection will stop working soon. Connect it again to keep it.",
		"attention_explained":  "This connection does not work any more. Connect it again.",
		"failing":              "%[1]s is not answering as it should at the moment. Connections stay as they are.",
		"failing_short":        "Not answering at the moment",
		"connect":              "Connect",
		"connect_again":        "Connect again",
		"connect_another":      "Connect another account",
		"refresh":              "Refresh",
		"disconnect":           "Disconnect",
		"use_key":              "Use an API key",
		"replace_key":          "Replace API key",
		"remove_key":           "Remove API key",
		"cancel":               "Cancel",
		"keep":                 "Keep it",
		"to_portal":            "Back to your connections",
		"of":                   "%[1]s %[2]s",
		"connect_another_of":   "Connect another account at %[1]s",
		"provider_labelled":    "%[1]s (%[2]s)",
		"redirect.title":       "One moment",
		"redirect.text":        "You are being sent to %[1]s.",
		"redirect.sign_in":     "You are being sent to sign in.",
		"redirect.button":      "Go on",
		"connect.title":        "Connect %[1]s",
		"connect.text":         "You will be sent to %[1]s to allow access, and come back here.",
		"connect.label":        "A name for this connection",
		"connect.label_hint":   "It tells several accounts apart, such as work or shop-2. Letters, digits, dots, dashes and underscores.",
		"connect.label_error":  "Choose a name of 1 to 64 letters, digits, dots, dashes and underscores.",
		"connect.label_taken":  "There is a connection of that name already. Choose another one.",
		"connect.field":        "%[1]s",
		"connect.field_hint":   "The part of your address at %[1]s, such as the name of your shop.",
		"connect.field_error":  "This is not a value that %[1]s takes. Look at how your address there is written.",
		"key.title":            "Use an API key for %[1]s",
		"key.text":             "The key is stored encrypted and is never shown again. It is used when there is no other connection that works.",
		"key.field":            "API key",
		"key.field_hint":       "Copy it from the settings of your %[1]s account.",
		"key.field_error":      "That does not look like an API key of %[1]s. Copy it once more, without spaces.",
		"key.submit":           "Store the key",
		"disconnect.title":     "Disconnect %[1]s?",
		"disconnect.text":      "Programs lose access to this account at once. Where %[1]s offers it, the access is revoked there, too.",
		"disconnect.account":   "The account is %[1]s.",
		"disconnect.key_stays": "The API key stays, and is used from then on.",
		"remove_key.title":     "Remove the API key of %[1]s?",
		"remove_key.text":      "It is deleted here. At %[1]s the key goes on working until you delete it there.",
		"open.title":           "Open your connections",
		"open.text":            "This opens the connections of",
		"open.warning":         "If that is not you, close this window: an account that you connect there would be somebody else's to use.",
		"open.button":          "Continue",
		"sign_in.title":        "You are not signed in",
		"sign_in.ended":        "You are not signed in here, or not any more. Nothing was changed.",
		"sign_in.how":          "Sign in to see your connections.",
		"sign_in.link":         "Go back to the program that you came from, and open your connections from there.",
		"sign_in.button":       "Sign in",
		"signed_out.title":     "You are signed out",
		"signed_out.text":      "Your connections go on working. You can close this window.",
		"signed_out.here":      "This browser is signed out. Something is wrong on our side at the moment, so there is perhaps no record of it. Your connections go on working. You can close this window.",
		"link_expired.title":   "This link does not work any more",
		"link_expired.text":    "Links to your connections work for five minutes. Nothing was changed.",
		"link_used.title":      "This link has been used already",
		"link_used.text":       "Each link opens your connections once. Nothing was changed.",
		"link_next":            "Go back to the program that you came from, and open your connections from there again.",
		"sign_in_failed.title": "Signing in did not work",
		"sign_in_failed.text":  "The service that signs people in does not answer as it should. Nothing was changed. Try again in a few minutes.",
		"stale.title":          "This page is out of date",
		"stale.text":           "Nothing was changed. You have signed in again since the page was loaded, perhaps in another tab, or the request came from another site. Load your connections anew and try once more.",
		"failed.title":         "That did not work",

		"note.connected":                   "%[1]s is connected.",
		"note.refreshed":                   "%[1]s was refreshed, and works.",
		"note.revoked":                     "%[1]s is disconnected. %[1]s has confirmed that the access is revoked.",
		"note.not_supported":               "%[1]s is disconnected: programs cannot use it any more. %[1]s offers no way to revoke the access from here.",
		"note.not_confirmed":               "%[1]s is disconnected: programs cannot use it any more. %[1]s did not confirm that the access is revoked there; we keep trying.",
		"note.key_stored":                  "The API key for %[1]s is stored.",
		"note.key_removed":                 "The API key for %[1]s is removed here. To be safe, delete it in your %[1]s account, too.",
		"note.gone":                        "%[1]s was not connected any more. Nothing was changed.",
		"note.key_gone":                    "There was no API key for %[1]s any more. Nothing was changed.",
		"note.signed_in":                   "You are signed in.",
		"note.some_provider":               "The service",
		"problem.":                         "Something went wrong on our side. Look below whether anything has changed, and try again in a moment.",
		"problem.STOPPING":                 "The service is restarting. Try again in a moment.",
		"problem.SIGN_IN_REQUIRED":         "You are not signed in any more. Nothing was changed.",
		"problem.ACCESS_DENIED":            "%[1]s was not connected, because access was declined there. Nothing was changed. Changed your mind? Choose Connect again.",
		"problem.ACCOUNT_MISMATCH":         "That was another %[1]s account than the one that is connected here. Nothing was changed. To have both, choose Connect another account; to change over, disconnect first.",
		"problem.AUTHORIZATION_FAILED":     "%[1]s did not accept the authorization. Nothing was changed. Try once more.",
		"problem.PROVIDER_UNAVAILABLE":     "%[1]s is not answering as it should. Nothing was changed. Try again in a few minutes.",
		"problem.PROVIDER_MISCONFIGURED":   "%[1]s does not take requests from here at the moment. Nothing was changed. The people who run this service have to see to it.",
		"problem.PROVIDER_UNKNOWN":         "That service cannot be connected here any more. Nothing was changed.",
		"problem.REAUTHORIZATION_REQUIRED": "%[1]s does not take this connection any more. Connect it again.",
		"problem.NOT_REFRESHABLE":          "There is nothing to refresh: this connection works until it expires, or until access is removed at %[1]s.",
		"problem.TOKEN_REFUSED":            "%[1]s has just refused this connection. If it stays so, access was removed there: connect it again.",
		"problem.NOT_CONNECTED":            "%[1]s is not connected any more. Nothing was changed.",
		"problem.GRANT_NOT_SUPPORTED":      "%[1]s cannot be connected in a browser here. Nothing was changed.",
		"problem.API_KEY_NOT_SUPPORTED":    "%[1]s is not used with API keys here. Nothing was changed.",
		"problem.SESSION_EXPIRED":          "That took too long, or the account was disconnected meanwhile. %[1]s was not connected. Try once more.",
		"problem.SESSION_USED":             "That had been finished already, perhaps in another tab. See below what is connected.",
		"problem.CALLER_FORBIDDEN":         "That is not something that you can do here. Nothing was changed.",
		"problem.AUDIT_UNAVAILABLE":        "The service cannot record what is done at the moment, and so does nothing. Nothing was changed. Try again later.",

		"time.just_now":    "just now",
		"time.soon":        "in less than a minute",
		"time.in":          "in %[1]s",
		"time.ago":         "%[1]s ago",
		"time.minute.one":  "%[1]d minute",
		"time.minute.many": "%[1]d minutes",
		"time.hour.one":    "%[1]d hour",
		"time.hour.many":   "%[1]d hours",
		"time.day.one":     "%[1]d day",
		"time.day.many":    "%[1]d days",
		"time.month.one":   "%[1]d month",
		"time.month.many":  "%[1]d months",
		"time.year.one":    "%[1]d year",
		"time.year.many":   "%[1]d years",
	}
}
