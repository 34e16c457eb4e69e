package gateway

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestThePortalsTextsAreThoseThatItUses fails for a text that a page asks for and the
// catalogue does not have, and for one that nothing asks for.
func TestThePortalsTextsAreThoseThatItUses(t *testing.T) {
	catalogue, used := english(), map[string]bool{}
	note := func(sources fs.FS, glob string, patterns ...string) {
		names, err := fs.Glob(sources, glob)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v, %v", glob, names, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			content, err := fs.ReadFile(sources, name)
			if err != nil {
				t.Fatal(err)
			}
			for _, pattern := range patterns {
				for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(content), -1) {
					used[match[1]] = true
				}
			}
		}
	}
	note(templates, "templates/portal/*.html", `\bt "([^"]+)"`)
	note(os.DirFS("."), "portal*.go", `(?:say|rame)\((?:r, )?"([^"]+)"[,)]`, `Key: "([^"]+)"`, `Key = "([^"]+)"`)
	for _, dynamic := range []string{"connected", "expiring", "attention", "none"} {
		used["status."+dynamic] = true
	}
	for _, unit := range []string{"minute", "hour", "day", "month", "year"} {
		used["time."+unit+".one"], used["time."+unit+".many"] = true, true
	}
	for key := range used {
		if text, ok := catalogue[key]; !ok || text == "" {
			t.Errorf("there is no text %q", key)
		}
	}
	for key := range catalogue {
		if !used[key] && !strings.HasPrefix(key, "problem.") {
			t.Errorf("nothing uses the text %q", key)
		}
	}
}

// TestNoTextOfThePortalIsInItsTemplates keeps English out of where a translator does
// not look.
func TestNoTextOfThePortalIsInItsTemplates(t *testing.T) {
	names, err := fs.Glob(templates, "templates/portal/*.html")
	if err != nil {
		t.Fatal(err)
	}
	action, tag := regexp.MustCompile(`{{[^}]*}}`), regexp.MustCompile(`<[^>]*>`)
	word := regexp.MustCompile(`[A-Za-z]{2,}`)
	for _, name := range names {
		content, err := fs.ReadFile(templates, name)
		if err != nil {
			t.Fatal(err)
		}
		rest := tag.ReplaceAllString(action.ReplaceAllString(string(content), ""), "")
		if found := word.FindAllString(rest, -1); found != nil {
			t.Errorf("%s says %q", name, found)
		}
	}
}

func TestTextsTakeTheArgumentsThatTheyGet(t *testing.T) {
	catalogue := english()
	for key := range catalogue {
		if !strings.HasPrefix(key, "problem.") {
			continue
		}
		if got := catalogue.about(strings.TrimPrefix(key, "problem."), "Acme"); strings.Contains(got, "%!") {
			t.Errorf("%s: %s", key, got)
		}
	}
	if got := catalogue.about("SOMETHING_ELSE", "Acme"); got != catalogue["problem."] {
		t.Errorf("an unknown reason is worded %q", got)
	}
}

func TestTimesInWords(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for away, want := range map[time.Duration]string{
		0: "in less than a minute", 59 * time.Second: "in less than a minute", -59 * time.Second: "just now",
		time.Minute: "in 1 minute", -time.Minute: "1 minute ago", 119 * time.Minute: "in 119 minutes", 2 * time.Hour: "in 2 hours",
		47 * time.Hour: "in 47 hours", -48 * time.Hour: "2 days ago", 59 * 24 * time.Hour: "in 59 days", 60 * 24 * time.Hour: "in 2 months",
		-365 * 24 * time.Hour: "1 year ago", 800 * 24 * time.Hour: "in 2 years",
	} {
		if got := english().relative(now.Add(away), now); got != want {
			t.Errorf("%v away is %q, want %q", away, got, want)
		}
	}
}

func TestANoteIsBelievedOnlyFromTheSignInThatItWasMadeFor(t *testing.T) {
	p := &portal{note: newCookie("note", false, "", noteLifetime)}
	for _, row := range []struct {
		name         string
		made, shown  string
		change       func(string) string
		wantBelieved bool
	}{
		{"as it was made", "alice", "alice", func(s string) string { return s }, true},
		{"of another sign-in", "mallory", "alice", func(s string) string { return s }, false},
		{"changed", "alice", "alice", func(s string) string { return "e30" + s[3:] }, false},
		{"without a seal", "alice", "alice", func(s string) string { text, _, _ := strings.Cut(s, "."); return text }, false},
		{"nonsense", "alice", "alice", func(string) string { return "..." }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			sealed := httptest.NewRecorder()
			p.leave(sealed, row.made, note{Key: "note.connected", Provider: "acme"})
			value, _, _ := strings.Cut(strings.TrimPrefix(sealed.Header().Get("Set-Cookie"), "note="), ";")
			r := httptest.NewRequest(http.MethodGet, "/portal", nil)
			r.Header.Set("Cookie", "note="+row.change(value))
			got := p.take(httptest.NewRecorder(), r, row.shown)
			if (got != nil) != row.wantBelieved {
				t.Errorf("note = %v, want believed: %v", got, row.wantBelieved)
			}
			if row.wantBelieved && fmt.Sprint(*got) != fmt.Sprint(note{Key: "note.connected", Provider: "acme"}) {
				t.Errorf("note = %v", *got)
			}
		})
	}
}
