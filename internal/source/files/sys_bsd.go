//go:build (darwin || freebsd) && !portable

package files

import (
	"bytes"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/tree"
)

// localTypes are the file systems whose inode numbers are trusted.
var localTypes = []string{"apfs", "hfs", "ufs", "zfs"}

func identifyPath(sys *system, p string) {
	var st unix.Statfs_t
	if unix.Statfs(p, &st) != nil {
		return
	}
	typ := unix.ByteSliceToString(st.Fstypename[:])
	sys.id = typ + ":" + unix.ByteSliceToString(st.Mntfromname[:])
	sys.trusted = slices.Contains(localTypes, typ)
}

// describePath reads flags and extended attributes.
func describePath(e *tree.Entry, p string, follow bool) {
	var st unix.Stat_t
	look, list, get := unix.Lstat, unix.Llistxattr, unix.Lgetxattr
	if follow {
		look, list, get = unix.Stat, unix.Listxattr, unix.Getxattr
	}
	if err := look(p, &st); err != nil {
		setErr(e, bare("stat", err))
		return
	}
	e.FSFlags = commonFlags(st.Flags)
	n, err := list(p, nil)
	if err != nil || n == 0 {
		return // no attributes, or none on this file system
	}
	names := make([]byte, n)
	if n, err = list(p, names); err != nil {
		setErr(e, bare("list attributes", err))
		return
	}
	for name := range bytes.SplitSeq(names[:n], []byte{0}) {
		if len(name) == 0 {
			continue
		}
		size, err := get(p, string(name), nil)
		value := make([]byte, max(size, 0))
		if err == nil && size > 0 {
			size, err = get(p, string(name), value)
		}
		if err != nil {
			setErr(e, bare("read attribute", err))
			continue
		}
		e.Xattrs = append(e.Xattrs, tree.Xattr{Name: bytes.Clone(name), Value: value[:size], Size: uint64(size)})
	}
	slices.SortFunc(e.Xattrs, func(a, b tree.Xattr) int { return bytes.Compare(a.Name, b.Name) })
}

// Bits of st_flags. The flags that only the superuser may set (SF_) count as the owner's.
const (
	ufNoDump    = 0x1
	ufImmutable = 0x2
	ufAppend    = 0x4
	ufHidden    = 0x8000
	sfImmutable = 0x20000
	sfAppend    = 0x40000
)

// commonFlags translates what has a name in an entry.
func commonFlags(st uint32) uint32 {
	var f uint32
	for _, x := range []struct{ st, common uint32 }{
		{ufNoDump, tree.FlagNoDump},
		{ufImmutable | sfImmutable, tree.FlagImmutable},
		{ufAppend | sfAppend, tree.FlagAppend},
		{ufHidden, tree.FlagHidden},
	} {
		if st&x.st != 0 {
			f |= x.common
		}
	}
	return f
}
