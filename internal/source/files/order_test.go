package files

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

// open makes a source that ends with the test.
func open(t testing.TB, o Options) *Source {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// seen is what a walk yielded.
type seen struct {
	keys    []tree.Key
	entries map[string]*source.Item // by path
	errs    map[string]error        // by directory
}

// walkAll reads a source to its end.
func walkAll(t testing.TB, s *Source) *seen {
	t.Helper()
	v := &seen{entries: map[string]*source.Item{}, errs: map[string]error{}}
	for it, err := range s.Entries(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		if it.Entry == nil {
			v.errs[string(it.Dir)] = it.Err
			continue
		}
		k := s.Retain(it)
		v.keys = append(v.keys, tree.Key{Dir: k.Dir, Name: k.Entry.Name})
		v.entries[string(tree.JoinPath(nil, k.Dir, k.Entry.Name))] = k
	}
	t.Cleanup(func() {
		for _, it := range v.entries {
			s.Release(it)
		}
	})
	return v
}

// top is the path of a root from the top, with a slash.
func top(root string) string { return strings.Join(splitPath(root), "/") + "/" }

// below returns the paths below a root, relative to it, in the order of the walk.
func (v *seen) below(root string) []string {
	var out []string
	for _, k := range v.keys {
		if rel, ok := strings.CutPrefix(string(tree.JoinPath(nil, k.Dir, k.Name)), top(root)); ok {
			out = append(out, rel)
		}
	}
	return out
}

// make builds files, and directories where a path ends with a slash.
func build(t testing.TB, root string, paths ...string) {
	t.Helper()
	for _, p := range paths {
		full := filepath.Join(root, p)
		dir := filepath.Dir(full)
		if strings.HasSuffix(p, "/") {
			dir = full
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if dir != full {
			if err := os.WriteFile(full, []byte(p), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestEntriesComeInKeyOrder(t *testing.T) {
	t.Parallel()
	dirs := 40
	if testing.Short() { // a system that takes 10 ms for making and removing a file is not slower at what is tested here
		dirs = 4
	}
	for _, walkers := range []int{-1, 1, 4} {
		t.Run(fmt.Sprint("walkers ", walkers), func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			var want []string
			for i := range dirs {
				for j := range 30 {
					want = append(want, fmt.Sprintf("d%d/e%d/f", i, j), fmt.Sprintf("d%d/e%d.x/f", i, j), fmt.Sprintf("d%d/e%d!/f", i, j))
				}
			}
			build(t, root, want...)
			v := walkAll(t, open(t, Options{Roots: []string{root}, Walkers: walkers}))
			if len(v.errs) > 0 {
				t.Fatalf("errors: %v", v.errs)
			}
			if !slices.IsSortedFunc(v.keys, tree.Key.Compare) {
				t.Fatal("not in order")
			}
			var files []string
			for _, p := range v.below(root) {
				if strings.HasSuffix(p, "/f") {
					files = append(files, p)
				}
			}
			slices.SortFunc(want, func(a, b string) int { return tree.CompareDir([]byte(a), []byte(b)) })
			if !slices.Equal(files, want) {
				t.Fatalf("got %d files, want %d", len(files), len(want))
			}
			if e := v.keys[0]; len(e.Name) > 0 || !bytes.Equal(e.Dir, nil) {
				t.Fatalf("the first entry is %q in %q, want the top", e.Name, e.Dir)
			}
		})
	}
}
