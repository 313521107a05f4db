package tree

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// writeExtents writes extents and returns the content.
func writeExtents(t testing.TB, m PageStore, list []Extent) Content {
	t.Helper()
	w := NewExtentWriter(m)
	addExtents(t, w, list)
	c, err := w.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func addExtents(t testing.TB, w *ExtentWriter, list []Extent) {
	t.Helper()
	for _, e := range list {
		err := error(nil)
		if e.ID.IsZero() {
			err = w.Hole(t.Context(), e.Length)
		} else {
			err = w.Data(t.Context(), e.ID, e.Length)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func readExtents(t testing.TB, x *ExtentReader) (list []Extent) {
	t.Helper()
	for {
		e, ok, err := x.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return list
		}
		list = append(list, e)
	}
}

// randomExtents makes n extents without neighbouring holes.
func randomExtents(seed uint64, n, holes int) (list []Extent) {
	r := rng(seed)
	off := uint64(0)
	for range n {
		e := Extent{Offset: off, Length: 1 + r.Uint64N(1<<20), ID: randomID(r)}
		if holes > 0 && r.IntN(holes) == 0 && (len(list) == 0 || !list[len(list)-1].ID.IsZero()) {
			e.ID = id.ID{}
			e.Length *= 1000
		}
		off += e.Length
		list = append(list, e)
	}
	return list
}

func TestExtentListsAreReadAsWritten(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 5, 63, 64, 513, 3_000, 200_000} {
		m := newMemPages()
		list := randomExtents(uint64(n), n, 10)
		list = append(list, Extent{Offset: list[n-1].Offset + list[n-1].Length, Length: 7, ID: randomID(rng(1))})
		list[0].ID = id.ID{}
		if len(list) > 1 && list[1].ID.IsZero() {
			list[1].ID = randomID(rng(2))
			if list[1].Length > maxBlob {
				continue
			}
		}
		c := writeExtents(t, m, list)
		if c.Kind != Extents {
			t.Fatalf("%d extents: %+v", n, c)
		}
		if got := readExtents(t, NewExtentReader(m, c)); !slices.Equal(got, list) {
			t.Fatalf("%d extents: got %d", n, len(got))
		}
		pages := 0
		var walked []Extent
		if err := WalkExtentPages(t.Context(), m, c, func(id.ID, uint8) (bool, error) { pages++; return true, nil },
			func(e Extent) error { walked = append(walked, e); return nil }); err != nil || pages != len(m.pages) || !slices.Equal(walked, list) {
			t.Fatalf("walk: %d pages of %d, %d extents, %v", pages, len(m.pages), len(walked), err)
		}
		if err := WalkExtentPages(t.Context(), m, c, func(id.ID, uint8) (bool, error) { return false, nil }, nil); err != nil {
			t.Fatal(err)
		}
		x := NewExtentReader(m, c)
		r := rng(3)
		for range 200 {
			k := r.IntN(len(list))
			if err := x.Seek(t.Context(), list[k].Offset+r.Uint64N(list[k].Length)); err != nil {
				t.Fatal(err)
			}
			if e, ok, err := x.Next(t.Context()); !ok || err != nil || e != list[k] {
				t.Fatalf("seek: %+v %v %v, want %+v", e, ok, err, list[k])
			}
		}
		last := list[len(list)-1]
		if err := x.Seek(t.Context(), last.Offset+last.Length); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := x.Next(t.Context()); ok || err != nil {
			t.Fatalf("behind the end: %v %v", ok, err)
		}
	}
}

func TestFewBlobsWithoutHolesStandInTheEntry(t *testing.T) {
	t.Parallel()
	for n := range 6 {
		m := newMemPages()
		list := randomExtents(1, n, 0)
		c := writeExtents(t, m, list)
		want := Direct
		switch {
		case n == 0:
			want = Empty
		case n > 4:
			want = Extents
		}
		if c.Kind != want || want == Direct && (len(c.IDs) != n || c.IDs[n-1] != list[n-1].ID || m.puts != 0) {
			t.Errorf("%d blobs: %+v after %d puts", n, c, m.puts)
		}
	}
	if c := writeExtents(t, newMemPages(), []Extent{{Length: 5}, {Length: 6}}); c.Kind != Extents {
		t.Errorf("a hole: %+v", c)
	}
}

func TestAnInsertedExtentChangesFewPages(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	list := randomExtents(9, 50_000, 0)
	writeExtents(t, m, list)
	before := len(m.pages)
	list = slices.Insert(list, 20_000, Extent{Length: 5, ID: randomID(rng(4))})
	writeExtents(t, m, list)
	if fresh := len(m.pages) - before; fresh > 8 || before < 100 {
		t.Errorf("%d new pages of %d", fresh, before)
	}
}

func TestPropertyForkedExtentWritersAreIndependent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := newMemPages()
		list := randomExtents(rapid.Uint64().Draw(rt, "seed"), rapid.IntRange(2, 1500).Draw(rt, "n"), 5)
		k := rapid.IntRange(0, len(list)).Draw(rt, "fork")
		w := NewExtentWriter(m)
		addExtents(t, w, list[:k])
		f := w.Fork()
		addExtents(t, w, list[k:])
		if w.Size() != list[len(list)-1].Offset+list[len(list)-1].Length {
			rt.Fatal("size")
		}
		whole, err := w.Finish(t.Context())
		if err != nil {
			rt.Fatal(err)
		}
		part, err := f.Finish(t.Context())
		if err != nil {
			rt.Fatal(err)
		}
		a, b := writeExtents(t, m, list), writeExtents(t, m, list[:k])
		if !whole.Equal(&a) || !part.Equal(&b) {
			rt.Fatal("fork differs")
		}
	})
}

func TestADamagedExtentPageLosesItsBytesOnly(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	list := randomExtents(31, 5_000, 8)
	c := writeExtents(t, m, list)
	ids := map[id.ID]uint8{}
	if err := WalkExtentPages(t.Context(), m, c, func(i id.ID, level uint8) (bool, error) { ids[i] = level; return true, nil }, nil); err != nil {
		t.Fatal(err)
	}
	for i, level := range ids {
		m.bad = map[id.ID]bool{i: true}
		var lost []*LostExtentError
		var got []Extent
		v := ExtentVisitor{
			Extent: func(e Extent) error { got = append(got, e); return nil },
			Lost:   func(l *LostExtentError) error { lost = append(lost, l); return nil },
		}
		if err := VisitExtents(t.Context(), m, c, v); err != nil {
			t.Fatal(err)
		}
		if len(lost) != 1 || lost[0].Page != i || lost[0].Error() == "" || !errors.Is(lost[0], errs.NotFound) {
			t.Fatalf("losses %v", lost)
		}
		var want []Extent
		for _, e := range list {
			if l := lost[0]; l.Length > 0 && (e.Offset < l.Offset || e.Offset >= l.Offset+l.Length) {
				want = append(want, e)
			}
		}
		if !slices.Equal(got, want) || level < c.Level && len(want) == 0 {
			t.Fatalf("page of level %d: %d extents left, want %d", level, len(got), len(want))
		}
		if err := WalkExtentPages(t.Context(), m, c, nil, nil); !errors.As(err, new(*LostExtentError)) {
			t.Fatalf("without Lost: %v", err)
		}
	}
}

func TestAnExtentPageThatBelongsElsewhereIsDamage(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	c := writeExtents(t, m, randomExtents(41, 5_000, 8))
	var leaves []id.ID
	if err := WalkExtentPages(t.Context(), m, c, func(i id.ID, level uint8) (bool, error) {
		if level == 0 {
			leaves = append(leaves, i)
		}
		return true, nil
	}, nil); err != nil {
		t.Fatal(err)
	}
	for _, other := range []id.ID{leaves[1], c.IDs[0]} {
		d := &memPages{pages: maps.Clone(m.pages)}
		d.pages[leaves[0]] = m.pages[other]
		err := WalkExtentPages(t.Context(), d, c, nil, nil)
		var l *LostExtentError
		if !errors.As(err, &l) || l.Page != leaves[0] || !errors.Is(err, errs.Corrupt) {
			t.Errorf("%v", err)
		}
	}
}

func TestExtentsOutsideTheLimitsAreRefused(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := NewExtentWriter(newMemPages())
	i := randomID(rng(1))
	for what, err := range map[string]error{
		"empty blob": w.Data(ctx, i, 0), "large blob": w.Data(ctx, i, 1<<24), "no id": w.Data(ctx, id.ID{}, 5),
		"large hole": w.Hole(ctx, 1<<62),
	} {
		if !errors.Is(err, errs.Usage) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := w.Hole(ctx, 0); err != nil {
		t.Error(err)
	}
	failing := NewExtentWriter(failingStore{})
	for range 600 {
		if err := failing.Data(ctx, i, 1); err != nil {
			return
		}
	}
	t.Error("a failing store goes unnoticed")
}

type failingStore struct{}

func (failingStore) Put(context.Context, Kind, []byte) (id.ID, error) {
	return id.ID{}, errs.New(errs.Full, "no room")
}
