//go:build unix

package index

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps the first size bytes of f, which must not be empty, for reading. The mapping outlives f and its name.
func mapFile(f *os.File, size int64) (data []byte, unmap func() error, err error) {
	data, err = unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, &os.PathError{Op: "mmap", Path: f.Name(), Err: err}
	}
	return data, func() error { return unix.Munmap(data) }, nil
}
