package provider

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// DecodeOptions are how definitions are read from YAML: keys that are not known
// are errors, and durations may be given in days.
func DecodeOptions() []yaml.DecodeOption {
	return append(LenientDecodeOptions(), yaml.Strict())
}

// LenientDecodeOptions are DecodeOptions for those who have looked for unknown keys
// themselves: they are passed over.
func LenientDecodeOptions() []yaml.DecodeOption {
	return []yaml.DecodeOption{yaml.CustomUnmarshaler(decodeDuration)}
}

// badDuration stands for a duration that could not be read. Validate names it,
// which the YAML reader could not do: it knows no lines of values.
const badDuration = -1

func decodeDuration(d *time.Duration, text []byte) error {
	var value string
	if err := yaml.Unmarshal(text, &value); err != nil {
		*d = badDuration
		return nil
	}
	*d = parseDuration(value)
	return nil
}

// parseDuration reads what [time.ParseDuration] reads, and days: 90d.
func parseDuration(text string) time.Duration {
	const day = 24 * time.Hour
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > uint64(math.MaxInt64/day) {
			return badDuration
		}
		return time.Duration(n) * day
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return badDuration
	}
	return d
}

// UnmarshalYAML reads a variable: a pattern, or pattern and default.
func (v *Variable) UnmarshalYAML(decode func(any) error) error {
	if decode(&v.Pattern) == nil {
		return nil
	}
	type plain Variable
	return decode((*plain)(v))
}
