package tree

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

func file(name string) *Entry { return &Entry{Name: []byte(name), Type: File} }

func TestTheBuilderRefusesWhatIsOutOfOrderOrNotClosed(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxName)
	for _, c := range []struct {
		name string
		add  [][2]string
	}{
		{"names out of order", [][2]string{{"", "b"}, {"", "a"}}},
		{"a name twice", [][2]string{{"", "a"}, {"", "a"}}},
		{"directories out of order", [][2]string{{"", "a"}, {"", "b"}, {"b", "x"}, {"a", "x"}}},
		{"back to the parent", [][2]string{{"", "a"}, {"a", "x"}, {"", "b"}}},
		{"above the first directory", [][2]string{{"", "a"}, {"a", "x"}, {"a/x", "y"}, {"", "b"}}},
		{"a first directory that is not the top", [][2]string{{"a", "b"}}},
		{"a directory without its parent", [][2]string{{"", "a"}, {"a/b", "c"}}},
		{"a sibling without its parent", [][2]string{{"", "a"}, {"a", "b"}, {"b/c", "d"}}},
		{"an empty name below the top", [][2]string{{"", "a"}, {"a", ""}}},
		{"a dot", [][2]string{{"", "."}}},
		{"two dots", [][2]string{{"", ".."}}},
		{"a slash", [][2]string{{"", "a/b"}}},
		{"a NUL", [][2]string{{"", "a\x00b"}}},
		{"a long NUL", [][2]string{{"", strings.Repeat("x", 100) + "\x00"}}},
		{"a long name", [][2]string{{"", long + "x"}}},
		{"a directory with two slashes", [][2]string{{"", "a"}, {"a", "b"}, {"a//b", "c"}}},
		{"a directory of dots", [][2]string{{"", "a"}, {"..", "c"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := NewBuilder(splitKey, newMemPages())
			var err error
			for _, a := range c.add {
				if err = b.Add(t.Context(), []byte(a[0]), file(a[1])); err != nil {
					break
				}
			}
			if !errors.Is(err, errs.Usage) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestPathsEndAtTheirLimits(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"d", strings.Repeat("d", 60_000)} {
		m := newMemPages()
		b := NewBuilder(splitKey, m)
		var dir []byte
		depth := 0
		err := b.Add(t.Context(), nil, &Entry{Type: Dir})
		for err == nil {
			if err = b.Add(t.Context(), dir, &Entry{Name: []byte(name), Type: Dir}); err == nil {
				dir = JoinPath(nil, dir, []byte(name))
				depth++
			}
		}
		if !errors.Is(err, errs.Usage) || depth != min(maxDepth, maxPath/(len(name)+1)) {
			t.Errorf("names of %d bytes: %d components: %v", len(name), depth, err)
		}
	}
}

func TestTheLongestPathsAreReadBack(t *testing.T) {
	t.Parallel()
	var list []string
	p := ""
	for len(p) < maxPath {
		p = string(JoinPath(nil, []byte(p), bytes.Repeat([]byte("n"), min(60_000, maxPath-len(p)-min(len(p), 1)))))
		if maxPath-len(p) == 1 {
			break
		}
	}
	if len(p) != maxPath {
		t.Fatalf("path of %d bytes", len(p))
	}
	for i := range 30 {
		list = append(list, fmt.Sprintf("z%d/y/x", i), fmt.Sprintf("o/p/q%d", i))
	}
	items := paths(append(list, p)...)
	m := newMemPages()
	root := build(t, m, items)
	sameItems(t, contents(t, m, root), items)
	b := NewBuilder(splitKey, m)
	b.cut.bits = 1
	for _, it := range items {
		if err := b.Add(t.Context(), []byte(it.dir), it.e); err != nil {
			t.Fatal(err)
		}
	}
	root, err := b.Finish(t.Context())
	if err != nil || root.Level == 0 {
		t.Fatal(root.Level, err)
	}
	sameItems(t, contents(t, m, root), items)
}

func TestADeepTreeIsBuiltAndRead(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	items := []item{{"", &Entry{Type: Dir}}}
	dir := ""
	for i := range 1_200 {
		name := fmt.Sprintf("%s%d", strings.Repeat("n", 200), i)
		items = append(items, item{dir, &Entry{Name: []byte(name), Type: Dir}})
		if i%10 == 0 {
			items = append(items, item{dir, file("zzz")})
		}
		dir = string(JoinPath(nil, []byte(dir), []byte(name)))
	}
	items = append(items, item{dir, file("deep")})
	root := build(t, m, items)
	sameItems(t, contents(t, m, root), items)
	for _, p := range m.pages {
		if len(p) > 2<<20 {
			t.Errorf("page of %d bytes", len(p))
		}
	}
	got, stats := update(t, m, cutBits, []Parent{{Tree: Tree{Root: root, Pages: m}}}, items, rng(1), 1<<40)
	sameRef(t, "unchanged", got, root)
	if stats.Leaves != 0 {
		t.Errorf("%d leaves", stats.Leaves)
	}
}

func TestLargeEntriesEndTheirPages(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	items := []item{{"", &Entry{Type: Dir}}}
	for i := range 40 {
		e := file(fmt.Sprintf("%02d%s", i, strings.Repeat("x", 50_000)))
		for k := range 3_000 {
			e.Xattrs = append(e.Xattrs, Xattr{Name: fmt.Appendf(nil, "user.%04d", k), Value: bytes.Repeat([]byte{byte(i)}, 200)})
		}
		items = append(items, item{"", e})
	}
	root := build(t, m, items)
	sameItems(t, contents(t, m, root), items)
	for _, p := range m.pages {
		if len(p) > 2<<20 {
			t.Errorf("page of %d bytes", len(p))
		}
	}
}

func TestMovingATreeChangesOnlyThePagesAtItsEdge(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	var list []string
	for d := range 200 {
		for f := range 20 {
			list = append(list, fmt.Sprintf("top/sub%03d/f%02d", d, f))
		}
	}
	items := paths(list...)
	build(t, m, items)
	before := len(m.pages)
	for i := range items {
		items[i].dir = strings.Replace(items[i].dir, "top", "a/b/top", 1)
	}
	items = append(items[1:], paths("a/b/top/sub000/")[:3]...)
	items[0].dir = "a/b"
	items[len(items)-1].e.Inode, items[len(items)-2].e.Inode = 7, 8
	sortItems(items)
	build(t, m, items)
	if fresh := len(m.pages) - before; fresh > 8 || before < 80 {
		t.Errorf("%d new pages of %d", fresh, before)
	}
}

func TestWhatAStoreRefusesEndsTheBuild(t *testing.T) {
	t.Parallel()
	b := NewBuilder(splitKey, failingStore{})
	var err error
	for i := 0; err == nil && i < 2_000; i++ {
		err = b.Add(t.Context(), nil, file(fmt.Sprintf("%05d", i)))
	}
	if !errors.Is(err, errs.Full) {
		t.Errorf("leaf: %v", err)
	}
	b = NewBuilder(splitKey, failingStore{})
	if err := b.Add(t.Context(), nil, file("a")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Finish(t.Context()); !errors.Is(err, errs.Full) {
		t.Errorf("last leaf: %v", err)
	}
	m := newMemPages()
	b = NewBuilder(splitKey, m)
	for i := range 2_000 {
		if err := b.Add(t.Context(), nil, file(fmt.Sprintf("%05d", i))); err != nil {
			t.Fatal(err)
		}
	}
	b.store = failingStore{}
	if _, err := b.Finish(t.Context()); !errors.Is(err, errs.Full) {
		t.Errorf("interior page: %v", err)
	}
}

func TestHeldPagesGoToTheStoreEarlyWhenThereAreMany(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	items := randomItems(rng(31), 6_000)
	want := build(t, m, items)
	b := NewBuilder(splitKey, m)
	for _, it := range items {
		b.held += holdLimit // as if there were many more
		if err := b.Add(t.Context(), []byte(it.dir), it.e); err != nil {
			t.Fatal(err)
		}
		b.held -= holdLimit
	}
	if b.Stats().Interior == 0 || b.held > holdLimit {
		t.Errorf("%+v, %d bytes held", b.Stats(), b.held)
	}
	got, err := b.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sameRef(t, "early pages", got, want)
}

func TestAddOldOfAMovedEntryPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	_ = NewBuilder(splitKey, newMemPages()).AddOld(t.Context(), Old{Leaf: newLeaf(), Moved: true})
}

func TestALeafReleasedTooOftenPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	l := &Leaf{}
	l.Retain()
	l.Release()
	l.Release()
}

func TestValidateNamesWhatIsBeyondTheLimits(t *testing.T) {
	t.Parallel()
	i := id.ID{1}
	many := make([]id.ID, 5)
	long := strings.Repeat("x", 256)
	for name, e := range map[string]*Entry{
		"type":             {Type: 0},
		"other type":       {Type: 8},
		"mode":             {Type: File, Mode: 0o10000},
		"user":             {Type: File, User: long},
		"group":            {Type: File, Group: long},
		"file system":      {Type: File, FS: long},
		"nanoseconds":      {Type: File, ModTime: Time{Nsec: 1e9}},
		"token":            {Type: File, Token: make([]byte, 65)},
		"flags":            {Type: File, Flags: 16},
		"class":            {Type: File, ErrClass: 9},
		"message":          {Type: File, ErrClass: ErrIO, ErrText: long},
		"target":           {Type: Symlink, Target: []byte(long + "x")},
		"empty inline":     {Type: File, Content: Content{Kind: Inline}},
		"long inline":      {Type: File, Content: Content{Kind: Inline, Inline: make([]byte, 129)}},
		"no ids":           {Type: File, Content: Content{Kind: Direct}},
		"many ids":         {Type: File, Content: Content{Kind: Direct, IDs: many}},
		"roots":            {Type: File, Content: Content{Kind: Extents, IDs: many}},
		"level":            {Type: File, Content: Content{Kind: Extents, IDs: many[:1], Level: 16}},
		"content kind":     {Type: File, Content: Content{Kind: 9}},
		"size":             {Type: File, Size: 1 << 63},
		"attribute name":   {Type: File, Xattrs: []Xattr{{}}},
		"attribute order":  {Type: File, Xattrs: []Xattr{{Name: []byte("b")}, {Name: []byte("a")}}},
		"attribute value":  {Type: File, Xattrs: []Xattr{{Name: []byte("b"), Value: make([]byte, 257)}}},
		"short blob":       {Type: File, Xattrs: []Xattr{{Name: []byte("b"), Blob: i, Size: 256}}},
		"long blob":        {Type: File, Xattrs: []Xattr{{Name: []byte("b"), Blob: i, Size: 1 << 24}}},
		"attributes":       {Type: File, Xattrs: make([]Xattr, 4097)},
		"attributes' size": {Type: File, Xattrs: manyXattrs(4000)},
	} {
		e.Name = []byte("n")
		if err := e.Validate(); !errors.Is(err, errs.Usage) {
			t.Errorf("%s: %v", name, err)
		}
		if err := NewBuilder(splitKey, newMemPages()).Add(t.Context(), nil, e); !errors.Is(err, errs.Usage) {
			t.Errorf("%s added: %v", name, err)
		}
	}
}

func manyXattrs(n int) (list []Xattr) {
	for k := range n {
		list = append(list, Xattr{Name: fmt.Appendf(nil, "user.%04d", k), Value: make([]byte, 256)})
	}
	return list
}

func TestDataBlobsNamesEveryBlobOfAnEntry(t *testing.T) {
	t.Parallel()
	a, b, c := id.ID{1}, id.ID{2}, id.ID{3}
	x := []Xattr{{Name: []byte("n"), Blob: c, Size: 999}, {Name: []byte("o"), Value: []byte("v")}}
	for _, tc := range []struct {
		e    Entry
		want []id.ID
	}{
		{Entry{Type: File, Content: Content{Kind: Direct, IDs: []id.ID{a, b}}, Xattrs: x}, []id.ID{a, b, c}},
		{Entry{Type: File, Content: Content{Kind: Extents, IDs: []id.ID{a}}}, nil},
		{Entry{Type: Symlink, TargetBlob: b}, []id.ID{b}},
		{Entry{Type: Dir, Xattrs: x}, []id.ID{c}},
	} {
		var got []id.ID
		if err := tc.e.DataBlobs(func(i id.ID) error { got = append(got, i); return nil }); err != nil || fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%v %v, want %v", got, err, tc.want)
		}
		if len(tc.want) > 0 {
			if err := tc.e.DataBlobs(func(id.ID) error { return errs.Full }); !errors.Is(err, errs.Full) {
				t.Errorf("error lost: %v", err)
			}
		}
	}
}

func TestKeysAreOrderedByComponent(t *testing.T) {
	t.Parallel()
	order := []string{"", "a", "a/b", "a/b/c", "a\x01", "a!", "a!/b", "a.b", "a0", "b"}
	for i, x := range order {
		for k, y := range order {
			got := CompareDir([]byte(x), []byte(y))
			if (got < 0) != (i < k) || (got > 0) != (i > k) {
				t.Errorf("%q %q: %d", x, y, got)
			}
		}
	}
	for _, dir := range order[1:] {
		end := EndOf([]byte(dir))
		for _, x := range order {
			in := Below([]byte(x), []byte(dir))
			k := Key{Dir: []byte(x), Name: []byte("zzz")}
			if below := k.Compare(Key{Dir: []byte(dir)}) >= 0 && k.Compare(end) < 0; below != in {
				t.Errorf("%q below %q: %v, want %v", x, dir, below, in)
			}
		}
	}
}
