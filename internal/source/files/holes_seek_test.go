//go:build freebsd || (linux && portable)

package files

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestHolesAreFoundBySeeking(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	name := filepath.Join(root, "f")
	const island, size = 8 << 20, 24 << 20
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 4096), island); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if at, err := f.Seek(0, unix.SEEK_DATA); err != nil || at == 0 {
		t.Skipf("needs a file system with holes in $TMPDIR: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, all := range []bool{false, true} {
		s := open(t, Options{Roots: []string{root}, ReadHoles: all})
		v := walkAll(t, s)
		f, err := s.Open(context.Background(), v.entries[top(root)+"f"])
		if err != nil {
			t.Fatal(err)
		}
		start, end, err := f.NextData(0, size)
		last, stop, err2 := f.NextData(end, size)
		switch {
		case err != nil || err2 != nil:
			t.Error(err, err2)
		case all && (start != 0 || end != size):
			t.Errorf("asked to read holes, data is %d to %d", start, end)
		case !all && (start > island || end < island+4096 || end-start > island || last != size || stop != size):
			t.Errorf("data is %d to %d and %d to %d, want %d to %d", start, end, last, stop, island, island+4096)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
