package osfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// SetDirect turns direct I/O on or off for a file opened for writing: its writes then pass by the page cache and must
// be of whole blocks, from aligned memory, at aligned offsets.
func SetDirect(f *os.File, on bool) error {
	return control(f, func(fd int) error {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil {
			return err
		}
		if on {
			flags |= unix.O_DIRECT
		} else {
			flags &^= unix.O_DIRECT
		}
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags)
		return err
	})
}

// LocalDisk tells whether a file lies on a file system that only this machine's kernel writes to, on a disk of its
// own. What it does not know is not local.
func LocalDisk(f *os.File) bool {
	var st unix.Statfs_t
	if err := control(f, func(fd int) error { return unix.Fstatfs(fd, &st) }); err != nil {
		return false
	}
	switch uint32(st.Type) { //nolint:gosec // the magic numbers are 32 bits wide, the field's width differs
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC:
		return true
	}
	return false
}
