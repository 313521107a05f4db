package files

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/tree"
)

// TestAnyTreeIsListedWhole compares the walk of random trees with what package filepath sees, for any number of
// walkers and with directories sorted on disk.
func TestAnyTreeIsListedWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		root, err := os.MkdirTemp("", "nacre-files-*")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(root)
		dirs := []string{root}
		names := rapid.SampledFrom([]string{"a", "a-", "a.b", "a b", "b", "ab", "B", "ä", "a~", "0", "zz", "a1"})
		for i := range rapid.IntRange(0, 60).Draw(rt, "objects") {
			full := filepath.Join(rapid.SampledFrom(dirs).Draw(rt, "dir"), fmt.Sprint(names.Draw(rt, "name"), i%7))
			if _, err := os.Lstat(full); err == nil {
				continue
			}
			if rapid.Bool().Draw(rt, "is a directory") {
				err = os.Mkdir(full, 0o755)
				dirs = append(dirs, full)
			} else {
				err = os.WriteFile(full, nil, 0o644)
			}
			if err != nil {
				rt.Fatal(err)
			}
		}
		s, err := New(Options{Roots: []string{root}, Walkers: rapid.SampledFrom([]int{-1, 1, 2, 5}).Draw(rt, "walkers")})
		if err != nil {
			rt.Fatal(err)
		}
		s.maxNames = rapid.SampledFrom([]int{1, 2, 3, 1000}).Draw(rt, "names in memory")
		got := list(rt, s)
		if want := expected(rt, root); !slices.Equal(got, want) {
			rt.Fatalf("got  %q\nwant %q", got, want)
		}
	})
}

// list returns the paths of a source, which must be in order.
func list(rt *rapid.T, s *Source) []string {
	var got []string
	var last tree.Key
	for it, err := range s.Entries(rt.Context()) {
		if err != nil || it.Err != nil {
			rt.Fatalf("%v, %v", err, it)
		}
		k := tree.Key{Dir: slices.Clone(it.Dir), Name: slices.Clone(it.Entry.Name)}
		if len(got) > 0 && last.Compare(k) >= 0 {
			rt.Fatalf("%q after %q", k, last)
		}
		last = k
		got = append(got, string(tree.JoinPath(nil, it.Dir, it.Entry.Name)))
	}
	if err := s.Close(); err != nil {
		rt.Fatal(err)
	}
	slices.Sort(got)
	return got
}

// expected returns the paths at and below a root, and those above it.
func expected(rt *rapid.T, root string) []string {
	want := []string{""}
	parts := splitPath(root)
	path := ""
	for _, p := range parts[:len(parts)-1] {
		path = string(tree.JoinPath(nil, []byte(path), []byte(p)))
		want = append(want, path)
	}
	err := filepath.WalkDir(root, func(p string, _ fs.DirEntry, err error) error {
		want = append(want, string(tree.JoinPath(nil, []byte(path), []byte(parts[len(parts)-1]))))
		if p != root {
			want[len(want)-1] += filepath.ToSlash(p[len(root):])
		}
		return err
	})
	if err != nil {
		rt.Fatal(err)
	}
	slices.Sort(want)
	return want
}
