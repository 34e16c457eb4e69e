package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

func TestALinkInVainIsToldWithTheCommandThatWasRun(t *testing.T) {
	for _, row := range []struct{ name, line, want string }{
		{"a code", "connect alice acme --device", "connect --device alice acme` for a new one"},
		{"a link", "connect --wait=true --json=false alice acme", "connect --wait alice acme` for a new one"},
		{"lists", "connect alice shop --param shop=a --scope b,c --scope d --label work --device",
			"connect --device --label work --param shop=a --scope b --scope c --scope d alice shop`"},
		{"words to quote", "connect --login-hint a&b --wait -- -x acme", "connect --login-hint 'a&b' --wait -- -x acme`"},
		{"another vault", "connect --addr 127.0.0.1:1 --wait alice acme", "connect --addr 127.0.0.1:1 --wait alice acme`"},
	} {
		t.Run(row.name, func(t *testing.T) {
			root := newRoot()
			cmd, rest, err := root.Find(strings.Fields(row.line))
			if err != nil {
				t.Fatal(err)
			}
			cmd.SetOut(io.Discard)
			if err := cmd.ParseFlags(rest); err != nil {
				t.Fatal(err)
			}
			args := cmd.Flags().Args()
			c := connectCommand{again: commandLine(cmd, args)}
			c.grant.device = cmd.Flags().Changed("device")
			got := c.inVain().Error()
			if !strings.Contains(got, "declined, or nobody has finished in time. Run `"+os.Args[0]+" "+row.want) {
				t.Errorf("%s\nwant %s", got, row.want)
			}
		})
	}
}
