// Package marketing is a made-up Mailchimp Marketing API 3.0: audiences, members,
// tags, segments, campaigns, reports and search of accounts that do not exist. It
// sends nothing to anybody.
//
// It is an http.Handler for each account and knows nothing of tokens: whoever
// mounts it has found out whose request it is. What an account holds is made up
// when it is first used, always the same for one account and one moment, and kept
// in memory; what one request changes the next one sees.
//
// It is the strict party. Where Mailchimp's reference documents that something is
// refused, it is refused here with the same status, title and shape
// (application/problem+json). Parameters and fields that the reference does not have
// are refused too, although the real one ignores them: a misspelt name is found at
// once.
//
// Campaigns that were sent are opened and clicked as time goes by, by Config.Now.
package marketing
