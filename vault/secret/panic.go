package secret

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// maxFrames bounds how much is told of a panic's way.
const maxFrames = 16

// DescribePanic tells of a panic what may be logged: its kind, and where it came
// from. It leaves out the value, and the arguments that a stack trace has: either may
// hold anything. It is called by the deferred function that has recovered.
func DescribePanic(value any) string {
	text := fmt.Sprintf("panic with a %T", value)
	if err, ok := value.(runtime.Error); ok {
		text = "panic: " + err.Error() // Go's own, of types and indices
	}
	callers := make([]uintptr, maxFrames)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)]) // without this, and who calls it
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") {
			text += fmt.Sprintf(", at %s (%s:%d)", frame.Function, filepath.Base(frame.File), frame.Line)
		}
		if !more {
			return text
		}
	}
}
