package local

import (
	"testing"

	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/storetest"
)

// open opens a store in a folder and closes it at the test's end.
func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir(), Options{}) })
}

func BenchmarkLocal(b *testing.B) {
	for name, d := range map[string]Direct{"direct": DirectAuto, "buffered": DirectNever} {
		b.Run(name, func(b *testing.B) {
			storetest.Bench(b, func(b *testing.B) store.Store { return open(b, b.TempDir(), Options{Direct: d}) })
		})
	}
}
