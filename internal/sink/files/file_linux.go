package files

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
)

// file is a regular file being written.
type file struct {
	s    *linux
	h    *handle // of the directory, held until the end
	dir  []byte
	e    *tree.Entry
	fd   int
	temp string // the name it has until Finish, empty if that is the final one
	free bool   // with temp: no object had the final name when this one was begun
	end  atomic.Int64
}

const createFlags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC

// create begins the file e in directory h.
func (s *linux) create(h *handle, dir []byte, e *tree.Entry) (*file, error) {
	f := &file{s: s, h: h, dir: dir, e: e, fd: -1}
	err := f.open()
	switch {
	case errors.Is(err, sink.ErrSkipped):
		return nil, s.skipped(h, dir, e, err)
	case err != nil:
		return nil, failed("create", dir, e.Name, err)
	}
	if e.FSFlags&flagNoCOW != 0 {
		// It takes effect on empty files only; setMeta tries again and counts the loss.
		_ = object{fd: f.fd}.addFlags(flagNoCOW)
	}
	return f, nil
}

// open makes the file under its final name if that is free and the mark of an unfinished file stays on it, else under
// another.
func (f *file) open() error {
	h, name := f.h, string(f.e.Name)
	t, known := f.s.traitsOf(h)
	if !known || t.marks {
		fd, err := openFile(h.fd, name)
		if err == nil {
			if t = f.s.learn(h, fd); t.marks {
				f.fd = fd
				return nil
			}
			// It told that this file system keeps no such mark.
			err = errors.Join(unix.Unlinkat(h.fd, name, 0), unix.Close(fd))
		}
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	if !t.marks {
		var st unix.Stat_t
		f.free = errors.Is(unix.Fstatat(h.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW), unix.ENOENT)
	}
	err := f.s.replace(h, f.e)
	for err == nil || errors.Is(err, unix.EEXIST) {
		f.temp = f.s.tempName()
		if f.fd, err = openFile(h.fd, f.temp); err == nil {
			break
		}
	}
	return err
}

func openFile(at int, name string) (int, error) {
	for {
		fd, err := unix.Openat(at, name, createFlags, unfinishedFile)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// WriteAt implements sink.File.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pwrite(f.fd, p[done:], off+int64(done))
		if n > 0 {
			done += n
		}
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, failed("write", f.dir, f.e.Name, err)
		case n <= 0:
			return done, failed("write", f.dir, f.e.Name, io.ErrShortWrite)
		}
	}
	for end := off + int64(done); ; {
		old := f.end.Load()
		if end <= old || f.end.CompareAndSwap(old, end) {
			return done, nil
		}
	}
}

// Finish implements sink.File.
func (f *file) Finish(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return errors.Join(err, f.Abort())
	}
	if size := int64(f.e.Size); f.end.Load() != size {
		if err := unix.Ftruncate(f.fd, size); err != nil {
			return errors.Join(failed("set size of", f.dir, f.e.Name, err), f.Abort())
		}
	}
	now, err := f.have()
	if err != nil {
		return errors.Join(failed("stat", f.dir, f.e.Name, err), f.Abort())
	}
	meta := f.s.setMeta(object{fd: f.fd}, f.dir, f.e, now)
	var flags *record
	if f.e.FSFlags&lateFlags != 0 {
		if flags, err = late(f.fd, f.dir, f.e); err != nil {
			meta = errors.Join(meta, failed("set inode flags of", f.dir, f.e.Name, err))
		}
	}
	// Some file systems tell only now that they could not write: before another file is replaced.
	fd := f.fd
	f.fd = -1
	if err := unix.Close(fd); err != nil && err != unix.EINTR {
		return errors.Join(failed("close", f.dir, f.e.Name, err), f.Abort())
	}
	if f.temp != "" {
		if err := f.rename(); err != nil {
			return errors.Join(failed("replace", f.dir, f.e.Name, err), f.Abort())
		}
	}
	if flags != nil {
		meta = errors.Join(meta, f.s.pending.push(flags))
	}
	f.s.dirs.put(f.h)
	return meta
}

// rename gives the file its final name. Where that was free it is not taken from another file of this run, which the
// target then only takes for the same.
func (f *file) rename() error {
	name := string(f.e.Name)
	if f.free {
		f.s.naming.Lock()
		defer f.s.naming.Unlock()
		var st unix.Stat_t
		if err := unix.Fstatat(f.h.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil {
			return errNamesCollide(name)
		}
	}
	return unix.Renameat(f.h.fd, f.temp, f.h.fd, name)
}

// have returns the metadata that the file got when it was made. What a new file gets is known from its directory; where
// the file system has ideas of its own (root squashed, group of the directory, no owners) it is asked.
func (f *file) have() (have, error) {
	now := have{uid: f.s.rights.uid, gid: f.h.gid, mode: unfinishedFile, inherits: f.h.acl}
	if f.s.learn(f.h, f.fd).plain {
		return now, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return now, err
	}
	now.uid, now.gid, now.mode = st.Uid, st.Gid, st.Mode
	return now, nil
}

// Abort implements sink.File.
func (f *file) Abort() error {
	name := f.temp
	if name == "" {
		name = string(f.e.Name)
	}
	var err error
	if f.temp != "" || f.named() {
		err = unix.Unlinkat(f.h.fd, name, 0)
	}
	if f.fd >= 0 {
		err = errors.Join(err, unix.Close(f.fd))
	}
	f.s.dirs.put(f.h)
	if err != nil {
		return failed("remove half-written", f.dir, f.e.Name, err)
	}
	return nil
}

// named reports whether the file has its final name still: another entry that goes to the same place, as happens when
// leading directories are left out of paths, may have replaced it.
func (f *file) named() bool {
	var own, there unix.Stat_t
	if f.fd < 0 || unix.Fstat(f.fd, &own) != nil || unix.Fstatat(f.h.fd, string(f.e.Name), &there, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return true // as far as can be seen
	}
	return own.Dev == there.Dev && own.Ino == there.Ino
}

// reading is a finished file being read back.
type reading struct{ fd int }

func (r *reading) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pread(r.fd, p[done:], off+int64(done))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, io.EOF
		}
		done += n
	}
	return done, nil
}

func (r *reading) Size() (int64, error) {
	var st unix.Stat_t
	err := unix.Fstat(r.fd, &st)
	return st.Size, err
}

func (r *reading) Close() error { return unix.Close(r.fd) }
