package tree

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zeebo/blake3"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// memPages is a page store in memory that counts.
type memPages struct {
	pages map[id.ID][]byte
	puts  int
	reads int
	bad   map[id.ID]bool // pages that cannot be read
}

func newMemPages() *memPages { return &memPages{pages: make(map[id.ID][]byte)} }

func (m *memPages) Put(_ context.Context, kind Kind, page []byte) (id.ID, error) {
	m.puts++
	i := id.ID(blake3.Sum256(append([]byte{byte(kind)}, page...)))
	if _, ok := m.pages[i]; !ok {
		m.pages[i] = bytes.Clone(page)
	}
	return i, nil
}

func (m *memPages) Page(_ context.Context, _ Kind, i id.ID) ([]byte, error) {
	m.reads++
	p, ok := m.pages[i]
	if !ok || m.bad[i] {
		return nil, errs.New(errs.NotFound, "page %s", i)
	}
	return p, nil
}

var splitKey = [32]byte{1, 2, 3}

// item is a key and its entry.
type item struct {
	dir string
	e   *Entry
}

func (it item) key() Key { return Key{Dir: []byte(it.dir), Name: it.e.Name} }

func sortItems(items []item) {
	slices.SortFunc(items, func(a, b item) int { return a.key().Compare(b.key()) })
}

func build(t testing.TB, m PageStore, items []item) Ref {
	t.Helper()
	b := NewBuilder(splitKey, m)
	for _, it := range items {
		if err := b.Add(t.Context(), []byte(it.dir), it.e); err != nil {
			t.Fatal(err)
		}
	}
	r, err := b.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// entryFor makes an entry whose attributes depend on r; about one in twenty has something unusual.
func entryFor(r *rand.Rand, name string, typ Type) *Entry {
	e := &Entry{
		Name: []byte(name), Type: typ, Mode: 0o644, UID: 1000, GID: 1000, User: "someone", Group: "users",
		ModTime: Time{Sec: 1_700_000_000 + r.Int64N(1e6), Nsec: uint32(r.IntN(1e9))}, Inode: 1000 + r.Uint64N(1e6), FS: "uuid-1",
	}
	e.ChangeTime = e.ModTime
	if typ == Dir {
		e.Mode = 0o755
	}
	if r.IntN(8) == 0 {
		e.ChangeTime.Nsec = uint32(r.IntN(1e9))
		e.ChangeTime.Sec += r.Int64N(1000)
	}
	switch typ {
	case File:
		e.Size = r.Uint64N(100_000)
		fillContent(r, e)
	case Symlink:
		e.Target = fmt.Appendf(nil, "../target%d", r.IntN(100))
		if r.IntN(9) == 0 {
			e.Target, e.TargetBlob = nil, randomID(r)
		}
	case CharDevice, BlockDevice:
		e.Major, e.Minor = r.Uint32N(300), r.Uint32()
	}
	if r.IntN(20) == 0 {
		unusual(r, e)
	}
	return e
}

func fillContent(r *rand.Rand, e *Entry) {
	switch r.IntN(6) {
	case 0:
		e.Size = 0
	case 1:
		e.Content = Content{Kind: Inline, Inline: bytes.Repeat([]byte{'x'}, 1+r.IntN(128))}
		e.Size = uint64(len(e.Content.Inline))
	case 2:
		e.Content = Content{Kind: Extents, IDs: []id.ID{randomID(r)}, Level: uint8(r.IntN(3))}
	default:
		e.Content.Kind = Direct
		for range 1 + r.IntN(r.IntN(4)+1) {
			e.Content.IDs = append(e.Content.IDs, randomID(r))
		}
	}
}

func unusual(r *rand.Rand, e *Entry) {
	if e.Type != Dir && r.IntN(2) == 0 {
		e.Nlink = 2 + r.Uint32N(5)
		r2 := randomID(r)
		copy(e.Link[:], r2[:])
	}
	switch r.IntN(8) {
	case 0:
		e.Flags, e.ErrClass, e.ErrText = Stale, ErrAccess, "permission denied"
	case 1:
		e.Flags = Torn
	case 2:
		e.FSFlags, e.ProjectID = r.Uint32(), r.Uint32N(10)
	case 3:
		e.Token = []byte("token")
	case 4:
		e.Xattrs = []Xattr{{Name: []byte("user.a"), Value: []byte("1"), Size: 1}, {Name: []byte("user.b"), Size: 5000, Blob: randomID(r)}}
	case 5:
		e.BirthTime = Time{Sec: -5, Nsec: 7}
	case 6:
		e.FS, e.Inode, e.ChangeTime = "", 0, Time{}
	case 7:
		e.ModTime = Time{Sec: r.Int64() - r.Int64(), Nsec: 999_999_999}
		e.ChangeTime = Time{Sec: r.Int64() - r.Int64(), Nsec: 1}
	}
}

func randomID(r *rand.Rand) (i id.ID) {
	for k := range i {
		i[k] = byte(r.Uint32())
	}
	return i
}

// randomItems makes a closed tree of about n entries.
func randomItems(r *rand.Rand, n int) []item {
	items := []item{{"", entryFor(r, "", Dir)}}
	dirs := []string{""}
	names := map[string]bool{}
	for len(items) < n {
		d := dirs[r.IntN(len(dirs))]
		if r.IntN(3) > 0 {
			d = dirs[len(dirs)-1]
		}
		name := fmt.Sprintf("%c%d", 'a'+r.IntN(26), r.IntN(1000))
		switch r.IntN(30) {
		case 0:
			name = "name with \xff and \n" + name
		case 1:
			name = string(bytes.Repeat([]byte(name), 40))
		case 2:
			name = "!" + name
		}
		typ := []Type{File, File, File, File, File, File, Symlink, Dir, CharDevice, FIFO, Socket}[r.IntN(11)]
		p := string(JoinPath(nil, []byte(d), []byte(name)))
		if names[p] {
			continue
		}
		names[p] = true
		items = append(items, item{d, entryFor(r, name, typ)})
		if typ == Dir {
			dirs = append(dirs, p)
		}
	}
	sortItems(items)
	return items
}

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// contents reads a whole tree.
func contents(t testing.TB, m PageReader, root Ref) []item {
	t.Helper()
	var got []item
	err := Tree{Root: root, Pages: m}.Walk(context.Background(), nil, func(dir []byte, e *Entry) error {
		got = append(got, item{string(dir), e.Clone()})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func sameItems(t testing.TB, got, want []item) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i].dir != want[i].dir || !got[i].e.Equal(want[i].e) {
			t.Fatalf("entry %d: got %q %+v, want %q %+v", i, got[i].dir, got[i].e, want[i].dir, want[i].e)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("got %d entries, want %d", len(got), len(want))
	}
}
