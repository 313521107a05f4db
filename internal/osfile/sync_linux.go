package osfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// SyncData makes a file's bytes and its size durable.
func SyncData(f *os.File) error {
	return control(f, func(fd int) error { return unix.Fdatasync(fd) })
}

// SyncDir makes the names in an open directory durable. Unsupported tells of file systems that cannot.
func SyncDir(dir *os.File) error {
	return control(dir, func(fd int) error { return unix.Fsync(fd) })
}

// SyncAll makes everything durable that was written to the file system of f: the fall-back where a directory cannot
// be synced by itself.
func SyncAll(f *os.File) error {
	return control(f, func(fd int) error { return unix.Syncfs(fd) })
}

// Flush starts the writing of a range of a file without waiting for it, so that a later SyncData is short.
func Flush(f *os.File, off, n int64) error {
	return control(f, func(fd int) error { return unix.SyncFileRange(fd, off, n, unix.SYNC_FILE_RANGE_WRITE) })
}

// DropCache tells the system that the file's cached pages will not be read soon.
func DropCache(f *os.File) error {
	return control(f, func(fd int) error { return unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) })
}
