package backup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

// node is an object of a memory source.
type node struct {
	entry   tree.Entry
	content []byte
	islands []island          // where the data of a sparse file is; nil: everywhere
	link    string            // the LinkID of a hard-linked file
	stat    error             // its metadata cannot be read
	list    error             // the directory cannot be listed
	open    error             // it cannot be opened
	read    error             // it cannot be read
	change  int               // how many times it still changes while it is read
	held    func(call string) // may block a call of the source: list, describe, open, read, data, stat, close
}

func (n *node) hold(call string) {
	if n.held != nil {
		n.held(call)
	}
}

// memSource is a source in memory, whose trouble a test chooses.
type memSource struct {
	mu    sync.Mutex
	nodes map[string]*node
	clock int64
	inode uint64
	bytes atomic.Int64 // read so far
	opens atomic.Int64
}

func newMemSource() *memSource {
	s := &memSource{nodes: map[string]*node{}, clock: 1000, inode: 1}
	s.nodes[""] = &node{entry: tree.Entry{Type: tree.Dir, Mode: 0o755, FS: "fs0", Flags: tree.Implied}}
	return s
}

// tick returns a time that no other call returns, long before any run.
func (s *memSource) tick() tree.Time { s.clock++; return tree.Time{Sec: s.clock} }

func (s *memSource) add(path string, t tree.Type) *node {
	if dir, _, ok := cutLast(path); ok && s.nodes[dir] == nil {
		s.add(dir, tree.Dir)
	}
	s.inode++
	now := s.tick()
	_, name, _ := cutLast(path)
	n := &node{entry: tree.Entry{
		Name: []byte(name), Type: t, Mode: 0o644, ModTime: now, ChangeTime: now, Inode: s.inode, FS: "fs0", Nlink: 1,
	}}
	s.nodes[path] = n
	return n
}

func cutLast(path string) (dir, name string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path, path != ""
	}
	return path[:i], path[i+1:], true
}

func (s *memSource) write(path string, content []byte) *node {
	n := s.nodes[path]
	if n == nil {
		n = s.add(path, tree.File)
	}
	n.content, n.entry.Size = content, uint64(len(content))
	n.entry.ModTime = s.tick()
	n.entry.ChangeTime = n.entry.ModTime
	return n
}

func (s *memSource) remove(path string) {
	for p := range s.nodes {
		if p == path || strings.HasPrefix(p, path+"/") {
			delete(s.nodes, p)
		}
	}
}

// rename moves a node and all below it, as a file system does: the inodes stay.
func (s *memSource) rename(from, to string) {
	moved := map[string]*node{}
	for p, n := range s.nodes {
		if p == from || strings.HasPrefix(p, from+"/") {
			moved[to+p[len(from):]] = n
			delete(s.nodes, p)
		}
	}
	for p, n := range moved {
		s.nodes[p] = n
	}
	_, name, _ := cutLast(to)
	s.nodes[to].entry.Name = []byte(name)
	s.nodes[to].entry.ChangeTime = s.tick()
}

// Entries implements source.Source.
func (s *memSource) Entries(ctx context.Context) iter.Seq2[*source.Item, error] {
	children := map[string][]string{}
	for p := range s.nodes {
		if dir, _, ok := cutLast(p); ok {
			children[dir] = append(children[dir], p)
		}
	}
	return func(yield func(*source.Item, error) bool) {
		if !yield(s.item("", ""), nil) {
			return
		}
		var walk func(dir string) bool
		walk = func(dir string) bool {
			if ctx.Err() != nil {
				return yield(nil, ctx.Err())
			}
			s.nodes[dir].hold("list")
			if err := s.nodes[dir].list; err != nil {
				return yield(&source.Item{Dir: []byte(dir), Err: err}, nil)
			}
			names := children[dir]
			sort.Strings(names)
			for _, p := range names {
				if !yield(s.item(dir, p), nil) {
					return false
				}
			}
			for _, p := range names {
				if s.nodes[p].entry.Type == tree.Dir && !walk(p) {
					return false
				}
			}
			return true
		}
		walk("")
	}
}

func (s *memSource) item(dir, path string) *source.Item {
	n := s.nodes[path]
	e := n.entry
	if n.stat != nil {
		e.ErrClass, e.ErrText = s.ErrClass(n.stat), n.stat.Error()
	}
	return &source.Item{Dir: []byte(dir), Entry: &e, LinkID: n.link, Handle: n}
}

// Retain implements source.Source.
func (s *memSource) Retain(it *source.Item) *source.Item {
	c, e := *it, *it.Entry
	c.Entry = &e
	return &c
}

// Release implements source.Source.
func (s *memSource) Release(*source.Item) {}

// Describe implements source.Source.
func (s *memSource) Describe(_ context.Context, it *source.Item) error {
	it.Entry.User = "someone"
	n := it.Handle.(*node)
	n.hold("describe")
	it.Entry.Xattrs, it.Entry.Target = append([]tree.Xattr(nil), n.entry.Xattrs...), n.entry.Target
	return nil
}

// Open implements source.Source.
func (s *memSource) Open(_ context.Context, it *source.Item) (source.File, error) {
	n := it.Handle.(*node)
	s.opens.Add(1)
	n.hold("open")
	if n.open != nil {
		return nil, n.open
	}
	return &memFile{s: s, n: n}, nil
}

// ErrClass implements source.Source.
func (s *memSource) ErrClass(err error) tree.ErrClass {
	switch {
	case errors.Is(err, syscall.EACCES):
		return tree.ErrAccess
	case errors.Is(err, syscall.ENOENT):
		return tree.ErrVanished
	case errors.Is(err, syscall.EIO):
		return tree.ErrIO
	}
	return tree.ErrOther
}

// Close implements source.Source.
func (s *memSource) Close() error { return nil }

// memFile is an open node.
type memFile struct {
	s   *memSource
	n   *node
	off int64
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.n.hold("read")
	if f.n.read != nil {
		return 0, f.n.read
	}
	k, err := bytes.NewReader(f.n.content).ReadAt(p, off)
	f.s.bytes.Add(int64(k))
	return k, err
}

func (f *memFile) NextData(off, size int64) (start, end int64, err error) {
	f.n.hold("data")
	if f.n.islands == nil {
		return off, size, nil
	}
	return (&holeyFile{islands: f.n.islands}).NextData(off, size)
}

func (f *memFile) Stat(e *tree.Entry) error {
	f.n.hold("stat")
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.n.change > 0 {
		f.n.change--
		f.n.entry.ModTime = f.s.tick()
	}
	e.Size, e.ModTime, e.ChangeTime = f.n.entry.Size, f.n.entry.ModTime, f.n.entry.ChangeTime
	return nil
}

func (f *memFile) Close() error {
	f.n.hold("close")
	return nil
}

// Read makes a memFile a stream.
func (f *memFile) Read(p []byte) (int, error) {
	if f.off >= int64(len(f.n.content)) {
		if f.n.read != nil {
			return 0, f.n.read
		}
		return 0, io.EOF
	}
	k := copy(p[:min(len(p), 70000)], f.n.content[f.off:])
	f.off += int64(k)
	return k, nil
}
