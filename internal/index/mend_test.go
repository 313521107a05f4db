package index

import (
	"context"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/store/fault"
)

// mended makes a commit that stores nothing and mends the index objects. It returns the new ones.
func (e *env) mended(t *testing.T, limit int, cache ...string) []string {
	t.Helper()
	old := map[string]bool{}
	for _, n := range e.mem.Names(record.Indexes) {
		old[n] = true
	}
	s, x := e.begin(t, cache...)
	if err := x.mend(context.Background(), s, limit); err != nil {
		t.Fatal(err)
	}
	e.commit(t, s, x)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	var made []string
	for _, n := range e.mem.Names(record.Indexes) {
		if !old[n] {
			made = append(made, n)
		}
	}
	return made
}

// wantNoDirectoryRead opens the index from a cache and checks that no pack is read and that the blobs 0..to are known.
func (e *env) wantNoDirectoryRead(t *testing.T, cache string, to int) {
	t.Helper()
	fs := fault.New(e.mem)
	packs := 0
	fs.SetHook(func(op fault.Op, name string) error {
		if op == fault.Get && (strings.HasPrefix(name, record.Data) || strings.HasPrefix(name, record.Meta)) {
			packs++
		}
		return nil
	})
	there := *e
	there.repo = e.reopen(t, fs)
	x := there.open(t, nil, cache)
	if packs != 0 {
		t.Errorf("%d reads of packs", packs)
	}
	there.wantKnown(t, x, 0, to, true)
}

// tells counts the packs that an index object tells of.
func (e *env) tells(t *testing.T, x *Index, path string) int {
	t.Helper()
	info, err := e.mem.Stat(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	packs, err := x.readObject(context.Background(), info)
	if err != nil {
		t.Fatal(err)
	}
	return len(packs)
}

func TestLostIndexObjectsAreWrittenAnew(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"by the machine that wrote them", "by one that had read them", "by one that had not"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			for n := 0; n < 60; n += 20 {
				e.saved(t, n, n+20)
			}
			reader, mender := t.TempDir(), e.cache
			if err := e.open(t, nil, reader).Close(); err != nil {
				t.Fatal(err)
			}
			switch {
			case strings.HasSuffix(who, "had read them"):
				mender = reader
			case strings.HasSuffix(who, "had not"):
				mender = t.TempDir()
			}
			for _, n := range e.mem.Names(record.Indexes) {
				e.mem.Lose(n)
			}
			if made := e.mended(t, objectBytes, mender); len(made) != 1 {
				t.Fatalf("made %d index objects", len(made))
			}
			for _, cache := range []string{t.TempDir(), e.cache, reader, mender} {
				e.wantNoDirectoryRead(t, cache, 60)
			}
			if made := e.mended(t, objectBytes, mender); len(made) != 0 {
				t.Fatalf("made %q again", made)
			}
			// What was written anew may be lost too.
			for _, n := range e.mem.Names(record.Indexes) {
				e.mem.Lose(n)
			}
			if made := e.mended(t, objectBytes, mender); len(made) != 1 {
				t.Fatalf("made %d index objects after the second loss", len(made))
			}
			e.wantNoDirectoryRead(t, t.TempDir(), 60)
		})
	}
}

func TestOnlyWhatWasLostIsWrittenAnew(t *testing.T) {
	t.Parallel()
	for _, damage := range []string{"lost", "damaged"} {
		t.Run(damage, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			var first string
			for n := 0; n < 60; n += 20 {
				e.saved(t, n, n+20)
				if first == "" {
					first = e.mem.Names(record.Indexes)[0]
				}
			}
			if damage == "lost" {
				e.mem.Lose(first)
			} else {
				e.mem.FlipBit(first, 8*100)
			}
			made := e.mended(t, objectBytes, t.TempDir())
			x := e.open(t, nil, t.TempDir())
			if len(made) != 1 || e.tells(t, x, made[0]) != 1 {
				t.Fatalf("made %q", made)
			}
			e.wantNoDirectoryRead(t, t.TempDir(), 60)
		})
	}
}

func TestManyLostDirectoriesBecomeSeveralObjects(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for n := 0; n < 60; n += 20 {
		e.saved(t, n, n+20)
	}
	for _, n := range e.mem.Names(record.Indexes) {
		e.mem.Lose(n)
	}
	if made := e.mended(t, 1); len(made) != 3 {
		t.Fatalf("made %d index objects, want one for each pack", len(made))
	}
	e.wantNoDirectoryRead(t, t.TempDir(), 60)
}

func TestNothingIsWrittenAnewWhereNothingIsLost(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	p := e.saved(t, 0, 20)
	e.saved(t, 20, 40)
	if made := e.mended(t, objectBytes, t.TempDir()); len(made) != 0 {
		t.Errorf("made %q", made)
	}
	// A pack that cannot be read is told of by nothing: no run writes an object that does not have it.
	for _, n := range e.mem.Names(record.Indexes) {
		e.mem.Lose(n)
	}
	e.mem.Lose(p.Path())
	if made := e.mended(t, objectBytes, t.TempDir()); len(made) != 1 {
		t.Errorf("made %q", made)
	}
	if made := e.mended(t, objectBytes, t.TempDir()); len(made) != 0 {
		t.Errorf("made %q again", made)
	}
}

func TestAFailureToMendKeepsWhatIsKnown(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.saved(t, 0, 20)
	lost := e.mem.Names(record.Indexes)[0]
	e.mem.Lose(lost)
	f := &failing{Store: e.mem, fail: "put " + record.Indexes}
	there := *e
	there.repo = e.reopen(t, f)
	s, x := there.begin(t)
	f.on.Store(true)
	if err := x.Mend(context.Background(), s); err == nil {
		t.Fatal("no error")
	}
	f.on.Store(false)
	there.commit(t, s, x)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	name, err := id.ParseName(strings.TrimPrefix(lost, record.Indexes))
	if err != nil {
		t.Fatal(err)
	}
	if got := e.list(t).CommittedIndexes(); len(got) != 1 || got[0] != name {
		t.Errorf("index objects %v: the lost one must be mended later", got)
	}
	if made := e.mended(t, objectBytes); len(made) != 1 {
		t.Errorf("made %q", made)
	}
}
