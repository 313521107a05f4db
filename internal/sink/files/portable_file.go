package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
)

// portableFile is a regular file being written under a temporary name.
type portableFile struct {
	s    *portable
	d    *rootHandle
	dir  []byte
	e    *tree.Entry
	f    *os.File
	temp string
	free bool // no object had the name when the file was begun
	end  atomic.Int64
}

func (s *portable) create(d *rootHandle, dir []byte, e *tree.Entry) (*portableFile, error) {
	free, err := s.replace(d, e)
	if errors.Is(err, sink.ErrSkipped) {
		return nil, err
	}
	p := &portableFile{s: s, d: d, dir: dir, e: e, free: free}
	for err == nil && p.f == nil {
		p.temp = s.tempName()
		p.f, err = d.root.OpenFile(p.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if err != nil {
		return nil, failed("create", dir, e.Name, err)
	}
	return p, nil
}

// WriteAt implements sink.File.
func (p *portableFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := p.f.WriteAt(b, off)
	for end := off + int64(n); ; {
		old := p.end.Load()
		if end <= old || p.end.CompareAndSwap(old, end) {
			break
		}
	}
	if err != nil {
		return n, failed("write", p.dir, p.e.Name, err)
	}
	return n, nil
}

// Finish implements sink.File.
func (p *portableFile) Finish(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return errors.Join(err, p.Abort())
	}
	var err error
	if size := int64(p.e.Size); p.end.Load() != size {
		err = p.f.Truncate(size)
	}
	// There is no call that syncs a whole file system everywhere, so each file is synced.
	if err == nil && !p.s.opts.NoSync {
		err = p.f.Sync()
	}
	if err != nil {
		return errors.Join(failed("write", p.dir, p.e.Name, err), p.Abort())
	}
	meta := p.s.setMeta(p.d, p.f, p.temp, p.dir, p.e)
	err = p.f.Close()
	p.f = nil
	if err == nil {
		err = p.s.into(p.d, p.temp, string(p.e.Name), p.free)
	}
	if err != nil {
		return errors.Join(failed("finish", p.dir, p.e.Name, err), p.Abort())
	}
	p.s.dirs.put(p.d)
	return meta
}

// Abort implements sink.File.
func (p *portableFile) Abort() error {
	var err error
	if p.f != nil {
		err = p.f.Close()
	}
	err = errors.Join(err, p.d.root.Remove(p.temp))
	p.s.dirs.put(p.d)
	if err != nil {
		return failed("remove half-written", p.dir, p.e.Name, err)
	}
	return nil
}

// roots is a cache of open directories, at most maxRoots and those in use.
type roots struct {
	mu   sync.Mutex
	top  *rootHandle
	open map[string]*rootHandle
}

const maxRoots = 64

type rootHandle struct {
	root *os.Root
	path string
	refs int
}

func (c *roots) init(top *os.Root) {
	c.top = &rootHandle{root: top, refs: 1}
	c.open = make(map[string]*rootHandle, maxRoots)
}

// get returns the directory dir. os.Root follows symlinks that stay inside, so each component is looked at before and
// compared after it was opened.
func (c *roots) get(dir []byte) (*rootHandle, error) {
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.open[string(dir)]; h != nil {
		h.refs++
		return h, nil
	}
	h, rest := c.top, dir
	for i := len(dir); i > 0; i-- {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		if near := c.open[string(dir[:i])]; near != nil {
			h, rest = near, dir[min(i+1, len(dir)):]
			break
		}
	}
	root := h.root
	var err error
	for len(rest) > 0 && err == nil {
		name, more, _ := bytes.Cut(rest, []byte("/"))
		var next *os.Root
		next, err = openNoFollow(root, string(name))
		if root != h.root {
			err = errors.Join(err, root.Close())
		}
		root, rest = next, more
	}
	if err != nil {
		return nil, fmt.Errorf("open directory %q: %w", dir, kind(err))
	}
	if root == h.root {
		h.refs++
		return h, nil
	}
	h = &rootHandle{root: root, path: string(dir), refs: 1}
	for path, old := range c.open {
		if len(c.open) < maxRoots {
			break
		}
		if old.refs == 0 {
			delete(c.open, path)
			err = errors.Join(err, old.root.Close())
		}
	}
	c.open[h.path] = h
	return h, err
}

func openNoFollow(root *os.Root, name string) (*os.Root, error) {
	before, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.IsDir() {
		return nil, inTheWay("something that is no directory")
	}
	next, err := root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	after, err := next.Stat(".")
	if err == nil && !os.SameFile(before, after) {
		err = inTheWay("a symlink")
	}
	if err != nil {
		return nil, errors.Join(err, next.Close())
	}
	return next, nil
}

func (c *roots) put(h *rootHandle) {
	c.mu.Lock()
	h.refs--
	c.mu.Unlock()
}

func (c *roots) close() error {
	var err error
	for _, h := range c.open {
		err = errors.Join(err, h.root.Close())
	}
	return errors.Join(err, c.top.root.Close())
}
