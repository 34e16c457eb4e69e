package tools

import (
	"encoding/json"
	"strconv"
)

// fractions makes fractions of an audience's rates, which the API has as percentages,
// unlike all others: in one of its answers stand both, without a word.
func fractions(items ...any) {
	for _, item := range items {
		item, _ := item.(map[string]any)
		for _, group := range []string{"stats", "list_stats"} {
			rates, _ := item[group].(map[string]any)
			for _, name := range []string{"open_rate", "click_rate", "proxy_excluded_open_rate"} { // sub_rate and kin are people in a month
				if percent, ok := rates[name].(json.Number); ok {
					rates[name] = fraction(percent)
				}
			}
		}
	}
}

// fraction is a hundredth, to four digits after the point, as the API has fractions.
func fraction(percent json.Number) json.Number {
	f, err := percent.Float64()
	if err != nil {
		return percent
	}
	text := strconv.FormatFloat(f/100, 'f', 4, 64)
	short, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return percent
	}
	return json.Number(strconv.FormatFloat(short, 'f', -1, 64))
}
