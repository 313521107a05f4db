package tree

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/nacre-backup/nacre/internal/id"
)

// segmentStore counts what pages cost in a repository: new pages, in the order of their puts, gathered into segments
// of 256 KiB and compressed.
type segmentStore struct {
	memPages
	enc   *zstd.Encoder
	open  []byte
	fresh int
	raw   int
	zstd  int
}

func newSegmentStore() *segmentStore {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return &segmentStore{memPages: *newMemPages(), enc: enc}
}

func (s *segmentStore) put(kind Kind, page []byte) (id.ID, error) {
	before := len(s.pages)
	i, err := s.memPages.Put(context.Background(), kind, page)
	if len(s.pages) == before {
		return i, err
	}
	s.fresh++
	s.raw += len(page)
	s.open = append(s.open, page...)
	if len(s.open) >= 256<<10 {
		s.flush()
	}
	return i, err
}

func (s *segmentStore) flush() {
	s.zstd += len(s.enc.EncodeAll(s.open, nil))
	s.open = s.open[:0]
}

func (s *segmentStore) count() (fresh, raw, compressed int) {
	s.flush()
	fresh, raw, compressed = s.fresh, s.raw, s.zstd
	s.fresh, s.raw, s.zstd = 0, 0, 0
	return fresh, raw, compressed
}

// generated makes n files in directories of 1 to 200 files, one in fifty of 5,000, three levels deep.
func generated(r *rand.Rand, n int) []item {
	items := []item{{"", entryFor(r, "", Dir)}}
	mk := func(dir, name string) string {
		items = append(items, item{dir, entryFor(r, name, Dir)})
		return string(JoinPath(nil, []byte(dir), []byte(name)))
	}
	for len(items) < n {
		a := mk("", fmt.Sprintf("project-%d", len(items)))
		for range 1 + r.IntN(20) {
			b := mk(a, fmt.Sprintf("part_%d", len(items)))
			files := 1 + r.IntN(200)
			if r.IntN(50) == 0 {
				files = 5000
			}
			for range files {
				e := entryFor(r, fmt.Sprintf("file%d.go", len(items)), File)
				if e.Content.Kind == Extents || len(e.Content.IDs) > 1 || e.Content.Kind == Empty {
					e.Content = Content{Kind: Direct, IDs: []id.ID{randomID(r)}}
				}
				items = append(items, item{b, e})
			}
		}
	}
	sortItems(items)
	return items
}

// existing makes items of an existing folder; contents become random ids.
func existing(r *rand.Rand, root string) []item {
	items := []item{{"", entryFor(r, "", Dir)}}
	_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		rel, _ := filepath.Rel(root, p)
		dir, name := splitPath([]byte(rel))
		e := &Entry{Name: name, Mode: uint32(info.Mode().Perm()), User: "root", Group: "root", FS: "0123456789abcdef"}
		st := info.Sys().(*syscall.Stat_t)
		e.ModTime = Time{Sec: st.Mtim.Sec, Nsec: uint32(st.Mtim.Nsec)}
		e.ChangeTime = Time{Sec: st.Ctim.Sec, Nsec: uint32(st.Ctim.Nsec)}
		e.Inode, e.UID, e.GID = st.Ino, st.Uid, st.Gid
		switch {
		case d.IsDir():
			e.Type = Dir
		case info.Mode().IsRegular():
			e.Type, e.Size = File, uint64(st.Size)
			switch {
			case st.Size == 0:
			case st.Size <= maxInline:
				b, _ := os.ReadFile(p)
				e.Content = Content{Kind: Inline, Inline: b}
			default:
				e.Content = Content{Kind: Direct, IDs: []id.ID{randomID(r)}}
			}
		case info.Mode()&fs.ModeSymlink != 0:
			e.Type = Symlink
			s, _ := os.Readlink(p)
			e.Target = []byte(s)
		default:
			e.Type = FIFO
		}
		items = append(items, item{string(dir), e})
		return nil
	})
	sortItems(items)
	return items
}

// BenchmarkLeafSize prints the figures of docs/adr/0001-leaf-size.md: a generated million and /usr.
func BenchmarkLeafSize(b *testing.B) {
	sets := map[string][]item{"generated": generated(rng(1), 1_000_000), "/usr": existing(rng(2), "/usr")}
	for b.Loop() {
		for name, items := range sets {
			for bits := 3; bits <= 7; bits++ {
				measure(b, name, items, bits)
			}
		}
	}
}

func measure(t testing.TB, name string, items []item, bits int) {
	s := newSegmentStore()
	run := func() Ref {
		b := NewBuilder(splitKey, putFunc(s.put))
		b.cut.bits = bits
		for _, it := range items {
			if err := b.Add(t.Context(), []byte(it.dir), it.e); err != nil {
				t.Fatal(err)
			}
		}
		root, err := b.Finish(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return root
	}
	root := run()
	pages, raw, z := s.count()
	n := float64(len(items))
	line := fmt.Sprintf("%-12s %d bits: %d levels, %6.1f entries a page; a page's id and index 50 B, so whole tree %5.1f raw %5.1f zstd %5.1f with ids B/entry",
		name, bits, root.Level+1, n/float64(pages), float64(raw)/n, float64(z)/n, (float64(z)+50*float64(pages))/n)
	for _, edits := range []int{1, 1000} {
		r := rng(uint64(edits))
		var undo []func()
		for range edits {
			e := items[r.IntN(len(items))].e
			if e.Type != File {
				continue
			}
			old := *e
			undo = append(undo, func() { *e = old })
			e.ModTime.Sec++
			e.Content = Content{Kind: Direct, IDs: []id.ID{randomID(r)}}
		}
		run()
		pages, raw, z := s.count()
		line += fmt.Sprintf("; %d edits: %d pages %d raw %d zstd %d with ids", edits, pages, raw, z, z+50*pages)
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
	}
	fmt.Println(line)
}

type putFunc func(kind Kind, page []byte) (id.ID, error)

func (f putFunc) Put(_ context.Context, kind Kind, page []byte) (id.ID, error) { return f(kind, page) }
