//go:build !portable

package files

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/tree"
)

// attrTarget is whose attributes are read: an open file, or, when it cannot be opened, a name in a directory.
type attrTarget struct {
	fd     int
	name   []byte
	follow bool
}

// attrsOf reads the extended attributes, POSIX ACLs and capabilities among them.
func (b *describeBuffer) attrsOf(e *tree.Entry, s *Source, r *ref, t attrTarget) {
	sys := s.systems.get(r.rec.fs)
	if sys.noAttrs.Load() {
		return
	}
	list, err := b.listAttrs(t)
	if err != nil {
		var errno unix.Errno
		if errors.As(err, &errno) && (errno == unix.EOPNOTSUPP || errno == unix.ENOSYS) {
			sys.noAttrs.Store(sys != unknownSystem && errno == unix.ENOSYS)
			return
		}
		setErr(e, err)
		return
	}
	for len(list) > 0 {
		end := bytes.IndexByte(list, 0)
		if end < 0 {
			break
		}
		name := list[:end+1]
		list = list[end+1:]
		if end == 0 || skipAttr(name[:end]) {
			continue
		}
		if len(e.Xattrs) == maxAttrs {
			setErr(e, &classError{tree.ErrTooLarge, fmt.Errorf("more than %d attributes", maxAttrs)})
			break
		}
		value, err := b.getAttr(t, name)
		if err != nil {
			var errno unix.Errno
			if !errors.As(err, &errno) || errno != unix.ENODATA { // gone since it was listed
				setErr(e, fmt.Errorf("attribute %q: %w", name[:end], err))
			}
			continue
		}
		e.Xattrs = append(e.Xattrs, tree.Xattr{Name: bytes.Clone(name[:end]), Value: append([]byte{}, value...), Size: uint64(len(value))})
	}
	slices.SortFunc(e.Xattrs, func(a, b tree.Xattr) int { return bytes.Compare(a.Name, b.Name) })
}

// serverAttrs begin the names of attributes that a network file system makes up to show what its server holds.
var serverAttrs = [][]byte{[]byte("system.cifs_"), []byte("system.smb3_"), []byte("ceph.")}

func skipAttr(name []byte) bool {
	for _, p := range serverAttrs {
		if bytes.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// listAttrs returns the names of the attributes, a NUL byte after each.
func (b *describeBuffer) listAttrs(t attrTarget) ([]byte, error) {
	for {
		n, errno := t.list(b)
		switch {
		case errno == unix.EINTR:
		case errno == unix.ERANGE && len(b.list) < 1<<20:
			b.list = make([]byte, 8*len(b.list))
		case errno != 0:
			return nil, sysErr("list attributes", errno)
		default:
			return b.list[:n], nil
		}
	}
}

// getAttr returns the value of an attribute, in the buffer. A NUL byte follows the name.
func (b *describeBuffer) getAttr(t attrTarget, name []byte) ([]byte, error) {
	for {
		n, errno := t.get(b, name)
		switch {
		case errno == unix.EINTR:
		case errno == unix.ERANGE && len(b.value) < maxAttr:
			b.value = make([]byte, min(4*len(b.value), maxAttr))
		case errno != 0:
			return nil, sysErr("read", errno)
		default:
			return b.value[:n], nil
		}
	}
}

// The calls that read attributes of a name in an open directory have one number on every architecture.
const (
	sysGetXattrAt  = 464
	sysListXattrAt = 465
)

// noXattrAt says that the kernel is older than they are (Linux 6.13): such names are then reached through /proc.
var noXattrAt atomic.Bool

// xattrArgs is struct xattr_args.
type xattrArgs struct {
	value uint64
	size  uint32
	flags uint32
}

func (t attrTarget) flags() uintptr {
	if t.follow {
		return 0
	}
	return unix.AT_SYMLINK_NOFOLLOW
}

func (t attrTarget) list(b *describeBuffer) (int, unix.Errno) {
	buf, size := uintptr(unsafe.Pointer(&b.list[0])), uintptr(len(b.list))
	if t.name == nil {
		n, _, errno := unix.Syscall(unix.SYS_FLISTXATTR, uintptr(t.fd), buf, size)
		return int(n), errno
	}
	if !noXattrAt.Load() {
		n, _, errno := unix.Syscall6(sysListXattrAt, uintptr(t.fd), uintptr(unsafe.Pointer(&t.name[0])), t.flags(), buf, size, 0)
		if errno != unix.ENOSYS && errno != unix.EPERM { // a sandbox may refuse what it does not know
			return int(n), errno
		}
		noXattrAt.Store(errno == unix.ENOSYS)
	}
	call := uintptr(unix.SYS_LLISTXATTR)
	if t.follow {
		call = unix.SYS_LISTXATTR
	}
	n, _, errno := unix.Syscall(call, uintptr(unsafe.Pointer(t.path(b))), buf, size)
	return int(n), errno
}

func (t attrTarget) get(b *describeBuffer, name []byte) (int, unix.Errno) {
	attr, buf, size := uintptr(unsafe.Pointer(&name[0])), uintptr(unsafe.Pointer(&b.value[0])), uintptr(len(b.value))
	if t.name == nil {
		n, _, errno := unix.Syscall6(unix.SYS_FGETXATTR, uintptr(t.fd), attr, buf, size, 0, 0)
		return int(n), errno
	}
	if !noXattrAt.Load() {
		args := xattrArgs{value: uint64(buf), size: uint32(len(b.value))}
		n, _, errno := unix.Syscall6(sysGetXattrAt, uintptr(t.fd), uintptr(unsafe.Pointer(&t.name[0])), t.flags(), attr,
			uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args))
		runtime.KeepAlive(b)
		if errno != unix.ENOSYS && errno != unix.EPERM {
			return int(n), errno
		}
	}
	call := uintptr(unix.SYS_LGETXATTR)
	if t.follow {
		call = unix.SYS_GETXATTR
	}
	n, _, errno := unix.Syscall6(call, uintptr(unsafe.Pointer(t.path(b))), attr, buf, size, 0, 0)
	return int(n), errno
}

// path is a path to a name in an open directory.
func (t attrTarget) path(b *describeBuffer) *byte {
	b.path = b.path[:0]
	if t.fd != unix.AT_FDCWD {
		b.path = append(b.path, "/proc/self/fd/"...)
		b.path = strconv.AppendInt(b.path, int64(t.fd), 10)
		b.path = append(b.path, '/')
	}
	b.path = append(b.path, t.name...) // with its NUL byte
	return &b.path[0]
}
