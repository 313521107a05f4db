package tree

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
)

func TestAStatSaysWhatItsEntrySays(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	items := randomItems(rng(3), 3000)
	c := Tree{Root: build(t, m, items), Pages: m}.Cursor()
	defer c.Close()
	for _, it := range items {
		if ok, err := c.Next(t.Context()); !ok || err != nil {
			t.Fatal(ok, err)
		}
		s, o := *c.Stat(), c.Old()
		name := o.Leaf.Name(o.Index)
		e := c.Entry()
		if !e.Equal(it.e) || !bytes.Equal(name, e.Name) {
			t.Fatalf("%q %+v, want %+v", name, e, it.e)
		}
		if s.Type != e.Type || s.Mode != e.Mode || s.UID != e.UID || s.GID != e.GID || s.ModTime != e.ModTime ||
			s.ChangeTime != e.ChangeTime || s.Size != e.Size || s.Inode != e.Inode || s.FS != e.FS || s.Nlink != e.Nlink ||
			s.Flags != e.Flags || s.ErrClass != e.ErrClass || !bytes.Equal(s.Token, e.Token) {
			t.Fatalf("%+v beside %+v", s, e)
		}
	}
}

func TestSeveralMayAskALeafForItsEntries(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	items := plainItems(400)
	c := Tree{Root: build(t, m, items), Pages: m}.Cursor()
	defer c.Close()
	for n := 0; n < len(items); {
		if ok, err := c.Next(t.Context()); !ok || err != nil {
			t.Fatal(ok, err)
		}
		l := c.Old().Leaf
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for i := range l.Len() {
					if !l.Entry(i).Equal(items[n+i].e) {
						t.Errorf("entry %d differs", n+i)
					}
				}
			})
		}
		all.Wait()
		n += l.Len()
		for range l.Len() - 1 {
			if ok, err := c.Next(t.Context()); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
	}
}

// plainItems are files in one directory.
func plainItems(n int) []item {
	r := rng(9)
	items := []item{{"", &Entry{Type: Dir}}}
	for i := range n {
		items = append(items, item{"", entryFor(r, fmt.Sprintf("file%05d", i), File)})
	}
	return items
}

// A few sparse files, which anyone can make, have more bytes together than 64 bits hold. If the sum began again at 0, it
// would be below the linked part of it, and the whole snapshot could not be read.
func TestSumsStopAtTheLargestNumber(t *testing.T) {
	t.Parallel()
	items := plainItems(2000)
	for _, i := range []int{100, 500, 900, 901, 1300} {
		items[i].e.Size, items[i].e.Content = 1<<63-1, Content{}
		items[i].e.ErrClass, items[i].e.ErrText = ErrOther, "too large to be read"
		if i >= 900 {
			items[i].e.Nlink = 2
		}
	}
	m := newMemPages()
	root := build(t, m, items)
	if root.Bytes != 1<<64-1 || root.Linked != 1<<64-1 {
		t.Errorf("%d bytes, %d linked", root.Bytes, root.Linked)
	}
	again, err := ParseRef(AppendRef(nil, root))
	if err != nil {
		t.Fatal(err)
	}
	sameItems(t, contents(t, m, again), items)
	for n := 2; n < 4; n++ { // two or three of them: the sum of bytes is exact or full, that of the links is not full
		for k, i := range []int{100, 500, 900, 901, 1300} {
			if k >= n {
				items[i].e.Size = 1
			}
		}
		items[100].e.Nlink = 2
		m = newMemPages()
		if again, err = ParseRef(AppendRef(nil, build(t, m, items))); err != nil {
			t.Fatal(err)
		}
		sameItems(t, contents(t, m, again), items)
	}
}

func TestVarintsOfEveryLengthAreReadAtEveryPlace(t *testing.T) {
	t.Parallel()
	for bits := range 65 {
		v := uint64(1)<<bits - 1
		if bits == 64 {
			v = 1<<64 - 1
		}
		b := appendUv(nil, v)
		for after := range 10 {
			whole := append(bytes.Clone(b), bytes.Repeat([]byte{0xff}, after)...)
			s := scanner{b: whole[:len(b)]}
			var one [1]uint64
			s.uvs(one[:])
			if long := (scanner{b: whole}); one[0] != v || !s.done() || long.uv() != v || long.i != len(b) {
				t.Fatalf("%d: got %d", v, one[0])
			}
			s = scanner{b: whole[:len(b)-1]} // the number goes on behind the column
			if s.uv(); !s.bad {
				t.Fatalf("%d, cut short, is read", v)
			}
			longer := append(append(bytes.Clone(b[:len(b)-1]), b[len(b)-1]|0x80, 0), whole[len(b):]...)
			s = scanner{b: longer}
			if s.uv(); !s.bad {
				t.Fatalf("%d in a longer form is read", v)
			}
		}
	}
}

func TestOnlyAFileOfWhichNothingWasReadWasNeverStored(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entry Entry
		want  bool
	}{
		"never read":                            {Entry{Type: File, Flags: Partial, ErrClass: ErrAccess}, true},
		"never read, seen again as it was":      {Entry{Type: File, Flags: Partial | Stale, ErrClass: ErrAccess}, true},
		"empty":                                 {Entry{Type: File}, false},
		"empty, an attribute could not be read": {Entry{Type: File, ErrClass: ErrAccess}, false},
		"begun when a checkpoint came":          {Entry{Type: File, Flags: Partial}, false},
		"kept of an earlier snapshot":           {Entry{Type: File, Flags: Stale, ErrClass: ErrAccess, Size: 1, Content: Content{Kind: Inline, Inline: []byte("x")}}, false},
		"a directory":                           {Entry{Type: Dir, Flags: Partial, ErrClass: ErrAccess}, false},
	} {
		if got := c.entry.NeverStored(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
