package corpus

import (
	"os"

	"golang.org/x/sys/unix"
)

// widen puts n bytes in at an offset, by the file system where it can.
func widen(f *os.File, at, n int64) error {
	if unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_INSERT_RANGE, at, n) == nil {
		return nil
	}
	return shift(f, at, at+n)
}

// narrow takes n bytes out at an offset.
func narrow(f *os.File, at, n int64) error {
	if unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_COLLAPSE_RANGE, at, n) == nil {
		return nil
	}
	return shift(f, at+n, at)
}
