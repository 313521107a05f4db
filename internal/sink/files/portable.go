package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nacre-backup/nacre/internal/attrs"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
)

// portable is the sink on os.Root, for systems other than Linux. Files are always written under a temporary name,
// since not every system has a mode that marks an unfinished file.
type portable struct {
	opts    Options
	has     attrs.Set
	losses  *losses
	owners  owners
	dirs    roots
	pending pending
	temps   atomic.Uint64
	naming  sync.Mutex // held from the look at a name to the renaming
}

func newPortable(target string, opts Options, l *losses) (*portable, error) {
	root, err := os.OpenRoot(target)
	if err != nil {
		return nil, err
	}
	s := &portable{opts: opts, has: portableRestores(runtime.GOOS), losses: l, owners: owners{numeric: opts.NumericIDs}}
	s.dirs.init(root)
	return s, nil
}

// Begin implements sink.Sink.
func (s *portable) Begin(ctx context.Context, dir []byte, e *tree.Entry) (sink.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dir, e = s.place(dir, e)
	if len(e.Name) == 0 && len(dir) == 0 && e.Type == tree.Dir {
		if e.Flags&tree.Implied != 0 {
			return nil, nil
		}
		return nil, s.pending.push(&record{entry: *e})
	}
	if err := s.checkName(e.Name); err != nil {
		return nil, err
	}
	d, err := s.dirs.get(dir)
	if err != nil {
		return nil, err
	}
	switch e.Type {
	case tree.File:
		f, err := s.create(d, dir, e)
		if err != nil {
			s.dirs.put(d)
			return nil, err
		}
		return f, nil
	case tree.Dir:
		err = s.mkdir(d, dir, e)
	default:
		if _, can := s.makes(e.Type); can {
			err = s.node(d, dir, e)
		} else {
			s.notHere(dir, e)
			err = sink.ErrSkipped
		}
	}
	s.dirs.put(d)
	return nil, err
}

// Peek implements sink.Peeker.
func (s *portable) Peek(ctx context.Context, dir []byte, e *tree.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dir, e = s.place(dir, e)
	if len(e.Name) == 0 && len(dir) == 0 && e.Type == tree.Dir {
		return nil
	}
	if err := s.checkName(e.Name); err != nil {
		return err
	}
	if _, can := s.makes(e.Type); !can && e.Type != tree.Dir && e.Type != tree.File {
		s.notHere(dir, e) // whoever asks does not go on to Begin
		return sink.ErrSkipped
	}
	d, err := s.dirs.get(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer s.dirs.put(d)
	if e.Type != tree.Dir {
		_, err := s.replace(d, e)
		return err
	}
	fi, err := s.exists(d, string(e.Name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && !fi.IsDir():
		err = failed("restore", dir, e.Name, inTheWay("something that is no directory"))
	}
	return err
}

// notHere counts an object of a type that this system cannot make.
func (s *portable) notHere(dir []byte, e *tree.Entry) {
	a, _ := s.makes(e.Type)
	s.losses.add(a, dir, e.Name, errNotHere)
}

var errNotHere = errs.New(errs.Unsupported, "not restored on %s", runtime.GOOS)

// place returns where an entry goes: on Windows a volume becomes a folder.
func (s *portable) place(dir []byte, e *tree.Entry) ([]byte, *tree.Entry) {
	if runtime.GOOS != "windows" {
		return dir, e
	}
	if len(dir) > 0 {
		return withoutVolume(dir), e
	}
	if name := withoutVolume(e.Name); len(name) != len(e.Name) {
		placed := *e
		placed.Name = name
		return dir, &placed
	}
	return dir, e
}

func (s *portable) checkName(name []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return windowsName(name)
	}
	return nil
}

func (s *portable) mkdir(d *rootHandle, dir []byte, e *tree.Entry) error {
	name := string(e.Name)
	err := d.root.Mkdir(name, 0o700)
	made := err == nil
	if errors.Is(err, fs.ErrExist) {
		var fi fs.FileInfo
		if fi, err = s.exists(d, name); err == nil {
			switch {
			case !fi.IsDir():
				err = inTheWay("something that is no directory")
			case s.opts.Overwrite == Never || e.Flags&tree.Implied != 0:
				return nil
			}
		}
	}
	if err != nil {
		return failed("make directory", dir, e.Name, err)
	}
	return s.pending.push(&record{made: made, dir: dir, entry: *e})
}

// exists stats what is there; an object whose name only counts as the same on this file system is refused.
func (s *portable) exists(d *rootHandle, name string) (fs.FileInfo, error) {
	fi, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	f, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	for {
		names, err := f.Readdirnames(1024)
		for _, have := range names {
			if have == name {
				return fi, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil, errNamesCollide(name)
		}
		if err != nil {
			return nil, err
		}
	}
}

func errNamesCollide(name string) error {
	return errs.WithHint(errs.New(errs.Exists, "the target takes %q for the name of an object that is there", name),
		"restore this one into a file system that tells upper from lower case")
}

// replace decides whether an existing object may be replaced by e: nil, ErrSkipped, ErrSame or an error. free is true
// if there is none.
func (s *portable) replace(d *rootHandle, e *tree.Entry) (free bool, err error) {
	fi, err := s.exists(d, string(e.Name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	case fi.IsDir():
		return false, inTheWay("a directory")
	case s.opts.Overwrite == Always:
		return false, nil
	case e.Type == tree.File && fi.Mode().IsRegular() && uint64(fi.Size()) == e.Size &&
		fi.ModTime().Equal(time.Unix(e.ModTime.Sec, int64(e.ModTime.Nsec))):
		return false, sink.ErrSame
	case s.opts.Overwrite == Never:
		return false, sink.ErrSkipped
	}
	return false, nil
}

func (s *portable) tempName() string {
	return tempPrefix + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatUint(s.temps.Add(1), 10)
}

// into gives the object temp its name. free says that no object had it when this one was begun; one that has it now was
// made by this run under a name that only counts as the same on this file system, and is not replaced.
func (s *portable) into(d *rootHandle, temp, name string, free bool) error {
	s.naming.Lock()
	defer s.naming.Unlock()
	if free {
		if _, err := d.root.Lstat(name); err == nil {
			return errNamesCollide(name)
		}
	} else if err := giveWay(d.root, name); err != nil {
		return err
	}
	return d.root.Rename(temp, name)
}

// makes tells whether objects of a type that is neither directory nor file can be made here, and what is lost if not.
func (s *portable) makes(t tree.Type) (attrs.Attribute, bool) {
	a := attrs.Devices
	switch t {
	case tree.Symlink:
		a = attrs.Symlinks
	case tree.FIFO:
		a = attrs.FIFOs
	case tree.Socket:
		a = attrs.Sockets
	}
	return a, s.has.Has(a)
}

// node makes a symlink or a FIFO.
func (s *portable) node(d *rootHandle, dir []byte, e *tree.Entry) error {
	free, err := s.replace(d, e)
	if errors.Is(err, sink.ErrSkipped) {
		return err
	}
	name := string(e.Name)
	at := name
	if err == nil {
		if !free {
			at = s.tempName()
		}
		if e.Type == tree.Symlink {
			err = d.root.Symlink(string(e.Target), at)
		} else {
			err = makeFIFO(d.root, at)
		}
	}
	if err != nil {
		return failed("make "+nodeNames[e.Type], dir, e.Name, err)
	}
	meta := s.nodeMeta(d, at, dir, e)
	if at != name {
		err := giveWay(d.root, name)
		if err == nil {
			err = d.root.Rename(at, name)
		}
		if err != nil {
			return errors.Join(failed("replace", dir, e.Name, err), d.root.Remove(at))
		}
	}
	return meta
}

var nodeNames = map[tree.Type]string{tree.Symlink: "a symlink", tree.FIFO: "a FIFO"}

// nodeMeta sets the metadata of what cannot be opened.
func (s *portable) nodeMeta(d *rootHandle, at string, dir []byte, e *tree.Entry) error {
	if uid, gid := s.owners.of(e); s.has.Has(attrs.Owner) && (int(uid) != os.Geteuid() || int(gid) != os.Getegid()) {
		if err := d.root.Lchown(at, int(uid), int(gid)); err != nil {
			s.losses.add(attrs.Owner, dir, e.Name, err)
		}
	}
	s.others(nil, dir, e)
	if e.Type == tree.Symlink {
		s.losses.add(attrs.ModTime, dir, e.Name, fmt.Errorf("times of symlinks: %w", errNotHere))
		return nil
	}
	if err := errors.Join(setTimes(d.root, nil, at, e), d.root.Chmod(at, fs.FileMode(e.Mode&0o777))); err != nil {
		return failed("set metadata of", dir, e.Name, err)
	}
	return nil
}

// others sets extended attributes where this system has them for an open file, and counts what it does not restore. f
// is nil for symlinks.
func (s *portable) others(f *os.File, dir []byte, e *tree.Entry) {
	for i := range e.Xattrs {
		x := &e.Xattrs[i]
		a, err := attrs.Xattrs, error(errNotHere)
		switch string(x.Name) {
		case "system.posix_acl_access", "system.posix_acl_default":
			a = attrs.ACLs
		case "security.capability":
			a = attrs.Capabilities
		default:
			if f != nil && s.has.Has(attrs.Xattrs) {
				err = setXattr(f, string(x.Name), x.Value)
			}
		}
		if err != nil {
			s.losses.add(a, dir, e.Name, err)
		}
	}
	if f := e.FSFlags &^ knownFlags; f&hiddenFlags != 0 {
		s.losses.add(attrs.Hidden, dir, e.Name, errNotHere)
	} else if f != 0 {
		s.losses.add(attrs.Flags, dir, e.Name, errNotHere)
	}
	if e.ProjectID != 0 {
		s.losses.add(attrs.ProjectID, dir, e.Name, errNotHere)
	}
}

// setMeta sets owner, times and mode of name, of which f is open.
func (s *portable) setMeta(d *rootHandle, f *os.File, name string, dir []byte, e *tree.Entry) error {
	s.others(f, dir, e)
	var all []error
	mode := fs.FileMode(e.Mode & 0o777)
	special := e.Mode & 0o7000
	if s.has.Has(attrs.Owner) {
		uid, gid := s.owners.of(e)
		if int(uid) != os.Geteuid() || int(gid) != os.Getegid() {
			if err := f.Chown(int(uid), int(gid)); err != nil {
				special &^= 0o6000
				s.losses.add(attrs.Owner, dir, e.Name, err)
			}
		}
	}
	if e.Type == tree.File && special&0o6000 != 0 && !s.opts.SetID {
		s.losses.add(attrs.SetID, dir, e.Name, errNotAsked)
		special &^= 0o6000
	}
	for bit, m := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if special&bit != 0 {
			mode |= m
		}
	}
	if e.Flags&tree.Implied == 0 {
		all = append(all, setTimes(d.root, f, name, e))
	}
	if s.has.Has(attrs.Mode) {
		all = append(all, f.Chmod(mode))
	}
	if err := errors.Join(all...); err != nil {
		return failed("set metadata of", dir, e.Name, err)
	}
	return nil
}

// Link implements sink.Sink.
func (s *portable) Link(ctx context.Context, dir []byte, e *tree.Entry, toDir, toName []byte) error {
	if runtime.GOOS == "windows" {
		dir, toDir = withoutVolume(dir), withoutVolume(toDir)
	}
	if err := errors.Join(ctx.Err(), s.checkName(e.Name), s.checkName(toName), checkDir(dir), checkDir(toDir)); err != nil {
		return err
	}
	// os.Root links within one root only, so both paths are the target's; their directories are opened first, which
	// refuses symlinks on the way.
	d, err := s.dirs.get(dir)
	if err != nil {
		return err
	}
	defer s.dirs.put(d)
	to, err := s.dirs.get(toDir)
	if err != nil {
		return err
	}
	defer s.dirs.put(to)
	first, name := string(join(toDir, toName)), string(join(dir, e.Name))
	err = s.dirs.top.root.Link(first, name)
	if errors.Is(err, fs.ErrExist) {
		err = s.relink(d, dir, e, first)
	}
	if err != nil && !errors.Is(err, sink.ErrSkipped) {
		return failed("link to "+strconv.Quote(first), dir, e.Name, err)
	}
	return err
}

// relink puts a link to first in the place of an existing object of directory d.
func (s *portable) relink(d *rootHandle, dir []byte, e *tree.Entry, first string) error {
	root, name := s.dirs.top.root, string(join(dir, e.Name))
	there, err := s.exists(d, string(e.Name))
	if err != nil {
		return err
	}
	linked, err := root.Lstat(first)
	switch {
	case err != nil:
		return err
	case os.SameFile(linked, there):
		return sink.ErrSame
	case there.IsDir():
		return inTheWay("a directory")
	case s.opts.Overwrite == Never:
		return sink.ErrSkipped
	}
	temp := string(join(dir, []byte(s.tempName())))
	if err := root.Link(first, temp); err != nil {
		return err
	}
	if err := errors.Join(giveWay(root, name), root.Rename(temp, name)); err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return nil
}

// Open implements sink.Reader.
func (s *portable) Open(ctx context.Context, dir, name []byte) (sink.ReadFile, error) {
	if runtime.GOOS == "windows" {
		dir = withoutVolume(dir)
	}
	if err := errors.Join(ctx.Err(), s.checkName(name)); err != nil {
		return nil, err
	}
	d, err := s.dirs.get(dir)
	if err != nil {
		return nil, err
	}
	defer s.dirs.put(d)
	fi, err := d.root.Lstat(string(name))
	if err == nil && !fi.Mode().IsRegular() {
		err = inTheWay("something that is no file")
	}
	var f *os.File
	if err == nil {
		f, err = d.root.Open(string(name))
	}
	if err != nil {
		return nil, failed("open", dir, name, err)
	}
	return osReading{f}, nil
}

type osReading struct{ *os.File }

func (r osReading) Size() (int64, error) {
	fi, err := r.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

// Close implements sink.Sink.
func (s *portable) Close(ctx context.Context) error {
	var all []error
	for ctx.Err() == nil && len(all) < 100 {
		r, ok, err := s.pending.pop()
		if err == nil && ok {
			err = s.finish(&r)
		}
		if err != nil {
			all = append(all, err)
		}
		if !ok {
			break
		}
	}
	all = append(all, ctx.Err(), s.pending.close(), s.dirs.close())
	return errors.Join(all...)
}

func (s *portable) finish(r *record) error {
	path := r.dir
	if len(r.entry.Name) > 0 {
		path = join(r.dir, r.entry.Name)
	}
	d, err := s.dirs.get(path)
	if err != nil {
		return failed("set metadata of", r.dir, r.entry.Name, err)
	}
	defer s.dirs.put(d)
	f, err := d.root.Open(".")
	if err != nil {
		return failed("set metadata of", r.dir, r.entry.Name, err)
	}
	err = s.setMeta(d, f, ".", r.dir, &r.entry)
	if runtime.GOOS != "windows" && !s.opts.NoSync { // Windows cannot sync a directory
		err = errors.Join(err, f.Sync())
	}
	return errors.Join(err, f.Close())
}
