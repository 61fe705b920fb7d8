//go:build wasip1 && !tinygo

package forebay

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"

	host "github.com/forebay/forebay/sdk/go/internal/bindings/imports/forebay_transform_host"
)

// withhold, deferred, ends the instance on a panic, after telling its place, and its text where that is the same for
// every row. What was put together at run time may hold a row's value and must not reach a log; Go's own words on a panic
// would tell it.
func withhold() {
	cause := recover()
	if cause == nil {
		return
	}
	host.Stderr([]byte("panicked at " + place() + constantText(cause) + "\n"))
	os.Exit(2) // which the adapter answers with a trap
}

// place is the first frame above the panic that is not the runtime's.
func place() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	panicking := false
	for {
		frame, more := frames.Next()
		if panicking && !strings.HasPrefix(frame.Function, "runtime.") {
			return frame.File + ":" + strconv.Itoa(frame.Line)
		}
		panicking = panicking || frame.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}

func constantText(cause any) string {
	const leftOut = " (its text is left out: it may hold a row's value)"
	var text string
	switch cause := cause.(type) {
	case runtime.Error:
		// "index out of range [5] with length 3": the numbers may be a row's
		text = strings.TrimPrefix(cause.Error(), "runtime error: ")
		if conversion := new(runtime.TypeAssertionError); errors.As(cause, &conversion) {
			return ": " + text
		}
		text, _, _ = strings.Cut(text, " [")
		return ": " + text
	case string:
		text = cause
	case error:
		text = cause.Error()
	}
	if text == "" || !isLiteral(text) {
		return leftOut
	}
	return ": " + text
}
