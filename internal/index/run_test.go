package index

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/pack"
	"github.com/nacre-backup/nacre/internal/record"
)

var testRepo = id.Repository{1, 2, 3}

// testID is the n-th of a row of ids that are spread like hashes.
func testID(n uint64) id.Short {
	h := crypt.Sum(binary.LittleEndian.AppendUint64(nil, n))
	return id.Short(h[:20])
}

// testPack makes a pack that holds the blobs, a hundred to a segment.
func testPack(n uint32, blobs ...id.Short) Pack {
	p := Pack{
		Ref:    record.Pack{Class: 'D', Session: id.Session{9}, N: n, Size: int64(len(blobs))*100 + 4000, Name: id.Name(crypt.Sum([]byte{byte(n), byte(n >> 8)}))},
		Header: &crypt.Header{Class: crypt.ClassData, Suite: crypt.SuiteAES, Domain: id.Domain{7}, Epoch: 1, Salt: [32]byte{byte(n), 5}},
		Dir:    &pack.Directory{},
	}
	at := int64(p.Header.Size())
	for i := 0; i < len(blobs); i += 100 {
		part := blobs[i:min(i+100, len(blobs))]
		p.Dir.Segments = append(p.Dir.Segments, pack.Segment{Offset: at, Len: 1000, First: uint32(i), Blobs: uint32(len(part))})
		at += 1000
		for j, b := range part {
			p.Dir.Blobs = append(p.Dir.Blobs, pack.Blob{ID: b, Kind: crypt.KindData, Len: uint32(100 + j)})
		}
	}
	return p
}

func quietCache(t testing.TB, dir string) *cache {
	return &cache{dir: dir, repo: testRepo, report: func(err error) { t.Errorf("cache: %v", err) }}
}

// buildRun writes a run of packs in the folder, or in memory without one, and closes it with the test.
func buildRun(t testing.TB, dir string, source id.Name, packs ...Pack) *run {
	t.Helper()
	var tab table
	tab.source(source)
	for _, p := range packs {
		tab.add(source, p)
	}
	r, err := quietCache(t, dir).write(func(f runFile) error { return tab.write(f, testRepo) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func found(t testing.TB, r *run, s id.Short) []place {
	t.Helper()
	var got []place
	if err := r.find(&s, func(p place) bool {
		got = append(got, p)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRunFindsWhatItHoldsAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 126, 127, 128, 254, 255, 5000, 40_000} {
		var ids []id.Short
		for i := range n {
			ids = append(ids, testID(uint64(i)))
		}
		r := buildRun(t, t.TempDir(), id.Name{4}, testPack(1, ids...))
		for i, s := range ids {
			want := place{pack: 0, segment: uint32(i / 100), slot: uint16(i % 100), rawLen: uint32(100 + i%100)}
			if got := found(t, r, s); len(got) != 1 || got[0] != want {
				t.Fatalf("%d blobs: blob %d is found at %v, want %v", n, i, got, want)
			}
		}
		for i := range 2000 {
			if got := found(t, r, testID(uint64(1_000_000+i))); len(got) != 0 {
				t.Fatalf("%d blobs: a strange blob is found at %v", n, got)
			}
		}
		if r.source(0) != (id.Name{4}) || r.pack(0).ref != testPack(1, ids...).Ref {
			t.Fatalf("tables do not read back: %v %v", r.source(0), r.pack(0).ref)
		}
	}
}

// crowded draws ids that are not spread evenly and share long prefixes.
func crowded(t *rapid.T) id.Short {
	var s id.Short
	if rapid.Bool().Draw(t, "low") {
		copy(s[:], rapid.SliceOfN(rapid.ByteRange(0, 1), 1, 3).Draw(t, "head"))
		s[19] = rapid.Byte().Draw(t, "tail")
		return s
	}
	return testID(rapid.Uint64Range(0, 3000).Draw(t, "n"))
}

func TestRunsAreAMapWhateverTheIds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		model := map[id.Short]map[record.Pack]int{} // blob -> pack -> copies in it
		packs := rapid.IntRange(1, 6).Draw(t, "packs")
		var views []view
		for n := range packs {
			ids := rapid.SliceOfN(rapid.Custom(crowded), 0, 600).Draw(t, "ids")
			p := testPack(uint32(n), ids...)
			var tab table
			tab.add(id.Name{byte(n)}, p)
			var m memFile
			if err := tab.write(&m, testRepo); err != nil {
				t.Fatal(err)
			}
			r, err := newRun(m.b, testRepo)
			if err != nil {
				t.Fatal(err)
			}
			v := view{run: r, states: make([]packState, r.packs)}
			if rapid.IntRange(0, 3).Draw(t, "shadow") == 0 {
				v.states[0] = stateIgnored
			} else {
				for _, s := range ids {
					if model[s] == nil {
						model[s] = map[record.Pack]int{}
					}
					model[s][p.Ref]++
				}
			}
			views = append(views, v)
		}
		var m memFile
		if err := merge(&m, testRepo, views); err != nil {
			t.Fatal(err)
		}
		merged, err := newRun(m.b, testRepo)
		if err != nil {
			t.Fatal(err)
		}
		if int(merged.sources) != packs {
			t.Fatalf("%d sources, want %d", merged.sources, packs)
		}
		total := 0
		for s, want := range model {
			got := map[record.Pack]int{}
			if err := merged.find(&s, func(p place) bool {
				got[merged.pack(p.pack).ref]++
				return true
			}); err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("blob %s is in packs %v, want %v", s, got, want)
			}
			for p, n := range want {
				if total += n; got[p] != n {
					t.Fatalf("blob %s has %d copies in %v, want %d", s, got[p], p, n)
				}
			}
		}
		if int(merged.rows) != total {
			t.Fatalf("%d rows, want %d", merged.rows, total)
		}
	})
}

func TestEveryDamagedByteOfARunIsNoticedWhereItIsUsed(t *testing.T) {
	t.Parallel()
	var ids []id.Short
	for i := range 1000 {
		ids = append(ids, testID(uint64(i)))
	}
	var tab table
	tab.add(id.Name{}, testPack(1, ids...))
	var m memFile
	if err := tab.write(&m, testRepo); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 600 {
		b := slices.Clone(m.b)
		at := rnd.IntN(len(b))
		b[at] ^= 1 << rnd.IntN(8)
		r, err := newRun(b, testRepo)
		if err != nil {
			if !errors.Is(err, errs.Corrupt) {
				t.Fatalf("byte %d: %v is not of kind damaged", at, err)
			}
			continue
		}
		noticed := false
		for i, s := range ids {
			var got []place
			err := r.find(&s, func(p place) bool {
				got = append(got, p)
				return true
			})
			switch {
			case err != nil:
				noticed = true
			case len(got) != 1 || got[0].slot != uint16(i%100) || got[0].segment != uint32(i/100):
				t.Fatalf("byte %d damaged: blob %d is found at %v", at, i, got)
			}
		}
		if !noticed || !r.bad.Load() {
			t.Fatalf("byte %d of %d damaged and nobody noticed", at, len(b))
		}
		if err := merge(&memFile{}, testRepo, []view{{run: r, states: make([]packState, 1)}}); !errors.Is(err, errs.Corrupt) {
			t.Fatalf("byte %d: merge says %v", at, err)
		}
	}
}

func TestARunOfAnotherRepositoryIsRefused(t *testing.T) {
	t.Parallel()
	var tab table
	tab.add(id.Name{}, testPack(1, testID(1)))
	var m memFile
	if err := tab.write(&m, id.Repository{8}); err != nil {
		t.Fatal(err)
	}
	if _, err := newRun(m.b, testRepo); !errors.Is(err, errs.Corrupt) {
		t.Fatalf("newRun says %v", err)
	}
}

func TestARowThatNamesNoPackIsNoticed(t *testing.T) {
	t.Parallel()
	tab := table{sources: []id.Name{{}}, rows: []row{makeRow(testID(1), place{pack: 5})}}
	var m memFile
	if err := tab.write(&m, testRepo); err != nil {
		t.Fatal(err)
	}
	r, err := newRun(m.b, testRepo)
	if err != nil {
		t.Fatal(err)
	}
	if err := merge(&memFile{}, testRepo, []view{{run: r}}); !errors.Is(err, errs.Corrupt) {
		t.Fatalf("merge says %v", err)
	}
	v := view{run: r}
	if v.state(5) != stateIgnored {
		t.Fatal("a pack outside the table counts")
	}
}

func TestRowsOutOfOrderAreNoticed(t *testing.T) {
	t.Parallel()
	var tab table
	tab.add(id.Name{}, testPack(1, testID(1), testID(2), testID(3)))
	var m memFile
	if err := tab.write(&m, testRepo); err != nil {
		t.Fatal(err)
	}
	var second row
	copy(second[:], m.b[blockSize+rowSize:])
	copy(m.b[blockSize+rowSize:], m.b[blockSize+2*rowSize:blockSize+3*rowSize])
	copy(m.b[blockSize+2*rowSize:], second[:])
	reseal(m.b)
	r, err := newRun(m.b, testRepo)
	if err != nil {
		t.Fatal(err)
	}
	if err := merge(&memFile{}, testRepo, []view{{run: r, states: make([]packState, 1)}}); !errors.Is(err, errs.Corrupt) {
		t.Fatalf("merge says %v", err)
	}
}

func TestAPackWithoutItsSourceIsNoticed(t *testing.T) {
	t.Parallel()
	p := testPack(1, testID(1))
	tab := table{sources: []id.Name{{}}, packs: []packEntry{p.entry(3)}}
	var m memFile
	if err := tab.write(&m, testRepo); err != nil {
		t.Fatal(err)
	}
	if _, err := newRun(m.b, testRepo); !errors.Is(err, errs.Corrupt) {
		t.Fatalf("newRun says %v", err)
	}
}

func TestFilterRemembersAllAndRarelyErrs(t *testing.T) {
	t.Parallel()
	const n = 100_000
	f := newFilter(n)
	for i := range uint64(n) {
		s := testID(i)
		f.add(&s)
	}
	wrong := 0
	for i := range uint64(n) {
		s := testID(i)
		if !f.has(&s) {
			t.Fatalf("id %d is forgotten", i)
		}
		s = testID(n + i)
		if f.has(&s) {
			wrong++
		}
	}
	if wrong > n/50 {
		t.Fatalf("%d of %d strange ids pass, want about 1 in 100", wrong, n)
	}
	if perID := float64(len(f)) / n; perID > 1.3 {
		t.Fatalf("%.2f bytes an id", perID)
	}
}

func TestCacheLoadsWhatItWroteAndDropsWhatIsDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := buildRun(t, dir, id.Name{1}, testPack(1, testID(1)))
	b := buildRun(t, dir, id.Name{2}, testPack(2, testID(2)))
	if err := os.WriteFile(filepath.Join(dir, "short.run"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	bytes, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	bytes[len(bytes)-1] ^= 1
	if err := os.WriteFile(filepath.Join(dir, "damaged.run"), bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	var reported []error
	c := &cache{dir: dir, repo: testRepo, report: func(err error) { reported = append(reported, err) }}
	runs := c.load()
	var paths []string
	for _, r := range runs {
		paths = append(paths, r.path)
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(paths)
	want := []string{a.path, b.path}
	slices.Sort(want)
	if !slices.Equal(paths, want) {
		t.Fatalf("runs %v, want %v", paths, want)
	}
	if len(reported) != 2 {
		t.Fatalf("reported %v, want two damaged files", reported)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 2 {
		t.Fatalf("%d files are left, want 2", len(left))
	}
}

func TestCacheFallsBackToMemoryWhereItsFolderIsUnusable(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var reported []error
	c := &cache{dir: filepath.Join(file, "index"), repo: testRepo, report: func(err error) { reported = append(reported, err) }}
	if runs := c.load(); len(runs) != 0 {
		t.Fatalf("runs %v", runs)
	}
	var tab table
	tab.add(id.Name{}, testPack(1, testID(1)))
	r, err := c.write(func(f runFile) error { return tab.write(f, testRepo) })
	if err != nil {
		t.Fatal(err)
	}
	if r.path != "" || len(found(t, r, testID(1))) != 1 {
		t.Fatal("the run is not in memory or does not find its blob")
	}
	if len(reported) == 0 {
		t.Fatal("nobody was told")
	}
}

func TestOldTempFilesAreSwept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, young := filepath.Join(dir, tempPrefix+"old"), filepath.Join(dir, tempPrefix+"young")
	for _, path := range []string{old, young} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	st, err := os.Stat(old)
	if err != nil {
		t.Fatal(err)
	}
	past := st.ModTime().Add(-2 * tempAge)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	buildRun(t, dir, id.Name{1}, testPack(1, testID(1)))
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old temp file: %v, want it gone", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("the young temp file: %v, want it there", err)
	}
}

func TestGuardTurnsAFaultIntoAnErrorAndPassesOtherPanicsOn(t *testing.T) {
	t.Parallel()
	var calls int
	if err := guard(func() error { calls++; return nil }); err != nil || calls != 1 {
		t.Fatalf("guard: %v after %d calls", err, calls)
	}
	err := guard(func() error { panic(faultDouble{errors.New("unexpected fault address")}) })
	if !errors.Is(err, errs.Corrupt) {
		t.Fatalf("a fault becomes %v", err)
	}
	defer func() {
		if p := recover(); p != "bug" {
			t.Fatalf("panic %v", p)
		}
	}()
	_ = guard(func() error { panic("bug") })
	t.Fatal("the panic was swallowed")
}

// faultDouble is what the runtime panics with when mapped memory cannot be read.
type faultDouble struct{ error }

func (faultDouble) Addr() uintptr { return 0 }

func FuzzRun(f *testing.F) {
	var ids []id.Short
	for i := range 200 {
		ids = append(ids, testID(uint64(i)))
	}
	var tab table
	tab.add(id.Name{3}, testPack(1, ids...))
	var m memFile
	if err := tab.write(&m, testRepo); err != nil {
		f.Fatal(err)
	}
	f.Add(m.b, uint64(0), uint64(0))
	f.Add(m.b[:blockSize], uint64(0), uint64(0))
	f.Add([]byte(runMagic), uint64(40), uint64(1<<40))
	f.Fuzz(func(t *testing.T, b []byte, at, v uint64) {
		b = slices.Clone(b)
		if len(b) >= blockSize { // sealed again, so that the fuzzer gets behind the checksums
			at %= blockSize - 12
			binary.LittleEndian.PutUint64(b[at:], binary.LittleEndian.Uint64(b[at:])^v)
			reseal(b)
		}
		r, err := newRun(b, testRepo)
		if err != nil {
			if !errors.Is(err, errs.Corrupt) {
				t.Fatalf("error %v is not of kind damaged", err)
			}
			return
		}
		for i := range uint64(20) {
			s := testID(i)
			_ = r.find(&s, func(place) bool { return true })
		}
		_ = merge(&memFile{}, testRepo, []view{{run: r, states: make([]packState, r.packs)}})
	})
}
