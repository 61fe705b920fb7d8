//go:build wasip1 && !tinygo

// Package pin keeps what the host is shown alive while it looks.
package pin

import "runtime"

// A Pinner is Go's own.
type Pinner = runtime.Pinner
