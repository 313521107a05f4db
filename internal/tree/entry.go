package tree

import "github.com/nacre-backup/nacre/internal/id"

// Type is the kind of a file-system object. The numbers stand in the format (FORMAT.md, tree pages).
type Type uint8

// The types.
const (
	Dir Type = 1 + iota
	File
	Symlink
	FIFO
	Socket
	CharDevice
	BlockDevice
)

// Time is a point in time: seconds since 1970-01-01T00:00:00Z, and nanoseconds from 0 to 999,999,999 after it. The
// zero value stands for "unknown" in the optional times.
type Time struct {
	Sec  int64
	Nsec uint32
}

// Flags mark an entry whose content or metadata is not simply what the source showed.
type Flags uint8

// The flags. The numbers stand in the format.
const (
	Implied Flags = 1 << iota // an ancestor of a root: type, mode and owner only, its other children were not read
	Stale                     // could not be read this time: content and metadata are the parent snapshot's
	Torn                      // changed while it was read, several times: the content is of more than one moment
	Partial                   // the content stops early: a checkpoint was taken while it was stored, or, with an error, nothing of it could be read
)

// ErrClass is the class of the error that an entry met. The numbers stand in the format.
type ErrClass uint8

// The error classes.
const (
	ErrNone     ErrClass = iota
	ErrOther             // none of the others
	ErrAccess            // EACCES, EPERM
	ErrVanished          // ENOENT, ESTALE: it was listed and then was gone
	ErrIO                // EIO and other failures of the device
	ErrChanged           // it changed while it was read
	ErrLoop              // a symlink loop, or a directory met again below itself
	ErrMount             // a mount point whose file system went away
	ErrTooLarge          // a name, path, depth or attribute beyond the format's limits
)

// Xattr is an extended attribute. A value of up to 256 bytes stands in Value; a longer one is a blob named by Blob,
// and Size is its length in bytes. POSIX ACLs and capabilities are attributes like any other.
type Xattr struct {
	Name  []byte
	Value []byte
	Blob  id.ID
	Size  uint64
}

// ContentKind says how an entry carries its content.
type ContentKind uint8

// The content kinds. The numbers stand in the format.
const (
	Empty   ContentKind = iota // no bytes, or not a file
	Inline                     // the bytes themselves, at most 128
	Direct                     // 1 to 4 blob ids, whose contents follow one another and make up the file
	Extents                    // the root page of an extent list
)

// Content is the content of a regular file.
type Content struct {
	Kind   ContentKind
	Inline []byte
	IDs    []id.ID // Direct: the data blobs; Extents: exactly one, the root page
	Level  uint8   // Extents: the root page's level, 0 is a leaf
}

// Entry is the metadata of one file-system object and where its content is.
type Entry struct {
	Name []byte // one path component; empty for the top of the tree only
	Type Type
	Mode uint32 // permission, set-id and sticky bits: 07777

	UID, GID    uint32
	User, Group string // names of the owner and the group, empty where unknown

	ModTime    Time
	ChangeTime Time // zero where unknown
	BirthTime  Time // zero where unknown

	Size    uint64 // bytes of a regular file, holes included
	Content Content

	Target     []byte // of a symlink, unless TargetBlob is set
	TargetBlob id.ID  // a target of more than 256 bytes
	Major      uint32 // of a device
	Minor      uint32

	Nlink uint32  // number of hard links; 0 or 1 where there is one
	Link  id.Link // the hard-link group, zero where Nlink is below 2

	Xattrs    []Xattr // ascending by name
	FSFlags   uint32  // FlagImmutable and the like
	ProjectID uint32

	Inode uint64 // 0 where unknown or not to be trusted
	FS    string // identity of the file system (UUID or fsid and subvolume), empty where unknown
	Token []byte // change token of the source, at most 64 bytes: an equal token means unchanged

	Flags    Flags
	ErrClass ErrClass // why the entry could not be read whole
	ErrText  string   // the error's message, at most 255 bytes
}

// Less reports whether t is before u.
func (t Time) Less(u Time) bool {
	return t.Sec < u.Sec || t.Sec == u.Sec && t.Nsec < u.Nsec
}

// IsZero reports whether t is the zero Time.
func (t Time) IsZero() bool { return t == Time{} }
