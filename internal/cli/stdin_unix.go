//go:build unix

package cli

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// waitReadable returns when a read of f will not block, or with errInterrupted when stop is closed: a read of a pipe
// that is silent cannot be ended.
func waitReadable(f *os.File, stop <-chan struct{}) error {
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}}
	for {
		select {
		case <-stop:
			return errInterrupted
		default:
		}
		n, err := unix.Poll(fds, 200)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return nil // the read tells
		}
	}
}
