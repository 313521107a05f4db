package osfile

import (
	"errors"

	"golang.org/x/sys/windows"

	"github.com/nacre-backup/nacre/internal/errs"
)

func systemKind(err error) error {
	var no windows.Errno
	if !errors.As(err, &no) {
		return nil
	}
	switch no {
	case windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED:
		return errs.Full
	case windows.ERROR_WRITE_PROTECT:
		return errs.Denied
	case windows.ERROR_FILE_TOO_LARGE, windows.ERROR_NOT_SUPPORTED, windows.ERROR_CALL_NOT_IMPLEMENTED:
		return errs.Unsupported
	case windows.ERROR_NOT_READY, windows.ERROR_BAD_NETPATH, windows.ERROR_NETNAME_DELETED, windows.ERROR_DEV_NOT_EXIST,
		windows.ERROR_UNEXP_NET_ERR, windows.ERROR_NETWORK_UNREACHABLE, windows.ERROR_HOST_UNREACHABLE:
		return errs.Unreachable
	case windows.ERROR_SHARING_VIOLATION, windows.ERROR_LOCK_VIOLATION, windows.ERROR_BUSY:
		return errs.Temporary
	}
	return nil
}

func refused(err error) bool {
	var no windows.Errno
	if !errors.As(err, &no) {
		return false
	}
	switch no {
	case windows.ERROR_NOT_SUPPORTED, windows.ERROR_INVALID_FUNCTION, windows.ERROR_CALL_NOT_IMPLEMENTED,
		windows.ERROR_INVALID_PARAMETER, windows.ERROR_ACCESS_DENIED, windows.ERROR_NOT_SAME_DEVICE:
		return true
	}
	return false
}
