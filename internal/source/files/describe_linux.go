//go:build !portable

package files

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/tree"
)

// flagMask is what of the flags says something about the file rather than about how the file system lays it out.
const flagMask = 0x1 | 0x2 | // to be erased on deletion, to be kept for undeletion
	fsCompress | fsSync | fsImmutable | fsAppend | fsNoDump | fsNoAtime | fsNoCompress | fsJournalData | fsNoTail |
	fsDirSync | fsTopDir | fsNoCow | fsDAX | fsProjInherit | fsCasefold

const (
	fsCompress    = 0x4
	fsSync        = 0x8
	fsImmutable   = 0x10
	fsAppend      = 0x20
	fsNoDump      = 0x40
	fsNoAtime     = 0x80
	fsNoCompress  = 0x400
	fsJournalData = 0x4000
	fsNoTail      = 0x8000
	fsDirSync     = 0x10000
	fsTopDir      = 0x20000
	fsNoCow       = 0x800000
	fsDAX         = 0x2000000
	fsProjInherit = 0x20000000
	fsCasefold    = 0x40000000

	iocGetFlags  = unix.FS_IOC_GETFLAGS
	iocGetXFlags = 0x801c581f
)

// fsxattr is struct fsxattr of FS_IOC_FSGETXATTR.
type fsxattr struct {
	xflags, extsize, nextents, projid, cowextsize uint32
	pad                                           [8]byte
}

// describe reads what a look-up does not give.
func (s *Source) describe(e *tree.Entry, r *ref) {
	b := describeBuffers.Get().(*describeBuffer)
	defer describeBuffers.Put(b)
	dirfd, h := unix.AT_FDCWD, (*dirHandle)(nil)
	name := []byte{'/', 0}
	if r.dir != nil {
		var err error
		if h, err = s.dirs.acquire(r.dir); err != nil {
			setErr(e, err)
			return
		}
		defer s.dirs.release(h)
		dirfd, name = h.fd, r.name[:len(r.name)+1]
	}
	switch e.Type {
	case tree.Symlink:
		b.readLink(e, dirfd, name)
	case tree.File, tree.Dir:
		fd, err := s.openObject(dirfd, name, r, e.Type)
		if err == nil {
			s.readFlags(e, fd, r.rec.fs)
			b.attrsOf(e, s, r, attrTarget{fd: fd})
			if e.Type != tree.File || r.kept == nil || !r.fd.put(s, fd) {
				closeFD(fd)
			}
			return
		}
		// What cannot be opened may still show its attributes; the error itself is met again by who reads it.
	}
	b.attrsOf(e, s, r, attrTarget{fd: dirfd, name: name, follow: r.rec.flags&recFollowed != 0})
}

// openObject opens a regular file or a directory for reading.
func (s *Source) openObject(dirfd int, name []byte, r *ref, typ tree.Type) (int, error) {
	flags := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY
	if typ == tree.Dir {
		flags |= unix.O_DIRECTORY
	}
	if r.rec.flags&recFollowed == 0 {
		flags |= unix.O_NOFOLLOW
	}
	// Only the owner and the superuser may leave the access time alone.
	if s.euid == 0 || s.euid == r.rec.uid {
		fd, errno := openat(dirfd, &name[0], flags|unix.O_NOATIME)
		if errno != unix.EPERM {
			return openResult(dirfd, name, flags, fd, errno)
		}
	}
	fd, errno := openat(dirfd, &name[0], flags)
	return openResult(dirfd, name, flags, fd, errno)
}

var errNotSame = &classError{tree.ErrChanged, errors.New("open: the file was replaced by something else")}

func openResult(dirfd int, name []byte, flags, fd int, errno unix.Errno) (int, error) {
	switch errno {
	case 0:
		return fd, nil
	case unix.EAGAIN:
		return openLeased(dirfd, name, flags)
	case unix.ELOOP:
		if flags&unix.O_NOFOLLOW != 0 {
			return -1, errNotSame // it is a symbolic link now
		}
	case unix.ENXIO, unix.ENOTDIR:
		return -1, errNotSame // it is a socket or a FIFO now, or no directory any more
	}
	return -1, sysErr("open", errno)
}

// openLeased opens a file that another process holds a lease on, waiting until the lease is given up. O_NONBLOCK,
// which keeps FIFOs from blocking, would refuse it; so the file is held by its path first to see that it is regular.
func openLeased(dirfd int, name []byte, flags int) (int, error) {
	held, errno := openat(dirfd, &name[0], flags&unix.O_NOFOLLOW|unix.O_PATH)
	if errno != 0 {
		return -1, sysErr("open", errno)
	}
	defer closeFD(held)
	var st unix.Statx_t
	if errno := statx(held, &emptyName[0], unix.AT_EMPTY_PATH, &st); errno != 0 || modeType(uint32(st.Mode)) != tree.File {
		return -1, errNotSame
	}
	path := append([]byte("/proc/self/fd/"+strconv.Itoa(held)), 0)
	fd, errno := openat(unix.AT_FDCWD, &path[0], unix.O_RDONLY)
	if errno != 0 {
		return -1, sysErr("open", errno)
	}
	return fd, nil
}

// readFlags reads the flags and the project of an open file, where the file system has them.
func (s *Source) readFlags(e *tree.Entry, fd int, fs uint32) {
	sys := s.systems.get(fs)
	if !sys.noFlags.Load() {
		var flags uint64 // the kernel writes 4 bytes, whatever the number of the call says
		errno := ioctl(fd, iocGetFlags, unsafe.Pointer(&flags))
		switch {
		case errno == 0:
			e.FSFlags = *(*uint32)(unsafe.Pointer(&flags)) & flagMask
		case unsupported(errno):
			sys.noFlags.Store(sys != unknownSystem)
		default:
			setErr(e, sysErr("read flags", errno))
		}
	}
	if !sys.noProj.Load() {
		var x fsxattr
		errno := ioctl(fd, iocGetXFlags, unsafe.Pointer(&x))
		switch {
		case errno == 0:
			e.ProjectID = x.projid
		case unsupported(errno):
			sys.noProj.Store(sys != unknownSystem)
		default:
			setErr(e, sysErr("read project", errno))
		}
	}
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) unix.Errno {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
		if errno != unix.EINTR {
			return errno
		}
	}
}

func unsupported(errno unix.Errno) bool {
	return errno == unix.ENOTTY || errno == unix.EOPNOTSUPP || errno == unix.ENOSYS || errno == unix.EINVAL
}

// describeBuffer holds the buffers of one call of describe.
type describeBuffer struct {
	list, value []byte
	path        []byte
}

var describeBuffers = sync.Pool{New: func() any {
	return &describeBuffer{list: make([]byte, 1024), value: make([]byte, 4096)}
}}

const (
	maxTarget = 1 << 20
	maxAttrs  = 4096
	maxAttr   = 16<<20 - 1
)

// readLink reads the target of a symbolic link.
func (b *describeBuffer) readLink(e *tree.Entry, dirfd int, name []byte) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_READLINKAT, uintptr(dirfd), uintptr(unsafe.Pointer(&name[0])),
			uintptr(unsafe.Pointer(&b.value[0])), uintptr(len(b.value)), 0, 0)
		switch {
		case errno == unix.EINTR:
		case errno != 0:
			setErr(e, sysErr("read link", errno))
			return
		case int(n) < len(b.value):
			e.Target = bytes.Clone(b.value[:n])
			return
		case len(b.value) >= maxTarget:
			setErr(e, &classError{tree.ErrTooLarge, fmt.Errorf("read link: target of more than %d bytes", maxTarget)})
			return
		default:
			b.value = make([]byte, 2*len(b.value))
		}
	}
}

func effectiveUser() uint32 { return uint32(os.Geteuid()) }
