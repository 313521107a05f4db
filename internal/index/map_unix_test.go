//go:build unix

package index

import (
	"context"
	"errors"
	"os"
	"testing"

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
