package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tokenvault": main})
}

// TestScripts runs the command lines in testdata, as people would.
func TestScripts(t *testing.T) {
	certificates := scriptCertificates(t)
	setup := func(env *testscript.Env) error {
		env.Setenv("CERTS", certificates)
		return setupScript(env)
	}
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: setup, Cmds: scriptCommands()})
}
