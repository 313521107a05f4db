package tree

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// pending is an entry on its way from the join to the builder, as in a backup's window.
type pending struct {
	it  item
	old Old
}

// update builds the tree of items by a join with the parents, as a backup does: unchanged entries go over as they are,
// but for one in again, which is given as if it were new. Entries wait in a window before the builder gets them.
func update(t testing.TB, m *memPages, bits int, parents []Parent, items []item, r *rand.Rand, again int) (Ref, BuildStats) {
	t.Helper()
	b := NewBuilder(splitKey, m)
	b.cut.bits = bits
	j := NewJoiner(parents, JoinEvents{})
	var window []pending
	drain := func(n int) {
		for len(window) > n {
			p := window[0]
			window = window[1:]
			var err error
			if p.old.Ok() {
				err = b.AddOld(t.Context(), p.old)
				p.old.Release()
			} else {
				err = b.Add(t.Context(), []byte(p.it.dir), p.it.e)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	size := r.IntN(30)
	for _, it := range items {
		o, err := j.Match(t.Context(), []byte(it.dir), it.e.Name)
		if err != nil {
			t.Fatal(err)
		}
		if o.Ok() && (!o.Entry().Equal(it.e) || r.IntN(again) == 0) {
			o = Old{}
		}
		window = append(window, pending{it: it, old: o.Retain()})
		drain(size)
	}
	if err := j.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	drain(0)
	root, err := b.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return root, b.Stats()
}

func scratch(t testing.TB, m *memPages, bits int, items []item) Ref {
	t.Helper()
	b := NewBuilder(splitKey, m)
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

// mutate returns items after a few random changes.
func mutate(r *rand.Rand, items []item) []item {
	out := slices.Clone(items)
	for range 1 + r.IntN(4) {
		k := 1 + r.IntN(max(1, len(out)-1))
		if k >= len(out) {
			k = 0
		}
		switch it := out[k]; r.IntN(6) {
		case 0, 1: // change
			out[k].e = entryFor(r, string(it.e.Name), it.e.Type)
		case 2: // delete, with what is below
			if k > 0 {
				p := JoinPath(nil, []byte(it.dir), it.e.Name)
				out = slices.DeleteFunc(out, func(x item) bool {
					return x.dir == it.dir && bytes.Equal(x.e.Name, it.e.Name) || Below([]byte(x.dir), p)
				})
			}
		case 3: // add a few files side by side
			for n := range 1 + r.IntN(12) {
				out = append(out, item{it.dir, entryFor(r, fmt.Sprintf("%s-%d-%d", it.e.Name, n, r.IntN(1e9)), File)})
			}
		case 4: // add a directory with files
			d := fmt.Sprintf("dir%d", r.IntN(1e9))
			out = append(out, item{it.dir, entryFor(r, d, Dir)})
			p := string(JoinPath(nil, []byte(it.dir), []byte(d)))
			for n := range r.IntN(20) {
				out = append(out, item{p, entryFor(r, fmt.Sprint(n), File)})
			}
		case 5: // rename, with what is below
			if k > 0 && len(it.e.Name) > 0 {
				from := JoinPath(nil, []byte(it.dir), it.e.Name)
				e := *it.e
				e.Name = fmt.Appendf(nil, "%c-renamed%d", 'a'+r.IntN(26), r.IntN(1e9))
				to := JoinPath(nil, []byte(it.dir), e.Name)
				out[k].e = &e
				for i := range out {
					if Below([]byte(out[i].dir), from) {
						out[i].dir = string(to) + out[i].dir[len(from):]
					}
				}
			}
		}
		sortItems(out)
	}
	return out
}

func sameRef(t testing.TB, what string, got, want Ref) {
	t.Helper()
	if !bytes.Equal(AppendRef(nil, got), AppendRef(nil, want)) {
		t.Fatalf("%s: got %+v, want %+v", what, got, want)
	}
}

// TestATreeDoesNotTellItsHistory makes 100,000 updates and compares each tree with one built from scratch. The pages of
// both are in one store by their hash: equal roots are equal bytes.
func TestATreeDoesNotTellItsHistory(t *testing.T) {
	t.Parallel()
	updates := 100_000
	switch {
	case raceEnabled:
		updates = 1_000
	case testing.Short():
		updates = 4_000
	}
	const shards = 4
	for s := range uint64(shards) {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			t.Parallel()
			r := rng(100 + s)
			for done := 0; done < updates/shards; {
				bits := []int{1, 2, cutBits}[r.IntN(3)]
				m := newMemPages()
				items := randomItems(r, 1+r.IntN(60))
				root := scratch(t, m, bits, items)
				for range 10 + r.IntN(30) {
					next := mutate(r, items)
					if len(next) > 200 {
						break
					}
					again := []int{2, 10, 1000}[r.IntN(3)]
					got, _ := update(t, m, bits, []Parent{{Tree: Tree{Root: root, Pages: m}}}, next, r, again)
					sameRef(t, "update", got, scratch(t, m, bits, next))
					items, root = next, got
					done++
				}
			}
		})
	}
}

func TestPropertyUpdateEqualsScratch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		r := rng(rapid.Uint64().Draw(rt, "seed"))
		m := newMemPages()
		items := randomItems(r, rapid.IntRange(1, 600).Draw(rt, "entries"))
		bits := rapid.IntRange(1, 5).Draw(rt, "bits")
		root := scratch(t, m, bits, items)
		for range rapid.IntRange(1, 5).Draw(rt, "updates") {
			next := mutate(r, items)
			got, _ := update(t, m, bits, []Parent{{Tree: Tree{Root: root, Pages: m}}}, next, r, 50)
			sameRef(t, "update", got, scratch(t, m, bits, next))
			sameItems(t, contents(t, m, got), next)
			items, root = next, got
		}
	})
}

func TestAnUnchangedTreeIsTakenOverWhole(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	items := randomItems(rng(5), 20_000)
	root := build(t, m, items)
	got, stats := update(t, m, cutBits, []Parent{{Tree: Tree{Root: root, Pages: m}}}, items, rng(1), 1<<40)
	sameRef(t, "unchanged", got, root)
	if stats.Leaves != 0 || stats.Reused < 300 {
		t.Errorf("put %d leaves, reused %d", stats.Leaves, stats.Reused)
	}
}

func TestOneChangeWritesOneLeafAndOnePageALevel(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	items := randomItems(rng(6), 20_000)
	root := build(t, m, items)
	e := *items[10_000].e
	e.ModTime.Sec++
	items[10_000].e = &e
	before := len(m.pages)
	got, stats := update(t, m, cutBits, []Parent{{Tree: Tree{Root: root, Pages: m}}}, items, rng(1), 1<<40)
	if got.ID == root.ID || stats.Leaves != 1 || len(m.pages)-before != int(root.Level)+1 {
		t.Errorf("put %d leaves, %d new pages, of %d levels", stats.Leaves, len(m.pages)-before, root.Level+1)
	}
}

func TestAForkDoesNotDisturbItsOriginal(t *testing.T) {
	t.Parallel()
	r := rng(8)
	m := newMemPages()
	items := randomItems(r, 5_000)
	root := build(t, m, items)
	next := mutate(r, items)
	b := NewBuilder(splitKey, m)
	j := NewJoiner([]Parent{{Tree: Tree{Root: root, Pages: m}}}, JoinEvents{})
	for i, it := range next {
		o, err := j.Match(t.Context(), []byte(it.dir), it.e.Name)
		if err != nil {
			t.Fatal(err)
		}
		if o.Ok() && o.Entry().Equal(it.e) {
			err = b.AddOld(t.Context(), o)
		} else {
			err = b.Add(t.Context(), []byte(it.dir), it.e)
		}
		if err != nil {
			t.Fatal(err)
		}
		last, ok := b.Last()
		if !ok || last.Compare(it.key()) != 0 {
			t.Fatalf("last key %q, want %q", last, it.key())
		}
		if i%617 == 0 {
			got, err := b.Fork().Finish(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sameRef(t, fmt.Sprint("fork at ", i), got, scratch(t, m, cutBits, next[:i+1]))
		}
	}
	got, err := b.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sameRef(t, "original", got, scratch(t, m, cutBits, next))
}

func TestACheckpointAndASnapshotAreJoinedAtTheirSeam(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		r := rng(seed)
		m := newMemPages()
		base := randomItems(r, 300)
		old := scratch(t, m, 2, base)
		next := mutate(r, base)
		cut := r.IntN(len(next))
		b := NewBuilder(splitKey, m)
		b.cut.bits = 2
		for _, it := range next[:cut] {
			if err := b.Add(t.Context(), []byte(it.dir), it.e); err != nil {
				t.Fatal(err)
			}
		}
		checkpoint, err := b.Finish(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		parents := []Parent{
			{Tree: Tree{Root: checkpoint, Pages: m}, Upto: next[cut].key()},
			{Tree: Tree{Root: old, Pages: m}},
		}
		got, _ := update(t, m, 2, parents, next, r, 1<<40)
		sameRef(t, fmt.Sprint("seed ", seed), got, scratch(t, m, 2, next))
	}
}
