package client

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// latestEnd is far away, and still a time that can be reckoned with, in seconds.
const latestEnd = 1 << 40

// endOf returns when a subject token says that it ends (exp of RFC 7519, section 4.1.4).
// Zero: it does not say. Nobody has verified that: it may be used to believe an answer
// for a shorter time, and for nothing else.
func endOf(token secret.String) time.Time {
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		End float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.End <= 0 || claims.End > latestEnd {
		return time.Time{}
	}
	return time.Unix(int64(claims.End), 0)
}
