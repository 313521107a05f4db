//go:build !portable

package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/nacre-backup/nacre/internal/tree"
)

// On Windows paths go to the system in the form that it takes as it is: so "a.", "NUL" and paths of more than 260
// characters name what a listing means by them. A junction is stored as a symlink. What else a file may have there,
// streams beside its content and a security descriptor, is not stored.

// verbatim makes the form of an absolute path that the system does not change.
func verbatim(p string) string {
	switch {
	case len(p) >= 4 && (p[:4] == `\\?\` || p[:4] == `\\.\`):
	case len(p) >= 2 && p[:2] == `\\`:
		return `\\?\UNC\` + p[2:]
	case len(p) >= 2 && p[1] == ':':
		return `\\?\` + p
	}
	return p
}

// fromSystem takes from the attributes what package os leaves out. The one permission that stands in them is that of
// writing to a file; on a directory the same attribute means something else.
func (r *rec) fromSystem(fi fs.FileInfo) {
	d, ok := fi.Sys().(*syscall.Win32FileAttributeData)
	if !ok {
		return
	}
	if fi.Mode()&fs.ModeIrregular != 0 && d.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0 {
		r.typ, r.size = tree.Symlink, 0 // a junction, or something else that leads to a directory
	}
	switch {
	case r.typ == tree.Symlink:
		r.mode = 0o777
	case r.typ == tree.Dir:
		r.mode = 0o755
	case d.FileAttributes&windows.FILE_ATTRIBUTE_READONLY != 0:
		r.mode = 0o444
	default:
		r.mode = 0o644
	}
	r.btime, r.btimeNsec = split(d.CreationTime.Nanoseconds())
	r.knownBirth = true
}

// split makes seconds and nanoseconds of nanoseconds.
func split(ns int64) (sec int64, nsec uint32) {
	sec = ns / 1e9
	if ns %= 1e9; ns < 0 {
		sec, ns = sec-1, ns+1e9
	}
	return sec, uint32(ns)
}

// look adds what takes an open handle: the file's number, the number of its links and its change time. Where the
// system refuses it they are unknown.
func (r *rec) look(p string, follow bool) {
	h, err := openObject(p, windows.FILE_READ_ATTRIBUTES, follow)
	if err != nil {
		return
	}
	defer windows.CloseHandle(h) //nolint:errcheck // it was only read
	r.fromHandle(h)
}

// lookOpen does the same for an open file.
func (r *rec) lookOpen(f *os.File) {
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { r.fromHandle(windows.Handle(fd)) }) // a closed file has shown it before
	}
}

// basicInfo is FILE_BASIC_INFO; times in 100 ns since 1601.
type basicInfo struct {
	created, accessed, written, changed int64
	attributes                          uint32
}

func (r *rec) fromHandle(h windows.Handle) {
	var id windows.ByHandleFileInformation
	if windows.GetFileInformationByHandle(h, &id) != nil {
		return
	}
	r.dev, r.nlink = uint64(id.VolumeSerialNumber), id.NumberOfLinks
	r.ino = uint64(id.FileIndexHigh)<<32 | uint64(id.FileIndexLow)
	var b basicInfo
	if windows.GetFileInformationByHandleEx(h, windows.FileBasicInfo, (*byte)(unsafe.Pointer(&b)), uint32(unsafe.Sizeof(b))) == nil && b.changed > 0 {
		t := windows.Filetime{LowDateTime: uint32(b.changed), HighDateTime: uint32(b.changed >> 32)}
		r.ctime, r.ctimeNsec = split(t.Nanoseconds())
	}
}

// openObject opens an object without keeping anyone from writing to it, renaming or removing it.
func openObject(p string, access uint32, follow bool) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(p)
	if err != nil {
		return windows.InvalidHandle, err
	}
	flags := uint32(windows.FILE_FLAG_BACKUP_SEMANTICS) // directories can be opened
	if !follow {
		flags |= windows.FILE_FLAG_OPEN_REPARSE_POINT
	}
	share := uint32(windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE)
	return windows.CreateFile(name, access, share, nil, windows.OPEN_EXISTING, flags, 0)
}

// openRead opens a regular file for reading.
func openRead(p string) (*os.File, error) {
	h, err := openObject(p, windows.GENERIC_READ, true)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	return os.NewFile(uintptr(h), p), nil
}

// identifyPath names a volume by its file system and serial number. File numbers of NTFS stay what they are; those of
// FAT are places, and of ReFS only the lower half is told.
func identifyPath(sys *system, p string) {
	h, err := openObject(p, windows.FILE_READ_ATTRIBUTES, true)
	if err != nil {
		return
	}
	defer windows.CloseHandle(h) //nolint:errcheck // it was only read
	var serial uint32
	var name [windows.MAX_PATH + 1]uint16
	if windows.GetVolumeInformationByHandle(h, nil, 0, &serial, nil, nil, &name[0], uint32(len(name))) != nil {
		return
	}
	typ := windows.UTF16ToString(name[:])
	sys.id = fmt.Sprintf("%s:%08x", typ, serial)
	sys.trusted = typ == "NTFS"
}

// describePath reads the flags.
func describePath(e *tree.Entry, p string, follow bool) {
	look := os.Lstat
	if follow {
		look = os.Stat
	}
	fi, err := look(p)
	if err != nil {
		setErr(e, bare("stat", err))
		return
	}
	d, ok := fi.Sys().(*syscall.Win32FileAttributeData)
	if !ok {
		return
	}
	if d.FileAttributes&windows.FILE_ATTRIBUTE_HIDDEN != 0 {
		e.FSFlags |= tree.FlagHidden
	}
	if d.FileAttributes&windows.FILE_ATTRIBUTE_SYSTEM != 0 {
		e.FSFlags |= tree.FlagSystem
	}
}

// systemClass knows the errors that are Windows' own. A file that another program has opened for itself alone is one
// that may not be read.
func systemClass(err error) tree.ErrClass {
	var no windows.Errno
	if !errors.As(err, &no) {
		return tree.ErrNone
	}
	switch no {
	case windows.ERROR_SHARING_VIOLATION, windows.ERROR_LOCK_VIOLATION:
		return tree.ErrAccess
	case windows.ERROR_CRC, windows.ERROR_IO_DEVICE, windows.ERROR_READ_FAULT, windows.ERROR_SECTOR_NOT_FOUND,
		windows.ERROR_FILE_CORRUPT, windows.ERROR_DISK_CORRUPT:
		return tree.ErrIO
	case windows.ERROR_DIRECTORY, windows.ERROR_DELETE_PENDING:
		return tree.ErrVanished
	case windows.ERROR_CANT_RESOLVE_FILENAME:
		return tree.ErrLoop
	case windows.ERROR_NOT_READY, windows.ERROR_DEV_NOT_EXIST, windows.ERROR_NETNAME_DELETED:
		return tree.ErrMount
	case windows.ERROR_FILENAME_EXCED_RANGE:
		return tree.ErrTooLarge
	}
	return tree.ErrNone
}
