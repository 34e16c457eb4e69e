package browsertest

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// chromium is the browser of all the tests here: starting one takes longer than
// most of them.
var chromium *Chromium

func TestMain(m *testing.M) {
	screenshots := flag.String("screenshots", "", "folder for pictures of every page")
	flag.Parse()
	os.Exit(runTests(m, *screenshots))
}

func runTests(m *testing.M, screenshots string) (code int) {
	var err error
	if chromium, err = Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := chromium.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	chromium.Screenshots = screenshots
	return m.Run()
}
