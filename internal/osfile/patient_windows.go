package osfile

import (
	"errors"
	"time"

	"golang.org/x/sys/windows"
)

// Patiently calls fn again, for a second at most, while Windows refuses it because another process has the file open:
// opening a file that is being renamed, and renaming onto one that is being read.
func Patiently(fn func() error) error {
	const tries, pause = 100, 10 * time.Millisecond
	var err error
	for range tries {
		if err = fn(); !inUse(err) {
			return err
		}
		<-time.After(pause)
	}
	return err
}

// inUse tells whether an error may be one of a file in use; a rename says no more than that access is denied.
func inUse(err error) bool {
	var no windows.Errno
	return errors.As(err, &no) &&
		(no == windows.ERROR_SHARING_VIOLATION || no == windows.ERROR_LOCK_VIOLATION || no == windows.ERROR_ACCESS_DENIED)
}
