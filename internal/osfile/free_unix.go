//go:build linux || darwin || freebsd

package osfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// Free returns how many bytes this user may still write to the file system of f.
func Free(f *os.File) (int64, error) {
	var st unix.Statfs_t
	if err := control(f, func(fd int) error { return unix.Fstatfs(fd, &st) }); err != nil {
		return 0, Classify(err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // the fields' types differ between systems
}
