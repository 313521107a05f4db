package backup

import (
	"bytes"
	"errors"

	"github.com/nacre-backup/nacre/internal/tree"
)

// errMount says that a mount point is empty where the parent snapshot has another file system's files.
var errMount = errors.New("the file system that was mounted here is gone; what the last snapshot has of it is kept " +
	"(mount it, or exclude the directory if it is gone for good)")

// mounts notices mount points whose file system went away (law 7): a directory that is empty now, where the parent
// has entries of a file system that is not the directory's own.
//
// The scan's next directory is enough to know: if the scan has nothing in a directory and the parent has, the
// directory is empty.
type mounts struct {
	changed map[string]bool // directories whose file system is not the parent's; few
	before  []byte          // the directory of the scan's last entry
	scanDir []byte          // the directory of the scan's present entry
	begun   bool            // the scan has brought an entry
	more    bool            // the scan is not at its end
	under   []byte          // the directory found lost last
	isUnder bool
	deleted map[string]bool // directories kept from a lost mount that are deleted now: so is what is below them
	fresh   bool            // the last answer of lost was the first of its directory
}

// next tells where the scan stands before the parent's entries up to there are judged.
func (m *mounts) next(dir []byte, more bool) {
	if m.more {
		m.begun = true
		if !bytes.Equal(m.before, m.scanDir) {
			m.before = append(m.before[:0], m.scanDir...)
		}
	}
	if m.more = more; more && !bytes.Equal(m.scanDir, dir) {
		m.scanDir = append(m.scanDir[:0], dir...)
	}
}

// dir remembers a directory whose file system changed since the parent.
func (m *mounts) dir(path []byte, e, old *tree.Entry) {
	if e.FS == old.FS || old.FS == "" {
		return
	}
	if m.changed == nil {
		m.changed = map[string]bool{}
	}
	m.changed[string(path)] = true
}

// lost says whether an entry that the scan does not bring was lost with its file system.
func (m *mounts) lost(dir []byte, old *tree.Entry) error {
	m.fresh = false
	if m.isUnder && tree.Below(dir, m.under) {
		return errMount
	}
	m.isUnder = false
	if m.more && bytes.Equal(dir, m.scanDir) || m.begun && bytes.Equal(dir, m.before) {
		m.delete(dir, old) // the directory is not empty
		return nil
	}
	kept := old.Flags&tree.Stale != 0 && old.ErrClass == tree.ErrMount && !m.deleted[string(dir)]
	if !kept && !m.changed[string(dir)] {
		m.delete(dir, old)
		return nil
	}
	m.under, m.isUnder, m.fresh = append(m.under[:0], dir...), true, true
	return errMount
}

// delete remembers a deleted directory whose entries the parent kept from a lost mount.
func (m *mounts) delete(dir []byte, old *tree.Entry) {
	if old.Type != tree.Dir || old.Flags&tree.Stale == 0 {
		return
	}
	if m.deleted == nil {
		m.deleted = map[string]bool{}
	}
	m.deleted[string(tree.JoinPath(nil, dir, old.Name))] = true
}
