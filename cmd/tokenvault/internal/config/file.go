package config

import "github.com/tokenvault/tokenvault/vault/provider"

// file is tokenvault.yaml as it is written.
type file struct {
	Listen struct {
		GRPC string `yaml:"grpc"`
		HTTP string `yaml:"http"`
	} `yaml:"listen"`
	PublicURL string  `yaml:"public_url"`
	TLS       fileTLS `yaml:"tls"`
	Storage   struct {
		Bolt struct {
			Path string `yaml:"path"`
		} `yaml:"bolt"`
	} `yaml:"storage"`
	MasterKey   string                  `yaml:"master_key"`
	Binding     string                  `yaml:"binding"`
	Login       *fileLogin              `yaml:"login"`
	ConsentPage bool                    `yaml:"consent_page"`
	Portal      filePortal              `yaml:"portal"`
	ReturnURLs  []string                `yaml:"return_urls"`
	Proxies     []string                `yaml:"trusted_proxies"`
	Providers   map[string]fileProvider `yaml:"providers"`
	Callers     []fileCaller            `yaml:"callers"`
	// SubjectTokens are the tokens of users.
	SubjectTokens *fileSubjectTokens `yaml:"subject_tokens"`
	// Issuers are those of JWTs about which more has to be said than their URL.
	Issuers map[string]fileIssuer `yaml:"issuers"`
	Audit   struct {
		Path string `yaml:"path"`
	} `yaml:"audit"`
}

type fileIssuer struct {
	JWKSURI   string `yaml:"jwks_uri"`
	CAFile    string `yaml:"ca_file"`
	TokenFile string `yaml:"token_file"`
}

type fileSubjectTokens struct {
	Tenant   string `yaml:"tenant"`
	Issuer   string `yaml:"issuer"`
	Audience string `yaml:"audience"`
	Claim    string `yaml:"claim"`
}

type filePortal struct {
	Name        string   `yaml:"name"`
	Logo        string   `yaml:"logo"`
	AccentColor string   `yaml:"accent_color"`
	Providers   []string `yaml:"providers"`
}

type fileLogin struct {
	Tenant       string   `yaml:"tenant"`
	Issuer       string   `yaml:"issuer"`
	ClientID     string   `yaml:"client_id"`
	ClientSecret string   `yaml:"client_secret"`
	SubjectClaim string   `yaml:"subject_claim"`
	Scopes       []string `yaml:"scopes"`
}

type fileProvider struct {
	Template            string `yaml:"template"`
	ClientID            string `yaml:"client_id"`
	ClientSecret        string `yaml:"client_secret"`
	ClientKey           string `yaml:"client_key"`
	ClientKeyID         string `yaml:"client_key_id"`
	provider.Definition `yaml:",inline"`
}

type fileCaller struct {
	Name        string    `yaml:"name"`
	TokenSHA256 oneOrMore `yaml:"token_sha256"`
	SPIFFEID    string    `yaml:"spiffe_id"`
	DNSName     string    `yaml:"dns_name"`
	JWT         *struct {
		Issuer   string `yaml:"issuer"`
		Audience string `yaml:"audience"`
		Subject  string `yaml:"subject"`
	} `yaml:"jwt"`
	Tenant              string   `yaml:"tenant"`
	RPCs                []string `yaml:"rpcs"`
	Providers           []string `yaml:"providers"`
	Subjects            []string `yaml:"subjects"`
	RequireSubjectToken bool     `yaml:"require_subject_token"`
}

// oneOrMore is a text, or a list of texts.
type oneOrMore []string

// UnmarshalYAML implements yaml.InterfaceUnmarshaler.
func (o *oneOrMore) UnmarshalYAML(decode func(any) error) error {
	var one string
	if decode(&one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return decode((*[]string)(o))
}
