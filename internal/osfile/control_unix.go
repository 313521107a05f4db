//go:build unix

package osfile

import "os"

// control calls fn with the file's descriptor, held open meanwhile, until no signal interrupts it.
func control(f *os.File, fn func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := c.Control(func(fd uintptr) {
		inner = Again(func() error { return fn(int(fd)) })
	}); err != nil {
		return err
	}
	return inner
}
