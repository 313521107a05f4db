//go:build !portable

package files

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/tree"
)

// sysWorker holds the buffers of one goroutine's system calls.
type sysWorker struct {
	dents   []byte
	statx   *unix.Statx_t
	lastDev uint64
	lastFS  uint32
	anyDev  bool // lastDev is set
}

func newSysWorker() sysWorker {
	return sysWorker{dents: make([]byte, 64<<10), statx: new(unix.Statx_t)}
}

// The calls go through unix.Syscall: it lets other goroutines run while a cold or hung file system does not answer.

func sysErr(call string, errno unix.Errno) error { return os.NewSyscallError(call, errno) }

// openat opens a name that a NUL byte follows in memory.
func openat(dirfd int, name *byte, flags int) (int, unix.Errno) {
	for {
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(dirfd), uintptr(unsafe.Pointer(name)), uintptr(flags|unix.O_CLOEXEC|unix.O_LARGEFILE), 0, 0, 0)
		if errno != unix.EINTR {
			return int(fd), errno
		}
	}
}

const statxMask = unix.STATX_BASIC_STATS | unix.STATX_BTIME

// noStatx says that the kernel is older than the call, or a sandbox refuses it.
var noStatx atomic.Bool

// statx looks up a name that a NUL byte follows in memory, or, with AT_EMPTY_PATH, an open file.
func statx(dirfd int, name *byte, flags int, st *unix.Statx_t) unix.Errno {
	if noStatx.Load() {
		return oldStat(dirfd, name, flags, st)
	}
	errno := newStat(dirfd, name, flags, st)
	if errno != unix.ENOSYS && errno != unix.EPERM {
		return errno
	}
	old := oldStat(dirfd, name, flags, st)
	if errno == unix.ENOSYS || old == 0 {
		noStatx.Store(true)
	}
	return old
}

// oldStat does without the call; no time of birth and no mark of mount points are known then.
func oldStat(dirfd int, name *byte, flags int, st *unix.Statx_t) unix.Errno {
	var o unix.Stat_t
	err := retryEINTR(func() error {
		if flags&unix.AT_EMPTY_PATH != 0 {
			return unix.Fstat(dirfd, &o)
		}
		return unix.Fstatat(dirfd, unix.BytePtrToString(name), &o, flags)
	})
	if err != nil {
		return err.(unix.Errno) //nolint:errorlint // a bare errno
	}
	*st = unix.Statx_t{
		Mask: unix.STATX_BASIC_STATS, Mode: uint16(o.Mode), Uid: o.Uid, Gid: o.Gid, Nlink: uint32(o.Nlink), Ino: o.Ino,
		Size: uint64(o.Size), Blocks: uint64(o.Blocks),
		Mtime:     unix.StatxTimestamp{Sec: int64(o.Mtim.Sec), Nsec: uint32(o.Mtim.Nsec)},
		Ctime:     unix.StatxTimestamp{Sec: int64(o.Ctim.Sec), Nsec: uint32(o.Ctim.Nsec)},
		Dev_major: unix.Major(uint64(o.Dev)), Dev_minor: unix.Minor(uint64(o.Dev)),
		Rdev_major: unix.Major(uint64(o.Rdev)), Rdev_minor: unix.Minor(uint64(o.Rdev)),
	}
	return 0
}

func newStat(dirfd int, name *byte, flags int, st *unix.Statx_t) unix.Errno {
	for {
		_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(dirfd), uintptr(unsafe.Pointer(name)), uintptr(flags|unix.AT_NO_AUTOMOUNT), statxMask, uintptr(unsafe.Pointer(st)), 0)
		if errno != unix.EINTR {
			return errno
		}
	}
}

var emptyName = [1]byte{}

func joinDev(major, minor uint32) uint64 { return uint64(major)<<32 | uint64(minor) }

// fromStatx sets what a record has from a look-up.
func (r *rec) fromStatx(st *unix.Statx_t) {
	r.typ = modeType(uint32(st.Mode))
	r.mode = st.Mode & 0o7777
	r.uid, r.gid, r.nlink = st.Uid, st.Gid, st.Nlink
	r.mtime, r.mtimeNsec = st.Mtime.Sec, st.Mtime.Nsec
	r.ctime, r.ctimeNsec = st.Ctime.Sec, st.Ctime.Nsec
	if st.Mask&unix.STATX_BTIME != 0 {
		r.btime, r.btimeNsec, r.knownBirth = st.Btime.Sec, st.Btime.Nsec, true
	}
	r.size, r.major, r.minor = 0, 0, 0
	switch r.typ {
	case tree.File:
		r.size = st.Size
	case tree.CharDevice, tree.BlockDevice:
		r.major, r.minor = st.Rdev_major, st.Rdev_minor
	}
	r.ino, r.dev, r.blocks = st.Ino, joinDev(st.Dev_major, st.Dev_minor), st.Blocks
	if st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		r.flags |= recMount
	}
}

func modeType(mode uint32) tree.Type {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return tree.Dir
	case unix.S_IFLNK:
		return tree.Symlink
	case unix.S_IFIFO:
		return tree.FIFO
	case unix.S_IFSOCK:
		return tree.Socket
	case unix.S_IFCHR:
		return tree.CharDevice
	case unix.S_IFBLK:
		return tree.BlockDevice
	}
	return tree.File
}

func dirType(t byte) tree.Type {
	switch t {
	case unix.DT_DIR:
		return tree.Dir
	case unix.DT_REG:
		return tree.File
	case unix.DT_LNK:
		return tree.Symlink
	case unix.DT_FIFO:
		return tree.FIFO
	case unix.DT_SOCK:
		return tree.Socket
	case unix.DT_CHR:
		return tree.CharDevice
	case unix.DT_BLK:
		return tree.BlockDevice
	}
	return 0
}

// stat looks up a name in a directory.
func (k *worker) stat(h *dirHandle, name []byte, follow bool, r *rec) error {
	p := &name[:len(name)+1][0]
	flags := unix.AT_SYMLINK_NOFOLLOW
	if follow {
		flags = 0
	}
	if errno := statx(h.fd, p, flags, k.sys.statx); errno != 0 {
		return sysErr("stat", errno)
	}
	r.fromStatx(k.sys.statx)
	k.setSystem(r, h.fd, p, follow)
	return nil
}

func (k *worker) statTop(r *rec) error {
	root := [2]byte{'/'}
	if errno := statx(unix.AT_FDCWD, &root[0], 0, k.sys.statx); errno != 0 {
		return sysErr("stat", errno)
	}
	r.fromStatx(k.sys.statx)
	k.setSystem(r, unix.AT_FDCWD, &root[0], true)
	return nil
}

// setSystem sets the file system of a record.
func (k *worker) setSystem(r *rec, dirfd int, name *byte, follow bool) {
	if !k.sys.anyDev || r.dev != k.sys.lastDev {
		k.sys.lastDev, k.sys.anyDev = r.dev, true
		k.sys.lastFS = k.s.systems.find(r.dev, func(sys *system) { identify(sys, dirfd, name, follow) })
	}
	r.fs = k.sys.lastFS
}

// readNames reads a directory, whose handle nobody has read from, to its end.
func (k *worker) readNames(h *dirHandle, g *gatherer) error {
	for {
		n, _, errno := unix.Syscall(unix.SYS_GETDENTS64, uintptr(h.fd), uintptr(unsafe.Pointer(&k.sys.dents[0])), uintptr(len(k.sys.dents)))
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return sysErr("read directory", errno)
		}
		if n == 0 {
			return nil
		}
		if err := parseDents(k.sys.dents[:n], g); err != nil {
			return err
		}
	}
}

// The fields of a struct linux_dirent64 before its name: inode, offset, length, type.
const (
	dentLen  = 16
	dentType = 18
	dentName = 19
)

func parseDents(buf []byte, g *gatherer) error {
	for len(buf) > 0 {
		if len(buf) < dentName {
			return errBadDent
		}
		size := int(*(*uint16)(unsafe.Pointer(&buf[dentLen])))
		if size < dentName || size > len(buf) {
			return errBadDent
		}
		name := buf[dentName:size]
		for i, c := range name {
			if c == 0 {
				name = name[:i]
				break
			}
		}
		if s := string(name); s != "." && s != ".." {
			if s == "" {
				return errBadDent
			}
			if err := g.add(name, dirType(buf[dentType])); err != nil {
				return err
			}
		}
		buf = buf[size:]
	}
	return nil
}

var errBadDent = &classError{tree.ErrIO, errors.New("read directory: the file system returned a broken entry")}

// readHead reads the first bytes, at most limit, of a small regular file.
func (k *worker) readHead(h *dirHandle, name []byte, limit int) ([]byte, error) {
	z := append(append(make([]byte, 0, len(name)+1), name...), 0)
	fd, errno := openat(h.fd, &z[0], unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
	if errno != 0 {
		return nil, sysErr("open", errno)
	}
	defer closeFD(fd)
	var st unix.Statx_t
	if errno := statx(fd, &emptyName[0], unix.AT_EMPTY_PATH, &st); errno != 0 || modeType(uint32(st.Mode)) != tree.File {
		return nil, fmt.Errorf("%q is no regular file", name)
	}
	buf := make([]byte, min(uint64(limit), st.Size))
	n, err := preadFull(fd, buf, 0)
	return buf[:n], err
}

func closeFD(fd int) {
	_ = unix.Close(fd) // nothing was written to it: closing has nothing to report
}

// statPath identifies what a path leads to.
func statPath(p string) (fileID, error) {
	var st unix.Statx_t
	path := append([]byte(p), 0)
	if errno := statx(unix.AT_FDCWD, &path[0], 0, &st); errno != 0 {
		return fileID{}, sysErr("stat", errno)
	}
	return fileID{joinDev(st.Dev_major, st.Dev_minor), st.Ino}, nil
}

// sysErrClass sorts the errors of system calls.
func sysErrClass(err error) tree.ErrClass {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return tree.ErrNone
	}
	switch errno {
	case unix.EACCES, unix.EPERM:
		return tree.ErrAccess
	case unix.ENOENT, unix.ESTALE, unix.ENOTDIR:
		return tree.ErrVanished
	case unix.ENOTCONN, unix.ECONNABORTED, unix.ESHUTDOWN, unix.ENODEV, unix.EHOSTDOWN:
		return tree.ErrMount
	case unix.EIO, unix.ENXIO, unix.EREMOTEIO, unix.EUCLEAN, unix.EBADMSG, unix.ETIMEDOUT, unix.ENOMEDIUM:
		return tree.ErrIO
	case unix.ELOOP:
		return tree.ErrLoop
	case unix.ENAMETOOLONG, unix.EOVERFLOW, unix.E2BIG:
		return tree.ErrTooLarge
	}
	return tree.ErrOther
}

// leadsBackByPath is for systems that show no inode numbers.
func leadsBackByPath(*node, []byte) bool { return false }
