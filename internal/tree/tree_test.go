package tree

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nacre-backup/nacre/internal/errs"
)

func TestWhatIsBuiltIsRead(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 7, 8, 9, 100, 3000, 20000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			m := newMemPages()
			items := randomItems(rng(uint64(n)), n)
			root := build(t, m, items)
			sameItems(t, contents(t, m, root), items)
			var sum Totals
			for _, it := range items {
				sum.addEntry(it.e)
			}
			if sum != root.Totals {
				t.Errorf("totals %+v, want %+v", root.Totals, sum)
			}
			back, err := ParseRef(AppendRef(nil, root))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(root, back, cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestTheEmptyTreeHasNoPage(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	root := build(t, m, nil)
	if root.Entries != 0 || m.puts != 0 || len(AppendRef(nil, root)) != 0 {
		t.Errorf("root %+v after %d puts", root, m.puts)
	}
	if got := contents(t, m, root); len(got) != 0 {
		t.Errorf("%d entries", len(got))
	}
	if _, err := (Tree{Root: root, Pages: m}).Lookup(t.Context(), []byte("x")); !errors.Is(err, errs.NotFound) {
		t.Errorf("lookup: %v", err)
	}
}
