package access

import (
	"context"
	"fmt"
)

// staticTokens knows callers by the hashes of their tokens.
//
// The time of a look-up depends on the presented token's hash alone. To learn
// anything of a stored hash from it, one would need tokens with hashes of one's
// choice.
type staticTokens struct {
	callers map[TokenHash]*Caller
}

var _ authenticator = (*staticTokens)(nil)

func newStaticTokens() *staticTokens { return &staticTokens{callers: map[TokenHash]*Caller{}} }

func (s *staticTokens) add(rule Rule, caller *Caller) error {
	for _, hash := range rule.Tokens {
		if hash == (TokenHash{}) || hash == hashOfNothing() {
			return fmt.Errorf("access: the token hash of caller %q is that of no token", rule.Name)
		}
		if err := addCaller(s.callers, hash, caller, "token"); err != nil {
			return err
		}
	}
	return nil
}

// Recall implements authenticator. Nobody has the empty token.
func (s *staticTokens) Recall(shown Presented) *Caller {
	if shown.Bearer.IsZero() {
		return nil
	}
	return s.callers[HashToken(shown.Bearer)]
}

// Authenticate implements authenticator.
func (s *staticTokens) Authenticate(_ context.Context, shown Presented) (*Caller, error) {
	return s.Recall(shown), nil
}
