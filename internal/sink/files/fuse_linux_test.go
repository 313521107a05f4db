package files

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/sink/sinktest"
	"github.com/nacre-backup/nacre/internal/testkit/faultfs"
	"github.com/nacre-backup/nacre/internal/tree"
)

// folding is a file system that keeps the case of names and does not tell it.
type folding struct {
	fuse.RawFileSystem
	mu    sync.Mutex
	names map[key]string
}

type key struct {
	dir  uint64
	name string
}

// stored returns the name under which an object is known.
func (f *folding) stored(dir uint64, name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s, ok := f.names[key{dir, strings.ToLower(name)}]; ok {
		return s
	}
	return name
}

func (f *folding) note(dir uint64, name string, s fuse.Status) fuse.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s == fuse.OK {
		f.names[key{dir, strings.ToLower(name)}] = name
	}
	return s
}

func (f *folding) forget(dir uint64, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.names, key{dir, strings.ToLower(name)})
}

func (f *folding) Lookup(c <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	return f.RawFileSystem.Lookup(c, h, f.stored(h.NodeId, name), out)
}

func (f *folding) Statx(<-chan struct{}, *fuse.StatxIn, *fuse.StatxOut) fuse.Status {
	return fuse.ENOSYS
}

func (f *folding) Mkdir(c <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return f.note(in.NodeId, name, f.RawFileSystem.Mkdir(c, in, f.stored(in.NodeId, name), out))
}

func (f *folding) Create(c <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	return f.note(in.NodeId, name, f.RawFileSystem.Create(c, in, f.stored(in.NodeId, name), out))
}

func (f *folding) Symlink(c <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	return f.note(h.NodeId, name, f.RawFileSystem.Symlink(c, h, target, f.stored(h.NodeId, name), out))
}

func (f *folding) Unlink(c <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	s := f.RawFileSystem.Unlink(c, h, f.stored(h.NodeId, name))
	f.forget(h.NodeId, name)
	return s
}

func (f *folding) Rename(c <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	to = f.stored(in.Newdir, to)
	s := f.RawFileSystem.Rename(c, in, f.stored(in.NodeId, from), to)
	f.forget(in.NodeId, from)
	return f.note(in.Newdir, to, s)
}

// mountFolding mounts a folder as a file system that does not tell case.
func mountFolding(t *testing.T) string {
	t.Helper()
	return mount(t, func(inner fuse.RawFileSystem) fuse.RawFileSystem {
		return &folding{RawFileSystem: inner, names: map[key]string{}}
	})
}

// mount mounts a folder through a double.
func mount(t *testing.T, double func(inner fuse.RawFileSystem) fuse.RawFileSystem) string {
	t.Helper()
	dev, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skip("needs FUSE (/dev/fuse and fusermount3)")
	}
	_ = dev.Close() // it was only looked for
	if _, err := exec.LookPath("fusermount3"); err != nil && os.Geteuid() != 0 {
		t.Skip("needs fuse3 (apt): FUSE (/dev/fuse and fusermount3)")
	}
	root, err := fusefs.NewLoopbackRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	server, err := fuse.NewServer(double(fusefs.NewNodeFS(root, &fusefs.Options{})), dir,
		&fuse.MountOptions{FsName: "double", Name: "double", DirectMount: os.Geteuid() == 0})
	if err != nil {
		t.Skipf("needs FUSE (/dev/fuse and fusermount3): %v", err)
	}
	go server.Serve()
	t.Cleanup(func() {
		if server.Unmount() != nil && unix.Unmount(dir, unix.MNT_DETACH) != nil {
			_ = exec.Command("fusermount3", "-uzq", dir).Run() // it may be unmounted already
		}
		server.Wait()
	})
	if err := server.WaitMount(); err != nil {
		t.Skipf("needs FUSE (/dev/fuse and fusermount3): %v", err)
	}
	return dir
}

// TestNamesThatTheTargetTakesForOneAreReported restores two names that differ in case only, files and directories, by
// both sinks.
func TestNamesThatTheTargetTakesForOneAreReported(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(dir string, o Options) (sink.Sink, error){
		"system":   func(dir string, o Options) (sink.Sink, error) { return New(dir, o) },
		"portable": func(dir string, o Options) (sink.Sink, error) { return newPortable(dir, o, &losses{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := mountFolding(t)
			for _, rule := range []Overwrite{Never, IfChanged, Always} {
				s, err := open(dir, Options{Overwrite: rule, NoSync: true})
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range []struct {
					entry   *tree.Entry
					content string
				}{
					{sinktest.Entry("Name", tree.File), "the first"},
					{sinktest.Entry("Dir", tree.Dir), ""},
					{sinktest.Entry("Other", tree.File), "another"},
				} {
					if err := sinktest.TryPut(s, "", e.entry, e.content); err != nil && !errors.Is(err, sink.ErrSkipped) {
						t.Errorf("rule %d: %s: %v", rule, e.entry.Name, err)
					}
				}
				for _, e := range []*tree.Entry{
					sinktest.Entry("NAME", tree.File), sinktest.Entry("name", tree.Symlink), sinktest.Entry("DIR", tree.Dir),
				} {
					if err := sinktest.TryPut(s, "", e, "the second"); !errors.Is(err, errs.Exists) || errs.Hint(err) == "" {
						t.Errorf("rule %d: %s: %v", rule, e.Name, err)
					}
				}
				if err := s.Link(context.Background(), nil, sinktest.Entry("NaMe", tree.File), nil, []byte("Other")); !errors.Is(err, errs.Exists) {
					t.Errorf("rule %d: a link of that name: %v", rule, err)
				}
				sinktest.Close(t, s)
				if got := read(t, filepath.Join(dir, "Name")); got != "the first" {
					t.Errorf("rule %d: the file is %q", rule, got)
				}
			}
			if left := leftovers(t, dir); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestARehearsalSeesThatNamesCollide peeks at a target that does not tell case, and changes nothing of it.
func TestARehearsalSeesThatNamesCollide(t *testing.T) {
	t.Parallel()
	dir := mountFolding(t)
	write(t, filepath.Join(dir, "Name"), "mine", 0o600)
	s := open(t, dir, Options{DryRun: true, Overwrite: Always})
	if err := s.Peek(context.Background(), nil, sinktest.Entry("NAME", tree.File)); !errors.Is(err, errs.Exists) {
		t.Errorf("another case: %v", err)
	}
	if err := s.Peek(context.Background(), nil, sinktest.Entry("Name", tree.File)); err != nil {
		t.Errorf("the same name: %v", err)
	}
	sinktest.Close(t, s)
}

// TestAFileThatCannotBeClosedReplacesNothing has the target say at the end only that it could not write.
func TestAFileThatCannotBeClosedReplacesNothing(t *testing.T) {
	t.Parallel()
	double := faultfs.Mount(t, t.TempDir())
	write(t, filepath.Join(double.Dir, "f"), "mine", 0o600)
	s := open(t, double.Dir, Options{Overwrite: Always})
	double.SetRule(func(c faultfs.Call) syscall.Errno {
		if c.Op == "flush" {
			return syscall.ENOSPC
		}
		return 0
	})
	err := sinktest.TryPut(s, "", sinktest.Entry("f", tree.File), "new")
	double.SetRule(nil)
	if !errors.Is(err, errs.Full) {
		t.Errorf("error %v", err)
	}
	sinktest.Close(t, s)
	if got := read(t, filepath.Join(double.Dir, "f")); got != "mine" {
		t.Errorf("the file that was there is %q", got)
	}
	if left := leftovers(t, double.Dir); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// modeless is a file system that keeps no modes, as FAT.
type modeless struct{ fuse.RawFileSystem }

func (f *modeless) Create(c <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	in.Mode = in.Mode&^0o7777 | 0o644
	return f.RawFileSystem.Create(c, in, name, out)
}

func (f *modeless) SetAttr(c <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	if in.Valid &^= fuse.FATTR_MODE; in.Valid == 0 {
		return f.GetAttr(c, &fuse.GetAttrIn{InHeader: in.InHeader}, out)
	}
	return f.RawFileSystem.SetAttr(c, in, out)
}

// TestWithoutModesAnInterruptedRunLeavesNothingUnderAName restores into a file system that cannot mark a file as
// unfinished: a later run that replaces nothing must not take half a file for one of the user's.
func TestWithoutModesAnInterruptedRunLeavesNothingUnderAName(t *testing.T) {
	t.Parallel()
	dir := mount(t, func(inner fuse.RawFileSystem) fuse.RawFileSystem {
		return &modeless{&folding{RawFileSystem: inner, names: map[key]string{}}}
	})
	ctx := context.Background()
	var halves []sink.File
	var sinks []sink.Sink
	opened := func(o Options) sink.Sink {
		s := open(t, dir, o)
		sinks = append(sinks, s)
		return s
	}
	defer func() { // else the file system cannot be unmounted
		for _, f := range halves {
			if err := f.Abort(); err != nil {
				t.Error(err)
			}
		}
		for _, s := range sinks {
			sinktest.Close(t, s)
		}
		if left := leftovers(t, dir); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	}()
	for range 2 { // the first file tells what the file system is like, the next finds it known
		s := opened(Options{})
		for _, name := range []string{"a", "b"} {
			e := sinktest.Entry(name, tree.File)
			e.Size = 4
			f, err := s.Begin(ctx, nil, e)
			if err != nil {
				t.Fatal(err)
			}
			halves = append(halves, f)
			if _, err := f.WriteAt([]byte("wh"), 0); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a half-written file stands under the name %s: %v", name, err)
			}
		}
	}
	s := opened(Options{})
	for _, name := range []string{"a", "b"} {
		sinktest.Put(t, s, "", sinktest.Entry(name, tree.File), "whole")
	}
	// Of two names that the target takes for one the first to be finished stands.
	upper, lower := sinktest.Entry("NAME", tree.File), sinktest.Entry("name", tree.File)
	one, err := s.Begin(ctx, nil, upper)
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.Begin(ctx, nil, lower)
	if err != nil {
		t.Fatal(errors.Join(err, one.Abort()))
	}
	if err := two.Finish(ctx); err != nil {
		t.Error(err)
	}
	if err := one.Finish(ctx); !errors.Is(err, errs.Exists) || errs.Hint(err) == "" {
		t.Errorf("a name that is there: %v", err)
	}
	// What is the user's is replaced on request only.
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sinktest.TryPut(s, "", sinktest.Entry("a", tree.File), "whole"); !errors.Is(err, sink.ErrSkipped) {
		t.Errorf("a file of the user's: %v", err)
	}
	sinktest.Put(t, opened(Options{Overwrite: Always}), "", sinktest.Entry("a", tree.File), "whole")
	for _, name := range []string{"a", "b"} {
		if got := read(t, filepath.Join(dir, name)); got != "whole" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestACallThatFailsLeavesNoWrongFile lets each call of the target's file system fail once, one after the other: the
// failure is reported, and what has the looks of a finished file is one.
func TestACallThatFailsLeavesNoWrongFile(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("content of some length ", 1000)
	for name, open := range map[string]func(dir string) (sink.Sink, error){
		"system":   func(dir string) (sink.Sink, error) { return New(dir, Options{NoSync: true}) },
		"portable": func(dir string) (sink.Sink, error) { return newPortable(dir, Options{NoSync: true}, &losses{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			double := faultfs.Mount(t, t.TempDir())
			hits := 0
			for _, op := range []string{"create", "mkdir", "write", "setattr", "rename", "flush", "link", "symlink"} {
				for n := 1; n < 50; n++ {
					dir := filepath.Join(double.Dir, op+strings.Repeat("x", n))
					if err := os.Mkdir(dir, 0o700); err != nil {
						t.Fatal(err)
					}
					s, err := open(dir)
					if err != nil {
						t.Fatal(err)
					}
					var count atomic.Int64
					double.SetRule(func(c faultfs.Call) syscall.Errno {
						if c.Op == op && count.Add(1) == int64(n) {
							return syscall.EIO
						}
						return 0
					})
					failed := restoreSome(s, content)
					double.SetRule(nil)
					if count.Load() < int64(n) {
						break
					}
					hits++
					if !failed {
						t.Errorf("%s %d failed and nobody says so", op, n)
					}
					checkWhole(t, dir, content)
				}
			}
			if hits < 10 {
				t.Errorf("%d calls failed: the test shows nothing", hits)
			}
		})
	}
}

// restoreSome restores a small tree and tells whether anything failed.
func restoreSome(s sink.Sink, content string) (failed bool) {
	note := func(err error) { failed = failed || err != nil }
	d := sinktest.Entry("d", tree.Dir)
	note(sinktest.TryPut(s, "", d, ""))
	note(sinktest.TryPut(s, "d", sinktest.Entry("f", tree.File), content))
	note(sinktest.TryPut(s, "d", sinktest.Entry("g", tree.File), content))
	note(s.Link(context.Background(), nil, sinktest.Entry("h", tree.File), []byte("d"), []byte("f")))
	note(sinktest.TryPut(s, "", sinktest.Entry("l", tree.Symlink), ""))
	note(s.Close(context.Background()))
	return failed
}

// checkWhole looks for files that seem to be finished and are not.
func checkWhole(t *testing.T, dir, content string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), tempPrefix) {
			return err
		}
		st := stat(t, path)
		if st.Mode&0o7777 == unfinishedFile {
			return nil
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != content {
			t.Errorf("%s has mode %o and %d bytes, %v", path, st.Mode, len(b), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
