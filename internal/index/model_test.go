package index

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
)

// model is what an index should know: which blobs stand in packs of committed sessions, which the running session
// added, and which it claimed.
type model struct {
	committed, added, claimed map[int]bool
}

const modelBlobs = 300

// step does one random thing to the repository, its cache or the running session.
type player struct {
	*testing.T
	e   *env
	rnd *rand.Rand
	m   model
	s   *session.Session
	x   *Index
}

// TestTheIndexKnowsWhatAMapKnows plays random sessions that add packs, commit, end or crash, loses caches and index
// objects between and under them, and compares every answer with a map's.
func TestTheIndexKnowsWhatAMapKnows(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			p := &player{T: t, e: newEnv(t), rnd: rand.New(rand.NewPCG(seed, 7)), m: model{committed: map[int]bool{}}}
			for range 60 {
				p.step()
			}
		})
	}
}

func (p *player) step() {
	if p.s == nil {
		switch p.rnd.IntN(4) {
		case 0:
			p.loseCache()
		case 1:
			p.loseIndexObjects()
		default:
			p.s, p.x = p.e.begin(p.T)
			p.m.added, p.m.claimed = map[int]bool{}, map[int]bool{}
		}
		return
	}
	switch p.rnd.IntN(10) {
	case 0, 1, 2:
		from := p.rnd.IntN(modelBlobs)
		to := min(from+1+p.rnd.IntN(30), modelBlobs)
		p.e.add(p.T, p.s, p.x, from, to)
		for n := from; n < to; n++ {
			p.m.added[n] = true
		}
	case 3, 4:
		p.claim()
	case 5:
		p.look()
	case 6:
		if err := p.x.Refresh(context.Background(), p.e.list(p.T)); err != nil {
			p.Fatal(err)
		}
	case 7:
		p.e.commit(p.T, p.s, p.x)
		for n := range p.m.added {
			p.m.committed[n] = true
		}
		p.finish()
	case 8:
		if err := p.s.End(context.Background(), "test"); err != nil {
			p.Fatal(err)
		}
		p.finish()
	case 9: // a crash, with or without an index object
		if p.rnd.IntN(2) == 0 {
			if err := p.x.Write(context.Background(), p.s); err != nil {
				p.Fatal(err)
			}
		}
		p.finish()
	}
}

// finish closes the index, as the end of a process does or does not.
func (p *player) finish() {
	if p.rnd.IntN(3) > 0 {
		if err := p.x.Close(); err != nil {
			p.Fatal(err)
		}
	}
	p.s, p.x = nil, nil
}

func (p *player) claim() {
	for range 30 {
		n := p.rnd.IntN(modelBlobs)
		want := p.m.committed[n] || p.m.added[n] || p.m.claimed[n]
		if got := p.x.Claim(p.e.short(n)); got != want {
			p.Fatalf("claim of blob %d: known = %v, want %v", n, got, want)
		}
		p.m.claimed[n] = true
	}
}

func (p *player) look() {
	for n := range modelBlobs {
		l, ok := p.x.Lookup(p.e.short(n))
		if want := p.m.committed[n] || p.m.added[n]; want && !ok {
			p.Fatalf("blob %d is not found", n)
		}
		if !ok {
			continue
		}
		content, _ := p.e.blobN(n)
		r, err := ReadPack(context.Background(), p.e.repo, l.Pack)
		if err != nil {
			p.Fatal(err)
		}
		if b := r.Directory().In(l.Segment)[l.Slot]; b.ID != p.e.short(n) || int(b.Len) != len(content) || b.Len != l.RawLen {
			p.Fatalf("blob %d is not where the index says: %+v", n, l)
		}
	}
}

// loseCache deletes or damages files of the cache.
func (p *player) loseCache() {
	files, err := filepath.Glob(filepath.Join(p.e.cache, "index", "*"))
	if err != nil {
		p.Fatal(err)
	}
	for _, f := range files {
		if p.rnd.IntN(2) == 0 {
			if err := os.Remove(f); err != nil {
				p.Fatal(err)
			}
		}
	}
}

func (p *player) loseIndexObjects() {
	for _, name := range p.e.mem.Names(record.Indexes) {
		switch p.rnd.IntN(3) {
		case 0:
			if err := p.e.mem.Delete(context.Background(), name); err != nil {
				p.Fatal(err)
			}
		case 1:
			p.e.mem.FlipBit(name, 8*100)
		}
	}
}
