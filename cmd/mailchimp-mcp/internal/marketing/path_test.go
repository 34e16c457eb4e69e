package marketing_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/cmd/mailchimp-mcp/internal/marketing"
)

func TestAnIDLeadsNowhereElse(t *testing.T) {
	for name, id := range map[string]string{
		"empty": "", "parent": "..", "here": ".", "two parts": "a/b", "up and down": "a/../../campaigns", "escaped slash": "a%2Fb", "escaped dots": "%2e%2e",
		"query": "a?count=1000", "fragment": "a#b", "backslash": `a\b`, "space": "a b", "line end": "a\n", "zero": "a\x00", "semicolon": "a;b", "colon": "a:b",
		"at": "a@evil.example", "letters of another script": "\u0430bc", "not UTF-8": "a\xff", "long": strings.Repeat("a", 65),
	} {
		t.Run(name, func(t *testing.T) {
			if path, err := marketing.NewPath("lists", id, "members"); err == nil {
				t.Errorf("got the path %q of %q, want an error", path, id)
			}
		})
	}
}

func TestAPathIsOfItsParts(t *testing.T) {
	path, err := marketing.NewPath("lists", "a1b2c3d4e5", "merge-fields")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := path.String(), "lists/a1b2c3d4e5/merge-fields"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (marketing.Path{}).String(); got != "" {
		t.Errorf("got %q for the root, want nothing", got)
	}
}

func FuzzNewPath(f *testing.F) {
	for _, seed := range []string{"", ".", "..", "a1b2c3d4e5", "a/b", "../campaigns", "a?b", "a#b", "a%2fb", "a\\b", "a\r\nHost: b", "//evil.example", "\u202e", "a;b", "1234", "-", "_"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		path, err := marketing.NewPath("lists", id, "members")
		if err != nil {
			return
		}
		u, err := url.Parse("https://us6.api.mailchimp.com/3.0/" + path.String())
		if err != nil {
			t.Fatalf("the path of %q: %v", id, err)
		}
		if got, want := u.Path, "/3.0/lists/"+id+"/members"; got != want || u.Host != "us6.api.mailchimp.com" || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("%q leads to %s", id, u)
		}
		if clean := u.JoinPath(); clean.Path != u.Path {
			t.Errorf("%q leads to %s once it is cleaned", id, clean)
		}
	})
}

func TestAMemberIsFoundByAddress(t *testing.T) {
	// The example in Mailchimp's documentation.
	const want = "62eeb292278cc15f5817cb78f7790b08"
	for name, address := range map[string]string{"as documented": "Urist.McVankab@freddiesjokes.com", "lower case": "urist.mcvankab@freddiesjokes.com", "spaces around": " urist.mcvankab@freddiesjokes.com\n"} {
		t.Run(name, func(t *testing.T) {
			got, err := marketing.SubscriberHash(address)
			if err != nil || got != want {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
}

func TestWhatIsNoAddressIsRefused(t *testing.T) {
	for name, address := range map[string]string{
		"empty": "", "a name": "Urist", "with a name": "Urist <urist@example.com>", "two": "a@example.com,b@example.com", "no host": "urist@", "line end within": "urist@exam\nple.com",
		"long": strings.Repeat("a", 250) + "@example.com",
	} {
		t.Run(name, func(t *testing.T) {
			if hash, err := marketing.SubscriberHash(address); err == nil {
				t.Errorf("got %q, want an error", hash)
			}
		})
	}
}
