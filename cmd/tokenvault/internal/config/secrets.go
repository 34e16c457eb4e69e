package config

import (
	"errors"
	"io/fs"
	"regexp"
	"strings"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// reference is a secret's place: env:NAME or file:PATH.
type reference struct {
	text     secret.String
	describe string // for messages, such as "the file /etc/vault/master.key"
}

// environmentName is what a shell can set. What does not look like one may be a
// secret, and is not repeated.
var environmentName = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_]*\z`)

// resolve reads what a reference names. What it says never holds the value, since
// the value may be a secret that was written in place of a reference. how tells
// what to do where there is none.
func (r *reader) resolve(path []string, ref, how string) (reference, bool) {
	kind, name, _ := strings.Cut(ref, ":")
	switch {
	case ref == "":
		r.fail(path, "is missing: %s", how)
	case kind == "env" && environmentName.MatchString(name):
		value, ok := r.src.LookupEnv(name)
		found := reference{secret.New(value), "the environment variable " + name}
		switch {
		case !ok:
			r.fail(path, "%s is not set", found.describe)
		case value == "":
			r.fail(path, "%s is empty", found.describe)
		default:
			return found, true
		}
	case kind == "file" && name != "":
		return r.secretFile(path, r.path(name))
	default:
		r.fail(path, "write a reference, not the secret itself: env:NAME or file:PATH")
	}
	return reference{}, false
}

// secret is resolve for those who need not know where the secret was.
func (r *reader) secret(path []string, ref string) (secret.String, bool) {
	found, ok := r.resolve(path, ref, "write a reference, env:NAME or file:PATH")
	return found.text, ok
}

func (r *reader) secretFile(path []string, name string) (reference, bool) {
	value, ok := r.file(path, name)
	if !ok {
		return reference{}, false
	}
	r.checkMode(path, name)
	return reference{secret.New(strings.TrimRight(string(value), "\r\n")), describeFile(name)}, true
}

func describeFile(name string) string { return "the file " + name }

// file reads a file that is not empty.
func (r *reader) file(path []string, name string) ([]byte, bool) {
	value, err := r.src.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.fail(path, "%s does not exist", describeFile(name))
	case errors.Is(err, fs.ErrPermission):
		r.fail(path, "this user may not read %s", describeFile(name))
	case err != nil:
		r.fail(path, "%s cannot be read; check that it is a file", describeFile(name))
	case len(strings.TrimSpace(string(value))) == 0:
		r.fail(path, "%s is empty", describeFile(name))
	default:
		return value, true
	}
	return nil, false
}

// checkMode warns of a file that others may read or write.
func (r *reader) checkMode(path []string, name string) {
	if r.src.Stat == nil {
		return
	}
	info, err := r.src.Stat(name)
	if err != nil || info.Mode().Perm()&0o006 == 0 {
		return
	}
	r.warn(path, "every user of this machine may read or change %s: chmod 600 %s", name, name)
}
