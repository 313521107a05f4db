package files

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/attrs"
	"github.com/nacre-backup/nacre/internal/tree"
)

// rights is what this process may do, asked once.
type rights struct {
	uid, gid uint32
	// privileged: the owner of every object can be set. Where it cannot, that is the file system's doing or the
	// sandbox's and no failure.
	privileged bool
	// unowned: the target's file system keeps no owners (FAT, exFAT, most FUSE file systems).
	unowned bool
}

// File systems without owners or modes of their own.
var ownerless = map[uint32]bool{
	0x4d44: true, 0x2011bab0: true, 0x65735546: true, 0x5346544e: true, 0x7366746e: true, 0xff534d42: true,
	0xfe534d42: true, 0x517b: true,
}

func (r *rights) inspect(root int) {
	r.uid, r.gid = uint32(unix.Geteuid()), uint32(unix.Getegid())
	if r.uid == 0 {
		m, err := os.ReadFile("/proc/self/uid_map")
		r.privileged = err != nil || strings.Join(strings.Fields(string(m)), " ") == "0 0 4294967295"
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(root, &fs); err == nil {
		r.unowned = ownerless[uint32(fs.Type)]
	}
}

// lossy reports whether err means that this system or user cannot have the attribute, which is a loss, not a failure.
func (r *rights) lossy(a attrs.Attribute, err error) bool {
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOTTY):
		return true
	case errors.Is(err, unix.EINVAL):
		// An id or a flag that this file system or name space cannot express.
		return a == attrs.Owner || a == attrs.Flags || a == attrs.ProjectID
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return !r.privileged || r.unowned || a == attrs.Flags || a == attrs.ProjectID
	}
	return false
}

// have is the metadata that an object has already.
type have struct {
	uid, gid, mode uint32
	inherits       bool // an ACL may have come from the directory
}

// setting is the act of setting one object's metadata.
type setting struct {
	s         *linux
	o         object
	dir       []byte
	e         *tree.Entry
	errs      []error
	ownerLost bool
}

// setMeta gives object o the metadata of e, in the order that the package comment tells. Late flags are left out.
func (s *linux) setMeta(o object, dir []byte, e *tree.Entry, now have) error {
	t := setting{s: s, o: o, dir: dir, e: e}
	owned := t.setOwner(now)
	t.setXattrs()
	if e.ProjectID != 0 && !o.opath {
		t.check(attrs.ProjectID, "project id", o.setProject(e.ProjectID))
	}
	if e.FSFlags&hiddenFlags != 0 {
		s.losses.add(attrs.Hidden, dir, e.Name, errNotHidden)
	}
	if f := e.FSFlags & setFlags &^ lateFlags; f != 0 && !o.opath {
		t.check(attrs.Flags, "inode flags", o.addFlags(f))
	}
	if e.Flags&tree.Implied == 0 {
		t.check(attrs.ModTime, "times", o.setTime(e.ModTime))
	}
	acl := t.setACLs(now)
	if e.Type != tree.Symlink {
		if mode := t.mode(); owned || acl || mode != now.mode&0o7777 {
			t.check(attrs.Mode, "mode", o.chmod(mode))
		}
	}
	if len(t.errs) == 0 {
		return nil
	}
	return failed("set metadata of", dir, e.Name, errors.Join(t.errs...))
}

// check sorts the error of one attribute into losses and failures.
func (t *setting) check(a attrs.Attribute, what string, err error) {
	if err == nil {
		return
	}
	err = fmt.Errorf("%s: %w", what, err)
	if t.s.rights.lossy(a, err) {
		t.lose(a, err)
		return
	}
	t.errs = append(t.errs, err)
}

func (t *setting) lose(a attrs.Attribute, err error) {
	t.s.losses.add(a, t.dir, t.e.Name, err)
}

// setOwner reports whether it changed the owner, which clears set-id bits.
func (t *setting) setOwner(now have) bool {
	uid, gid := t.s.owners.of(t.e)
	if uid == now.uid && gid == now.gid {
		return false
	}
	err := t.o.chown(int(uid), int(gid))
	if err == nil {
		return true
	}
	// An ordinary user keeps the file, but may give it to another of the own groups.
	t.ownerLost = true
	t.check(attrs.Owner, "owner", err)
	if gid == now.gid {
		return false
	}
	return t.o.chown(-1, int(gid)) == nil
}

// mode returns the permission bits that the object may have.
func (t *setting) mode() uint32 {
	mode := t.e.Mode & 0o7777
	set := mode & (unix.S_ISUID | unix.S_ISGID)
	switch {
	case set == 0:
	case t.ownerLost:
		t.lose(attrs.SetID, errOwnerLost)
		mode &^= set
	case t.e.Type != tree.Dir && !t.s.opts.SetID:
		t.lose(attrs.SetID, errNotAsked)
		mode &^= set
	}
	return mode
}

// setXattrs sets the extended attributes other than ACLs.
func (t *setting) setXattrs() {
	for i := range t.e.Xattrs {
		x := &t.e.Xattrs[i]
		name := string(x.Name)
		attr := attrs.Xattrs
		switch name {
		case aclAccess, aclDefault:
			continue
		case capability:
			attr = attrs.Capabilities
			if !t.s.opts.SetID {
				t.lose(attr, errNotAsked)
				continue
			}
			if t.ownerLost {
				t.lose(attr, errOwnerLost)
				continue
			}
		}
		err := t.o.setXattr(name, x.Value)
		if errors.Is(err, unix.EPERM) && !strings.HasPrefix(name, "user.") {
			t.lose(attr, fmt.Errorf("attribute %q: %w", x.Name, err))
			continue
		}
		t.check(attr, fmt.Sprintf("attribute %q", x.Name), err)
	}
}

// setACLs sets the ACLs and removes those that came from the directory; it reports whether the mode may have changed.
func (t *setting) setACLs(now have) bool {
	var access, dflt bool
	for i := range t.e.Xattrs {
		x := &t.e.Xattrs[i]
		name := string(x.Name)
		switch name {
		case aclAccess:
			access = true
		case aclDefault:
			dflt = true
		default:
			continue
		}
		t.check(attrs.ACLs, fmt.Sprintf("attribute %q", x.Name), t.o.setXattr(name, x.Value))
	}
	if now.inherits && t.e.Type != tree.Symlink {
		if !access {
			t.check(attrs.ACLs, "remove inherited ACL", t.o.removeXattr(aclAccess))
		}
		if !dflt && t.e.Type == tree.Dir {
			t.check(attrs.ACLs, "remove inherited default ACL", t.o.removeXattr(aclDefault))
		}
	}
	return access || now.inherits
}
