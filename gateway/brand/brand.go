// Package brand is how an operator makes the pages of the portal theirs. It knows no
// more of pages than that, so that a configuration can be checked without a gateway.
package brand

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// Brand is how an operator makes the portal theirs. The zero value is tokenvault's.
type Brand struct {
	// Name stands at the top of every page of the portal. Empty: "Connections".
	Name string
	// Logo is an image: PNG, JPEG, GIF, WebP or SVG. Nil: there is none.
	Logo []byte
	// AccentColor is the colour of buttons, as #rrggbb. Empty: a calm blue.
	AccentColor string
}

// maxLogo is in bytes.
const maxLogo = 256 << 10

// Check says what is wrong with a brand, and which key of it: name, logo or
// accent_color.
func (b Brand) Check() (key string, err error) {
	if len(b.Name) > 60 {
		return "name", errors.New("at most 60 bytes")
	}
	if _, err := luminance(b.AccentColor); b.AccentColor != "" && err != nil {
		return "accent_color", err
	}
	if b.Logo == nil {
		return "", nil
	}
	if len(b.Logo) > maxLogo {
		return "logo", errors.New("at most 256 KiB")
	}
	if logoType(b.Logo) == "" {
		return "logo", errors.New("is not an image in PNG, JPEG, GIF, WebP or SVG")
	}
	return "", nil
}

// logoType is the media type of an image. Empty: it is none.
func logoType(image []byte) string {
	switch found := http.DetectContentType(image); {
	case found == "image/png", found == "image/jpeg", found == "image/gif", found == "image/webp":
		return found
	case bytes.Contains(image[:min(len(image), 1024)], []byte("<svg")):
		return "image/svg+xml"
	}
	return ""
}

// Title is the name, or what stands in its place.
func (b Brand) Title() string {
	if b.Name == "" {
		return "Connections"
	}
	return b.Name
}

// LogoType is the media type of the logo. Empty: there is none.
func (b Brand) LogoType() string {
	if b.Logo == nil {
		return ""
	}
	return logoType(b.Logo)
}

// Style is the style sheet that the brand adds: the accent, and what can be read on
// it.
func (b Brand) Style() string {
	bright, err := luminance(b.AccentColor)
	if err != nil {
		return ""
	}
	on := "#ffffff"
	if contrast(bright, 0) > contrast(bright, 1) {
		on = "#000000"
	}
	return fmt.Sprintf(":root { --accent: %s; --on-accent: %s; }\n", b.AccentColor, on)
}

// luminance is the relative luminance of a colour (WCAG 2.2), from 0 to 1.
func luminance(color string) (float64, error) {
	digits, ok := strings.CutPrefix(color, "#")
	rgb, err := strconv.ParseUint(digits, 16, 24)
	if !ok || err != nil || len(digits) != 6 {
		return 0, errors.New("write a colour as #rrggbb, such as #1f5fbf")
	}
	linear := func(shift int) float64 {
		c := float64(rgb>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(16) + 0.7152*linear(8) + 0.0722*linear(0), nil
}

// contrast is the contrast ratio of two luminances (WCAG 2.2), from 1 to 21.
func contrast(a, b float64) float64 {
	return (max(a, b) + 0.05) / (min(a, b) + 0.05)
}
