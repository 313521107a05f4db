// Package files is about restoring into a folder of a file system.
//
// # Promise
//
// Nothing outside the target is ever read or written, whatever the names of the snapshot are and whoever changes the
// target meanwhile. A name is one component: "", ".", "..", "/" and NUL are refused. On Linux every call works on a
// directory handle that was opened with openat2 and RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS,
// or, where that is missing, component by component with O_NOFOLLOW. Other systems use os.Root. A symlink, or
// anything else that is no directory, in the place of a directory is refused, never followed and never removed. On
// Windows names that it takes for other ones are refused too, and a drive or a share becomes a folder.
//
// A file is written under its final name in a folder where the name is free, else under a temporary name beside it
// that is renamed over it. As long as it is not finished its mode is 01200, a sticky bit on a regular file that nobody
// but its owner can write and nobody read: an interrupted run leaves that mark, and a later run, whatever its overwrite
// rule is, takes such a file for unfinished and writes it anew. On a file system that keeps no such mode (FAT, exFAT,
// many network shares) every file is written under a temporary name. The times are set before the mode. Directories are
// made with mode 01700 and get owner, attributes, times and mode at Close, deepest first.
//
// The order for a file is: content, size, owner, extended attributes, times, ACL, mode. So a set-id bit is never on a
// file with the wrong owner, and it is dropped if the owner could not be set. Immutable and append-only flags come
// last of all, at Close, since links to such files cannot be made. One syncfs for each file system ends the run,
// or one sync of all where that cannot be had.
//
// Set-id bits and capabilities of files, and devices, are restored on request only. What a system or an ordinary user
// cannot restore (owners above all) is no error but a Loss, counted by attribute.
//
// # Cost
//
// A plain file costs openat, its writes, utimensat, fchmod and close; fchown comes in only where owner or group
// differ from what a new file gets in that directory. Directory handles are kept in a cache of 64 (plus one for each
// file being written); a path that is not there is opened from its nearest ancestor that is, in steps of at most 32
// components and 4,095 bytes, so paths have no limit but the file system's. The metadata of directories waits in
// memory up to 8 MiB, then in an unlinked temporary file.
package files

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/nacre-backup/nacre/internal/attrs"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
)

// Overwrite says what becomes of an object that exists where an entry goes.
type Overwrite uint8

// The rules. Whatever the rule is, an existing directory is used for a directory, never replaced by or for anything
// else, and a file that an interrupted restore left unfinished is written anew.
const (
	Never     Overwrite = iota // it stays as it is
	IfChanged                  // it is replaced unless type, size and modification time are the entry's
	Always                     // it is replaced
)

// ParseOverwrite reads the name of a rule.
func ParseOverwrite(s string) (Overwrite, error) {
	switch s {
	case "never":
		return Never, nil
	case "if-changed":
		return IfChanged, nil
	case "always":
		return Always, nil
	}
	return 0, fmt.Errorf("overwrite rule %q: want never, if-changed or always", s)
}

// Options tell New what to restore. The zero value restores into free names, owners by name.
type Options struct {
	Overwrite  Overwrite
	NumericIDs bool // owners by number, even where this system knows the name under another one
	SetID      bool // set-id bits and capabilities of files
	Devices    bool // character and block devices
	// NoSync leaves it to the system when what was restored reaches the disk: for targets that need not survive a power
	// cut, such as a restore that is only a test.
	NoSync bool
	// DryRun is for a rehearsal: Peek alone is called, the target is there, and nothing of it is changed.
	DryRun bool
}

// Sink restores into a folder.
type Sink struct {
	implementation
	losses *losses
}

// implementation is what a system has to offer.
type implementation interface {
	sink.Sink
	sink.Reader
	sink.Peeker
}

// New begins a restore into the folder target, which is made (mode 0700) if it is missing. A symlink in the path to
// the target itself is followed: the user named it.
func New(target string, opts Options) (*Sink, error) {
	if opts.DryRun {
		opts.NoSync = true
	} else if err := os.MkdirAll(target, 0o700); err != nil {
		return nil, fmt.Errorf("make target folder: %w", kind(err))
	}
	l := &losses{}
	impl, err := newSystem(target, opts, l)
	if err != nil {
		return nil, fmt.Errorf("open target folder %q: %w", target, kind(err))
	}
	return &Sink{implementation: impl, losses: l}, nil
}

// Losses implements sink.Loser.
func (s *Sink) Losses() []sink.Loss { return s.losses.list() }

// losses counts what could not be restored; one entry for each attribute.
type losses struct {
	mu sync.Mutex
	by [32]sink.Loss
}

func (l *losses) add(a attrs.Attribute, dir, name []byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := &l.by[a]
	if x.Count++; x.Count == 1 {
		x.Attribute, x.First, x.Err = a, join(dir, name), err
	}
}

func (l *losses) list() []sink.Loss {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []sink.Loss
	for _, x := range l.by {
		if x.Count > 0 {
			out = append(out, x)
		}
	}
	return out
}

// Restored returns the attributes that this package restores on a system, named as in runtime.GOOS. The code asks it,
// and the table in README.md is made from it.
func Restored(goos string) attrs.Set {
	if goos == "linux" {
		// No system call sets the times, and no file is hidden but by its name.
		return attrs.Of(attrs.All()...) &^ attrs.Of(attrs.ChangeTime, attrs.BirthTime, attrs.Hidden)
	}
	return portableRestores(goos)
}

// portableRestores is what the sink on os.Root restores on a system.
func portableRestores(goos string) attrs.Set {
	set := attrs.Of(attrs.Content, attrs.ModTime, attrs.ReadOnly, attrs.HardLinks, attrs.Symlinks)
	if goos == "windows" { // where a file has holes only if it is declared sparse
		return set | attrs.Of(attrs.Hidden, attrs.BirthTime)
	}
	set |= attrs.Of(attrs.Holes, attrs.Mode, attrs.SetID, attrs.Owner, attrs.OwnerNames, attrs.AnyNames)
	if goos == "darwin" || goos == "freebsd" {
		set |= attrs.Of(attrs.Xattrs)
	}
	if goos == "freebsd" {
		set |= attrs.Of(attrs.BirthTime)
	}
	if goos == "linux" || goos == "freebsd" {
		set |= attrs.Of(attrs.FIFOs)
	}
	return set
}

// Why something was left out.
var (
	errNotAsked  = errors.New("restored on request only")
	errOwnerLost = errors.New("left out, since the owner could not be restored")
	errNotHidden = errors.New("on Linux only a name hides a file")
)

// hiddenFlags are those of attrs.Hidden.
const hiddenFlags = tree.FlagHidden | tree.FlagSystem

func join(dir, name []byte) []byte {
	if len(dir) == 0 {
		return slices.Clone(name)
	}
	return slices.Concat(dir, []byte("/"), name)
}
