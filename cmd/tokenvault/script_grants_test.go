package main

import (
	"net/http"
	"net/url"
	"os"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tokenvault/tokenvault/vault/sandbox"
)

// scriptExpand fills variables into files: expand FILES...
func scriptExpand(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

// scriptEnterCode has a person enter a device's code: entercode PAGE CODE.
func scriptEnterCode(ts *testscript.TestScript, _ bool, args []string) {
	resp, err := http.PostForm(args[0], url.Values{
		"decision": {"approve"}, "account": {strconv.Itoa(sandbox.DefaultAccounts()[0].ID)}, "user_code": {args[1]},
	})
	ts.Check(err)
	ts.Check(resp.Body.Close())
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("the page answered with status %d", resp.StatusCode)
	}
}
