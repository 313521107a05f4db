//go:build !linux

package osfile

import (
	"os"

	"github.com/nacre-backup/nacre/internal/errs"
)

// SetDirect turns direct I/O on or off for a file; this system has no such switch.
func SetDirect(*os.File, bool) error { return errs.New(errs.Unsupported, "direct I/O") }

// LocalDisk tells whether a file lies on a file system that only this machine writes to; here nothing is known.
func LocalDisk(*os.File) bool { return false }
