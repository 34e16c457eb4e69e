package config_test

import (
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
)

// loadProvider reads a provider of a file of that text.
func loadProvider(text, name string) (*config.ProviderSource, error) {
	src := source()
	secrets := src.ReadFile
	src.ReadFile = func(path string) ([]byte, error) {
		if path == "/etc/vault/tokenvault.yaml" {
			return []byte(text), nil
		}
		return secrets(path)
	}
	return config.LoadProvider("/etc/vault/tokenvault.yaml", name, src)
}

func TestOneProviderIsReadWhateverIsWrongElsewhere(t *testing.T) {
	p, err := loadProvider(strings.Replace(good, "file:master.key", "file:nowhere.key", 1), "mailchimp")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Problems) > 0 || p.Template != "mailchimp" || p.Config.RedirectURL != "https://connect.example.com/oauth/mailchimp/callback" || p.Config.ClientSecret.Reveal() != "canary" {
		t.Errorf("provider = %+v", p)
	}
	if len(p.Client) != 2 || p.Client[1] != (config.Value{Key: "client_secret", Text: "env:SECRET"}) {
		t.Errorf("client = %v", p.Client)
	}
	if got := p.Line([]string{"client_secret"}); got != 12 {
		t.Errorf("line = %d, want 12", got)
	}
}

func TestWhatIsWrongWithAProviderDoesNotHideTheRest(t *testing.T) {
	p, err := loadProvider(strings.Replace(good, "env:SECRET", "canary", 1), "mailchimp")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Problems) != 1 || !strings.Contains(p.Problems[0].String(), ":12: providers.mailchimp.client_secret: write a reference") {
		t.Errorf("problems = %v", p.Problems)
	}
	for _, v := range p.Client {
		if strings.Contains(v.Text, "canary") {
			t.Errorf("%s shows what may be a secret", v.Key)
		}
	}
}

func TestAProviderThatThereIsNotIsNamed(t *testing.T) {
	for name, want := range map[string]string{
		"mailchip": "did you mean mailchimp?",
		"google":   "but has mailchimp; the catalogue has google: leave out --config",
		"nobody":   "has no provider \"nobody\", but has mailchimp",
	} {
		if _, err := loadProvider(good, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %q", name, err, want)
		}
	}
	if _, err := loadProvider("providers: [", "mailchimp"); err == nil {
		t.Error("a file that is not YAML was read")
	}
}

func TestUnknownKeysElsewhereDoNotMatterToAProvider(t *testing.T) {
	p, err := loadProvider(strings.Replace(good, "binding: link", "binding: link\nxyzzy: 1", 1), "mailchimp")
	if err != nil || len(p.Problems) > 0 {
		t.Errorf("error = %v, problems = %v", err, p)
	}
	p, err = loadProvider(strings.Replace(good, "client_secret:", "client_secrt:", 1), "mailchimp")
	if err != nil || len(p.Problems) != 1 || !strings.Contains(p.Problems[0].String(), "did you mean client_secret?") {
		t.Errorf("error = %v, problems = %v", err, p)
	}
}
