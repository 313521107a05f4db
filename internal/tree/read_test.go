package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// below returns the items in or below a directory, without its own.
func below(items []item, dir string) (out []item) {
	for _, it := range items {
		if Below([]byte(it.dir), []byte(dir)) {
			out = append(out, it)
		}
	}
	return out
}

func dirsOf(items []item) (out []string) {
	for _, it := range items {
		if it.e.Type == Dir {
			out = append(out, string(JoinPath(nil, []byte(it.dir), it.e.Name)))
		}
	}
	return out
}

func TestLookupListWalkAndDuAgreeWithTheItems(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	m := newMemPages()
	items := randomItems(rng(11), 3_000)
	tr := Tree{Root: build(t, m, items), Pages: m}
	for _, it := range items {
		e, err := tr.Lookup(ctx, JoinPath(nil, []byte(it.dir), it.e.Name))
		if err != nil || !e.Equal(it.e) {
			t.Fatalf("lookup %q/%q: %v", it.dir, it.e.Name, err)
		}
	}
	for _, missing := range []string{"nothing", "a0/b0/c0", "\xff\xff\xff", "!!"} {
		if _, err := tr.Lookup(ctx, []byte(missing)); !errors.Is(err, errs.NotFound) {
			t.Errorf("lookup %q: %v", missing, err)
		}
	}
	dirs := dirsOf(items)
	for _, dir := range dirs {
		var list, walk, wantList, wantWalk []item
		own := Totals{}
		for _, it := range items {
			if string(JoinPath(nil, []byte(it.dir), it.e.Name)) == dir && dir != "" {
				wantWalk = append(wantWalk, it)
			}
			if it.dir == dir && len(it.e.Name) > 0 {
				wantList = append(wantList, it)
			}
		}
		wantWalk = append(wantWalk, below(items, dir)...)
		for _, it := range wantWalk {
			own.addEntry(it.e)
		}
		if err := tr.List(ctx, []byte(dir), func(e *Entry) error {
			list = append(list, item{dir, e.Clone()})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		sameItems(t, list, wantList)
		if err := tr.Walk(ctx, []byte(dir), func(d []byte, e *Entry) error {
			walk = append(walk, item{string(d), e.Clone()})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		sameItems(t, walk, wantWalk)
		du, err := tr.Du(ctx, []byte(dir))
		if err != nil || du != own {
			t.Fatalf("du %q: %+v, want %+v: %v", dir, du, own, err)
		}
	}
}

func TestDuReadsFewPages(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	items := []item{{"", entryFor(rng(1), "", Dir)}, {"", entryFor(rng(1), "a", Dir)}, {"", entryFor(rng(1), "b", Dir)}}
	for i := range 40_000 {
		items = append(items, item{[]string{"a", "b"}[i%2], entryFor(rng(uint64(i)), fmt.Sprintf("f%06d", i), File)})
	}
	sortItems(items)
	tr := Tree{Root: build(t, m, items), Pages: m}
	m.reads = 0
	du, err := tr.Du(t.Context(), []byte("a"))
	if err != nil || du.Entries != 20_001 {
		t.Fatalf("%+v, %v", du, err)
	}
	if m.reads > 12 {
		t.Errorf("read %d pages of %d", m.reads, len(m.pages))
	}
}

func TestWalkLeavesOutSkippedDirectories(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	items := randomItems(rng(12), 4_000)
	tr := Tree{Root: build(t, m, items), Pages: m}
	dirs := dirsOf(items)
	skip := map[string]bool{}
	for i, d := range dirs {
		if d != "" && i%3 == 0 {
			skip[d] = true
		}
	}
	var want, got []item
	for _, it := range items {
		out := false
		for d := range skip {
			out = out || Below([]byte(it.dir), []byte(d))
		}
		if !out {
			want = append(want, it)
		}
	}
	err := tr.Walk(t.Context(), nil, func(dir []byte, e *Entry) error {
		got = append(got, item{string(dir), e.Clone()})
		if skip[string(JoinPath(nil, dir, e.Name))] {
			return SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sameItems(t, got, want)
	n := 0
	for _, top := range []string{"", dirs[1]} {
		n = 0
		if err := tr.Walk(t.Context(), []byte(top), func([]byte, *Entry) error { n++; return SkipDir }); err != nil || n != 1 {
			t.Errorf("skipping %q itself: %d calls, %v", top, n, err)
		}
	}
}

func TestSeekStandsBeforeTheFirstEntryAtOrAfterAKey(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	m := newMemPages()
	items := randomItems(rng(13), 3_000)
	tr := Tree{Root: build(t, m, items), Pages: m}
	r := rng(14)
	c := tr.Cursor()
	defer c.Close()
	for range 3_000 {
		k := items[r.IntN(len(items))].key().Clone()
		switch r.IntN(4) {
		case 0:
			k.Name = append(k.Name, '!')
		case 1:
			k = EndOf(append(k.Dir, 'z'))
		case 2:
			k.Dir = append(k.Dir, "zz"...)
		}
		want, _ := slices.BinarySearchFunc(items, k, func(it item, k Key) int { return it.key().Compare(k) })
		if err := c.Seek(ctx, k); err != nil {
			t.Fatal(err)
		}
		for i := want; i < min(want+r.IntN(60), len(items)); i++ {
			ok, err := c.Next(ctx)
			if !ok || err != nil || c.Key().Compare(items[i].key()) != 0 || !c.Entry().Equal(items[i].e) {
				t.Fatalf("entry %d after seek %q: %v %v %q", i, k, ok, err, c.Key())
			}
		}
		if want == len(items) {
			if ok, err := c.Next(ctx); ok || err != nil {
				t.Fatalf("behind the end: %v %v", ok, err)
			}
		}
	}
}

func TestDiffReportsExactlyTheChangesAndReadsFewPages(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	r := rng(15)
	items := randomItems(r, 4_000)
	a := Tree{Root: build(t, m, items), Pages: m}
	for round := range 40 {
		next := items
		for range round % 4 {
			next = mutate(r, next)
		}
		b := Tree{Root: build(t, m, next), Pages: m}
		m.reads = 0
		want := diffItems(items, next)
		var got []string
		err := Diff(t.Context(), a, b, func(dir []byte, old, new *Entry) error {
			got = append(got, change(string(dir), old, new))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: got %d changes, want %d:\n%q\n%q", round, len(got), len(want), got, want)
		}
		if limit := 40 + 12*len(want); m.reads > limit {
			t.Errorf("round %d: %d changes took %d page reads", round, len(want), m.reads)
		}
	}
}

func change(dir string, old, new *Entry) string {
	switch {
	case old == nil:
		return fmt.Sprintf("+ %s/%s", dir, new.Name)
	case new == nil:
		return fmt.Sprintf("- %s/%s", dir, old.Name)
	}
	return fmt.Sprintf("* %s/%s", dir, old.Name)
}

// diffItems is Diff by the plainest means.
func diffItems(a, b []item) (out []string) {
	for len(a) > 0 || len(b) > 0 {
		c := 0
		switch {
		case len(a) == 0:
			c = 1
		case len(b) == 0:
			c = -1
		default:
			c = a[0].key().Compare(b[0].key())
		}
		switch {
		case c < 0:
			out = append(out, change(a[0].dir, a[0].e, nil))
			a = a[1:]
		case c > 0:
			out = append(out, change(b[0].dir, nil, b[0].e))
			b = b[1:]
		default:
			if !a[0].e.Equal(b[0].e) {
				out = append(out, change(a[0].dir, a[0].e, b[0].e))
			}
			a, b = a[1:], b[1:]
		}
	}
	return out
}

func TestDiffOfDifferentTreesAndOfTheEmptyTree(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	for seed := range uint64(20) {
		x, y := randomItems(rng(seed), 1+int(seed)*60), randomItems(rng(seed+100), 700)
		if seed == 0 {
			x = nil
		}
		a, b := Tree{Root: build(t, m, x), Pages: m}, Tree{Root: build(t, m, y), Pages: m}
		for range 2 {
			var got []string
			if err := Diff(t.Context(), a, b, func(dir []byte, old, new *Entry) error {
				got = append(got, change(string(dir), old, new))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if want := diffItems(x, y); !slices.Equal(got, want) {
				t.Fatalf("seed %d: got %d changes, want %d", seed, len(got), len(want))
			}
			a, b, x, y = b, a, y, x
		}
	}
}

func TestWalkPagesVisitsEveryPageOnceInOrder(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	items := randomItems(rng(16), 8_000)
	tr := Tree{Root: build(t, m, items), Pages: m}
	n, entries := 0, uint64(0)
	m.reads = 0
	var last Key
	err := tr.WalkPages(t.Context(), func(r *Ref) (bool, error) {
		n++
		if r.Level == 0 {
			if entries > 0 && last.Compare(r.First) >= 0 {
				t.Errorf("leaf %q after %q", r.First, last)
			}
			entries += r.Entries
			last = r.First.Clone()
		}
		return true, nil
	})
	if err != nil || n != len(m.pages) || entries != uint64(len(items)) {
		t.Errorf("%d pages of %d, %d entries of %d: %v", n, len(m.pages), entries, len(items), err)
	}
	if leaves := n - m.reads; leaves < n*9/10 {
		t.Errorf("read %d of %d pages", m.reads, n)
	}
	n = 0
	if err := tr.WalkPages(t.Context(), func(*Ref) (bool, error) { n++; return false, nil }); err != nil || n != 1 {
		t.Errorf("%d pages when not going down: %v", n, err)
	}
}

func TestADamagedPageLosesItsRangeAndNothingElse(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	m := newMemPages()
	items := randomItems(rng(17), 1_500)
	tr := Tree{Root: build(t, m, items), Pages: m}
	var refs []Ref
	if err := tr.WalkPages(ctx, func(r *Ref) (bool, error) { refs = append(refs, r.Clone()); return true, nil }); err != nil {
		t.Fatal(err)
	}
	damage := map[string]func(p []byte) []byte{
		"missing":   nil,
		"truncated": func(p []byte) []byte { return p[:len(p)-1] },
		"of another kind": func(p []byte) []byte {
			q := bytes.Clone(p)
			q[2] = 4
			return q
		},
	}
	for _, ref := range refs {
		for what, f := range damage {
			d := &memPages{pages: make(map[id.ID][]byte)}
			for k, v := range m.pages {
				d.pages[k] = v
			}
			if f == nil {
				delete(d.pages, ref.ID)
			} else {
				d.pages[ref.ID] = f(m.pages[ref.ID])
			}
			var losses []*LostError
			bad := Tree{Root: tr.Root, Pages: d, Lost: func(l *LostError) error { losses = append(losses, l); return nil }}
			got := 0
			if err := bad.Walk(ctx, nil, func([]byte, *Entry) error { got++; return nil }); err != nil {
				t.Fatal(err)
			}
			if len(losses) != 1 || uint64(got) != uint64(len(items))-ref.Entries {
				t.Fatalf("%s page of %d entries: %d losses, %d entries of %d", what, ref.Entries, len(losses), got, len(items))
			}
			l := losses[0]
			lost := 0
			for _, it := range items {
				if it.key().Compare(l.From) >= 0 && (l.To == nil || it.key().Compare(*l.To) < 0) {
					lost++
				}
			}
			if uint64(lost) != ref.Entries || l.Page.ID != ref.ID {
				t.Fatalf("range %q to %q holds %d entries, want %d", l.From, l.To, lost, ref.Entries)
			}
			bad.Lost = nil
			err := bad.Walk(ctx, nil, func([]byte, *Entry) error { return nil })
			var le *LostError
			if !errors.As(err, &le) || le.Error() == "" {
				t.Fatalf("without Lost: %v", err)
			}
		}
	}
}

func TestAPageThatBelongsElsewhereIsDamage(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	m := newMemPages()
	items := randomItems(rng(18), 3_000)
	tr := Tree{Root: build(t, m, items), Pages: m}
	var leaves, inner []Ref
	if err := tr.WalkPages(ctx, func(r *Ref) (bool, error) {
		if r.Level == 0 {
			leaves = append(leaves, r.Clone())
		} else {
			inner = append(inner, r.Clone())
		}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, swap := range [][2]Ref{{leaves[3], leaves[4]}, {leaves[0], inner[1]}, {inner[1], leaves[0]}, {inner[1], inner[2]}, {inner[0], inner[1]}} {
		d := &memPages{pages: make(map[id.ID][]byte)}
		for k, v := range m.pages {
			d.pages[k] = v
		}
		d.pages[swap[0].ID] = m.pages[swap[1].ID]
		err := Tree{Root: tr.Root, Pages: d}.Walk(ctx, nil, func([]byte, *Entry) error { return nil })
		var l *LostError
		if !errors.As(err, &l) || l.Page.ID != swap[0].ID || !errors.Is(err, errs.Corrupt) {
			t.Errorf("page %s in place of %s: %v", swap[1].ID, swap[0].ID, err)
		}
	}
	wrong := tr.Root.Clone()
	wrong.Bytes++
	if _, err := (Tree{Root: wrong, Pages: m}).Lookup(ctx, nil); !errors.Is(err, errs.Corrupt) {
		t.Errorf("wrong totals: %v", err)
	}
}

func TestAPageWithOtherSizesIsDamage(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	items := randomItems(rng(24), 2_000)
	root := build(t, m, items)
	first := refsOf(t, m, root)
	for k, it := range items[len(items)/2:] {
		if it.e.Type == File {
			e := *it.e
			e.Size++
			items[len(items)/2+k].e = &e
			break
		}
	}
	second := refsOf(t, m, build(t, m, items))
	swapped := 0
	for i := range first {
		if i >= len(second) || first[i].ID == second[i].ID || i == 0 {
			continue
		}
		swapped++
		d := &memPages{pages: maps.Clone(m.pages)}
		d.pages[first[i].ID] = m.pages[second[i].ID]
		err := Tree{Root: root, Pages: d}.Walk(t.Context(), nil, func([]byte, *Entry) error { return nil })
		var l *LostError
		if !errors.As(err, &l) || l.Page.ID != first[i].ID || !errors.Is(err, errs.Corrupt) {
			t.Errorf("page of level %d with another size: %v", first[i].Level, err)
		}
	}
	if swapped < 2 {
		t.Errorf("%d pages swapped", swapped)
	}
}

// refsOf lists the pages of a tree.
func refsOf(t *testing.T, m PageReader, root Ref) (refs []Ref) {
	t.Helper()
	err := Tree{Root: root, Pages: m}.WalkPages(t.Context(), func(r *Ref) (bool, error) {
		refs = append(refs, r.Clone())
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return refs
}

// TestDiffSeesThatEqualPagesStandInAnotherDirectory makes pairs of trees that differ in the name of one directory. With
// small pages some of them come to stand before equal pages of different directories at once.
func TestDiffSeesThatEqualPagesStandInAnotherDirectory(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	tree := func(dir string) ([]item, Tree) {
		items := []item{{"", &Entry{Type: Dir}}}
		for i := range 6 { // the directory is the eighth entry: a page may end there
			items = append(items, item{"", file(fmt.Sprintf("a%d", i))})
		}
		items = append(items, item{"", &Entry{Name: []byte(dir), Type: Dir}}, item{dir, &Entry{Name: []byte("d"), Type: Dir}})
		for i := range 60 {
			items = append(items, item{dir + "/d", file(fmt.Sprintf("f%02d", i))})
		}
		return items, Tree{Root: scratch(t, m, 1, items), Pages: m}
	}
	for i := range 100 {
		x, a := tree(fmt.Sprintf("p%d", i))
		y, b := tree(fmt.Sprintf("q%d", i))
		var got []string
		if err := Diff(t.Context(), a, b, func(dir []byte, old, new *Entry) error {
			got = append(got, change(string(dir), old, new))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if want := diffItems(x, y); !slices.Equal(got, want) {
			t.Errorf("pair %d: got %d changes, want %d", i, len(got), len(want))
		}
	}
}

func TestReadersEndWithTheirContext(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	items := randomItems(rng(19), 1_000)
	tr := Tree{Root: build(t, m, items), Pages: m, Lost: func(*LostError) error { return nil }}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := &memPages{pages: map[id.ID][]byte{}}
	tr.Pages = d
	if err := tr.Walk(ctx, nil, func([]byte, *Entry) error { return nil }); !errors.Is(err, ctx.Err()) {
		t.Errorf("walk: %v", err)
	}
}
