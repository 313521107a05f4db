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
	end  atomic.Int64
}

const createFlags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC

// create begins the file e in directory h.
func (s *linux) create(h *handle, dir []byte, e *tree.Entry) (*file, error) {
	name, temp := string(e.Name), ""
	fd, err := openFile(h.fd, name)
	if errors.Is(err, unix.EEXIST) {
		if err = s.replace(h, e); errors.Is(err, sink.ErrSkipped) {
			return nil, s.skipped(h, dir, e, err)
		}
		for err == nil || errors.Is(err, unix.EEXIST) {
			temp = s.tempName()
			if fd, err = openFile(h.fd, temp); err == nil {
				break
			}
		}
	}
	if err != nil {
		return nil, failed("create", dir, e.Name, err)
	}
	f := &file{s: s, h: h, dir: dir, e: e, fd: fd, temp: temp}
	if e.FSFlags&flagNoCOW != 0 {
		// It takes effect on empty files only; setMeta tries again and counts the loss.
		_ = object{fd: fd}.addFlags(flagNoCOW)
	}
	return f, nil
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
	if f.temp != "" {
		if err := unix.Renameat(f.h.fd, f.temp, f.h.fd, string(f.e.Name)); err != nil {
			return errors.Join(failed("replace", f.dir, f.e.Name, err), f.Abort())
		}
		f.temp = ""
	}
	if f.e.FSFlags&lateFlags != 0 {
		meta = errors.Join(meta, f.s.laterFlags(f.fd, f.dir, f.e))
	}
	fd := f.fd
	f.fd = -1
	if err := unix.Close(fd); err != nil && err != unix.EINTR {
		return errors.Join(failed("close", f.dir, f.e.Name, err), f.Abort())
	}
	f.s.dirs.put(f.h)
	return meta
}

// have returns the metadata that the file got when it was made. What a new file gets is known from its directory; where
// the file system has ideas of its own (root squashed, group of the directory, no owners) it is asked.
func (f *file) have() (have, error) {
	now := have{uid: f.s.rights.uid, gid: f.h.gid, mode: unfinishedFile, inherits: f.h.acl}
	if f.s.plain(f.h, f.fd) {
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
	err := unix.Unlinkat(f.h.fd, name, 0)
	if f.fd >= 0 {
		err = errors.Join(err, unix.Close(f.fd))
	}
	f.s.dirs.put(f.h)
	if err != nil {
		return failed("remove half-written", f.dir, f.e.Name, err)
	}
	return nil
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
