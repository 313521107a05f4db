//go:build unix

package index

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// A file that is cut short while it is mapped faults like one whose disk cannot be read.
func TestAFaultInTheMappedFileIsAnError(t *testing.T) {
	t.Parallel()
	var ids []id.Short
	for i := range 1000 {
		ids = append(ids, testID(uint64(i)))
	}
	r := buildRun(t, t.TempDir(), id.Name{}, testPack(1, ids...))
	if err := os.Truncate(r.path, blockSize); err != nil {
		t.Fatal(err)
	}
	s := testID(1)
	if err := r.find(&s, func(place) bool { return true }); !errors.Is(err, errs.Corrupt) {
		t.Fatalf("find says %v", err)
	}
	if !r.bad.Load() {
		t.Fatal("the run still counts as intact")
	}
	if err := merge(&memFile{}, testRepo, []view{{run: r, states: make([]packState, 1)}}); !errors.Is(err, errs.Corrupt) {
		t.Fatalf("merge says %v", err)
	}
}

// change overwrites bytes of a file in its place.
func change(t *testing.T, path string, at uint64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt(b, int64(at))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What was looked at when a run was opened can change under its mapping, by a disk that rots or a program that writes
// where it should not.
func TestATableThatChangesUnderItsMappingIsNoticed(t *testing.T) {
	t.Parallel()
	nowhere := []byte{0xff, 0xff, 0xff, 0xff}
	r := buildRun(t, t.TempDir(), id.Name{1}, testPack(1, testID(1)))
	change(t, r.path, r.packsAt()+packEntrySize-4, nowhere)
	if got := r.source(r.pack(0).source); got != noSource || !r.bad.Load() {
		t.Fatalf("source %v, noticed %v", got, r.bad.Load())
	}
	if err := merge(&memFile{}, testRepo, []view{{run: r, states: make([]packState, 1)}}); !errors.Is(err, errs.Corrupt) {
		t.Fatalf("merge says %v", err)
	}
	e := newEnv(t)
	p := e.saved(t, 0, 300)
	x := e.open(t, nil)
	v := (*x.views.Load())[0]
	change(t, v.path, v.packsAt()+packEntrySize-4, nowhere)
	for range 2 {
		if err := x.Refresh(context.Background(), e.list(t)); err != nil {
			t.Fatal(err)
		}
	}
	e.wantFound(t, x, 0, 300, p)
	e.wantKnown(t, x, 0, 300, true)
}

// Whatever part of the file goes, and whenever it goes, a question gets an answer or an error.
func TestAFileThatIsCutAnywhereCrashesNothing(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	p := e.saved(t, 0, 2000)
	x := e.open(t, nil)
	v := (*x.views.Load())[0]
	whole, err := os.ReadFile(v.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	for size := int64(0); size < int64(len(whole)); size += blockSize {
		cache := t.TempDir()
		path := filepath.Join(cache, "index", filepath.Base(v.path))
		if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, whole, 0o600)); err != nil {
			t.Fatal(err)
		}
		x := e.open(t, nil, cache)
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		for n := range 2000 {
			x.Known(e.short(n))
			x.Lookup(e.short(n))
		}
		x.sourcesOf(p)
		x.Stats()
		if err := x.Refresh(context.Background(), e.list(t)); err != nil {
			t.Fatalf("cut at %d: %v", size, err)
		}
		e.wantFound(t, x, 0, 2000, p)
		e.wantKnown(t, x, 0, 2000, true)
	}
}

func TestAPipeInTheCacheIsPassedOver(t *testing.T) {
	t.Parallel()
	c := quietCache(t, t.TempDir())
	if err := unix.Mkfifo(filepath.Join(c.dir, "x"+runSuffix), 0o600); err != nil {
		t.Skipf("needs a file system with pipes: %v", err)
	}
	if runs := c.load(); len(runs) != 0 {
		t.Errorf("loaded %d runs", len(runs))
	}
}

func TestRunsWhoseTablesCannotBeReadAreMadeAnew(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	p := e.saved(t, 0, 300)
	x := e.open(t, nil)
	if err := os.Truncate((*x.views.Load())[0].path, blockSize); err != nil {
		t.Fatal(err)
	}
	if err := x.Refresh(context.Background(), e.list(t)); err != nil {
		t.Fatal(err)
	}
	e.wantFound(t, x, 0, 300, p)
	e.wantKnown(t, x, 0, 300, true)
	if x.Damaged() || len(x.Problems()) == 0 {
		t.Fatalf("damaged %v, problems %v", x.Damaged(), x.Problems())
	}
}
