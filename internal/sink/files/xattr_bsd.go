//go:build darwin || freebsd

package files

import (
	"os"

	"golang.org/x/sys/unix"
)

// setXattr sets an extended attribute of an open file or directory.
func setXattr(f *os.File, name string, value []byte) error {
	return unix.Fsetxattr(int(f.Fd()), name, value, 0)
}
