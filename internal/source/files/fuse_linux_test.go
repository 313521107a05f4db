//go:build !portable

package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/testkit/fusefs"
	"github.com/nacre-backup/nacre/internal/tree"
)

func mountTree(t *testing.T) *fusefs.FS {
	t.Helper()
	return fusefs.Mount(t, map[string]string{
		"a/one": "1", "a/two": "22", "b/c/three": "333", "b/four": strings.Repeat("4", 100_000), "z/five": "5",
	})
}

func TestADirectoryThatCannotBeListedIsOneError(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*fusefs.FS){
		"not opened":          func(f *fusefs.FS) { f.Fail("a", fusefs.OpenDir, syscall.EIO, -1) },
		"not read":            func(f *fusefs.FS) { f.Fail("a", fusefs.ReadDir, syscall.EIO, -1) },
		"read half way":       func(f *fusefs.FS) { f.FailAfter("a", fusefs.ReadDir, syscall.EIO, 1, -1) },
		"access to it denied": func(f *fusefs.FS) { f.Fail("a", fusefs.OpenDir, syscall.EACCES, -1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := mountTree(t)
			fail(f)
			s := open(t, Options{Roots: []string{f.Dir}})
			v := walkAll(t, s)
			dir := top(f.Dir) + "a"
			if v.errs[dir] == nil || len(v.errs) != 1 {
				t.Fatalf("errors %v, want one for %q", v.errs, dir)
			}
			want := tree.ErrIO
			if errors.Is(v.errs[dir], syscall.EACCES) {
				want = tree.ErrAccess
			}
			if c := s.ErrClass(v.errs[dir]); c != want {
				t.Errorf("class %d, want %d", c, want)
			}
			if v.entries[dir] == nil || v.entries[dir].Entry.ErrClass != tree.ErrNone {
				t.Error("the directory's own entry is missing or has an error")
			}
			if got := fmt.Sprint(v.below(f.Dir)); got != "[a b z b/c b/four b/c/three z/five]" {
				t.Errorf("entries %s: names of the directory must not be seen, all others must", got)
			}
		})
	}
}

func TestACallThatIsInterruptedIsRepeated(t *testing.T) {
	t.Parallel()
	f := mountTree(t)
	f.Fail("a", fusefs.OpenDir, syscall.EINTR, 1)
	f.Fail("b", fusefs.ReadDir, syscall.EINTR, 2)
	f.Fail("z/five", fusefs.Open, syscall.EINTR, 3)
	f.FailAfter("b/four", fusefs.Read, syscall.EINTR, 5000, 3)
	s := open(t, Options{Roots: []string{f.Dir}})
	v := walkAll(t, s)
	if len(v.errs) > 0 || len(v.below(f.Dir)) != 9 {
		t.Fatalf("errors %v, entries %v", v.errs, v.below(f.Dir))
	}
	for name, size := range map[string]int{"b/four": 100_000, "z/five": 1} {
		if got := readWhole(t, s, v.entries[top(f.Dir)+name]); len(got) != size {
			t.Errorf("%s: read %d bytes, want %d", name, len(got), size)
		}
	}
}

func readWhole(t *testing.T, s *Source, it *source.Item) []byte {
	t.Helper()
	h, err := s.Open(t.Context(), it)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	buf := make([]byte, it.Entry.Size+1)
	n, err := h.ReadAt(buf, 0)
	if !errors.Is(err, io.EOF) {
		t.Fatalf("read: %v", err)
	}
	return buf[:n]
}

func TestShortReadsAreReadOn(t *testing.T) {
	t.Parallel()
	f := mountTree(t)
	f.Short("b/four", 7001)
	s := open(t, Options{Roots: []string{f.Dir}})
	v := walkAll(t, s)
	if got := readWhole(t, s, v.entries[top(f.Dir)+"b/four"]); !bytes.Equal(got, bytes.Repeat([]byte("4"), 100_000)) {
		t.Fatalf("read %d bytes", len(got))
	}
}

func TestAReadThatFailsSaysSo(t *testing.T) {
	t.Parallel()
	f := mountTree(t)
	f.FailAfter("b/four", fusefs.Read, syscall.EIO, 50_000, -1)
	s := open(t, Options{Roots: []string{f.Dir}})
	v := walkAll(t, s)
	h, err := s.Open(t.Context(), v.entries[top(f.Dir)+"b/four"])
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	n, err := h.ReadAt(make([]byte, 100_001), 0)
	if !errors.Is(err, syscall.EIO) || s.ErrClass(err) != tree.ErrIO || n > 50_000 {
		t.Fatalf("read %d bytes, %v", n, err)
	}
}

func TestANameThatVanishesIsAnEntryWithAnError(t *testing.T) {
	t.Parallel()
	f := mountTree(t)
	f.Fail("a/one", fusefs.Lookup, syscall.ENOENT, -1)
	f.Fail("b/c", fusefs.Lookup, syscall.EIO, -1)
	s := open(t, Options{Roots: []string{f.Dir}})
	v := walkAll(t, s)
	one, c := v.entries[top(f.Dir)+"a/one"], v.entries[top(f.Dir)+"b/c"]
	if one == nil || one.Entry.ErrClass != tree.ErrVanished || one.Entry.Type != tree.File || one.Entry.ErrText == "" {
		t.Errorf("the file that vanished: %+v", one)
	}
	if c == nil || c.Entry.ErrClass != tree.ErrIO || c.Entry.Type != tree.Dir {
		t.Errorf("the directory that cannot be looked up: %+v", c)
	}
	if v.errs[top(f.Dir)+"b/c"] == nil {
		t.Error("no error for the names of the directory that cannot be looked up")
	}
	if v.entries[top(f.Dir)+"a/two"] == nil || v.entries[top(f.Dir)+"z/five"] == nil {
		t.Error("the others are missing")
	}
}

func TestAFileSystemThatGoesAwayLeavesErrorsAndTheWalkGoesOn(t *testing.T) {
	t.Parallel()
	f := mountTree(t)
	other := t.TempDir()
	build(t, other, "here", "sub/there")
	var done atomic.Bool
	f.On(func(op fusefs.Op, path string) {
		if path == "b" && op == fusefs.ReadDir && !done.Swap(true) {
			f.GoAway()
		}
	})
	s := open(t, Options{Roots: []string{f.Dir, other}, Walkers: -1})
	v := walkAll(t, s)
	if !done.Load() {
		t.Fatal("the file system never went away")
	}
	if err := v.errs[top(f.Dir)+"b"]; err == nil || s.ErrClass(err) != tree.ErrMount {
		t.Errorf("error %v, want that of a mount that went away", err)
	}
	if v.errs[top(f.Dir)+"z"] == nil {
		t.Error("no error for the directory that was not listed yet")
	}
	if v.entries[top(other)+"sub/there"] == nil {
		t.Error("the other root was not read")
	}
}

func TestAFileSystemThatDoesNotAnswerDoesNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	f := mountTree(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	var once sync.Once
	f.On(func(op fusefs.Op, path string) {
		if path == "b" && op == fusefs.ReadDir {
			once.Do(func() { close(asked) })
			<-answer
		}
	})
	t.Cleanup(func() { close(answer) }) // before the file system is unmounted
	s, err := New(Options{Roots: []string{f.Dir}, Walkers: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range s.Entries(ctx) {
		if n++; n == 2 { // the emission waits here, while the walker goes ahead
			<-asked
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Fatalf("the walk ended with %v", last)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestInodesOfUserProcessesAreNotTrusted(t *testing.T) {
	t.Parallel()
	f := mountTree(t)
	v := walkAll(t, open(t, Options{Roots: []string{f.Dir}}))
	e := v.entries[top(f.Dir)+"a/one"].Entry
	if e.Inode != 0 || !strings.HasPrefix(e.FS, "fuse") || !strings.Contains(e.FS, "double") {
		t.Errorf("inode %d, file system %q", e.Inode, e.FS)
	}
	outside := walkAll(t, open(t, Options{Roots: []string{filepath.Dir(f.Dir)}}))
	mount := outside.entries[strings.TrimPrefix(f.Dir, "/")].Entry
	parent := outside.entries[strings.TrimPrefix(filepath.Dir(f.Dir), "/")].Entry
	if mount.FS != e.FS || parent.FS == mount.FS || parent.Inode == 0 {
		t.Errorf("mount point: file system %q, its parent %q with inode %d", mount.FS, parent.FS, parent.Inode)
	}
}

func TestOneFileSystemKeepsAMountPointAndNothingBelowIt(t *testing.T) {
	t.Parallel()
	f := mountTree(t)
	parent := filepath.Dir(f.Dir)
	build(t, parent, "beside")
	v := walkAll(t, open(t, Options{Roots: []string{parent}, Filter: Filter{OneFileSystem: true}}))
	if got := fmt.Sprint(v.below(parent)); got != fmt.Sprintf("[%s beside]", filepath.Base(f.Dir)) {
		t.Errorf("entries %s", got)
	}
	both := walkAll(t, open(t, Options{Roots: []string{parent, f.Dir}, Filter: Filter{OneFileSystem: true}}))
	if both.entries[top(f.Dir)+"a/one"] == nil {
		t.Error("a mount point that is a root itself was not read")
	}
}

func TestUnreadableAttributesAreAnErrorOfTheEntry(t *testing.T) {
	t.Parallel()
	f := mountTree(t)
	f.Fail("a/one", fusefs.ListXattrs, syscall.EIO, -1)
	s := open(t, Options{Roots: []string{f.Dir}})
	v := walkAll(t, s)
	it := v.entries[top(f.Dir)+"a/one"]
	if err := s.Describe(t.Context(), it); err != nil {
		t.Fatal(err)
	}
	if it.Entry.ErrClass != tree.ErrIO || !strings.Contains(it.Entry.ErrText, "attributes") {
		t.Errorf("class %d, text %q", it.Entry.ErrClass, it.Entry.ErrText)
	}
	if got := readWhole(t, s, it); string(got) != "1" {
		t.Errorf("content %q", got)
	}
}

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}
