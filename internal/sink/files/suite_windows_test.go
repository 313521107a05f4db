package files

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/attrs"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/sink/sinktest"
	"github.com/nacre-backup/nacre/internal/tree"
)

// TestSuite runs the conformance suite over the sink of this system, as far as the package os shows what was made.
func TestSuite(t *testing.T) {
	has := Restored(runtime.GOOS)
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	err = root.Symlink("no/where", "link")
	if err := root.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Logf("symlinks are left out: %v", err)
		has &^= attrs.Of(attrs.Symlinks)
	}
	sinktest.Run(t, func(t *testing.T) *sinktest.Target {
		around := t.TempDir()
		dir := filepath.Join(around, "target")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(around, "x"), []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		return &sinktest.Target{
			Has: has,
			Open: func(t *testing.T) sink.Sink {
				s, err := New(dir, Options{NoSync: true})
				if err != nil {
					t.Fatal(err)
				}
				return s
			},
			Look: func(t *testing.T, path string) *sinktest.Object {
				return look(t, filepath.Join(dir, filepath.FromSlash(path)))
			},
			Outside:   func(t *testing.T) string { return walk(t, around, dir, "") },
			Leftovers: func(t *testing.T) []string { return strings.Fields(walk(t, dir, "", tempPrefix)) },
		}
	})
}

func look(t *testing.T, path string) *sinktest.Object {
	t.Helper()
	fi, err := os.Lstat(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	o := &sinktest.Object{
		Type: tree.Dir, ModTime: tree.Time{Sec: fi.ModTime().Unix(), Nsec: uint32(fi.ModTime().Nanosecond())},
	}
	switch {
	case fi.Mode()&fs.ModeSymlink != 0:
		o.Type = tree.Symlink
		if o.Target, err = os.Readlink(path); err != nil {
			t.Fatal(err)
		}
		o.Target = filepath.ToSlash(o.Target)
	case fi.Mode().IsRegular():
		o.Type = tree.File
		if o.Content, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		// Links of one file are told from others by what a write through one name does to the other.
		o.File = string(o.Content)
	}
	return o
}

// walk lists what is below top, but not skip, and whose names begin with prefix.
func walk(t *testing.T, top, skip, prefix string) string {
	t.Helper()
	var b strings.Builder
	if err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if path == skip {
			return fs.SkipDir
		}
		if err != nil || !strings.HasPrefix(d.Name(), prefix) {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		size := fi.Size()
		if d.IsDir() {
			size = 0
		}
		fmt.Fprintf(&b, "%s|%v|%d\n", path, fi.Mode(), size)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
