// Package tools has the tools of an MCP server for Mailchimp: what they are called, what
// they take, and what they answer.
//
// Names and parameters are such as a model gets right the first time: audiences and
// campaigns by their IDs, members by their e-mail address, times in ISO 8601. Answers are
// small: each tool has Mailchimp send few fields, and takes others by name.
//
// There is no tool that sends a campaign at once, and none that deletes people for good.
// Tools that change something are there only where [Config].AllowWrites says so. What
// Mailchimp refuses is an answer to the model, in words, with what to do about it.
package tools
