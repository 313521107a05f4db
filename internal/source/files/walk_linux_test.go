//go:build !portable

package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

// deep makes a chain of directories with a file in each.
func deep(t *testing.T, root, name string, levels int) {
	t.Helper()
	at, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY, 0)
	must(t, err)
	for range levels {
		must(t, unix.Mkdirat(at, name, 0o755))
		next, err := unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY, 0)
		must(t, err)
		must(t, unix.Close(at))
		at = next
		f, err := unix.Openat(at, "file", unix.O_CREAT|unix.O_WRONLY, 0o644)
		must(t, err)
		_, err = unix.Write(f, []byte("content"))
		must(t, err)
		must(t, unix.Close(f))
	}
	must(t, unix.Close(at))
}

// openHandles counts the descriptors of directories that this process has open below a root.
func openHandles(root string) int {
	n := 0
	list, _ := os.ReadDir("/proc/self/fd")
	for _, l := range list {
		if p, err := os.Readlink("/proc/self/fd/" + l.Name()); err == nil && strings.HasPrefix(p, root) {
			n++
		}
	}
	return n
}

func TestATreeDeeperThanAnyPathIsReadWithFewHandles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		levels int
	}{{"d", 2000}, {strings.Repeat("long", 50), 200}} {
		t.Run(fmt.Sprintf("%d levels of %d bytes", c.levels, len(c.name)), func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			deep(t, root, c.name, c.levels)
			s := open(t, Options{Roots: []string{root}})
			var files []*source.Item
			most := 0
			for it, err := range s.Entries(t.Context()) {
				must(t, err)
				if it.Err != nil {
					t.Fatalf("level %d: %v", bytes.Count(it.Dir, []byte("/")), it.Err)
				}
				if it.Entry.Type == tree.File {
					files = append(files, s.Retain(it))
				}
				if len(files)%100 == 0 {
					most = max(most, openHandles(root))
				}
			}
			if len(files) != c.levels {
				t.Fatalf("%d files, want %d", len(files), c.levels)
			}
			// The listing of descriptors is not of one moment: what is closed and opened meanwhile may count twice. A
			// walk that keeps its ancestors open would have thousands.
			if most > 2*maxHandles {
				t.Errorf("%d directories were open at once", most)
			}
			for i, it := range files {
				if i%50 == 0 || i == len(files)-1 {
					must(t, s.Describe(t.Context(), it))
					if got := readWhole(t, s, it); string(got) != "content" {
						t.Errorf("level %d: content %q", i, got)
					}
				}
				s.Release(it)
			}
		})
	}
}

func TestADirectoryThatWasReplacedIsNotReadInItsPlace(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	build(t, root, "a/f")
	s := open(t, Options{Roots: []string{root}})
	v := walkAll(t, s)
	s.dirs.mu.Lock()
	s.dirs.closeAllLocked()
	s.dirs.mu.Unlock()
	must(t, os.Rename(filepath.Join(root, "a"), filepath.Join(root, "b")))
	build(t, root, "a/f")
	if _, err := s.Open(t.Context(), v.entries[top(root)+"a/f"]); err == nil || s.ErrClass(err) != tree.ErrChanged {
		t.Fatalf("error %v", err)
	}
}

func TestAFileThatBecameSomethingElseIsNotOpened(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	build(t, root, "f", "g", "h")
	s := open(t, Options{Roots: []string{root}})
	v := walkAll(t, s)
	for _, n := range []string{"f", "g"} {
		must(t, os.Remove(filepath.Join(root, n)))
	}
	must(t, os.Symlink("h", filepath.Join(root, "f")))
	must(t, unix.Mkfifo(filepath.Join(root, "g"), 0o600))
	if _, err := s.Open(t.Context(), v.entries[top(root)+"f"]); s.ErrClass(err) != tree.ErrChanged {
		t.Errorf("a symbolic link in its place: %v", err)
	}
	h, err := s.Open(t.Context(), v.entries[top(root)+"g"]) // does not block
	if err == nil {
		var e tree.Entry
		must(t, h.Stat(&e))
		if e.Type != tree.FIFO {
			t.Errorf("stat says %+v", e)
		}
		must(t, h.Close())
	}
}

func TestHolesAreFoundAndReadAsToldTo(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	name := filepath.Join(root, "sparse")
	f, err := os.Create(name)
	must(t, err)
	islands := []int64{0, 64 << 20, 200 << 20}
	for _, at := range islands {
		_, err := f.WriteAt([]byte("island"), at)
		must(t, err)
	}
	must(t, f.Truncate(1<<40))
	must(t, f.Close())
	for _, readHoles := range []bool{false, true} {
		s := open(t, Options{Roots: []string{root}, ReadHoles: readHoles})
		v := walkAll(t, s)
		it := v.entries[top(root)+"sparse"]
		h, err := s.Open(t.Context(), it)
		must(t, err)
		var found []int64
		for off := int64(0); off < 1<<40; {
			start, end, err := h.NextData(off, 1<<40)
			must(t, err)
			if start < end {
				found = append(found, start)
			}
			off = end
		}
		must(t, h.Close())
		want := islands
		if readHoles {
			want = []int64{0}
		}
		if !slices.Equal(found, want) {
			t.Errorf("read holes %v: data at %v, want %v", readHoles, found, want)
		}
	}
}

func TestALargeDirectoryIsSortedOnDisk(t *testing.T) {
	t.Parallel()
	for _, walkers := range []int{-1, 3} {
		t.Run(fmt.Sprint("walkers ", walkers), func(t *testing.T) {
			t.Parallel()
			root, temp := t.TempDir(), t.TempDir()
			var want []string
			for i := range 5000 {
				name := fmt.Sprintf("%x", i*7919)
				if i%10 == 0 {
					want = append(want, name+".d", name+".d/in")
					build(t, root, name+".d/in")
					continue
				}
				want = append(want, name)
				build(t, root, name)
			}
			build(t, root, ".gitignore", "skipped")
			must(t, os.WriteFile(filepath.Join(root, ".gitignore"), []byte("skipped\n"), 0o644))
			want = append(want, ".gitignore")
			s := open(t, Options{Roots: []string{root}, TempDir: temp, Walkers: walkers, Filter: Filter{Gitignore: true}})
			s.maxNames = 100
			v := walkAll(t, s)
			got := v.below(root)
			slices.SortFunc(want, func(a, b string) int {
				ka := tree.Key{Dir: []byte(strings.Trim(filepath.Dir(a), ".")), Name: []byte(filepath.Base(a))}
				if !strings.Contains(a, "/") {
					ka.Dir = nil
				}
				kb := tree.Key{Dir: []byte(filepath.Dir(b)), Name: []byte(filepath.Base(b))}
				if !strings.Contains(b, "/") {
					kb.Dir = nil
				}
				return ka.Compare(kb)
			})
			if !slices.Equal(got, want) {
				t.Fatalf("got %d names, want %d", len(got), len(want))
			}
			if left, _ := os.ReadDir(temp); len(left) > 0 {
				t.Errorf("%d files left in the directory for temporary files", len(left))
			}
		})
	}
}

func TestAListingThatCannotBeSortedIsAnError(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for i := range 300 {
		build(t, root, fmt.Sprint(i))
	}
	s := open(t, Options{Roots: []string{root}, TempDir: filepath.Join(root, "missing")})
	s.maxNames = 100
	v := walkAll(t, s)
	if v.errs[strings.TrimSuffix(top(root), "/")] == nil || len(v.below(root)) > 0 {
		t.Fatalf("errors %v, names %v", v.errs, v.below(root))
	}
}

func TestAWalkAllocatesNothingPerEntry(t *testing.T) {
	root := t.TempDir()
	const files = 4000
	for i := range files {
		build(t, root, fmt.Sprint(i))
	}
	perWalk := testing.AllocsPerRun(3, func() {
		s, err := New(Options{Roots: []string{root}, Walkers: -1})
		must(t, err)
		n := 0
		for it, err := range s.Entries(context.Background()) {
			must(t, err)
			if it.Entry.Type == tree.File {
				n++
			}
		}
		if n != files {
			t.Fatal(n)
		}
		must(t, s.Close())
	})
	if perWalk > files/5 {
		t.Errorf("%v allocations for %d entries", perWalk, files)
	}
}

func TestTheEndOfTheContextEndsAWalkInTheMiddle(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for i := range 200 {
		build(t, root, fmt.Sprintf("d%d/f", i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range open(t, Options{Roots: []string{root}}).Entries(ctx) {
		if n++; n == 50 {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Fatalf("after %d items: %v", n, last)
	}
}
