package browsertest

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// complaints are what the browser has against the pages of a tab.
type complaints struct {
	mu  sync.Mutex
	all []string
}

// listen takes in the events of the DevTools protocol.
func (c *complaints) listen(event any) {
	switch e := event.(type) {
	case *log.EventEntryAdded:
		// The log also has a line for every page that is an error, which may be as it
		// is to be. What pages have failed to load comes from the network's events.
		if e.Entry.Source != log.EntrySourceNetwork && (e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning) {
			c.add("%s: %s", e.Entry.Source, e.Entry.Text)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			c.add("console: %s", asJSON(e.Args))
		}
	case *runtime.EventExceptionThrown:
		c.add("exception: %v", e.ExceptionDetails)
	case *network.EventResponseReceived:
		if e.Type != network.ResourceTypeDocument && e.Response.Status >= 400 {
			c.add("%s: status %d", e.Response.URL, e.Response.Status)
		}
	case *network.EventLoadingFailed:
		if e.Type != network.ResourceTypeDocument && !e.Canceled {
			c.add("a %s was not loaded: %s %s", e.Type, e.ErrorText, e.BlockedReason)
		}
	case *audits.EventIssueAdded:
		c.add("issue: %s %s", e.Issue.Code, asJSON(e.Issue.Details))
	}
}

func (c *complaints) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, fmt.Sprintf(format, args...))
}

// take returns the complaints so far, once.
func (c *complaints) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.all
	c.all = nil
	return all
}

func (tab *Tab) checkComplaints() {
	tab.t.Helper()
	for _, complaint := range tab.take() {
		tab.t.Errorf("browsertest: the browser complains: %s", complaint)
	}
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
