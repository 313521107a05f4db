//go:build linux || freebsd

package files

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// makeFIFO makes a FIFO in an open directory.
func makeFIFO(root *os.Root, name string) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	c, err := d.SyscallConn()
	if err != nil {
		return errors.Join(err, d.Close())
	}
	var made error
	err = c.Control(func(fd uintptr) { made = unix.Mknodat(int(fd), name, unix.S_IFIFO|0o600, 0) })
	return errors.Join(err, made, d.Close())
}
