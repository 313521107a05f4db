package files

import (
	"errors"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/tree"
)

// Names of attributes that need care.
const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
	capability = "security.capability"
)

// object is an object whose metadata is set: always this one inode, whatever becomes of its name.
type object struct {
	fd    int
	opath bool // fd was opened with O_PATH, because opening it otherwise has effects or is not possible
}

// proc is a path that stands for the descriptor, for calls that have no form for O_PATH descriptors.
func (o object) proc() string { return "/proc/self/fd/" + strconv.Itoa(o.fd) }

func (o object) chown(uid, gid int) error {
	if o.opath {
		return unix.Fchownat(o.fd, "", uid, gid, unix.AT_EMPTY_PATH)
	}
	return unix.Fchown(o.fd, uid, gid)
}

func (o object) chmod(mode uint32) error {
	if !o.opath {
		return unix.Fchmod(o.fd, mode)
	}
	err := unix.Fchmodat(o.fd, "", mode, unix.AT_EMPTY_PATH)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
		// A kernel before 6.6, or a sandbox that does not know fchmodat2.
		err = unix.Fchmodat(unix.AT_FDCWD, o.proc(), mode, 0)
	}
	return err
}

// setTime sets the modification time and leaves the access time alone.
func (o object) setTime(t tree.Time) error {
	mtime, err := unix.TimeToTimespec(time.Unix(t.Sec, int64(t.Nsec)))
	if err != nil {
		return err
	}
	ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, mtime}
	if !o.opath {
		return futimens(o.fd, ts)
	}
	err = unix.UtimesNanoAt(o.fd, "", ts, unix.AT_EMPTY_PATH)
	if errors.Is(err, unix.EINVAL) {
		// A kernel before 5.8.
		err = unix.UtimesNanoAt(unix.AT_FDCWD, o.proc(), ts, 0)
	}
	return err
}

// futimens is utimensat on the descriptor itself, with a null path.
func futimens(fd int, ts []unix.Timespec) error {
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&ts[0])), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func (o object) setXattr(name string, value []byte) error {
	if o.opath {
		return unix.Setxattr(o.proc(), name, value, 0)
	}
	return unix.Fsetxattr(o.fd, name, value, 0)
}

// removeXattr removes an attribute, if it is there.
func (o object) removeXattr(name string) error {
	var err error
	if o.opath {
		err = unix.Removexattr(o.proc(), name)
	} else {
		err = unix.Fremovexattr(o.fd, name)
	}
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}

func (o object) hasXattr(name string) bool {
	if o.opath {
		n, err := unix.Getxattr(o.proc(), name, nil)
		return err == nil && n > 0
	}
	n, err := unix.Fgetxattr(o.fd, name, nil)
	return err == nil && n > 0
}

// The inode flags of FS_IOC_SETFLAGS that a user can set and that outlive the file's making.
const (
	flagImmutable = 0x10
	flagAppend    = 0x20
	flagNoCOW     = 0x800000

	// lateFlags forbid every later change, a further hard link included.
	lateFlags = flagImmutable | flagAppend
	// setFlags: secure deletion, undelete, compress, sync, immutable, append, no dump, no atime, journal data, no tail
	// merging, directory sync, top directory, no copy on write, inherit project.
	setFlags = 0x1 | 0x2 | 0x4 | 0x8 | lateFlags | 0x40 | 0x80 | 0x4000 | 0x8000 | 0x10000 | 0x20000 | flagNoCOW |
		0x20000000
)

// addFlags sets inode flags beside those that are set. What cannot be set all at once is tried one by one, so that a
// flag that only another file system knows does not take the others with it.
func (o object) addFlags(flags uint32) error {
	have, err := unix.IoctlGetUint32(o.fd, unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	if have&flags == flags {
		return nil
	}
	if unix.IoctlSetPointerInt(o.fd, unix.FS_IOC_SETFLAGS, int(have|flags)) == nil {
		return nil
	}
	var lost error
	for bit := uint32(1); bit != 0; bit <<= 1 {
		if flags&bit == 0 || have&bit != 0 {
			continue
		}
		if err := unix.IoctlSetPointerInt(o.fd, unix.FS_IOC_SETFLAGS, int(have|bit)); err != nil {
			lost = err
			continue
		}
		have |= bit
	}
	return lost
}

// fsxattr is struct fsxattr of <linux/fs.h>.
type fsxattr struct {
	xflags, extsize, nextents, project, cowextsize uint32
	_                                              [8]byte
}

const (
	ioctlGetFSXattr = 0x801c581f
	ioctlSetFSXattr = 0x401c5820
)

func (o object) setProject(project uint32) error {
	var x fsxattr
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(o.fd), ioctlGetFSXattr,
		uintptr(unsafe.Pointer(&x))); errno != 0 {
		return errno
	}
	if x.project == project {
		return nil
	}
	x.project = project
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(o.fd), ioctlSetFSXattr,
		uintptr(unsafe.Pointer(&x))); errno != 0 {
		return errno
	}
	return nil
}
