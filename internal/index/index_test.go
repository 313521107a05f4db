package index

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
)

func TestCommittedBlobsAreFoundAndServeClaims(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	p := e.saved(t, 0, 250)
	for name, cache := range map[string]string{"the same cache": e.cache, "an empty cache": t.TempDir(), "no cache": ""} {
		x := e.open(t, nil, cache)
		e.wantFound(t, x, 0, 250, p)
		e.wantKnown(t, x, 0, 250, true)
		e.wantKnown(t, x, 250, 300, false)
		e.wantKnown(t, x, 250, 300, true)
		e.wantLost(t, x, 250, 300) // claimed is not stored
		if got := x.Problems(); len(got) != 0 {
			t.Errorf("%s: problems %v", name, got)
		}
	}
}

func TestTheCacheSparesReading(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.saved(t, 0, 100)
	for _, name := range e.mem.Names(record.Indexes) {
		e.mem.Corrupt(name, func([]byte) []byte { return nil }) // whoever reads it would complain
	}
	for _, name := range e.mem.Names(record.Data) {
		e.mem.Corrupt(name, func([]byte) []byte { return nil })
	}
	x := e.open(t, nil)
	e.wantKnown(t, x, 0, 100, true)
	if got := x.Problems(); len(got) != 0 {
		t.Fatalf("problems %v", got)
	}
}

func TestUncommittedPacksHelpReadingAndServeNoClaims(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	s, x := e.begin(t)
	p := e.add(t, s, x, 0, 50)
	if err := x.Write(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	for _, cache := range []string{e.cache, t.TempDir()} {
		other := e.open(t, nil, cache)
		if cache != e.cache {
			e.wantFound(t, other, 0, 50, p)
		}
		e.wantKnown(t, other, 0, 50, false)
	}
	e.wantKnown(t, x, 0, 50, true) // its own session counts on them
	e.commit(t, s, x)
	e.wantKnown(t, e.open(t, nil, t.TempDir()), 0, 50, true)
}

func TestASessionThatEndedLeavesNothing(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	s, x := e.begin(t)
	e.add(t, s, x, 0, 50)
	if err := x.Write(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	if err := s.End(context.Background(), "test"); err != nil {
		t.Fatal(err)
	}
	if err := x.Refresh(context.Background(), e.list(t)); err != nil {
		t.Fatal(err)
	}
	for _, y := range []*Index{x, e.open(t, nil, t.TempDir())} {
		if got := y.Stats(); got.Blobs != 0 || got.Packs != 0 {
			t.Fatalf("the cache keeps what is good for nothing: %+v", got)
		}
		e.wantLost(t, y, 0, 50)
		e.wantKnown(t, y, 0, 50, false)
	}
}

func TestLosingIndexObjectsAndCacheLosesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	damage := map[string]func(e *env, name string){
		"deleted":     func(e *env, name string) { _ = e.mem.Delete(ctx, name) },
		"a bit flips": func(e *env, name string) { e.mem.FlipBit(name, 8*200+3) },
		"cut short":   func(e *env, name string) { e.mem.Corrupt(name, func(b []byte) []byte { return b[:len(b)/2] }) },
		"empty":       func(e *env, name string) { e.mem.Corrupt(name, func([]byte) []byte { return nil }) },
	}
	for name, fn := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			a, b := e.saved(t, 0, 120), e.saved(t, 120, 200)
			for _, o := range e.mem.Names(record.Indexes) {
				fn(e, o)
			}
			x := e.open(t, nil, t.TempDir())
			e.wantFound(t, x, 0, 120, a)
			e.wantFound(t, x, 120, 200, b)
			e.wantKnown(t, x, 0, 200, true)
			if got := len(x.Problems()); (got == 0) != (name == "deleted") {
				t.Errorf("problems %v", x.Problems())
			}
		})
	}
}

func TestADamagedPackWithoutIndexIsReportedAndTheRestIsFound(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a, b := e.saved(t, 0, 50), e.saved(t, 50, 100)
	for _, o := range e.mem.Names(record.Indexes) {
		if err := e.mem.Delete(context.Background(), o); err != nil {
			t.Fatal(err)
		}
	}
	e.mem.FlipBit(a.Path(), -8*30)
	x := e.open(t, nil, t.TempDir())
	e.wantLost(t, x, 0, 50)
	e.wantKnown(t, x, 0, 50, false)
	e.wantFound(t, x, 50, 100, b)
	if got := x.Problems(); len(got) != 1 || !strings.Contains(got[0].Error(), a.Path()) || !errors.Is(got[0], errs.Corrupt) {
		t.Fatalf("problems %v, want one that names %s", got, a.Path())
	}
}

func TestADamagedDirectoryIsReadFromTheIndexObject(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	p := e.saved(t, 0, 50)
	e.mem.FlipBit(p.Path(), -8*30)
	if _, err := ReadPack(context.Background(), e.repo, p); !errors.Is(err, errs.Corrupt) {
		t.Fatalf("ReadPack says %v", err)
	}
	for _, cache := range []string{e.cache, t.TempDir()} {
		x := e.open(t, nil, cache)
		r, err := x.Directory(context.Background(), p)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Directory().Blobs) != 50 {
			t.Fatalf("%d blobs, want 50", len(r.Directory().Blobs))
		}
		if _, err := x.Directory(context.Background(), record.Pack{Class: 'D', N: 7}); !errors.Is(err, errs.NotFound) {
			t.Fatalf("directory of a strange pack: %v", err)
		}
	}
}

func TestSecondCopiesAreFoundTheUsableOneFirst(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a := e.saved(t, 0, 20)
	s, x := e.begin(t, t.TempDir())
	b := e.add(t, s, x, 10, 30) // blobs 10..20 a second time
	got := x.Copies(nil, e.short(15))
	if len(got) != 2 || got[0].Pack != b || got[1].Pack != a {
		t.Fatalf("copies %v, want in %v and %v", got, b, a)
	}
	e.commit(t, s, x)
	y := e.open(t, nil, t.TempDir())
	if got := y.Copies(nil, e.short(15)); len(got) != 2 {
		t.Fatalf("copies %v, want 2", got)
	}
	if got := y.Copies(nil, e.short(25)); len(got) != 1 || got[0].Pack != b {
		t.Fatalf("copies %v, want one in %v", got, b)
	}
}

func TestAnUncommittedCopyComesAfterAUsableOne(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	s, x := e.begin(t)
	b := e.add(t, s, x, 0, 20)
	if err := x.Write(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	a := e.saved(t, 0, 20)
	y := e.open(t, nil, t.TempDir())
	if got := y.Copies(nil, e.short(15)); len(got) != 2 || got[0].Pack != a || got[1].Pack != b {
		t.Fatalf("copies %v, want in %v and %v", got, a, b)
	}
}

func TestOfManyThatClaimANewBlobExactlyOneStoresIt(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.saved(t, 0, 100)
	s, x := e.begin(t)
	const blobs, workers = 400, 8
	ids := make([]id.Short, blobs)
	for n := range ids {
		ids[n] = e.short(n)
	}
	packs := []Pack{e.store(t, s, 100, 200), e.store(t, s, 200, 300), e.store(t, s, 300, 400)}
	var told [blobs]atomic.Int32
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for round := range 3 {
				for n, s := range ids {
					if round == 0 || n%7 == 0 {
						if !x.Claim(s) {
							told[n].Add(1)
						}
						x.Lookup(s)
					}
				}
			}
		})
	}
	wg.Go(func() { // own blobs move into runs meanwhile
		for _, p := range packs {
			for _, b := range p.Dir.Blobs {
				if !x.Claim(b.ID) {
					for n, s := range ids {
						if s == b.ID {
							told[n].Add(1)
						}
					}
				}
			}
			if err := x.Add(context.Background(), s, p); err != nil {
				t.Error(err)
			}
			x.mu.Lock()
			err := x.spillOwnLocked()
			x.mu.Unlock()
			if err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	for n := range told {
		want := int32(1)
		if n < 100 {
			want = 0
		}
		if got := told[n].Load(); got != want {
			t.Fatalf("blob %d is to be stored %d times, want %d", n, got, want)
		}
	}
}

func TestOwnBlobsBecomeARunWhenThereAreMany(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	s, x := e.begin(t)
	p := e.add(t, s, x, 0, 100)
	q := e.add(t, s, x, 100, 150)
	e.wantFound(t, x, 0, 100, p)
	if got := x.Stats(); got.Own != 150 || got.Runs != 0 {
		t.Fatalf("stats %+v", got)
	}
	x.mu.Lock()
	err := x.spillOwnLocked()
	x.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if got := x.Stats(); got.Own != 0 || got.Runs != 1 || got.Blobs != 150 || got.Packs != 2 {
		t.Fatalf("stats %+v", got)
	}
	e.wantFound(t, x, 0, 100, p)
	e.wantFound(t, x, 100, 150, q)
	e.wantKnown(t, x, 0, 150, true)
	// A newer state of the repository does not know the session's packs yet; they count all the same.
	if err := x.Refresh(context.Background(), e.list(t)); err != nil {
		t.Fatal(err)
	}
	e.wantKnown(t, x, 0, 150, true)
	e.commit(t, s, x)
	if err := x.Refresh(context.Background(), e.list(t)); err != nil {
		t.Fatal(err)
	}
	e.wantKnown(t, x, 0, 150, true)
	if len(x.own) != 0 {
		t.Fatalf("%d packs still count as the session's own", len(x.own))
	}
}

func TestManySessionsAreMergedIntoFewRuns(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	var packs []record.Pack
	for n := range 30 {
		packs = append(packs, e.saved(t, n*20, n*20+20+n))
	}
	x := e.open(t, nil)
	if got := x.Stats(); got.Runs > maxRuns {
		t.Fatalf("%d runs", got.Runs)
	}
	for n, p := range packs {
		found := false
		for _, c := range x.Copies(nil, e.short(n*20)) {
			found = found || c.Pack == p
		}
		if !found {
			t.Fatalf("pack %d is not found", n)
		}
	}
	files, err := os.ReadDir(filepath.Join(e.cache, "index"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) > maxRuns {
		t.Fatalf("%d files in the cache", len(files))
	}
	if got := x.Problems(); len(got) != 0 {
		t.Fatalf("problems %v", got)
	}
}

func TestADamagedCacheIsMadeAnew(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	p := e.saved(t, 0, 300)
	files, err := filepath.Glob(filepath.Join(e.cache, "index", "*.run"))
	if err != nil || len(files) != 1 {
		t.Fatalf("cache files %v %v", files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]int{"header": 20, "a block": blockSize + 100, "tables": len(whole) - 3000, "filter": len(whole) - 1} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b := append([]byte(nil), whole...)
			b[at] ^= 4
			if err := os.MkdirAll(filepath.Join(dir, "index"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "index", filepath.Base(files[0])), b, 0o600); err != nil {
				t.Fatal(err)
			}
			x := e.open(t, nil, dir)
			for n := range 300 {
				x.Lookup(e.short(n))
			}
			if name == "a block" && !x.Damaged() {
				t.Fatal("the damage was not noticed")
			}
			if err := x.Refresh(context.Background(), e.list(t)); err != nil {
				t.Fatal(err)
			}
			e.wantFound(t, x, 0, 300, p)
			e.wantKnown(t, x, 0, 300, true)
			if x.Damaged() || len(x.Problems()) == 0 {
				t.Fatalf("damaged %v, problems %v", x.Damaged(), x.Problems())
			}
		})
	}
}

func TestTwoProcessesShareACache(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.saved(t, 0, 10)
	x := e.open(t, nil)
	for n := range 12 { // the other one merges and deletes runs that x has open
		e.saved(t, 10+10*n, 20+10*n)
	}
	e.wantKnown(t, x, 0, 10, true)
	if err := x.Refresh(context.Background(), e.list(t)); err != nil {
		t.Fatal(err)
	}
	e.wantKnown(t, x, 0, 130, true)
	e.wantKnown(t, e.open(t, nil), 0, 130, true)
}

func TestAStoreThatDoesNotAnswerIsNoEmptyIndex(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.saved(t, 0, 10)
	st := e.list(t)
	for _, fail := range []string{"list " + record.Indexes, "get " + record.Indexes, "get " + record.Data} {
		f := &failing{Store: e.mem, fail: fail}
		r := e.reopen(t, f)
		if fail == "get "+record.Data {
			for _, o := range e.mem.Names(record.Indexes) {
				if err := e.mem.Delete(context.Background(), o); err != nil {
					t.Fatal(err)
				}
			}
		}
		f.on.Store(true)
		if x, err := Open(context.Background(), r, st, Options{}); !errors.Is(err, errs.Unreachable) {
			t.Fatalf("%s: open says %v", fail, err)
		} else if x != nil {
			t.Fatalf("%s: there is an index", fail)
		}
	}
}

func TestFailedPutsOfIndexObjectsAreErrors(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	f := &failing{Store: e.mem, fail: "put " + record.Indexes}
	e.repo = e.reopen(t, f)
	s, x := e.begin(t)
	e.add(t, s, x, 0, 10)
	f.on.Store(true)
	if err := x.Write(context.Background(), s); !errors.Is(err, errs.Unreachable) {
		t.Fatalf("write says %v", err)
	}
	f.on.Store(false)
	e.commit(t, s, x)
	e.wantKnown(t, e.open(t, nil, t.TempDir()), 0, 10, true)
}

func TestLargeSessionsWriteIndexObjectsOnTheWay(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	s, x := e.begin(t)
	e.add(t, s, x, 0, 10)
	x.bodies = objectBytes // as if a hundred thousand blobs were there
	e.add(t, s, x, 10, 20)
	if n := len(e.mem.Names(record.Indexes)); n != 1 || len(x.waiting) != 0 {
		t.Fatalf("%d index objects, %d packs wait", n, len(x.waiting))
	}
	e.add(t, s, x, 20, 30)
	e.commit(t, s, x)
	if n := len(e.mem.Names(record.Indexes)); n != 2 {
		t.Fatalf("%d index objects, want 2", n)
	}
	e.wantKnown(t, e.open(t, nil, t.TempDir()), 0, 30, true)
}

func TestAdoptedPacksServeClaims(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	ctx := context.Background()
	dead, x := e.begin(t)
	good, bad := e.add(t, dead, x, 0, 30), e.add(t, dead, x, 30, 60)
	e.mem.FlipBit(bad.Path(), -8*30)
	s, st, err := session.Begin(ctx, e.repo, session.BeginOptions{Program: "test"})
	if err != nil {
		t.Fatal(err)
	}
	adopted, st, err := s.AdoptDead(ctx, st, func(record.Process) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	if len(adopted) != 1 || len(adopted[0].Packs) != 2 {
		t.Fatalf("adopted %v", adopted)
	}
	y := e.open(t, st, t.TempDir())
	if err := y.AddPacks(ctx, s, adopted[0].Packs); err != nil {
		t.Fatal(err)
	}
	if len(y.Problems()) != 1 {
		t.Fatalf("problems %v, want one", y.Problems())
	}
	e.wantFound(t, y, 0, 30, good)
	e.wantKnown(t, y, 0, 30, true)
	e.wantKnown(t, y, 30, 60, false)
	e.commit(t, s, y)
	e.wantKnown(t, e.open(t, nil, t.TempDir()), 0, 30, true)
}

func TestDistrustedBlobsAreStoredAgainAndStillRead(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	p := e.saved(t, 0, 20)
	x := e.open(t, nil)
	x.Distrust(e.short(3))
	e.wantKnown(t, x, 3, 4, false)
	e.wantKnown(t, x, 3, 4, true)
	e.wantFound(t, x, 0, 20, p)
}
