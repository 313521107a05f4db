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

// allColumns is the set of every id, for taking test pages apart.
const allColumns = 1<<64 - 1

// page is a page in parts.
type parts struct {
	kind, level byte
	n           int
	cols        map[int][]byte
}

func takeApart(t *testing.T, page []byte) parts {
	t.Helper()
	var c columns
	if err := c.parse(page, allColumns, allColumns); err != nil {
		t.Fatal(err)
	}
	p := parts{kind: c.kind, level: c.level, n: c.n, cols: map[int][]byte{}}
	for i, b := range c.col {
		if b != nil {
			p.cols[i] = b
		}
	}
	return p
}

// with returns the page with column col replaced, or taken away where b is nil.
func (p parts) with(col int, b []byte) []byte {
	var cols []column
	for i := range maxColumns {
		x := p.cols[i]
		if i == col {
			x = b
		}
		if x != nil {
			cols = append(cols, column{id: uint64(i), parts: [3][]byte{x}})
		}
	}
	return appendPage(nil, p.kind, p.level, p.n, cols)
}

func cat(parts ...any) (b []byte) {
	for _, p := range parts {
		switch v := p.(type) {
		case int:
			b = appendUv(b, uint64(v))
		case string:
			b = append(b, v...)
		case []byte:
			b = append(b, v...)
		}
	}
	return b
}

// smallLeaf is a leaf of six entries in three directories, with the relative directories "", "d" and "e".
func smallLeaf(t *testing.T) parts {
	t.Helper()
	m := newMemPages()
	i := randomID(rng(1))
	items := []item{
		{"", &Entry{Type: Dir, Mode: 0o755, ModTime: Time{Sec: 5}}},
		{"", &Entry{Name: []byte("d"), Type: Dir, Inode: 7, FS: "fs"}},
		{"", &Entry{Name: []byte("e"), Type: Dir, Nlink: 9}},
		{"d", &Entry{Name: []byte("fa"), Type: File, Size: 9, Content: Content{Kind: Direct, IDs: []id.ID{i}}, Nlink: 2, Token: []byte("t")}},
		{"d", &Entry{Name: []byte("fb"), Type: File, Size: 1, Content: Content{Kind: Inline, Inline: []byte("x")}, ChangeTime: Time{Sec: 1, Nsec: 1}}},
		{"e", &Entry{Name: []byte("l"), Type: Symlink, Target: []byte("to"), Flags: Stale, ErrClass: ErrIO, ErrText: "bad"}},
	}
	items[1].e.Xattrs = []Xattr{{Name: []byte("user.x"), Value: []byte("v")}}
	items[2].e.FSFlags = 3
	build(t, m, items)
	for _, p := range m.pages {
		return takeApart(t, p)
	}
	return parts{}
}

func TestLeavesThatBreakARuleAreRefused(t *testing.T) {
	t.Parallel()
	p := smallLeaf(t)
	var d decoder
	if err := d.leaf(newLeaf(), p.with(-1, nil)); err != nil {
		t.Fatal(err)
	}
	i, none := randomID(rng(1)), id.ID{}
	names := func(pairs ...any) []byte { return cat(pairs...) }
	for _, c := range []struct {
		name string
		col  int
		b    []byte
	}{
		{"no names", colNames, nil},
		{"a name twice", colNames, names(0, 0, 0, 1, 0, 1, 0, 2, 1, 1, 0, 1, "d", "d", "fa", "b", "l")},
		{"names out of order", colNames, names(0, 0, 0, 1, 0, 1, 0, 2, 1, 1, 0, 1, "e", "d", "fa", "b", "l")},
		{"shared not the longest", colNames, names(0, 0, 0, 1, 0, 1, 0, 2, 0, 2, 0, 1, "d", "e", "fa", "fb", "l")},
		{"shared beyond the name before", colNames, names(0, 0, 0, 1, 0, 1, 0, 2, 3, 1, 0, 1, "d", "e", "fa", "b", "l")},
		{"shared at the start of a run", colNames, names(0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 0, 1, "d", "e", "a", "b", "l")},
		{"an empty name in the middle", colNames, names(0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, "d", "e", "b", "l")},
		{"a dot", colNames, names(0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, "d", "e", ".", "f", "l")},
		{"two dots", colNames, names(0, 0, 0, 1, 0, 1, 0, 2, 0, 1, 0, 1, "d", "e", "..", "f", "l")},
		{"a slash", colNames, names(0, 0, 0, 1, 0, 1, 0, 2, 1, 1, 0, 1, "d", "e", "f/", "b", "l")},
		{"a NUL", colNames, names(0, 0, 0, 1, 0, 1, 0, 2, 1, 1, 0, 1, "d", "e", "f\x00", "b", "l")},
		{"too few bytes", colNames, names(0, 0, 0, 1, 0, 1, 0, 2, 1, 1, 0, 1, "d", "e", "fa", "b")},
		{"too many bytes", colNames, names(0, 0, 0, 1, 0, 1, 0, 2, 1, 1, 0, 1, "d", "e", "fa", "b", "lx")},
		{"a long varint", colNames, names(0, 0, 0, 1, 0, 1, 0, 2, 1, 1, 0, "\x81\x00", "d", "e", "fa", "b", "l")},
		{"a long name", colNames, names(0, 0, 0, 1, 0, 1, 0, 2, 1, 1, 0, 65536, "d", "e", "fa", "b", strings.Repeat("l", 65536))},
		{"no attributes", colAttrs, nil},
		{"an unknown type", colAttrs, cat("\x09", 0, 0, 0, 0, 0)},
		{"type 0", colAttrs, cat("\x00", 0, 0, 0, 0, 0)},
		{"a large mode", colAttrs, cat("\x01", 0o10000, 0, 0, 0, 0)},
		{"a large uid", colAttrs, cat("\x01", 0, 1<<32, 0, 0, 0)},
		{"a long user name", colAttrs, cat("\x01", 0, 0, 0, 256, strings.Repeat("u", 256), 0)},
		{"more rows than entries", colAttrs, bytes.Repeat([]byte{1, 0, 0, 0, 0, 0}, 7)},
		{"a row that is not there", colAttr, cat(0, 1, 1, 2, 2, 99)},
		{"too few rows", colAttr, cat(0, 1, 1, 2, 2)},
		{"too many rows", colAttr, cat(0, 1, 1, 2, 2, 0, 0)},
		{"too few inodes", colInode, cat(2, 2)},
		{"too few times", colMtime, cat(2, 2, 2)},
		{"a full second of nanoseconds", colMtime, cat(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1_000_000_000)},
		{"too few change times", colChange, cat(0, 0)},
		{"a change time of zero", colChange, cat(0, 0, 0, 0, 3, 9, 0, 0)},
		{"a change time equal to an unknown time", colChange, cat(0, 1, 0, 0, 0, 0)},
		{"many nanoseconds", colChange, cat(3, 0, 1_000_000_000, 0, 0, 0, 0, 0)},
		{"no file system in the table", colFS, cat(0, 0, 0)},
		{"an empty identity", colFS, cat(1, 0, 0, 1)},
		{"an identity that is not there", colFS, cat(1, 1, "f", 0, 2)},
		{"an identity that does not change", colFS, cat(1, 1, "f", 0, 1, 1, 1)},
		{"an index beyond the page", colFS, cat(1, 1, "f", 6, 1)},
		{"a delta of zero", colFS, cat(2, 1, "f", 1, "g", 0, 1, 0, 2)},
		{"too few sizes", colSize, cat(9)},
		{"a size of 2^63", colSize, cat(9, []byte("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"))},
		{"an unknown content", colContent, cat(codeExtents+maxListLevel+1, 1)},
		{"too few contents", colContent, cat(2)},
		{"more ids than there are", colContent, cat(3, 1)},
		{"fewer ids than there are", colContent, cat(0, 1)},
		{"half an id", colIDs, i[:16]},
		{"many ids", colIDs, bytes.Repeat(i[:], 25)},
		{"no inline bytes", colInline, nil},
		{"empty inline bytes", colInline, cat(0)},
		{"many inline bytes", colInline, cat(129, strings.Repeat("x", 129))},
		{"inline bytes left over", colInline, cat(1, "xx")},
		{"an empty token", colToken, cat(3, 0)},
		{"a long token", colToken, cat(3, 65, strings.Repeat("x", 65))},
		{"a token beyond the page", colToken, cat(6, 1, "x")},
		{"a target left over", colTarget, cat(2, "to!")},
		{"a target cut short", colTarget, cat(3, "to")},
		{"a large target", colTarget, cat(258, strings.Repeat("x", 258))},
		{"a target blob without an id", colTarget, cat(257, none[:])},
		{"device numbers without a device", colDevice, cat(1, 1)},
		{"one link", colLinks, cat(3, 1, i[:16])},
		{"links of a directory", colLinks, cat(1, 2, i[:16])},
		{"half a group", colLinks, cat(3, 2, i[:8])},
		{"no attribute sets", colXattrs, cat(0)},
		{"an unused set", colXattrs, cat(1, 1, 1, "a", 1, "b")},
		{"an empty set", colXattrs, cat(1, 0, 1, 0)},
		{"a set that is not there", colXattrs, cat(1, 1, 1, "a", 1, "b", 1, 1)},
		{"many attributes", colXattrs, cat(1, 4097, strings.Repeat("\x00", 3*4097))},
		{"attributes out of order", colXattrs, cat(1, 2, 1, "b", 0, 1, "a", 0, 1, 0)},
		{"an attribute without a name", colXattrs, cat(1, 1, 0, 1, "b", 1, 0)},
		{"an attribute without its blob", colXattrs, cat(1, 1, 1, "b", 257, none[:], 1, 0)},
		{"a large attribute", colXattrs, cat(1, 1, 1, "b", 1<<24, i[:], 1, 0)},
		{"more sets than entries", colXattrs, cat(7, 1, 1, "b", 0)},
		{"large flags", colFlags, cat(2, 1<<32, 0)},
		{"unknown marks", colMarks, cat(5, "\x10", 0)},
		{"an unknown error", colMarks, cat(5, "\x02", 9, 0)},
		{"a long message", colMarks, cat(5, "\x02", 4, 256, strings.Repeat("x", 256))},
		{"marks cut short", colMarks, cat(5)},
		{"no runs", colRuns, cat(6, 0, 0)},
		{"an empty run", colRuns, cat(3, 0, 0, 0, 0, 1, 1, "d", 3, 0, 1, 1, "e")},
		{"a run too long", colRuns, cat(3, 0, 0, 2, 0, 1, 1, "d", 2, 0, 1, 1, "e")},
		{"runs left over", colRuns, cat(3, 0, 0, 2, 0, 1, 1, "d", 1, 0, 1, 1, "e", 1, 0, 1, 1, "f")},
		{"runs out of order", colRuns, cat(3, 0, 0, 2, 0, 1, 1, "e", 1, 0, 1, 1, "d")},
		{"a run twice", colRuns, cat(3, 0, 0, 2, 0, 1, 1, "d", 1, 1, 0)},
		{"kept beyond the run before", colRuns, cat(3, 0, 0, 2, 1, 1, 1, "d", 1, 0, 1, 1, "e")},
		{"a component of dots", colRuns, cat(3, 0, 0, 2, 0, 1, 2, "..", 1, 0, 1, 1, "e")},
		{"a component with a slash", colRuns, cat(3, 0, 0, 2, 0, 1, 3, "c/d", 1, 0, 1, 1, "e")},
		{"an empty component", colRuns, cat(3, 0, 0, 2, 0, 1, 0, 1, 0, 1, 1, "e")},
		{"a row twice", colAttrs, append(bytes.Clone(p.cols[colAttrs]), p.cols[colAttrs]...)},
		{"a row that is not used", colAttrs, append(bytes.Clone(p.cols[colAttrs]), 5, 0, 0, 0, 0, 0)},
		{"rows in another order than that of their use", colAttr, cat(1, 0, 0, 2, 2, 3)},
		{"rows without an index", colAttr, nil},
		{"an index of zeros", colAttr, cat(0, 0, 0, 0, 0, 0)},
		{"inodes of zero", colInode, cat(0, 0, 0, 0, 0, 0)},
		{"times of zero", colMtime, make([]byte, 12)},
		{"unknown change times", colChange, make([]byte, 6)},
		{"unknown birth times", colBirth, make([]byte, 6)},
		{"the time before where it is the modification time", colChange, cat(2, 0, 0, 0, 0, 0)},
		{"no nanoseconds after the time before", colChange, cat(0, 0, 0, 0, 4, 0)},
		{"a full time where a difference would do", colChange, cat(0, 0, 0, 0, 3, 7, 1, 0)},
		{"a difference of centuries", colChange, cat(0, 0, 0, 0, 4+2*(1<<29)*1_000_000_000, 0)},
		{"an identity that is not used", colFS, cat(2, 1, "f", 1, "g", 0, 1)},
		{"an identity twice", colFS, cat(2, 1, "f", 1, "f", 0, 1, 1, 2)},
		{"identities in another order than that of their use", colFS, cat(2, 1, "f", 1, "g", 0, 2, 1, 1)},
		{"sizes of zero", colSize, cat(0, 0)},
		{"an unknown target", colTarget, cat(0)},
		{"flags of zero", colFlags, cat(2, 0, 0)},
		{"no marks", colMarks, cat(5, "\x00", 0)},
		{"a set twice", colXattrs, cat(2, 1, 1, "a", 1, "b", 1, 1, "a", 1, "b", 1, 0, 1, 1)},
		{"a set that is not used", colXattrs, cat(2, 1, 1, "a", 1, "b", 1, 1, "a", 1, "c", 1, 0)},
		{"sets in another order than that of their use", colXattrs, cat(2, 1, 1, "a", 1, "b", 1, 1, "a", 1, "c", 1, 1, 1, 0)},
		{"a common directory that is not the longest", colRuns, cat(3, 0, 1, 1, "a", 2, 1, 1, 1, "d", 1, 1, 1, 1, "e")},
		{"many components", colRuns, cat(3, 0, 0, 2, 0, 4097)},
	} {
		if err := d.leaf(newLeaf(), p.with(c.col, c.b)); !errors.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestUnknownColumnsAreRefusedIfOdd(t *testing.T) {
	t.Parallel()
	p := smallLeaf(t)
	var d decoder
	for col := range maxColumns {
		if col == 0 || leafColumns&(1<<col) != 0 {
			continue
		}
		err := d.leaf(newLeaf(), p.with(col, []byte("x")))
		if want := col%2 == 1; errors.Is(err, errs.Unsupported) != want || !want && err != nil {
			t.Errorf("column %d: %v", col, err)
		}
	}
}

func TestHeadersThatBreakARuleAreRefused(t *testing.T) {
	t.Parallel()
	page := smallLeaf(t).with(-1, nil)
	var d decoder
	head := func(h ...any) []byte { return cat(append([]any{"T1\x01\x00"}, h...)...) }
	for name, p := range map[string][]byte{
		"empty":                    nil,
		"short":                    page[:5],
		"another magic":            append([]byte("T2"), page[2:]...),
		"a level":                  append([]byte("T1\x01\x01"), page[4:]...),
		"another kind":             append([]byte("T1\x02\x00"), page[4:]...),
		"kind 255":                 append([]byte("T1\xff\x00"), page[4:]...),
		"no entries":               head(0, 0),
		"many entries":             head(513, 0),
		"many columns":             head(1, 65),
		"no columns":               head(1, 0),
		"column 0":                 head(1, 1, 0, 1, "x"),
		"columns out of order":     head(1, 2, 3, 1, 1, 1, "xx"),
		"a column twice":           head(1, 2, 1, 1, 1, 1, "xx"),
		"an empty column":          head(1, 1, 1, 0),
		"a column beyond the page": head(1, 1, 1, 9, "x"),
		"bytes left over":          append(bytes.Clone(page), 0),
		"too large":                make([]byte, maxPage+1),
	} {
		if err := d.leaf(newLeaf(), p); !errors.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInteriorPagesThatBreakARuleAreRefused(t *testing.T) {
	t.Parallel()
	i := randomID(rng(1))
	ids := bytes.Repeat(i[:], 3)
	good := parts{kind: pageInterior, level: 1, n: 3, cols: map[int][]byte{
		colNames: cat(1, 1, 1, "a", "b", "c"), colIDs: ids, colEntries: cat(1, 2, 3), colBytes: cat(5, 5, 5), colLinked: cat(1, 0, 5),
		colMtime: cat(2, 2, 2, 0, 1, 2), colRuns: cat(0, 0, 1, 1, "d", 1, 1, 0, 1, 1, 1, 1, "e"),
	}}
	var d decoder
	var in interior
	if err := d.interior(&in, good.with(-1, nil)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		col  int
		b    []byte
	}{
		{"no names", colNames, nil},
		{"a name with a slash", colNames, cat(1, 1, 1, "a", "/", "c")},
		{"an empty name in the middle", colNames, cat(1, 0, 1, "a", "c")},
		{"names left over", colNames, cat(1, 1, 1, "a", "b", "cd")},
		{"two ids", colIDs, ids[:64]},
		{"no entries", colEntries, nil},
		{"a child without entries", colEntries, cat(1, 0, 3)},
		{"very many entries", colEntries, cat(1, 1<<57, 3)},
		{"too few bytes", colBytes, cat(5, 5)},
		{"more linked than bytes", colLinked, cat(1, 0, 6)},
		{"too few times", colMtime, cat(2, 2, 2, 0, 1)},
		{"a full second", colMtime, cat(2, 2, 2, 0, 1, 1_000_000_000)},
		{"names out of order in one directory", colRuns, nil},
		{"bytes of zero", colBytes, cat(0, 0, 0)},
		{"linked bytes of zero", colLinked, cat(0, 0, 0)},
		{"times of zero", colMtime, make([]byte, 6)},
		{"directories that say nothing", colRuns, make([]byte, 9)},
		{"common beyond the directory", colRuns, cat(0, 0, 1, 1, "d", 2, 1, 0, 1, 1, 1, 1, "e")},
		{"nothing in common left out", colRuns, cat(1, 0, 1, 1, "d", 1, 1, 0, 1, 1, 1, 1, "e")},
		{"directories out of order", colRuns, cat(0, 0, 1, 1, "d", 0, 0, 1, 1, "c", 0, 1, 1, 1, "e")},
		{"a directory twice", colRuns, cat(0, 0, 1, 1, "d", 0, 0, 1, 1, "d", 0, 1, 1, 1, "e")},
		{"back to the parent", colRuns, cat(0, 0, 1, 1, "d", 0, 0, 0, 0, 0, 1, 1, "e")},
		{"a component of dots", colRuns, cat(0, 0, 1, 2, "..", 1, 1, 0, 1, 1, 1, 1, "e")},
		{"kept beyond", colRuns, cat(0, 0, 1, 1, "d", 1, 2, 0, 1, 1, 1, 1, "e")},
		{"many components", colRuns, cat(0, 0, 4097)},
		{"directories left over", colRuns, cat(0, 0, 1, 1, "d", 1, 1, 0, 1, 1, 1, 1, "e", 0)},
	} {
		if c.name == "names out of order in one directory" {
			good.cols[colNames] = cat(1, 1, 1, "a", "c", "b")
		}
		if err := d.interior(&in, good.with(c.col, c.b)); !errors.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", c.name, err)
		}
		good.cols[colNames] = cat(1, 1, 1, "a", "b", "c")
	}
	for _, level := range []byte{0, 32} {
		good.level = level
		if err := d.interior(&in, good.with(-1, nil)); !errors.Is(err, errs.Corrupt) {
			t.Errorf("level %d: %v", level, err)
		}
	}
	if err := d.interior(&in, []byte("T1\x01\x00xxxx")); !errors.Is(err, errs.Corrupt) {
		t.Errorf("a leaf: %v", err)
	}
}

func TestExtentPagesThatBreakARuleAreRefused(t *testing.T) {
	t.Parallel()
	i := randomID(rng(1))
	two := bytes.Repeat(i[:], 2)
	type page struct {
		kind, level byte
		n           int
		lengths     []byte
		ids         []byte
	}
	var c columns
	var p extentPage
	make := func(x page) []byte {
		return appendPage(nil, x.kind, x.level, x.n, []column{{id: colNames, parts: [3][]byte{x.lengths}}, {id: colIDs, parts: [3][]byte{x.ids}}})
	}
	for name, x := range map[string]page{
		"good leaf":     {3, 0, 3, cat(8, 9, 8), two},
		"good interior": {4, 1, 2, cat(8, 9), two},
		"only a hole":   {3, 0, 1, cat(9), nil},
	} {
		if _, err := decodeExtents(&c, &p, make(x)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, x := range map[string]page{
		"two holes":         {3, 0, 3, cat(9, 9, 8), i[:]},
		"no length":         {3, 0, 2, cat(0, 8), two},
		"a hole of nothing": {3, 0, 2, cat(1, 8), i[:]},
		"a large blob":      {3, 0, 1, cat(1 << 25), i[:]},
		"a large hole":      {3, 0, 1, cat([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")), nil},
		"an empty child":    {4, 1, 2, cat(0, 9), two},
		"too few ids":       {3, 0, 2, cat(8, 8), i[:]},
		"too many ids":      {3, 0, 1, cat(8), two},
		"a zero id":         {3, 0, 1, cat(8), bytes.Repeat([]byte{0}, 32)},
		"lengths left over": {3, 0, 1, cat(8, 8), i[:]},
		"a leaf of level 1": {3, 1, 1, cat(8), i[:]},
		"an interior leaf":  {4, 0, 1, cat(8), i[:]},
		"a high level":      {4, 16, 1, cat(8), i[:]},
		"a tree's leaf":     {1, 0, 1, cat(8), i[:]},
		"a long sum":        {4, 1, 2, cat(1<<62-1, 1<<62-1), two},
	} {
		if _, err := decodeExtents(&c, &p, make(x)); !errors.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReferencesThatBreakARuleAreRefused(t *testing.T) {
	t.Parallel()
	i, none := randomID(rng(1)), id.ID{}
	good := cat(1, i[:], 1, "a", 1, "b", 1, "c", 5, 9, 2, 6, 7)
	if r, err := ParseRef(good); err != nil || string(r.First.Dir) != "a/b" || r.Newest != (Time{Sec: 3, Nsec: 7}) {
		t.Fatalf("%+v %v", r, err)
	}
	for name, b := range map[string][]byte{
		"cut short":         good[:len(good)-1],
		"left over":         append(bytes.Clone(good), 0),
		"a high level":      cat(32, i[:], 0, 0, 0, 5, 9, 2, 6, 7),
		"no id":             cat(1, none[:], 0, 0, 0, 5, 9, 2, 6, 7),
		"no entries":        cat(1, i[:], 0, 0, 0, 0, 9, 2, 6, 7),
		"more linked":       cat(1, i[:], 0, 0, 0, 5, 1, 2, 6, 7),
		"a full second":     cat(1, i[:], 0, 0, 0, 5, 9, 2, 6, 1_000_000_000),
		"a bad directory":   cat(1, i[:], 2, "..", 0, 0, 5, 9, 2, 6, 7),
		"a bad first name":  cat(1, i[:], 1, "a", 0, 1, "/", 5, 9, 2, 6, 7),
		"an empty name":     cat(1, i[:], 1, "a", 0, 0, 5, 9, 2, 6, 7),
		"a bad rest":        cat(1, i[:], 1, "a", 3, "b//", 1, "c", 5, 9, 2, 6, 7),
		"a long first name": cat(1, i[:], 0, 0, 65536, strings.Repeat("x", 65536), 5, 9, 2, 6, 7),
	} {
		if _, err := ParseRef(b); !errors.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEveryByteOfEveryPageMayChange changes each byte of many pages to a few values: nothing panics, and what still
// decodes is consistent.
func TestEveryByteOfEveryPageMayChange(t *testing.T) {
	t.Parallel()
	for n, page := range seedPages(t) {
		if len(page) > 4_000 || raceEnabled && len(page) > 1_500 {
			continue
		}
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			b := bytes.Clone(page)
			for i := range b {
				for _, x := range []byte{1, 0x80, 0xff, b[i]} {
					b[i] ^= x
					checkLeaf(t, b)
					checkInterior(t, b)
					checkExtents(t, b)
					b[i] ^= x
				}
				checkLeaf(t, b[:i])
				checkInterior(t, b[:i])
				checkExtents(t, b[:i])
			}
		})
	}
}
