// Package synth is about a source of files that exist nowhere: any number of them, in no memory, for benchmarks of what
// comes after the file system. Files stand in directories of 100, directories in areas of 100.
package synth

import (
	"context"
	"encoding/binary"
	"io"
	"iter"
	"strconv"
	"sync"

	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

const (
	perDir  = 100  // files
	perArea = 100  // directories
	old     = 1000 // seconds since 1970: long before any snapshot
)

// Source is such a source. Its files differ in their first bytes only, unless they are longer than Text, which they
// repeat.
type Source struct {
	Files int
	Size  int    // of each file
	Text  []byte // what they hold; not empty if Size is not 0
	Salt  uint64 // other salts, other files

	items sync.Pool
}

// Entries implements source.Source.
func (s *Source) Entries(ctx context.Context) iter.Seq2[*source.Item, error] {
	return func(yield func(*source.Item, error) bool) {
		w := walk{s: s, item: source.Item{Entry: &tree.Entry{}}, yield: yield}
		dirs := (s.Files + perDir - 1) / perDir
		areas := (dirs + perArea - 1) / perArea
		if !w.dir(0, nil, nil) || !w.dirs(nil, "area", 0, areas) {
			return
		}
		var area, dir []byte
		for a := range areas {
			area = number(area[:0], "area", a)
			lo, hi := a*perArea, min(dirs, (a+1)*perArea)
			if !w.dirs(area, "dir", lo, hi) {
				return
			}
			for d := lo; d < hi; d++ {
				if ctx.Err() != nil {
					return
				}
				dir = number(append(append(dir[:0], area...), '/'), "dir", d)
				if !w.files(dir, d*perDir, min(s.Files, (d+1)*perDir)) {
					return
				}
			}
		}
	}
}

// walk is a listing under way. It has one item, which it gives out again and again.
type walk struct {
	s     *Source
	item  source.Item
	name  []byte
	yield func(*source.Item, error) bool
}

// number appends a word and a number of eight digits.
func number(dst []byte, word string, n int) []byte {
	dst = append(dst, word...)
	return append(dst, strconv.Itoa(100_000_000 + n)[1:]...)
}

func (w *walk) dir(inode uint64, in, name []byte) bool {
	t := tree.Time{Sec: old}
	*w.item.Entry = tree.Entry{Name: name, Type: tree.Dir, Mode: 0o755, ModTime: t, ChangeTime: t, Inode: 1 + inode, FS: "synth", Nlink: 1}
	w.item.Dir = in
	return w.yield(&w.item, nil)
}

func (w *walk) dirs(in []byte, word string, lo, hi int) bool {
	kind := uint64(len(word)) << 40
	for i := lo; i < hi; i++ {
		w.name = number(w.name[:0], word, i)
		if !w.dir(kind+uint64(i), in, w.name) {
			return false
		}
	}
	return true
}

func (w *walk) files(in []byte, lo, hi int) bool {
	w.item.Dir = in
	for i := lo; i < hi; i++ {
		w.name = number(w.name[:0], "file", i)
		t := tree.Time{Sec: old + int64(i), Nsec: uint32(i*7919) % 1_000_000_000}
		*w.item.Entry = tree.Entry{
			Name: w.name, Type: tree.File, Mode: 0o644, UID: 1000, GID: 1000, ModTime: t, ChangeTime: t,
			Size: uint64(w.s.Size), Inode: firstFile + uint64(i), FS: "synth", Nlink: 1,
		}
		if !w.yield(&w.item, nil) {
			return false
		}
	}
	return true
}

// firstFile is the inode of file 0.
const firstFile = 1 << 32

// kept is an item with room for what it points to.
type kept struct {
	item  source.Item
	entry tree.Entry
	bytes []byte
}

// Retain implements source.Source.
func (s *Source) Retain(it *source.Item) *source.Item {
	k, _ := s.items.Get().(*kept)
	if k == nil {
		k = &kept{}
	}
	k.item, k.entry = *it, *it.Entry
	k.bytes = append(append(k.bytes[:0], it.Dir...), it.Entry.Name...)
	k.item.Dir, k.entry.Name = k.bytes[:len(it.Dir):len(it.Dir)], k.bytes[len(it.Dir):]
	k.item.Entry, k.item.Handle = &k.entry, k
	return &k.item
}

// Release implements source.Source.
func (s *Source) Release(it *source.Item) {
	if k, ok := it.Handle.(*kept); ok {
		s.items.Put(k)
	}
}

// Describe implements source.Source.
func (s *Source) Describe(_ context.Context, it *source.Item) error {
	it.Entry.User, it.Entry.Group = "someone", "some"
	return nil
}

// Open implements source.Source.
func (s *Source) Open(_ context.Context, it *source.Item) (source.File, error) {
	return &file{s: s, entry: *it.Entry, n: it.Entry.Inode - firstFile}, nil
}

// ErrClass implements source.Source.
func (s *Source) ErrClass(error) tree.ErrClass { return tree.ErrOther }

// Close implements source.Source.
func (s *Source) Close() error { return nil }

// file is an open file.
type file struct {
	s     *Source
	entry tree.Entry
	n     uint64
}

// ReadAt implements source.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	size := int64(f.s.Size)
	if off >= size {
		return 0, io.EOF
	}
	short := int64(len(p)) > size-off
	if short {
		p = p[:size-off]
	}
	for n, at := 0, int(off)%max(1, len(f.s.Text)); n < len(p); at = 0 {
		n += copy(p[n:], f.s.Text[at:])
	}
	if off < 8 {
		var head [8]byte
		binary.LittleEndian.PutUint64(head[:], (f.n+1)*0x9e3779b97f4a7c15^f.s.Salt)
		copy(p, head[off:])
	}
	if short {
		return len(p), io.EOF
	}
	return len(p), nil
}

// NextData implements source.File.
func (f *file) NextData(off, size int64) (start, end int64, err error) { return off, size, nil }

// Stat implements source.File.
func (f *file) Stat(e *tree.Entry) error {
	e.Size, e.ModTime, e.ChangeTime = f.entry.Size, f.entry.ModTime, f.entry.ChangeTime
	return nil
}

// Close implements source.File.
func (f *file) Close() error { return nil }
