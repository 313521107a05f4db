package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/storetest"
	"github.com/nacre-backup/nacre/internal/testkit/faultfs"
)

func TestConformanceOnFileSystemsThatLackACall(t *testing.T) {
	t.Parallel()
	mount := faultfs.Mount(t, t.TempDir())
	for _, c := range []struct {
		name   string
		rule   faultfs.Rule
		atomic bool
		direct Direct
	}{
		{"direct writes are tried", nil, true, DirectTry},
		{"direct writes are refused", func(c faultfs.Call) syscall.Errno {
			if c.Direct {
				return syscall.EINVAL
			}
			return 0
		}, true, DirectTry},
		{"hard links (EPERM)", faultfs.Refuse(syscall.EPERM, "link"), true, DirectAuto},
		{"rename without replacing (EINVAL)", faultfs.Refuse(syscall.EINVAL, "rename2"), true, DirectAuto},
		{"both", faultfs.Refuse(syscall.EPERM, "link", "rename2"), false, DirectAuto},
		{"sync of folders (ENOENT, as SMB says)", faultfs.Refuse(syscall.ENOENT, "fsyncdir"), true, DirectAuto},
		{"sync of files", faultfs.Refuse(syscall.EINVAL, "fsync"), true, DirectAuto},
		{"everything that can be", faultfs.Refuse(syscall.EPERM, "link", "rename2", "fsync", "fsyncdir", "setattr", "xattr", "statfs"), false, DirectTry},
	} {
		if slow && c.atomic {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			mount.SetRule(c.rule)
			storetest.Run(t, func(t *testing.T) store.Store {
				dir := filepath.Join(mount.Dir, fmt.Sprint(counter.Add(1)))
				s := open(t, dir, Options{Create: true, Direct: c.direct})
				var p store.PutIfAbsenter
				if got := store.As(store.Store(s), &p); got != c.atomic {
					t.Fatalf("create-if-absent offered: %v, want %v", got, c.atomic)
				}
				return s
			})
		})
	}
}

// script uses a store once in each way and returns the names that it was told are stored, with their sizes.
func script(t *testing.T, s *Store) map[string]int64 {
	told := map[string]int64{}
	data := make([]byte, 1<<20+77)
	for i := range 2 {
		name := fmt.Sprintf("data/%d/put", i)
		if s.Put(t.Context(), name, store.Bytes(data[:700])) == nil {
			told[name] = 700
		}
	}
	if w, err := s.Stream(t.Context()); err == nil {
		if _, err := w.Write(data); err != nil {
			_ = w.Abort() // the fault may strike here too
		} else if w.Commit(t.Context(), "data/0/stream") == nil {
			told["data/0/stream"] = int64(len(data))
		}
	}
	if s.PutIfAbsent(t.Context(), "fates/0/a", store.Bytes("fate")) == nil {
		told["fates/0/a"] = 4
	}
	_ = s.Flush(t.Context()) // what it says is judged by the sync tests
	return told
}

// mustBeWhole fails unless the store, asked without faults, holds what was told and nothing that is not whole.
func mustBeWhole(t *testing.T, s *Store, told map[string]int64) {
	t.Helper()
	sizes := map[string]int64{"data/0/put": 700, "data/1/put": 700, "data/0/stream": 1<<20 + 77, "fates/0/a": 4}
	seen := map[string]bool{}
	if err := s.List(t.Context(), "", func(i store.Info) error {
		seen[i.Name] = true
		if i.Size != sizes[i.Name] {
			t.Errorf("%s has %d bytes, want %d", i.Name, i.Size, sizes[i.Name])
		}
		return nil
	}); err != nil {
		t.Errorf("list: %v", err)
	}
	for name := range told {
		if !seen[name] {
			t.Errorf("%s was stored and is not there", name)
		}
	}
}

func TestEachCallThatFailsOnceLeavesOnlyWholeObjects(t *testing.T) {
	t.Parallel()
	mount := faultfs.Mount(t, t.TempDir())
	ops := []string{
		"lookup", "getattr", "mkdir", "unlink", "rmdir", "rename", "rename2", "link", "create", "open", "read", "write", "flush", "fsync",
		"opendir", "readdir", "fsyncdir", "statfs",
	}
	step := 1
	if slow {
		step = 5
	}
	errnos := []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EACCES}
	for i, op := range ops {
		for n := 1; ; n += step {
			errno := errnos[(i+n)%len(errnos)]
			mount.SetRule(nil)
			dir := filepath.Join(mount.Dir, fmt.Sprint(counter.Add(1)))
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			var fired atomic.Bool
			mount.SetRule(func(c faultfs.Call) syscall.Errno {
				if c.Op == op && c.N == n {
					fired.Store(true)
					return errno
				}
				return 0
			})
			s, err := Open(t.Context(), dir, Options{})
			told := map[string]int64{}
			if err == nil {
				told = script(t, s)
				_ = s.Close() // a fault may strike here too
			}
			hit := fired.Load()
			mount.SetRule(nil)
			s, err = Open(t.Context(), dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			mustBeWhole(t, s, told)
			if again := script(t, s); len(again) != 4 && len(again)+len(told) < 4 {
				t.Errorf("after the fault only %d objects could be stored", len(again))
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if t.Failed() {
				t.Fatalf("%v of call %d of %s", errno, n, op)
			}
			if !hit {
				break
			}
		}
	}
}

func TestAReadThatFailsIsNeverAnEmptyAnswer(t *testing.T) {
	t.Parallel()
	mount := faultfs.Mount(t, t.TempDir())
	s := open(t, mount.Dir, Options{})
	told := script(t, s)
	if len(told) != 4 {
		t.Fatalf("stored %v", told)
	}
	for _, op := range []string{"lookup", "getattr", "open", "read", "opendir", "readdir"} {
		for n := 1; ; n++ {
			var fired atomic.Bool
			mount.SetRule(func(c faultfs.Call) syscall.Errno {
				if c.Op == op && c.N >= n {
					fired.Store(true)
					return syscall.EIO
				}
				return 0
			})
			count := 0
			if err := s.List(t.Context(), "", func(store.Info) error { count++; return nil }); err == nil && count != 4 {
				t.Errorf("%s fails from call %d: a listing of %d names", op, n, count)
			}
			for name, size := range told {
				if i, err := s.Stat(t.Context(), name); errors.Is(err, errs.NotFound) || err == nil && i.Size != size {
					t.Errorf("%s fails from call %d: stat %s = %+v, %v", op, n, name, i, err)
				}
				var got int64
				err := s.Get(t.Context(), name, store.Range{}, func(r io.Reader) (err error) {
					got, err = io.Copy(io.Discard, r)
					return err
				})
				if errors.Is(err, errs.NotFound) || err == nil && got != size {
					t.Errorf("%s fails from call %d: get %s = %d bytes, %v", op, n, name, got, err)
				}
			}
			if !fired.Load() || n > 60 {
				break
			}
		}
	}
	mount.SetRule(nil)
}

func TestAMountThatGoesAwayIsAnError(t *testing.T) {
	t.Parallel()
	mount := faultfs.Mount(t, t.TempDir())
	s, err := Open(t.Context(), mount.Dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := script(t, s); len(got) != 4 {
		t.Fatalf("stored %v", got)
	}
	calls := map[string]func() error{
		"list":   func() error { return s.List(t.Context(), "data/", func(store.Info) error { return nil }) },
		"stat":   func() error { _, err := s.Stat(t.Context(), "data/0/none"); return err },
		"get":    func() error { return s.Get(t.Context(), "none", store.Range{}, func(io.Reader) error { return nil }) },
		"delete": func() error { return s.Delete(t.Context(), "data/0/none") },
		"flush":  func() error { return s.Flush(t.Context()) },
	}
	for _, gone := range []string{"detached", "dead"} {
		if gone == "detached" {
			mount.Detach()
		} else {
			mount.SetRule(func(faultfs.Call) syscall.Errno { return syscall.ENOTCONN })
			calls["put"] = func() error { return s.Put(t.Context(), "data/0/new", store.Bytes("x")) }
		}
		for what, call := range calls {
			if err := call(); !errors.Is(err, errs.Unreachable) || errors.Is(err, errs.NotFound) {
				t.Errorf("%s on a %s mount: %v", what, gone, err)
			} else if errs.Hint(err) == "" {
				t.Errorf("%s on a %s mount: no hint", what, gone)
			}
		}
	}
	_ = s.Close() // the mount answers no more
}

func TestFlushSyncsEveryFolderThatGotAName(t *testing.T) {
	t.Parallel()
	mount := faultfs.Mount(t, t.TempDir())
	s := open(t, mount.Dir, Options{})
	mount.SetRule(nil)
	if got := script(t, s); len(got) != 4 {
		t.Fatalf("stored %v", got)
	}
	unsynced := map[string]bool{} // folders with names that a power cut would take
	synced := map[string]bool{}   // files whose bytes are safe
	for _, c := range mount.Trace() {
		switch c.Op {
		case "mkdir", "link", "rename", "rename2":
			if c.Op != "mkdir" && filepath.Dir(c.Path) != tempDir {
				unsynced[path.Dir(c.Path)] = true
			}
			if c.Op == "mkdir" && c.Path != tempDir {
				unsynced[path.Dir(c.Path)] = true
			}
		case "write":
			delete(synced, c.Path)
		case "fsync":
			synced[c.Path] = true
		case "fsyncdir":
			delete(unsynced, c.Path)
		}
	}
	if len(unsynced) > 0 {
		t.Errorf("folders that were not synced: %v", unsynced)
	}
	if len(synced) != 4 {
		t.Errorf("files that were synced after their last write: %v", synced)
	}
}

func TestInterruptedCallsAreMadeAgain(t *testing.T) {
	t.Parallel()
	mount := faultfs.Mount(t, t.TempDir())
	s := open(t, mount.Dir, Options{})
	for _, op := range []string{"create", "open", "read", "write", "fsync", "fsyncdir", "link", "rename2", "mkdir", "opendir", "readdir", "getattr", "lookup"} {
		mount.SetRule(func(c faultfs.Call) syscall.Errno {
			if c.Op == op && (c.N == 1 || c.N == 2 || c.N == 4 || c.N == 7 || c.N == 11) {
				return syscall.EINTR
			}
			return 0
		})
		name := "data/" + op + "/a"
		if err := s.Put(t.Context(), name, store.Bytes(op)); err != nil {
			t.Errorf("%s interrupted: put: %v", op, err)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Errorf("%s interrupted: flush: %v", op, err)
		}
		if got, err := store.ReadAll(t.Context(), s, name, 100); err != nil || string(got) != op {
			t.Errorf("%s interrupted: get = %q, %v", op, got, err)
		}
		n := 0
		if err := s.List(t.Context(), "data/"+op+"/", func(store.Info) error { n++; return nil }); err != nil || n != 1 {
			t.Errorf("%s interrupted: list: %d names, %v", op, n, err)
		}
	}
}
