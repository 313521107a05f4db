// Package osfile is about the few file calls in which systems differ: what an error means, making directories and data
// durable, renaming without replacing, direct I/O and free space.
//
// Each call has a portable form that says so (errs.Unsupported) where the system has none; callers fall back.
package osfile

import (
	"errors"
	"io/fs"
	"os"

	"github.com/nacre-backup/nacre/internal/errs"
)

// Classify gives an error of the operating system its kind, where one fits; the text stays. An error that has a kind
// or is none of the system's comes back as it is.
func Classify(err error) error {
	if err == nil {
		return nil
	}
	if k := systemKind(err); k != nil {
		return errs.As(k, err)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errs.As(errs.NotFound, err)
	case errors.Is(err, fs.ErrExist):
		return errs.As(errs.Exists, err)
	case errors.Is(err, fs.ErrPermission):
		return errs.As(errs.Denied, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errs.As(errs.Unreachable, err)
	}
	return err
}

// Unsupported tells whether an error says that the file system or the system lacks the call: the caller falls back.
// EPERM is among them, since Linux answers so for hard links on FAT.
func Unsupported(err error) bool {
	return err != nil && (errors.Is(err, errors.ErrUnsupported) || errors.Is(err, errs.Unsupported) || refused(err))
}
