package tree

import (
	"bytes"
	"slices"
	"testing"

	"github.com/nacre-backup/nacre/internal/id"
)

// seedPages are pages of every kind.
func seedPages(f testing.TB) [][]byte {
	m := newMemPages()
	w := NewExtentWriter(m)
	build(f, m, randomItems(rng(1), 400))
	build(f, m, paths("a/b/c", "a/d", "e"))
	addExtents(f, w, randomExtents(1, 700, 5))
	if _, err := w.Finish(f.Context()); err != nil {
		f.Fatal(err)
	}
	var pages [][]byte
	for _, p := range m.pages {
		pages = append(pages, p)
	}
	slices.SortFunc(pages, bytes.Compare)
	return pages
}

// FuzzLeaf decodes anything as a leaf. What decodes is encoded again and must then decode to the same entries.
func FuzzLeaf(f *testing.F) {
	for _, p := range seedPages(f) {
		f.Add(p)
	}
	f.Fuzz(checkLeaf)
}

// checkLeaf decodes a page; if that works, it encodes the entries, decodes them again and compares.
func checkLeaf(t *testing.T, page []byte) {
	var d decoder
	l := new(Leaf)
	if d.leaf(l, page) != nil {
		return
	}
	var enc leafEnc
	reencode(&enc, l)
	again := new(Leaf)
	if err := d.leaf(again, enc.appendTo(nil)); err != nil {
		t.Fatal(err)
	}
	if len(l.entries) != len(again.entries) {
		t.Fatalf("%d entries, want %d", len(again.entries), len(l.entries))
	}
	for i := range l.entries {
		if !l.entries[i].Equal(&again.entries[i]) || !bytes.Equal(l.AppendDir(nil, i), again.AppendDir(nil, i)) {
			t.Fatalf("entry %d: %+v, want %+v", i, again.entries[i], l.entries[i])
		}
		if err := l.entries[i].Validate(); err != nil {
			t.Fatal(err)
		}
	}
}

// reencode puts the entries of a decoded leaf into an encoder.
func reencode(enc *leafEnc, l *Leaf) {
	var dir, next path
	for k := range l.runs {
		r := &l.runs[k]
		next.copyFrom(&dir)
		l.enter(&next, 0, r)
		kept := dir.common(&next)
		dir.copyFrom(&next)
		for i := r.start; i < r.end; i++ {
			enc.add(&dir, i == r.start, kept, &l.entries[i])
		}
	}
}

// FuzzInterior decodes anything as an interior page and encodes it again.
func FuzzInterior(f *testing.F) {
	for _, p := range seedPages(f) {
		f.Add(p)
	}
	f.Fuzz(checkInterior)
}

// checkInterior is checkLeaf for interior pages.
func checkInterior(t *testing.T, page []byte) {
	var d decoder
	var in interior
	if d.interior(&in, page) != nil {
		return
	}
	enc := interiorEnc{}
	var p path
	for i := range in.n {
		in.enter(&p, 0, i)
		c := child{first: p, common: in.dirs[i].common, name: in.names[i], totals: in.totals[i], id: id.ID(in.ids[32*i:])}
		enc.add(&c)
	}
	again := enc.appendTo(nil, in.level)
	var in2 interior
	if err := d.interior(&in2, again); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(in.totals, in2.totals) || !bytes.Equal(in.ids, in2.ids) || !slices.EqualFunc(in.names, in2.names, bytes.Equal) {
		t.Fatal("another page")
	}
}

// FuzzExtents decodes anything as a page of an extent list.
func FuzzExtents(f *testing.F) {
	for _, p := range seedPages(f) {
		f.Add(p)
	}
	f.Fuzz(checkExtents)
}

// checkExtents decodes a page and counts again.
func checkExtents(t *testing.T, page []byte) {
	var c columns
	var p extentPage
	sum, err := decodeExtents(&c, &p, page)
	if err != nil {
		return
	}
	n := uint64(0)
	for _, it := range p.items {
		n += it.length
	}
	if n != sum || len(p.items) == 0 || len(p.items) > maxItems {
		t.Fatalf("%d items of %d bytes, want %d", len(p.items), n, sum)
	}
}

// FuzzRef decodes anything as a reference; what decodes has one form only.
func FuzzRef(f *testing.F) {
	m := newMemPages()
	f.Add(AppendRef(nil, build(f, m, paths("a/b/c", "a/d", "e"))))
	f.Add(AppendRef(nil, Ref{ID: id.ID{1}, Level: 3, Dir: []byte("a/b"), First: Key{Dir: []byte("a/b/c"), Name: []byte("d")}, Totals: Totals{Entries: 9}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRef(b)
		if err == nil && !bytes.Equal(AppendRef(nil, r), b) {
			t.Fatalf("%+v has two forms", r)
		}
	})
}

// FuzzPath compares the path stack with the plain form.
func FuzzPath(f *testing.F) {
	f.Add("a/b/c", "a/b")
	f.Add("", "x")
	f.Fuzz(func(t *testing.T, a, b string) {
		if checkPath([]byte(a)) != nil || checkPath([]byte(b)) != nil {
			return
		}
		var p, q path
		p.set([]byte(a))
		q.set([]byte(b))
		k := p.common(&q)
		if !bytes.Equal(p.prefix(k), q.prefix(k)) || k < min(p.depth(), q.depth()) && bytes.Equal(p.component(k), q.component(k)) {
			t.Fatalf("%d components of %q and %q in common", k, a, b)
		}
		rest := q.depth()
		p.truncate(k)
		for i := k; i < rest; i++ {
			p.push(q.component(i))
		}
		if string(p.buf) != b || p.depth() != depthOf([]byte(b)) || !bytes.Equal(p.last(), lastComponent([]byte(b))) {
			t.Fatalf("%q, want %q", p.buf, b)
		}
	})
}
