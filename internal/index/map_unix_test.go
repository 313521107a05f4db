//go:build unix

package index

import (
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
