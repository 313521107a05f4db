//go:build !portable

package files

import (
	"io"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

// maxStash is how many files that Describe opened may wait for Open at once.
const maxStash = 32

// stash keeps the descriptor of a retained item from Describe to Open, so that a new file is opened once.
type stash struct{ fd atomic.Int32 } // the descriptor plus one

// put keeps fd, unless too many are kept already.
func (t *stash) put(s *Source, fd int) bool {
	if s.stashed.Add(1) > maxStash {
		s.stashed.Add(-1)
		return false
	}
	if !t.fd.CompareAndSwap(0, int32(fd)+1) {
		s.stashed.Add(-1)
		return false
	}
	return true
}

// take returns the kept descriptor, or -1.
func (t *stash) take(s *Source) int {
	fd := int(t.fd.Swap(0)) - 1
	if fd >= 0 {
		s.stashed.Add(-1)
	}
	return fd
}

func (t *stash) drop(s *Source) {
	if fd := t.take(s); fd >= 0 {
		closeFD(fd)
	}
}

// file is an open regular file.
type file struct {
	s     *Source
	fd    int
	size  uint64 // when it was looked up
	dense bool   // it has no holes worth asking for
	fs    uint32
}

var _ source.File = (*file)(nil)

// denseBelow is the size below which a file that takes all the blocks it could is read without asking for holes. A
// larger one may be allocated in advance and unwritten.
const denseBelow = 4 << 20

func (s *Source) openFile(r *ref) (source.File, error) {
	fd := r.fd.take(s)
	if fd < 0 {
		h, err := s.dirs.acquire(r.dir)
		if err != nil {
			return nil, err
		}
		fd, err = s.openObject(h.fd, r.name[:len(r.name)+1], r, tree.File)
		s.dirs.release(h)
		if err != nil {
			return nil, err
		}
	}
	f := &file{s: s, fd: fd, size: r.rec.size, fs: r.rec.fs}
	f.dense = s.opts.ReadHoles || r.rec.size < denseBelow && r.rec.blocks*512 >= r.rec.size
	return f, nil
}

// ReadAt implements source.File. A short answer that ends where the file ended when it was looked up is the end of the
// file; any other one may be a short read, and is asked to go on.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		k, err := pread(f.fd, p[n:], off+int64(n))
		n += k
		if err != nil {
			return n, err
		}
		if k == 0 || n < len(p) && uint64(off)+uint64(n) == f.size {
			return n, io.EOF
		}
	}
	return n, nil
}

func pread(fd int, p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := unix.Pread(fd, p, off)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		default:
			return 0, sysErr("read", err.(unix.Errno)) //nolint:errorlint // a bare errno
		}
	}
}

// preadFull reads until p is full or the file ends.
func preadFull(fd int, p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		k, err := pread(fd, p[n:], off+int64(n))
		n += k
		if err != nil {
			return n, err
		}
		if k == 0 {
			break
		}
	}
	return n, nil
}

// NextData implements source.File.
func (f *file) NextData(off, size int64) (start, end int64, err error) {
	if off >= size {
		return size, size, nil
	}
	if f.dense {
		return off, size, nil
	}
	start, err = f.seek(off, unix.SEEK_DATA)
	switch {
	case err == unix.ENXIO: //nolint:errorlint // a bare errno
		return size, size, nil
	case err != nil:
		return off, size, nil // a file system that cannot tell
	case start >= size:
		return size, size, nil
	}
	end, err = f.seek(start, unix.SEEK_HOLE)
	if err != nil || end > size || end <= start {
		end = size
	}
	return max(start, off), end, nil
}

func (f *file) seek(off int64, whence int) (int64, error) {
	for {
		at, err := unix.Seek(f.fd, off, whence)
		if err != unix.EINTR {
			return at, err
		}
	}
}

// Stat implements source.File. It also sets type, inode and file system, by which a file that was replaced shows.
func (f *file) Stat(e *tree.Entry) error {
	var st unix.Statx_t
	if errno := statx(f.fd, &emptyName[0], unix.AT_EMPTY_PATH, &st); errno != 0 {
		return sysErr("stat", errno)
	}
	var r rec
	r.fromStatx(&st)
	r.fs = f.fs
	e.Type, e.Size = r.typ, r.size
	e.ModTime = tree.Time{Sec: r.mtime, Nsec: r.mtimeNsec}
	e.ChangeTime = tree.Time{Sec: r.ctime, Nsec: r.ctimeNsec}
	if f.s.systems.get(r.fs).trusted {
		e.Inode = r.ino
	}
	return nil
}

// Close implements source.File.
func (f *file) Close() error {
	if f.fd >= 0 {
		closeFD(f.fd)
		f.fd = -1
	}
	return nil
}
