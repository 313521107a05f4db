package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/sink/sinktest"
	"github.com/nacre-backup/nacre/internal/tree"
)

// suiteStepByStep runs the suite as on a kernel without openat2.
func suiteStepByStep(t *testing.T) {
	t.Run("step by step", func(t *testing.T) {
		t.Parallel()
		sinktest.Run(t, func(t *testing.T) *sinktest.Target {
			return target(t, Restored(runtime.GOOS), func(dir string) (sink.Sink, error) {
				s, err := newLinux(dir, Options{NoSync: true}, &losses{})
				if err == nil {
					s.dirs.openat2 = false
				}
				return s, err
			})
		})
	})
}

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func open(t *testing.T, dir string, o Options) *Sink {
	t.Helper()
	o.NoSync = true
	s, err := New(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func stat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return st
}

// TestRacesNeverLeadOutside restores into a directory that another goroutine keeps exchanging for a symlink to
// somewhere else.
func TestRacesNeverLeadOutside(t *testing.T) {
	t.Parallel()
	for _, sys := range []struct {
		name   string
		rounds int
		open   func(dir string) (sink.Sink, error)
	}{
		{"openat2", 2000, func(dir string) (sink.Sink, error) {
			return newLinux(dir, Options{Overwrite: Always, NoSync: true}, &losses{})
		}},
		{"step by step", 2000, func(dir string) (sink.Sink, error) {
			s, err := newLinux(dir, Options{Overwrite: Always, NoSync: true}, &losses{})
			if err == nil {
				s.dirs.openat2 = false
			}
			return s, err
		}},
		{"portable", 300, func(dir string) (sink.Sink, error) {
			return newPortable(dir, Options{Overwrite: Always, NoSync: true}, &losses{})
		}},
	} {
		t.Run(sys.name, func(t *testing.T) {
			t.Parallel()
			around := t.TempDir()
			dir, out := filepath.Join(around, "target"), filepath.Join(around, "outside")
			for _, d := range []string{dir, out, filepath.Join(out, "sub"), filepath.Join(dir, "v")} {
				if err := os.Mkdir(d, 0o711); err != nil {
					t.Fatal(err)
				}
			}
			write(t, filepath.Join(out, "f"), "precious", 0o604)
			write(t, filepath.Join(out, "sub", "f"), "precious", 0o604)
			for i, link := range []string{out, "../outside"} {
				if err := os.Symlink(link, filepath.Join(dir, fmt.Sprint("w", i))); err != nil {
					t.Fatal(err)
				}
			}
			before := outside(t, around, dir)
			var stop atomic.Bool
			var swaps atomic.Int64
			var wg sync.WaitGroup
			wg.Go(func() {
				v := filepath.Join(dir, "v")
				for i := 0; !stop.Load(); i++ {
					w := filepath.Join(dir, fmt.Sprint("w", i%2))
					if unix.Renameat2(unix.AT_FDCWD, v, unix.AT_FDCWD, w, unix.RENAME_EXCHANGE) == nil {
						_ = unix.Renameat2(unix.AT_FDCWD, v, unix.AT_FDCWD, w, unix.RENAME_EXCHANGE)
						swaps.Add(1)
					}
					runtime.Gosched()
				}
			})
			ok := 0
			for range sys.rounds {
				ok += race(t, sys.open, dir)
			}
			stop.Store(true)
			wg.Wait()
			if after := outside(t, around, dir); after != before {
				t.Errorf("outside the target was\n%s\nand is now\n%s", before, after)
			}
			if ok == 0 || swaps.Load() == 0 {
				t.Errorf("%d entries were restored and %d swaps done: the test shows nothing", ok, swaps.Load())
			}
		})
	}
}

// race restores a few entries below v, each of which may fail, and returns how many were made.
func race(t *testing.T, open func(string) (sink.Sink, error), dir string) (made int) {
	s, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	v, sub := sinktest.Entry("v", tree.Dir), sinktest.Entry("sub", tree.Dir)
	v.Mode, sub.Mode = 0o777, 0o777
	for _, p := range []struct {
		dir string
		e   *tree.Entry
	}{
		{"", v},
		{"v", sub},
		{"v", sinktest.Entry("f", tree.File)},
		{"v/sub", sinktest.Entry("f", tree.File)},
		{"v/sub", sinktest.Entry("l", tree.Symlink)},
	} {
		if sinktest.TryPut(s, p.dir, p.e, "overwritten") == nil {
			made++
		}
	}
	_ = s.Link(context.Background(), []byte("v"), sinktest.Entry("h", tree.File), []byte("v/sub"), []byte("f"))
	_ = s.Close(context.Background())
	return made
}

func TestOverwriteRules(t *testing.T) {
	t.Parallel()
	const old, fresh = "old content", "new content"
	for _, c := range []struct {
		name     string
		rule     Overwrite
		sameTime bool
		content  string
		want     string
		err      error
	}{
		{"never leaves a file that differs", Never, false, old, old, sink.ErrSkipped},
		{"never leaves a file that seems the same and says so", Never, true, old, old, sink.ErrSame},
		{"if-changed leaves a file of the same size and time", IfChanged, true, old, old, sink.ErrSame},
		{"if-changed replaces a file of another time", IfChanged, false, old, fresh, nil},
		{"if-changed replaces a file of another size", IfChanged, true, old + "!", fresh, nil},
		{"always replaces a file that seems the same", Always, true, old, fresh, nil},
		{"always replaces a file that differs", Always, false, old, fresh, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			write(t, path, c.content, 0o644)
			e := sinktest.Entry("f", tree.File)
			e.Size = uint64(len(fresh))
			if c.sameTime {
				mtime := time.Unix(e.ModTime.Sec, int64(e.ModTime.Nsec))
				if err := os.Chtimes(path, mtime, mtime); err != nil {
					t.Fatal(err)
				}
			}
			s := open(t, dir, Options{Overwrite: c.rule})
			if err := s.Peek(context.Background(), nil, e); !errors.Is(err, c.err) {
				t.Errorf("peek: %v, want %v", err, c.err)
			}
			if err := sinktest.TryPut(s, "", e, fresh); !errors.Is(err, c.err) {
				t.Errorf("put: %v, want %v", err, c.err)
			}
			if c.err != nil && errors.Is(c.err, sink.ErrSkipped) != errors.Is(s.Peek(context.Background(), nil, e), sink.ErrSkipped) {
				t.Error("peek and begin differ")
			}
			sinktest.Close(t, s)
			if got := read(t, path); got != c.want {
				t.Errorf("content is %q, want %q", got, c.want)
			}
			if left := leftovers(t, dir); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestAReplacedFileStaysWholeUntilTheEnd(t *testing.T) {
	t.Parallel()
	for _, finish := range []bool{true, false} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		write(t, path, "old", 0o644)
		s := open(t, dir, Options{Overwrite: Always})
		e := sinktest.Entry("f", tree.File)
		e.Size = 3
		f, err := s.Begin(context.Background(), nil, e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("new"), 0); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != "old" {
			t.Errorf("while it is written the file is %q", got)
		}
		want := "old"
		if finish {
			want = "new"
			err = f.Finish(context.Background())
		} else {
			err = f.Abort()
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != want {
			t.Errorf("then the file is %q, want %q", got, want)
		}
		sinktest.Close(t, s)
		if left := leftovers(t, dir); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	}
}

func TestAnInterruptedRunIsRecognised(t *testing.T) {
	t.Parallel()
	for _, rule := range []Overwrite{Never, IfChanged, Always} {
		dir := t.TempDir()
		d, f, p := sinktest.Entry("d", tree.Dir), sinktest.Entry("f", tree.File), sinktest.Entry("p", tree.FIFO)
		f.Size = 4
		// The first run ends in the middle: no Finish, no Close.
		s := open(t, dir, Options{})
		if err := sinktest.TryPut(s, "", d, ""); err != nil {
			t.Fatal(err)
		}
		half, err := s.Begin(context.Background(), []byte("d"), f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := half.WriteAt([]byte("wh"), 0); err != nil {
			t.Fatal(err)
		}
		if st := stat(t, filepath.Join(dir, "d", "f")); st.Mode&0o7777 != unfinishedFile {
			t.Fatalf("mode of a half-written file is %o", st.Mode)
		}
		if err := unix.Mknod(filepath.Join(dir, "d", "p"), unix.S_IFIFO|unfinishedFile, 0); err != nil {
			t.Fatal(err)
		}

		s = open(t, dir, Options{Overwrite: rule})
		sinktest.Put(t, s, "", d, "")
		sinktest.Put(t, s, "d", f, "whole"[:4])
		sinktest.Put(t, s, "d", p, "")
		sinktest.Close(t, s)
		if got := read(t, filepath.Join(dir, "d", "f")); got != "whol" {
			t.Errorf("rule %d: the file is %q", rule, got)
		}
		for path, mode := range map[string]uint32{"d": 0o750, "d/f": 0o640, "d/p": 0o640} {
			if st := stat(t, filepath.Join(dir, path)); uint32(st.Mode)&0o7777 != mode {
				t.Errorf("rule %d: %s has mode %o, want %o", rule, path, st.Mode&0o7777, mode)
			}
		}
		if err := half.Abort(); err != nil {
			t.Log(err) // its file was replaced
		}
	}
}

func TestARehearsalChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "f"), "mine", 0o600)
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Unix(1_000_000_000, 0)
	for _, path := range []string{dir, filepath.Join(dir, "d"), filepath.Join(dir, "f")} {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, Options{DryRun: true})
	ctx := context.Background()
	for _, e := range []struct {
		dir   string
		entry *tree.Entry
		want  error
	}{
		{"", sinktest.Entry("d", tree.Dir), nil},
		{"", sinktest.Entry("f", tree.File), sink.ErrSkipped},
		{"", sinktest.Entry("f", tree.Dir), errs.Exists},
		{"d", sinktest.Entry("x", tree.File), nil},
		{"new", sinktest.Entry("x", tree.File), nil},
		{"d", sinktest.Entry("device", tree.CharDevice), sink.ErrSkipped},
	} {
		if err := s.Peek(ctx, []byte(e.dir), e.entry); !errors.Is(err, e.want) {
			t.Errorf("%s in %q: %v, want %v", e.entry.Name, e.dir, err, e.want)
		}
	}
	sinktest.Close(t, s)
	if l := s.Losses(); len(l) != 1 || l[0].Count != 1 {
		t.Errorf("losses %+v, want the device", l)
	}
	for _, path := range []string{dir, filepath.Join(dir, "d"), filepath.Join(dir, "f")} {
		if st := stat(t, path); st.Mtim.Sec != old.Unix() {
			t.Errorf("%s was changed", path)
		}
	}
	if _, err := New(filepath.Join(dir, "missing"), Options{DryRun: true}); !errors.Is(err, errs.NotFound) {
		t.Errorf("a target that is missing: %v", err)
	}
}

func TestAnAbortedFileLeavesAnotherUnderItsNameAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	f, err := s.Begin(context.Background(), nil, sinktest.Entry("f", tree.File))
	if err != nil {
		t.Fatal(err)
	}
	// Another entry of that place, as there may be where leading directories are left out of paths.
	sinktest.Put(t, s, "", sinktest.Entry("f", tree.File), "whole")
	if err := f.Abort(); err != nil {
		t.Error(err)
	}
	sinktest.Close(t, s)
	if got := read(t, filepath.Join(dir, "f")); got != "whole" {
		t.Errorf("the file is %q", got)
	}
}

func TestWhatIsInTheWayIsNeitherFollowedNorRemoved(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), t.TempDir()
	for name, make := range map[string]func(path string) error{
		"link":     func(path string) error { return os.Symlink(out, path) },
		"dangling": func(path string) error { return os.Symlink(filepath.Join(out, "new"), path) },
		"file":     func(path string) error { return os.WriteFile(path, []byte("mine"), 0o600) },
		"fifo":     func(path string) error { return unix.Mkfifo(path, 0o600) },
	} {
		if err := make(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "full", "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{Overwrite: Always})
	for _, name := range []string{"link", "dangling", "file", "fifo"} {
		e := sinktest.Entry(name, tree.Dir)
		if err := s.Peek(context.Background(), nil, e); !errors.Is(err, errs.Exists) {
			t.Errorf("peek %s: %v", name, err)
		}
		err := sinktest.TryPut(s, "", e, "")
		if !errors.Is(err, errs.Exists) || errs.Hint(err) == "" {
			t.Errorf("a directory in the place of %s: %v", name, err)
		}
		if err := sinktest.TryPut(s, name, sinktest.Entry("x", tree.File), "x"); err == nil {
			t.Errorf("a file was made below %s", name)
		}
	}
	for _, typ := range []tree.Type{tree.File, tree.Symlink, tree.FIFO} {
		if err := sinktest.TryPut(s, "", sinktest.Entry("full", typ), ""); !errors.Is(err, errs.Exists) {
			t.Errorf("type %d in the place of a directory: %v", typ, err)
		}
	}
	// A symlink where a file must go is replaced, not followed.
	sinktest.Put(t, s, "", sinktest.Entry("dangling", tree.File), "x")
	sinktest.Close(t, s)
	if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
		t.Errorf("outside are %v, %v", left, err)
	}
	if st := stat(t, filepath.Join(dir, "dangling")); st.Mode&unix.S_IFMT != unix.S_IFREG {
		t.Error("the symlink was not replaced")
	}
}

func TestHardLinksInAnExistingTree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		write(t, filepath.Join(dir, name), "old", 0o600)
	}
	ctx := context.Background()
	s := open(t, dir, Options{})
	if err := s.Link(ctx, nil, sinktest.Entry("b", tree.File), nil, []byte("a")); !errors.Is(err, sink.ErrSkipped) || errors.Is(err, sink.ErrSame) {
		t.Errorf("never: %v", err)
	}
	sinktest.Close(t, s)
	s = open(t, dir, Options{Overwrite: Always})
	for _, want := range []error{nil, sink.ErrSame} {
		if err := s.Link(ctx, nil, sinktest.Entry("b", tree.File), nil, []byte("a")); !errors.Is(err, want) {
			t.Errorf("always: %v, want %v", err, want)
		}
	}
	sinktest.Close(t, s)
	if a, b := stat(t, filepath.Join(dir, "a")), stat(t, filepath.Join(dir, "b")); a.Ino != b.Ino {
		t.Error("not one file")
	}
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestTheHandleCacheStaysSmall(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := newLinux(dir, Options{}, &losses{})
	if err != nil {
		t.Fatal(err)
	}
	const dirs = 500
	for i := range dirs {
		sinktest.Put(t, l, "", sinktest.Entry(fmt.Sprint(i), tree.Dir), "")
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range dirs {
				d := fmt.Sprint((i*7 + w*100) % dirs)
				if err := sinktest.TryPut(l, d, sinktest.Entry(fmt.Sprint("f", w), tree.File), "x"); err != nil {
					t.Error(err)
				}
				l.dirs.mu.Lock()
				n := len(l.dirs.open)
				l.dirs.mu.Unlock()
				if n > maxHandles+4 {
					t.Errorf("%d handles", n)
				}
			}
		})
	}
	wg.Wait()
	for _, h := range l.dirs.open {
		if h.refs != 0 {
			t.Errorf("%q has %d references left", h.path, h.refs)
		}
	}
	sinktest.Close(t, l)
}
