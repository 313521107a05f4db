//go:build !linux || portable

package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"

	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

// Outside Linux the walk goes by paths and the calls of package os. Paths longer than the system's limit become
// entries with an error.

type sysWorker struct{}

func newSysWorker() sysWorker { return sysWorker{} }

// dirHandle is the path of a directory.
type dirHandle struct{ path string }

type dirCache struct{}

func newDirCache() *dirCache { return &dirCache{} }

func (c *dirCache) acquire(n *node) (*dirHandle, error) {
	return &dirHandle{path: systemPath(n.appendPath(nil))}, nil
}

func (c *dirCache) release(*dirHandle) {}

func (c *dirCache) close() error { return nil }

// systemPath makes the system's path of a path from the top.
func systemPath(p []byte) string {
	if runtime.GOOS != "windows" {
		return "/" + string(p)
	}
	s := filepath.FromSlash(string(p))
	if len(s) == 2 && s[1] == ':' {
		s += `\`
	}
	return verbatim(s)
}

func (h *dirHandle) join(name []byte) string {
	if h.path == "" {
		return systemPath(name)
	}
	if os.IsPathSeparator(h.path[len(h.path)-1]) {
		return h.path + string(name)
	}
	return h.path + string(filepath.Separator) + string(name)
}

func (k *worker) readNames(h *dirHandle, g *gatherer) error {
	d, err := os.Open(h.path)
	if err != nil {
		return bare("open", err)
	}
	defer d.Close()
	for {
		list, err := d.ReadDir(1024)
		for _, e := range list {
			if err := g.add([]byte(e.Name()), fileType(e.Type())); err != nil {
				return err
			}
		}
		if err == io.EOF { //nolint:errorlint // ReadDir returns it bare
			return nil
		}
		if err != nil {
			return bare("read directory", err)
		}
	}
}

// bare takes the path out of an error: the reader knows it, and it may be longer than an entry holds.
func bare(call string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: %w", call, p.Err)
	}
	return fmt.Errorf("%s: %w", call, err)
}

func fileType(m fs.FileMode) tree.Type {
	switch {
	case m&fs.ModeDir != 0:
		return tree.Dir
	case m&fs.ModeSymlink != 0:
		return tree.Symlink
	case m&fs.ModeNamedPipe != 0:
		return tree.FIFO
	case m&fs.ModeSocket != 0:
		return tree.Socket
	case m&fs.ModeCharDevice != 0:
		return tree.CharDevice
	case m&fs.ModeDevice != 0:
		return tree.BlockDevice
	}
	return tree.File
}

func (r *rec) fromInfo(fi fs.FileInfo) {
	r.typ = fileType(fi.Mode())
	r.mode = uint16(fi.Mode().Perm())
	for _, bit := range []struct {
		mode fs.FileMode
		unix uint16
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if fi.Mode()&bit.mode != 0 {
			r.mode |= bit.unix
		}
	}
	r.mtime, r.mtimeNsec = fi.ModTime().Unix(), uint32(fi.ModTime().Nanosecond())
	if r.typ == tree.File {
		r.size = uint64(fi.Size())
	}
	r.fromSystem(fi)
}

func (k *worker) stat(h *dirHandle, name []byte, follow bool, r *rec) error {
	look := os.Lstat
	if follow {
		look = os.Stat
	}
	p := h.join(name)
	fi, err := look(p)
	if err != nil {
		return bare("stat", err)
	}
	r.fromInfo(fi)
	r.look(p, follow)
	r.fs = k.s.systems.find(r.dev, func(sys *system) { identifyPath(sys, p) })
	return nil
}

func (k *worker) statTop(r *rec) error {
	if runtime.GOOS == "windows" {
		r.mode = 0o755
		return nil
	}
	fi, err := os.Stat("/")
	if err != nil {
		return bare("stat", err)
	}
	r.fromInfo(fi)
	r.fs = k.s.systems.find(r.dev, func(sys *system) { identifyPath(sys, "/") })
	return nil
}

func (k *worker) readHead(h *dirHandle, name []byte, limit int) ([]byte, error) {
	p := h.join(name)
	fi, err := os.Lstat(p)
	if err != nil {
		return nil, bare("stat", err)
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is no regular file", name)
	}
	f, err := openRead(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(limit)))
}

func statPath(p string) (fileID, error) {
	fi, err := os.Stat(p)
	if err != nil {
		return fileID{}, bare("stat", err)
	}
	var r rec
	r.fromInfo(fi)
	r.look(p, true)
	if r.ino == 0 {
		return fileID{}, errors.ErrUnsupported // it is compared by its path
	}
	return fileID{r.dev, r.ino}, nil
}

// stash would keep what Describe opened; here Describe opens nothing.
type stash struct{}

func (*stash) drop(*Source) {}

func (s *Source) pathOf(r *ref) string {
	if r.dir == nil {
		return systemPath(nil)
	}
	return systemPath(tree.JoinPath(nil, r.dir.appendPath(nil), r.name))
}

func (s *Source) describe(e *tree.Entry, r *ref) {
	p := s.pathOf(r)
	if e.Type == tree.Symlink {
		target, err := os.Readlink(p)
		if err != nil {
			setErr(e, bare("read link", err))
			return
		}
		e.Target = []byte(target)
	}
	describePath(e, p, r.rec.flags&recFollowed != 0)
}

// file is an open regular file.
type file struct {
	s    *Source
	f    *os.File
	fs   uint32
	seek sync.Mutex
}

func (s *Source) openFile(r *ref) (source.File, error) {
	f, err := openRead(s.pathOf(r))
	if err != nil {
		return nil, err
	}
	return &file{s: s, f: f, fs: r.rec.fs}, nil
}

func (f *file) ReadAt(p []byte, off int64) (int, error) { return f.f.ReadAt(p, off) }

func (f *file) NextData(off, size int64) (start, end int64, err error) {
	if off >= size || f.s.opts.ReadHoles {
		return min(off, size), size, nil
	}
	f.seek.Lock() // the place in the file is one for all
	defer f.seek.Unlock()
	start, end = nextData(f.f, off, size)
	return start, end, nil
}

func (f *file) Stat(e *tree.Entry) error {
	fi, err := f.f.Stat()
	if err != nil {
		return bare("stat", err)
	}
	var r rec
	r.fromInfo(fi)
	r.lookOpen(f.f)
	e.Type, e.Size = r.typ, r.size
	e.ModTime = tree.Time{Sec: r.mtime, Nsec: r.mtimeNsec}
	e.ChangeTime = tree.Time{Sec: r.ctime, Nsec: r.ctimeNsec}
	if f.s.systems.get(f.fs).trusted {
		e.Inode = r.ino
	}
	return nil
}

func (f *file) Close() error { return f.f.Close() }

func effectiveUser() uint32 { return uint32(os.Geteuid()) }

// leadsBackByPath asks the system whether a directory is one of those above it.
func leadsBackByPath(n *node, name []byte) bool {
	target, err := os.Stat((&dirHandle{path: systemPath(n.appendPath(nil))}).join(name))
	if err != nil {
		return false
	}
	for a := n; a.parent != nil && a.flags&recImplied == 0; a = a.parent {
		if fi, err := os.Stat(systemPath(a.appendPath(nil))); err == nil && os.SameFile(fi, target) {
			return true
		}
	}
	return false
}

func sysErrClass(err error) tree.ErrClass {
	for _, c := range []struct {
		errno syscall.Errno
		class tree.ErrClass
	}{
		{syscall.ELOOP, tree.ErrLoop},
		{syscall.EIO, tree.ErrIO},
		{syscall.ENXIO, tree.ErrIO},
		{syscall.ENOTDIR, tree.ErrVanished},
		{syscall.ESTALE, tree.ErrVanished},
		{syscall.ENOTCONN, tree.ErrMount},
		{syscall.ENAMETOOLONG, tree.ErrTooLarge},
	} {
		if errors.Is(err, c.errno) {
			return c.class
		}
	}
	return systemClass(err)
}
