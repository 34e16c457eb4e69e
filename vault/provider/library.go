package provider

import (
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/endpoints"
)

// libraryEndpoints returns what golang.org/x/oauth2/endpoints has, by the name
// that it has there. Functions are given names for what differs from one
// connection to the next; see variableNames.
func libraryEndpoints() map[string]oauth2.Endpoint {
	return map[string]oauth2.Endpoint{
		"Amazon":           endpoints.Amazon,
		"Apple":            endpoints.Apple,
		"Asana":            endpoints.Asana,
		"Badgr":            endpoints.Badgr,
		"Battlenet":        endpoints.Battlenet,
		"Bitbucket":        endpoints.Bitbucket,
		"Cern":             endpoints.Cern,
		"Coinbase":         endpoints.Coinbase,
		"Discord":          endpoints.Discord,
		"Dropbox":          endpoints.Dropbox,
		"Endpoint":         endpoints.Endpoint,
		"Facebook":         endpoints.Facebook,
		"Foursquare":       endpoints.Foursquare,
		"Fitbit":           endpoints.Fitbit,
		"GitHub":           endpoints.GitHub,
		"GitLab":           endpoints.GitLab,
		"Google":           endpoints.Google,
		"Heroku":           endpoints.Heroku,
		"HipChat":          endpoints.HipChat,
		"Instagram":        endpoints.Instagram,
		"KaKao":            endpoints.KaKao,
		"Line":             endpoints.Line,
		"LinkedIn":         endpoints.LinkedIn,
		"Mailchimp":        endpoints.Mailchimp,
		"Mailru":           endpoints.Mailru,
		"MediaMath":        endpoints.MediaMath,
		"MediaMathSandbox": endpoints.MediaMathSandbox,
		"Microsoft":        endpoints.Microsoft,
		"Naver":            endpoints.Naver,
		//lint:ignore SA1019 the catalogue has the whole package
		"NokiaHealth":        endpoints.NokiaHealth,
		"Odnoklassniki":      endpoints.Odnoklassniki,
		"OpenStreetMap":      endpoints.OpenStreetMap,
		"Patreon":            endpoints.Patreon,
		"PayPal":             endpoints.PayPal,
		"PayPalSandbox":      endpoints.PayPalSandbox,
		"Pinterest":          endpoints.Pinterest,
		"Pipedrive":          endpoints.Pipedrive,
		"QQ":                 endpoints.QQ,
		"Rakuten":            endpoints.Rakuten,
		"Slack":              endpoints.Slack,
		"Splitwise":          endpoints.Splitwise,
		"Spotify":            endpoints.Spotify,
		"StackOverflow":      endpoints.StackOverflow,
		"Strava":             endpoints.Strava,
		"Twitch":             endpoints.Twitch,
		"Uber":               endpoints.Uber,
		"Vk":                 endpoints.Vk,
		"Withings":           endpoints.Withings,
		"X":                  endpoints.X,
		"Yahoo":              endpoints.Yahoo,
		"Yandex":             endpoints.Yandex,
		"Zoom":               endpoints.Zoom,
		"AsgardeoEndpoint":   endpoints.AsgardeoEndpoint("variable-tenant"),
		"AzureAD":            endpoints.AzureAD("variable-tenant"),
		"AzureADB2CEndpoint": endpoints.AzureADB2CEndpoint("variable-tenant", "variable-policy"),
		"AWSCognito":         endpoints.AWSCognito("https://variable-domain.auth.variable-region.amazoncognito.com"),
		"HipChatServer":      endpoints.HipChatServer("variable-host"),
		"Shopify":            endpoints.Shopify("variable-shop.myshopify.com"),
	}
}
