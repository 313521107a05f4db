package files

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/attrs"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
)

// node makes a symlink, FIFO, socket or device.
func (s *linux) node(h *handle, dir []byte, e *tree.Entry) error {
	if typeBits(e.Type) == 0 {
		return errs.New(errs.Corrupt, "%q has the unknown type %d", join(dir, e.Name), e.Type)
	}
	if (e.Type == tree.CharDevice || e.Type == tree.BlockDevice) && !s.opts.Devices {
		s.losses.add(attrs.Devices, dir, e.Name, errNotAsked)
		return sink.ErrSkipped
	}
	name := string(e.Name)
	at := name
	err := makeNode(h.fd, at, e)
	if errors.Is(err, unix.EEXIST) {
		if err = s.replace(h, e); errors.Is(err, sink.ErrSkipped) {
			return err
		}
		for err == nil || errors.Is(err, unix.EEXIST) {
			at = s.tempName()
			if err = makeNode(h.fd, at, e); err == nil {
				break
			}
		}
	}
	if err != nil {
		return failed("make "+typeName(typeBits(e.Type)), dir, e.Name, err)
	}
	meta := s.nodeMeta(h, dir, at, e)
	if at == name {
		return meta
	}
	if err := unix.Renameat(h.fd, at, h.fd, name); err != nil {
		return errors.Join(failed("replace", dir, e.Name, err), meta, unix.Unlinkat(h.fd, at, 0))
	}
	return meta
}

func makeNode(at int, name string, e *tree.Entry) error {
	if e.Type == tree.Symlink {
		return unix.Symlinkat(string(e.Target), at, name)
	}
	dev := 0
	if e.Type == tree.CharDevice || e.Type == tree.BlockDevice {
		dev = int(unix.Mkdev(e.Major, e.Minor))
	}
	return unix.Mknodat(at, name, typeBits(e.Type)|unfinishedFile, dev)
}

// nodeMeta sets the metadata of a new object that cannot be opened. Whoever may write to the directory could have put
// a link to a foreign object in its place: the handle must show an object of the right type with one name and our
// owner.
func (s *linux) nodeMeta(h *handle, dir []byte, name string, e *tree.Entry) error {
	fd, err := unix.Openat(h.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return failed("set metadata of", dir, e.Name, err)
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (st.Mode&unix.S_IFMT != typeBits(e.Type) || st.Nlink != 1 ||
		st.Uid != s.rights.uid && !s.rights.unowned) {
		err = errReplaced
	}
	if err != nil {
		return errors.Join(failed("set metadata of", dir, e.Name, err), unix.Close(fd))
	}
	now := have{uid: st.Uid, gid: st.Gid, mode: st.Mode, inherits: h.acl}
	return errors.Join(s.setMeta(object{fd: fd, opath: true}, dir, e, now), unix.Close(fd))
}

var errReplaced = errors.New("another object has taken its place")

func typeBits(t tree.Type) uint32 {
	switch t {
	case tree.Dir:
		return unix.S_IFDIR
	case tree.File:
		return unix.S_IFREG
	case tree.Symlink:
		return unix.S_IFLNK
	case tree.FIFO:
		return unix.S_IFIFO
	case tree.Socket:
		return unix.S_IFSOCK
	case tree.CharDevice:
		return unix.S_IFCHR
	case tree.BlockDevice:
		return unix.S_IFBLK
	}
	return 0
}

func typeName(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFREG:
		return "a file"
	case unix.S_IFLNK:
		return "a symlink"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	case unix.S_IFCHR, unix.S_IFBLK:
		return "a device"
	}
	return "an object of unknown type"
}

// traits are what new files of a file system are like.
type traits struct {
	plain bool // they get owner and group as Linux file systems give them
	marks bool // they keep the mode that marks them as unfinished
}

// traitsOf returns what is known of the file system of a directory.
func (s *linux) traitsOf(h *handle) (t traits, known bool) {
	s.traitsMu.RLock()
	defer s.traitsMu.RUnlock()
	t, known = s.traits[h.dev]
	return t, known
}

// learn is traitsOf with a new file at hand. The first file of each file system answers for the others.
func (s *linux) learn(h *handle, fd int) traits {
	if t, known := s.traitsOf(h); known {
		return t
	}
	t := traits{marks: true}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil {
		t.marks = st.Mode&0o7777 == unfinishedFile
		t.plain = t.marks && st.Uid == s.rights.uid && st.Gid == h.gid
	}
	s.traitsMu.Lock()
	defer s.traitsMu.Unlock()
	if s.traits == nil {
		s.traits = make(map[uint64]traits)
	}
	s.traits[h.dev] = t
	return t
}

// probeNames finds out whether the target's file system takes different names for the same.
func (s *linux) probeNames() (bool, error) {
	if s.opts.DryRun {
		return s.guessNames()
	}
	name := s.tempName() + "-probe-\u00e9"
	fd, err := openFile(s.dirs.root.fd, name)
	if err != nil {
		// Nothing can be made there, so nothing can collide there either; where it matters, the object's own error
		// tells.
		return false, nil
	}
	same := false
	for _, other := range []string{
		name[:len(name)-len("PROBE-\u00e9")] + "PROBE-\u00e9", name[:len(name)-len("\u00e9")] + "e\u0301",
	} {
		var st unix.Stat_t
		same = same || unix.Fstatat(s.dirs.root.fd, other, &st, unix.AT_SYMLINK_NOFOLLOW) == nil
	}
	if err := errors.Join(unix.Unlinkat(s.dirs.root.fd, name, 0), unix.Close(fd)); err != nil {
		return false, fmt.Errorf("remove probe file %q: %w", name, err)
	}
	return same, nil
}

// guessNames is probeNames that makes nothing: it looks for a name of the target in another case.
func (s *linux) guessNames() (bool, error) {
	dir, err := os.Open(object{fd: s.dirs.root.fd}.proc())
	if err != nil {
		return false, err
	}
	names, err := dir.Readdirnames(4096)
	if err = errors.Join(dir.Close(), err); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	for _, name := range names {
		other := strings.ToUpper(name)
		if other == name {
			other = strings.ToLower(name)
		}
		if other == name || slices.Contains(names, other) {
			continue
		}
		var st unix.Stat_t
		return unix.Fstatat(s.dirs.root.fd, other, &st, unix.AT_SYMLINK_NOFOLLOW) == nil, nil
	}
	return false, nil
}

// sameName refuses an existing object whose name is not byte for byte the wanted one.
func (s *linux) sameName(h *handle, name string) error {
	fd, err := unix.Openat(h.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	found, err := listed(fd, name)
	if err = errors.Join(err, unix.Close(fd)); err != nil || found {
		return err
	}
	return errNamesCollide(name)
}

func listed(fd int, name string) (bool, error) {
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err != nil || n == 0 {
			return false, err
		}
		for rest := buf[:n]; len(rest) > 0; {
			used, _, names := unix.ParseDirent(rest, -1, nil)
			for _, have := range names {
				if have == name {
					return true, nil
				}
			}
			rest = rest[used:]
		}
	}
}

// isEmpty reports whether the directory holds nothing.
func isEmpty(dir int) (bool, error) {
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	buf := make([]byte, 4096)
	n, err := unix.ReadDirent(fd, buf)
	_, count, _ := unix.ParseDirent(buf[:max(n, 0)], -1, nil)
	return count == 0, errors.Join(err, unix.Close(fd))
}
