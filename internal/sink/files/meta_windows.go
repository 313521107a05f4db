package files

import (
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/nacre-backup/nacre/internal/tree"
)

// knownFlags are those that have a place among Windows' attributes.
const knownFlags = hiddenFlags

// basicInfo is FILE_BASIC_INFO; times in 100 ns since 1601, and 0 leaves one as it is.
type basicInfo struct {
	created, accessed, written, changed int64
	attributes                          uint32
}

// setTimes sets times and attributes of f, all with one call and by the handle that wrote: what another handle sets may
// be undone when this one is closed.
func setTimes(_ *os.Root, f *os.File, _ string, e *tree.Entry) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = c.Control(func(fd uintptr) {
		h := windows.Handle(fd)
		if e.Type == tree.Dir {
			if h, inner = forAttributes(h); inner != nil {
				return
			}
			defer windows.CloseHandle(h) //nolint:errcheck // nothing was written by it
		}
		inner = setBasic(h, e)
	})
	if err != nil {
		return err
	}
	return inner
}

func setBasic(h windows.Handle, e *tree.Entry) error {
	var b basicInfo
	size := uint32(unsafe.Sizeof(b))
	if err := windows.GetFileInformationByHandleEx(h, windows.FileBasicInfo, (*byte)(unsafe.Pointer(&b)), size); err != nil {
		return os.NewSyscallError("GetFileInformationByHandleEx", err)
	}
	b.created, b.written, b.accessed, b.changed = sinceFirst(e.BirthTime), sinceFirst(e.ModTime), 0, 0
	if e.BirthTime.IsZero() {
		b.created = 0
	}
	b.attributes &^= windows.FILE_ATTRIBUTE_READONLY | windows.FILE_ATTRIBUTE_HIDDEN | windows.FILE_ATTRIBUTE_SYSTEM
	if e.Type == tree.File && e.Mode&0o222 == 0 {
		b.attributes |= windows.FILE_ATTRIBUTE_READONLY
	}
	if e.FSFlags&tree.FlagHidden != 0 {
		b.attributes |= windows.FILE_ATTRIBUTE_HIDDEN
	}
	if e.FSFlags&tree.FlagSystem != 0 {
		b.attributes |= windows.FILE_ATTRIBUTE_SYSTEM
	}
	if b.attributes == 0 {
		b.attributes = windows.FILE_ATTRIBUTE_NORMAL // 0 leaves them as they are
	}
	return os.NewSyscallError("SetFileInformationByHandle",
		windows.SetFileInformationByHandle(h, windows.FileBasicInfo, (*byte)(unsafe.Pointer(&b)), size))
}

// sinceFirst counts in Windows' way; what lies before its first moment is that moment.
func sinceFirst(t tree.Time) int64 {
	const to1601 = 11_644_473_600
	if t.Sec < -to1601 {
		return 1
	}
	return max((t.Sec+to1601)*1e7+int64(t.Nsec)/100, 1)
}

// forAttributes opens the directory of a handle once more, so that its attributes can be set.
func forAttributes(dir windows.Handle) (windows.Handle, error) {
	var name windows.NTUnicodeString
	var status windows.IO_STATUS_BLOCK
	attributes := windows.OBJECT_ATTRIBUTES{RootDirectory: dir, ObjectName: &name}
	attributes.Length = uint32(unsafe.Sizeof(attributes))
	var h windows.Handle
	err := windows.NtCreateFile(&h, windows.FILE_READ_ATTRIBUTES|windows.FILE_WRITE_ATTRIBUTES|windows.SYNCHRONIZE, &attributes,
		&status, nil, 0, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, windows.FILE_OPEN,
		windows.FILE_DIRECTORY_FILE|windows.FILE_SYNCHRONOUS_IO_NONALERT|windows.FILE_OPEN_FOR_BACKUP_INTENT, 0, 0)
	return h, os.NewSyscallError("NtCreateFile", err)
}

// giveWay takes the attribute from a file that keeps Windows from replacing it.
func giveWay(root *os.Root, name string) error {
	fi, err := root.Lstat(name)
	if err != nil || !fi.Mode().IsRegular() || fi.Mode()&0o222 != 0 {
		return nil //nolint:nilerr // the renaming tells
	}
	return root.Chmod(name, fi.Mode()|fs.FileMode(0o222))
}
