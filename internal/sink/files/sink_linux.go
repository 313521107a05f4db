package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/attrs"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
)

// The modes of what is not finished.
const (
	unfinishedFile = 0o1200
	unfinishedDir  = 0o1700
)

// linux is the sink on directory handles.
type linux struct {
	opts    Options
	losses  *losses
	rights  rights
	owners  owners
	dirs    handles
	pending pending
	temps   atomic.Uint64
	empty   bool // the target held nothing when the run began

	traitsMu sync.RWMutex
	traits   map[uint64]traits // of the file systems by device

	naming sync.Mutex // held from the look at a free name to the renaming to it

	probe       sync.Once
	insensitive bool // names that differ count as the same
	probeErr    error
}

func newLinux(target string, opts Options, l *losses) (*linux, error) {
	fd, err := unix.Open(target, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	s := &linux{opts: opts, losses: l, owners: owners{numeric: opts.NumericIDs}}
	s.rights.inspect(fd)
	if err := s.dirs.init(fd); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	if s.empty, err = isEmpty(fd); err != nil {
		return nil, errors.Join(err, s.dirs.close())
	}
	return s, nil
}

// Begin implements sink.Sink.
func (s *linux) Begin(ctx context.Context, dir []byte, e *tree.Entry) (sink.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(e.Name) == 0 && len(dir) == 0 && e.Type == tree.Dir {
		return nil, s.top(e)
	}
	if err := checkName(e.Name); err != nil {
		return nil, err
	}
	h, err := s.dirs.get(dir)
	if err != nil {
		return nil, err
	}
	if e.Type == tree.File {
		f, err := s.create(h, dir, e)
		if err != nil {
			s.dirs.put(h)
			return nil, err
		}
		return f, nil
	}
	defer s.dirs.put(h)
	if e.Type == tree.Dir {
		return nil, s.mkdir(h, dir, e)
	}
	return nil, s.node(h, dir, e)
}

// Peek implements sink.Peeker.
//
//nolint:gocyclo // a list of cases, each with its answer
func (s *linux) Peek(ctx context.Context, dir []byte, e *tree.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(e.Name) == 0 && len(dir) == 0 && e.Type == tree.Dir {
		return nil
	}
	if err := errors.Join(checkName(e.Name), checkDir(dir)); err != nil {
		return err
	}
	if (e.Type == tree.CharDevice || e.Type == tree.BlockDevice) && !s.opts.Devices {
		s.losses.add(attrs.Devices, dir, e.Name, errNotAsked) // whoever asks does not go on to Begin
		return sink.ErrSkipped
	}
	if s.empty {
		return nil
	}
	h, err := s.dirs.get(dir)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer s.dirs.put(h)
	if e.Type == tree.Dir {
		err = s.peekDir(h, string(e.Name))
	} else {
		err = s.replace(h, e)
	}
	if errors.Is(err, sink.ErrSame) && e.FSFlags&lateFlags != 0 && !s.opts.DryRun {
		return nil // Begin notes the flags, which a run that was interrupted did not set
	}
	if err != nil && !errors.Is(err, sink.ErrSkipped) {
		return failed("restore", dir, e.Name, err)
	}
	return err
}

// peekDir tells whether a directory of that name is there or can be made.
func (s *linux) peekDir(h *handle, name string) error {
	st, err := s.exists(h, name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return inTheWay(typeName(st.Mode))
	}
	return err
}

// top notes the metadata of the target itself, if the snapshot has any for it.
func (s *linux) top(e *tree.Entry) error {
	if e.Flags&tree.Implied != 0 {
		return nil
	}
	return s.pending.push(&record{entry: *e})
}

func (s *linux) mkdir(h *handle, dir []byte, e *tree.Entry) error {
	name := string(e.Name)
	err := unix.Mkdirat(h.fd, name, unfinishedDir)
	made := err == nil
	if made && h.acl {
		// What the default ACL took away is needed to fill the directory.
		err = s.chmodDir(h, name, unfinishedDir)
	}
	if errors.Is(err, unix.EEXIST) {
		var st unix.Stat_t
		if st, err = s.exists(h, name); err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			err = inTheWay(typeName(st.Mode))
		}
		if err == nil {
			made = st.Mode&0o7777&^unix.S_ISGID == unfinishedDir
			if !made && (s.opts.Overwrite == Never || e.Flags&tree.Implied != 0) {
				return nil
			}
			err = s.openUp(h, name, &st)
		}
	}
	if err != nil {
		return failed("make directory", dir, e.Name, err)
	}
	return s.pending.push(&record{made: made, dir: dir, entry: *e})
}

// openUp lets an ordinary user write into an own directory that is to be filled; Close sets the final mode.
func (s *linux) openUp(h *handle, name string, st *unix.Stat_t) error {
	if s.rights.uid == 0 || st.Uid != s.rights.uid || st.Mode&0o700 == 0o700 {
		return nil
	}
	return s.chmodDir(h, name, st.Mode&0o7777|0o700)
}

func (s *linux) chmodDir(h *handle, name string, mode uint32) error {
	fd, err := s.dirs.openBeneath(h.fd, name, unix.O_PATH)
	if err != nil {
		return err
	}
	return errors.Join(object{fd: fd, opath: true}.chmod(mode), unix.Close(fd))
}

// exists stats what is there, and refuses it if the target only takes its name for the same.
func (s *linux) exists(h *handle, name string) (st unix.Stat_t, err error) {
	if err := unix.Fstatat(h.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return st, err
	}
	s.probe.Do(func() { s.insensitive, s.probeErr = s.probeNames() })
	if s.probeErr != nil {
		return st, s.probeErr
	}
	if s.insensitive {
		return st, s.sameName(h, name)
	}
	return st, nil
}

// replace decides whether the existing object name may be replaced by e: nil, ErrSkipped, ErrSame or an error.
func (s *linux) replace(h *handle, e *tree.Entry) error {
	name := string(e.Name)
	st, err := s.exists(h, name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return inTheWay("a directory")
	case st.Mode&unix.S_IFMT != unix.S_IFLNK && st.Mode&0o7777&^0o200 == unix.S_ISVTX:
		return nil // left unfinished by an interrupted run
	case s.opts.Overwrite == Always:
		return nil
	case s.same(h, &st, e):
		return sink.ErrSame
	case s.opts.Overwrite == Never:
		return sink.ErrSkipped
	}
	return nil
}

// same reports whether the existing object can be taken for e.
func (s *linux) same(h *handle, st *unix.Stat_t, e *tree.Entry) bool {
	if st.Mode&unix.S_IFMT != typeBits(e.Type) || int64(st.Mtim.Sec) != e.ModTime.Sec ||
		uint32(st.Mtim.Nsec) != e.ModTime.Nsec {
		return false
	}
	switch e.Type {
	case tree.File:
		return uint64(st.Size) == e.Size
	case tree.Symlink:
		buf := make([]byte, len(e.Target)+1)
		n, err := unix.Readlinkat(h.fd, string(e.Name), buf)
		return err == nil && string(buf[:n]) == string(e.Target)
	case tree.CharDevice, tree.BlockDevice:
		return uint64(st.Rdev) == unix.Mkdev(e.Major, e.Minor)
	}
	return true
}

// skipped ends Begin for a file that stays as it is. Late flags are noted again: a run that was interrupted before its
// Close did not set them.
func (s *linux) skipped(h *handle, dir []byte, e *tree.Entry, skip error) error {
	if !errors.Is(skip, sink.ErrSame) || e.FSFlags&lateFlags == 0 {
		return skip
	}
	fd, err := openRegular(h.fd, string(e.Name))
	if err == nil {
		var r *record
		r, err = late(fd, dir, e)
		if err = errors.Join(err, unix.Close(fd)); err == nil {
			err = s.pending.push(r)
		}
	}
	if err != nil {
		return failed("set inode flags of", dir, e.Name, err)
	}
	return skip
}

// late is the record of an open file that gets its late flags at Close.
func late(fd int, dir []byte, e *tree.Entry) (*record, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	return &record{dir: dir, entry: *e, dev: uint64(st.Dev), ino: st.Ino}, nil
}

// tempName returns a name for what is renamed later. Should it exist, the call that uses it fails and the next name is
// taken.
func (s *linux) tempName() string {
	return tempPrefix + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatUint(s.temps.Add(1), 10)
}

// Link implements sink.Sink.
func (s *linux) Link(ctx context.Context, dir []byte, e *tree.Entry, toDir, toName []byte) error {
	if err := errors.Join(ctx.Err(), checkName(e.Name), checkName(toName)); err != nil {
		return err
	}
	h, err := s.dirs.get(dir)
	if err != nil {
		return err
	}
	defer s.dirs.put(h)
	to, err := s.dirs.get(toDir)
	if err != nil {
		return err
	}
	defer s.dirs.put(to)
	name, first := string(e.Name), string(toName)
	err = unix.Linkat(to.fd, first, h.fd, name, 0)
	if errors.Is(err, unix.EEXIST) {
		err = s.relink(h, e, to, first)
	}
	switch {
	case err == nil, errors.Is(err, sink.ErrSkipped):
		return err
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EMLINK),
		errors.Is(err, unix.EXDEV):
		err = errs.As(errs.Unsupported, err)
	}
	return failed("link to "+strconv.Quote(string(join(toDir, toName))), dir, e.Name, err)
}

// relink puts a link in the place of an existing object.
func (s *linux) relink(h *handle, e *tree.Entry, to *handle, first string) error {
	name := string(e.Name)
	var a, b unix.Stat_t
	if err := errors.Join(unix.Fstatat(to.fd, first, &a, unix.AT_SYMLINK_NOFOLLOW),
		unix.Fstatat(h.fd, name, &b, unix.AT_SYMLINK_NOFOLLOW)); err != nil {
		return err
	}
	if a.Dev == b.Dev && a.Ino == b.Ino {
		return sink.ErrSame
	}
	if err := s.replace(h, e); err != nil && !(errors.Is(err, sink.ErrSame) && s.opts.Overwrite != Never) {
		return err
	}
	for {
		temp := s.tempName()
		err := unix.Linkat(to.fd, first, h.fd, temp, 0)
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return err
		}
		if err := unix.Renameat(h.fd, temp, h.fd, name); err != nil {
			return errors.Join(err, unix.Unlinkat(h.fd, temp, 0))
		}
		return nil
	}
}

// Open implements sink.Reader.
func (s *linux) Open(ctx context.Context, dir, name []byte) (sink.ReadFile, error) {
	if err := errors.Join(ctx.Err(), checkName(name)); err != nil {
		return nil, err
	}
	h, err := s.dirs.get(dir)
	if err != nil {
		return nil, err
	}
	defer s.dirs.put(h)
	fd, err := openRegular(h.fd, string(name))
	if err != nil {
		return nil, failed("open", dir, name, err)
	}
	return &reading{fd: fd}, nil
}

// openRegular opens an existing regular file and nothing else.
func openRegular(at int, name string) (int, error) {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = inTheWay(typeName(st.Mode))
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// maxErrors bounds the errors of directories that Close returns one by one.
const maxErrors = 100

// Close implements sink.Sink.
func (s *linux) Close(ctx context.Context) error {
	var all []error
	more := 0
	for ctx.Err() == nil {
		r, ok, err := s.pending.pop()
		if ok && err == nil {
			err = s.finish(&r)
		}
		if err != nil {
			if len(all) < maxErrors {
				all = append(all, err)
			} else {
				more++
			}
		}
		if !ok {
			break
		}
	}
	if more > 0 {
		all = append(all, fmt.Errorf("and %d more directories", more))
	}
	if ctx.Err() == nil && !s.opts.NoSync {
		all = append(all, s.dirs.sync())
	}
	all = append(all, ctx.Err(), s.pending.close(), s.dirs.close())
	return errors.Join(all...)
}

// finish sets what waited for Close.
func (s *linux) finish(r *record) error {
	e := &r.entry
	if e.Type != tree.Dir {
		return s.finishFlags(r)
	}
	path := r.dir
	if len(e.Name) > 0 {
		path = join(r.dir, e.Name)
	}
	h, err := s.dirs.get(path)
	if err != nil {
		return failed("set metadata of", r.dir, e.Name, err)
	}
	defer s.dirs.put(h)
	var st unix.Stat_t
	if err := unix.Fstat(h.fd, &st); err != nil {
		return failed("set metadata of", r.dir, e.Name, err)
	}
	o := object{fd: h.fd, opath: h.opath}
	// An existing directory may have ACLs that the snapshot's does not.
	inherits := h.acl || !r.made
	err = s.setMeta(o, r.dir, e, have{uid: st.Uid, gid: st.Gid, mode: st.Mode, inherits: inherits})
	if f := e.FSFlags & lateFlags; f != 0 && !h.opath {
		err = errors.Join(err, s.lateFlags(o, r.dir, e))
	}
	return err
}

// finishFlags sets the late flags of a file.
func (s *linux) finishFlags(r *record) error {
	h, err := s.dirs.get(r.dir)
	if err != nil {
		return err
	}
	defer s.dirs.put(h)
	fd, err := openRegular(h.fd, string(r.entry.Name))
	if err != nil {
		return failed("set inode flags of", r.dir, r.entry.Name, err)
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (uint64(st.Dev) != r.dev || st.Ino != r.ino) {
		err = errReplaced
	}
	if err != nil {
		return errors.Join(failed("set inode flags of", r.dir, r.entry.Name, err), unix.Close(fd))
	}
	return errors.Join(s.lateFlags(object{fd: fd}, r.dir, &r.entry), unix.Close(fd))
}

func (s *linux) lateFlags(o object, dir []byte, e *tree.Entry) error {
	t := setting{s: s, o: o, dir: dir, e: e}
	t.check(attrs.Flags, "inode flags", o.addFlags(e.FSFlags&lateFlags))
	if len(t.errs) > 0 {
		return failed("set inode flags of", dir, e.Name, errors.Join(t.errs...))
	}
	return nil
}
