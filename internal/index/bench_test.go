package index

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/nacre-backup/nacre/internal/id"
)

// randomID is a cheap id, spread like a hash.
func randomID(r *rand.PCG) (s id.Short) {
	for i := 0; i < 20; i += 4 {
		v := uint32(r.Uint64())
		s[i], s[i+1], s[i+2], s[i+3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
	}
	return s
}

// benchRuns writes n blobs as runs of a table each and merges them.
func benchRuns(b *testing.B, n int) *run {
	b.Helper()
	c := quietCache(b, b.TempDir())
	rnd := rand.NewPCG(1, 1)
	var views []view
	for done := 0; done < n; {
		var tab table
		tab.add(id.Name{}, testPack(uint32(done), testID(uint64(done))))
		tab.rows = tab.rows[:0]
		for ; len(tab.rows) < tableRows && done < n; done++ {
			tab.rows = append(tab.rows, makeRow(randomID(rnd), place{segment: uint32(done % 64), slot: uint16(done), rawLen: 1000}))
		}
		r, err := c.write(func(f runFile) error { return tab.write(f, testRepo) })
		if err != nil {
			b.Fatal(err)
		}
		views = append(views, view{run: r, states: make([]packState, r.packs)})
	}
	r, err := c.write(func(f runFile) error { return merge(f, testRepo, views) })
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		for _, v := range append(views, view{run: r}) {
			if err := v.close(); err != nil {
				b.Error(err)
			}
		}
	})
	return r
}

func BenchmarkRun(b *testing.B) {
	for _, n := range []int{1_000_000, 10_000_000} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			r := benchRuns(b, n)
			b.Run("hit", func(b *testing.B) {
				rnd, left := rand.NewPCG(1, 1), n
				hits := 0
				for b.Loop() {
					if left == 0 {
						rnd, left = rand.NewPCG(1, 1), n
					}
					left--
					s := randomID(rnd)
					if err := r.find(&s, func(place) bool { hits++; return false }); err != nil {
						b.Fatal(err)
					}
				}
				if hits == 0 {
					b.Fatal("nothing was found")
				}
			})
			b.Run("miss", func(b *testing.B) {
				rnd := rand.NewPCG(2, 2)
				for b.Loop() {
					s := randomID(rnd)
					if err := r.find(&s, func(place) bool { b.Error("found"); return false }); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	const n = tableRows
	rnd := rand.NewPCG(1, 1)
	rows := make([]row, n)
	for i := range rows {
		rows[i] = makeRow(randomID(rnd), place{})
	}
	b.SetBytes(n * rowSize)
	for b.Loop() {
		tab := table{rows: append([]row(nil), rows...)}
		if err := tab.write(&memFile{}, testRepo); err != nil {
			b.Fatal(err)
		}
	}
}
