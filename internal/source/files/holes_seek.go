//go:build freebsd || (linux && portable)

package files

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// nextData asks the system where the next data is, as source.File's NextData tells it.
func nextData(f *os.File, off, size int64) (start, end int64) {
	start, err := f.Seek(off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return size, size
	case err != nil:
		return off, size // a file system that cannot tell
	case start >= size:
		return size, size
	}
	end, err = f.Seek(start, unix.SEEK_HOLE)
	if err != nil || end > size || end <= start {
		end = size
	}
	return max(start, off), end
}
