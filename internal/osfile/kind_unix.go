//go:build unix

package osfile

import (
	"errors"
	"slices"
	"syscall"

	"github.com/nacre-backup/nacre/internal/errs"
)

// systemKind knows the error numbers. EIO has no kind: it says nothing about the data and nothing about trying again.
func systemKind(err error) error {
	var no syscall.Errno
	if !errors.As(err, &no) {
		return nil
	}
	switch no {
	case syscall.ENOENT, syscall.ENOTDIR:
		return errs.NotFound
	case syscall.EEXIST, syscall.ENOTEMPTY:
		return errs.Exists
	case syscall.EACCES, syscall.EPERM, syscall.EROFS:
		return errs.Denied
	case syscall.ENOSPC, syscall.EDQUOT:
		return errs.Full
	case syscall.ENOSYS, syscall.ENOTSUP, syscall.EFBIG, syscall.ENAMETOOLONG, syscall.EXDEV:
		return errs.Unsupported
	case syscall.ENOTCONN, syscall.ENODEV, syscall.ENXIO, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ENETDOWN,
		syscall.ENETUNREACH, syscall.ETIMEDOUT, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.ECONNREFUSED:
		return errs.Unreachable
	case syscall.EAGAIN, syscall.EINTR, syscall.EBUSY, syscall.ESTALE, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM,
		syscall.ENOBUFS:
		return errs.Temporary
	}
	return nil
}

// refusals are the answers of file systems and servers that do not know a call.
var refusals = []syscall.Errno{
	syscall.ENOSYS, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.EINVAL, syscall.EPERM, syscall.EACCES, syscall.EXDEV,
	syscall.EMLINK, syscall.ENOTTY, syscall.EBADF,
}

func refused(err error) bool {
	var no syscall.Errno
	return errors.As(err, &no) && slices.Contains(refusals, no)
}

// Again calls fn until no signal interrupts it: network file systems pass EINTR on, and not every call of package os
// repeats it. A call that was interrupted may have been done all the same.
func Again(fn func() error) error {
	for {
		if err := fn(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
