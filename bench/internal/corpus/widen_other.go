//go:build !linux

package corpus

import "os"

// widen puts n bytes in at an offset.
func widen(f *os.File, at, n int64) error { return shift(f, at, at+n) }

// narrow takes n bytes out at an offset.
func narrow(f *os.File, at, n int64) error { return shift(f, at+n, at) }
