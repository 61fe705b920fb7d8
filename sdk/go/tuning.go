//go:build wasip1 && !tinygo

package forebay

import (
	"runtime/debug"
	"unsafe"
)

func init() {
	// Live memory between two batches is next to nothing, so that the collector would run each time 4 MiB were
	// allocated: some dozen batches. With 16 MiB it runs a quarter as often. Near the router's own limit for an
	// instance (64 MiB unless the route says otherwise) it runs more often, before a growth is refused.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(48 << 20)
	// Endless recursion ends with its own words, rather than as a want of memory.
	debug.SetMaxStack(16 << 20)
	// A trace tells what functions were called with.
	debug.SetTraceback("none")
}

//go:linkname inHeapOrStack runtime.inHeapOrStack
func inHeapOrStack(address uintptr) bool

// isLiteral says whether a text stands in the program's own data, where nothing comes that was put together at run time.
func isLiteral(text string) bool {
	return !inHeapOrStack(uintptr(unsafe.Pointer(unsafe.StringData(text))))
}
