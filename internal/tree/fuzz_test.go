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

// FuzzLeaf decodes anything as a leaf. What decodes has one form only, and its entries are valid.
func FuzzLeaf(f *testing.F) {
	for _, p := range seedPages(f) {
		f.Add(p)
	}
	f.Fuzz(checkLeaf)
}

// checkLeaf decodes a page; if that works, it encodes the entries, compares, decodes them again and compares.
func checkLeaf(t *testing.T, page []byte) {
	var d decoder
	l := new(Leaf)
	if d.leaf(l, page) != nil {
		return
	}
	var enc leafEnc
	reencode(&enc, l)
	form := enc.appendTo(nil)
	if !bytes.Equal(form, page) && !hasUnknown(page, leafColumns) {
		t.Fatalf("%x has another form: %x", page, form)
	}
	again := new(Leaf)
	if err := d.leaf(again, form); err != nil {
		t.Fatal(err)
	}
	if l.Len() != again.Len() {
		t.Fatalf("%d entries, want %d", again.Len(), l.Len())
	}
	for i := range l.Len() {
		if !l.Entry(i).Equal(again.Entry(i)) || !bytes.Equal(l.AppendDir(nil, i), again.AppendDir(nil, i)) {
			t.Fatalf("entry %d: %+v, want %+v", i, again.Entry(i), l.Entry(i))
		}
		if err := l.Entry(i).Validate(); err != nil {
			t.Fatal(err)
		}
	}
}

// hasUnknown says that a page has a column that is passed over.
func hasUnknown(page []byte, known uint64) bool {
	var c columns
	if c.parse(page, allColumns, allColumns) != nil {
		return true // a column beyond what a set holds
	}
	for i, b := range c.col {
		if b != nil && known&(1<<i) == 0 {
			return true
		}
	}
	return false
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
			enc.add(&dir, i == r.start, kept, l.Entry(i))
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
	if !bytes.Equal(again, page) && !hasUnknown(page, interiorColumns) {
		t.Fatalf("%x has another form: %x", page, again)
	}
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
	var lengths, ids []byte
	for _, it := range p.items {
		n := it.length
		if p.level == 0 {
			n <<= 1
			if it.id.IsZero() {
				n |= 1
			}
		}
		lengths = appendUv(lengths, n)
		if !it.id.IsZero() {
			ids = append(ids, it.id[:]...)
		}
	}
	again := appendPage(nil, c.kind, c.level, len(p.items), []column{{id: colNames, parts: [3][]byte{lengths}}, {id: colIDs, parts: [3][]byte{ids}}})
	if !bytes.Equal(again, page) && !hasUnknown(page, extentColumns) {
		t.Fatalf("%x has another form: %x", page, again)
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
