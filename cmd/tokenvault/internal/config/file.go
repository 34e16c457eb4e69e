package config

import "github.com/tokenvault/tokenvault/vault/provider"

// file is tokenvault.yaml as it is written.
type file struct {
	Listen struct {
		GRPC string `yaml:"grpc"`
		HTTP string `yaml:"http"`
	} `yaml:"listen"`
	PublicURL string `yaml:"public_url"`
	Storage   struct {
		Bolt struct {
			Path string `yaml:"path"`
		} `yaml:"bolt"`
	} `yaml:"storage"`
	MasterKey  string                  `yaml:"master_key"`
	Binding    string                  `yaml:"binding"`
	ReturnURLs []string                `yaml:"return_urls"`
	Providers  map[string]fileProvider `yaml:"providers"`
	Callers    []fileCaller            `yaml:"callers"`
	Audit      struct {
		Path string `yaml:"path"`
	} `yaml:"audit"`
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
	Name        string   `yaml:"name"`
	TokenSHA256 string   `yaml:"token_sha256"`
	Tenant      string   `yaml:"tenant"`
	RPCs        []string `yaml:"rpcs"`
	Providers   []string `yaml:"providers"`
	Subjects    []string `yaml:"subjects"`
}
