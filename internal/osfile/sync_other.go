//go:build !linux

package osfile

import (
	"os"
	"runtime"

	"github.com/nacre-backup/nacre/internal/errs"
)

// SyncData makes a file's bytes and its size durable. On macOS Go's Sync passes the drive's own cache too.
func SyncData(f *os.File) error { return f.Sync() }

// SyncDir makes the names in an open directory durable. On Windows there is no such call for a directory opened for
// reading; NTFS writes names to its log in order.
func SyncDir(dir *os.File) error {
	if runtime.GOOS == "windows" {
		return errs.New(errs.Unsupported, "sync of a directory")
	}
	return dir.Sync()
}

// SyncAll makes everything durable that was written to the file system of f, where the system has such a call.
func SyncAll(*os.File) error { return errs.New(errs.Unsupported, "sync of a file system") }

// Flush starts the writing of a range of a file without waiting for it, where the system has such a call.
func Flush(*os.File, int64, int64) error { return nil }

// DropCache tells the system that the file's cached pages will not be read soon, where the system has such a call.
func DropCache(*os.File) error { return nil }
