package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/process"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/storetest"
)

// open opens a store in a folder. At the test's end it is closed and must have left no temporary file.
func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	s.patience = time.Hour // a test waits for what it left, however slow the machine
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if left := temps(t, dir); len(left) > 0 {
			t.Errorf("temporary files are left: %q", left)
		}
	})
	return s
}

func temps(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, tempDir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir(), Options{}) })
}

func TestConformanceWithoutDirectIO(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir(), Options{Direct: DirectNever}) })
}

// lacking returns the system's calls without those named.
func lacking(calls ...string) system {
	sys := kernel
	for _, c := range calls {
		switch c {
		case "link":
			sys.link = func(folder, string, string) error { return syscall.EPERM }
		case "noReplace":
			sys.noReplace = func(*os.File, string, *os.File, string) error { return syscall.EINVAL }
		case "sync":
			sys.syncData = func(*os.File) error { return syscall.EINVAL }
			sys.syncDir = func(*os.File) error { return syscall.EINVAL }
			sys.syncAll = func(*os.File) error { return syscall.ENOSYS }
		case "direct":
			sys.setDirect = func(*os.File, bool) error { return syscall.EINVAL }
		}
	}
	return sys
}

func TestConformanceOfSystemsThatLackACall(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs unix error numbers")
	}
	for name, c := range map[string]struct {
		sys    system
		atomic bool
	}{
		"links":                     {lacking("link"), runtime.GOOS == "linux" || runtime.GOOS == "darwin"},
		"rename without replacing":  {lacking("noReplace"), true},
		"every atomic way to name":  {lacking("link", "noReplace"), false},
		"every sync and direct I/O": {lacking("sync", "direct"), true},
		"all":                       {lacking("link", "noReplace", "sync", "direct"), false},
	} {
		if slow && name != "all" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) store.Store {
				s := open(t, t.TempDir(), Options{Direct: DirectTry})
				s.sys = c.sys
				var p store.PutIfAbsenter
				if got := store.As(store.Store(s), &p); got != c.atomic {
					t.Fatalf("create-if-absent offered: %v, want %v", got, c.atomic)
				}
				return s
			})
		})
	}
}

func TestACallThatReplacesOrIgnoresATakenNameIsNotTrusted(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), Options{})
	s.sys.link = func(folder, string, string) error { return nil }
	s.sys.noReplace = func(from *os.File, old string, to *os.File, name string) error {
		return os.Rename(filepath.Join(s.dir, tempDir, old), filepath.Join(s.dir, tempDir, name))
	}
	var p store.PutIfAbsenter
	if store.As(store.Store(s), &p) {
		t.Error("create-if-absent is offered")
	}
}

func TestReadingWritesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if err := s.List(t.Context(), "", func(store.Info) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(t.Context(), "a"); !errors.Is(err, errs.NotFound) {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestOpenTellsWhatIsWrongAndWhatToDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "none"), file} {
		_, err := Open(t.Context(), path, Options{})
		if !errors.Is(err, errs.NoRepository) || errs.Hint(err) == "" || !strings.Contains(err.Error(), path) {
			t.Errorf("open %s: %v (hint %q)", path, err, errs.Hint(err))
		}
	}
	s := open(t, filepath.Join(dir, "a", "b"), Options{Create: true})
	if err := s.Put(t.Context(), "x", store.Bytes("x")); err != nil {
		t.Error(err)
	}
}

func TestModesKeepOthersOut(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs unix modes")
	}
	dir := filepath.Join(t.TempDir(), "repo")
	s := open(t, dir, Options{Create: true})
	if err := s.Put(t.Context(), "data/0/a", store.Bytes("x")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{
		".": os.ModeDir | 0o700, "data": os.ModeDir | 0o700, "data/0": os.ModeDir | 0o700, tempDir: os.ModeDir | 0o700, "data/0/a": 0o400,
	} {
		if st, err := os.Lstat(filepath.Join(dir, name)); err != nil || st.Mode() != want {
			t.Errorf("%s has mode %v (%v), want %v", name, st.Mode(), err, want)
		}
	}
}

func TestForeignFilesAreNoObjects(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if err := s.Put(t.Context(), "data/a", store.Bytes("x")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".DS_Store", "data/Thumbs.db", "data/a~", "data/b c"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", filepath.Join(dir, "data", "link")); err != nil {
		t.Skipf("needs symbolic links: %v", err)
	}
	if _, err := s.Stat(t.Context(), "data/link"); !errors.Is(err, errs.NotFound) {
		t.Errorf("stat of a symbolic link: %v", err)
	}
	var got []string
	if err := s.List(t.Context(), "", func(i store.Info) error { got = append(got, i.Name); return nil }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []string{"data/a"}) {
		t.Errorf("list = %q", got)
	}
}

func TestAFolderThatIsGoneOrReplacedIsAnError(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs a system that moves open folders")
	}
	dir := filepath.Join(t.TempDir(), "repo")
	s, err := Open(t.Context(), dir, Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() // it is gone
	if err := os.Rename(dir, dir+".moved"); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"gone", "replaced"} {
		if state == "replaced" {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		_, serr := s.Stat(t.Context(), "data/a")
		lerr := s.List(t.Context(), "data/", func(store.Info) error { return nil })
		for what, err := range map[string]error{"stat": serr, "list": lerr, "delete": s.Delete(t.Context(), "data/a"), "flush": s.Flush(t.Context())} {
			if !errors.Is(err, errs.Unreachable) || errors.Is(err, errs.NotFound) || errs.Hint(err) == "" {
				t.Errorf("%s where the folder is %s: %v", what, state, err)
			}
		}
	}
	// It still stands somewhere, so it takes what is put there; deleted, it takes nothing.
	if err := os.RemoveAll(dir + ".moved"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stream(t.Context()); !errors.Is(err, errs.Unreachable) || errors.Is(err, errs.NotFound) || errs.Hint(err) == "" {
		t.Errorf("begin an object where the folder is deleted: %v", err)
	}
}

func TestLeftoversOfDeadProcessesAreCleanedAndNobodyElses(t *testing.T) {
	t.Parallel()
	me := process.Self()
	if me.Machine == "" || me.Boot == "" {
		t.Skip("needs a system that tells processes apart")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe, "-test.run=^$")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	dead, earlier, elsewhere, space := me, me, me, me
	dead.PID, dead.Start = uint64(child.Process.Pid), me.Start+1
	earlier.Boot = "0b00e1ce-0000-0000-0000-000000000000"
	elsewhere.Machine = "0123456789abcdef0123456789abcdef"
	elsewhere.PID = dead.PID
	space.Namespace, space.PID = "pid:[1]", dead.PID
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, tempDir), 0o700); err != nil {
		t.Fatal(err)
	}
	keep := []string{tempName(me, 1<<40), tempName(elsewhere, 1), tempName(space, 1), "foreign", "a.b.c.d.e.f", "0.0.0.0.0.1"}
	for _, name := range append(slices.Clone(keep), tempName(dead, 1)) {
		if err := os.WriteFile(filepath.Join(dir, tempDir, name), []byte("half"), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "a", store.Bytes("a")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(keep)
	if got := temps(t, dir); !slices.Equal(got, keep) {
		t.Errorf("left are %q, want %q", got, keep)
	}
	if !leftover(tempName(earlier, 1), me, true) || leftover(tempName(earlier, 1), me, false) {
		t.Error("an earlier boot's file goes on this machine's own disk only")
	}
}

func TestAFullDiskIsSaidAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, after := range []int{0, 1, 3} {
		s := open(t, t.TempDir(), Options{})
		writes := 0
		s.sys.write = func(f *os.File, p []byte) (int, error) {
			if writes++; writes > after {
				n, _ := f.Write(p[:len(p)/2]) // a full disk takes a part
				return n, &os.PathError{Op: "write", Path: f.Name(), Err: diskFull()}
			}
			return f.Write(p)
		}
		data := make([]byte, 3<<20+500)
		err := s.Put(t.Context(), "data/a", store.Bytes(data))
		if !errors.Is(err, errs.Full) || errs.Hint(err) == "" {
			t.Errorf("after %d writes: put = %v", after, err)
		}
		if _, err := s.Stat(t.Context(), "data/a"); !errors.Is(err, errs.NotFound) {
			t.Errorf("after %d writes: stat = %v", after, err)
		}
		s.sys.write = kernel.write
		if err := s.Put(t.Context(), "data/a", store.Bytes(data)); err != nil {
			t.Errorf("with room again: %v", err)
		}
	}
}

// diskFull is what the system says; Go's ENOSPC for Windows is a number of its own, which Windows never says.
func diskFull() syscall.Errno {
	if runtime.GOOS == "windows" {
		return 112 // ERROR_DISK_FULL
	}
	return syscall.ENOSPC
}

func TestAFailedSyncOfAFileDropsTheObject(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), Options{})
	s.sys.syncData = func(*os.File) error { return syscall.EIO }
	if err := s.Put(t.Context(), "data/a", store.Bytes("x")); !errors.Is(err, syscall.EIO) {
		t.Errorf("put = %v", err)
	}
	if _, err := s.Stat(t.Context(), "data/a"); !errors.Is(err, errs.NotFound) {
		t.Errorf("stat = %v", err)
	}
}

func TestAFailedSyncOfAFolderFailsEveryLaterFlush(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), Options{})
	if err := s.Put(t.Context(), "data/a", store.Bytes("x")); err != nil {
		t.Fatal(err)
	}
	s.sys.syncDir = func(*os.File) error { return syscall.EIO }
	if err := s.Flush(t.Context()); !errors.Is(err, syscall.EIO) {
		t.Errorf("flush = %v", err)
	}
	s.sys.syncDir = kernel.syncDir
	if err := s.Flush(t.Context()); !errors.Is(err, syscall.EIO) {
		t.Errorf("the next flush = %v: the kernel may have dropped what it should have saved", err)
	}
}

func TestWhatAnotherProcessLeftIsMadeDurableOnceItWasSeen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := open(t, dir, Options{}).Put(t.Context(), "data/dead/a", store.Bytes("x")); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{}) // the first one never flushed
	var synced []string
	s.sys.syncDir = func(f *os.File) error { synced = append(synced, f.Name()); return nil }
	if _, err := s.Stat(t.Context(), "data/dead/a"); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(synced) != 3 {
		t.Errorf("synced %q, not the folder of the pack and the two above", synced)
	}
}

func TestACallThatHangsDoesNotHoldItsCaller(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), Options{})
	hang, hangs := make(chan struct{}), make(chan struct{}, 2)
	s.sys.syncData = func(*os.File) error { hangs <- struct{}{}; <-hang; return nil }
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-hangs; cancel() }()
	if err := s.Put(ctx, "data/a", store.Bytes("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("put = %v", err)
	}
	close(hang) // the end of the test checks that the abandoned call has cleaned up
}

func TestCloseDoesNotWaitForEverForACallThatHangs(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.patience = time.Millisecond
	hang, hangs := make(chan struct{}), make(chan struct{}, 2)
	s.sys.syncDir = func(*os.File) error { hangs <- struct{}{}; <-hang; return nil }
	if err := s.Put(t.Context(), "data/a", store.Bytes("x")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-hangs; cancel() }()
	if err := s.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("flush = %v", err)
	}
	err = s.Close()
	if !errors.Is(err, errs.Unreachable) || errs.Hint(err) == "" {
		t.Errorf("close = %v", err)
	}
	close(hang)
	s.busy.Wait()
	// The handles are let go once the call has come back.
	for {
		f, err := s.root.open(".")
		if errors.Is(err, os.ErrClosed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
}

func TestOpenEndsWithItsContextThoughACallHangs(t *testing.T) {
	t.Parallel()
	sys := kernel
	hang, hangs := make(chan struct{}), make(chan struct{}, 8)
	sys.syncDir = func(*os.File) error { hangs <- struct{}{}; <-hang; return nil }
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-hangs; cancel() }()
	if _, err := openBy(ctx, filepath.Join(t.TempDir(), "a"), Options{Create: true}, sys); !errors.Is(err, context.Canceled) {
		t.Errorf("open = %v", err)
	}
	close(hang)
}

func TestTheNamesOfFoldersThatOpenMakesAreDurable(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	var synced []string
	sys := kernel
	sys.syncDir = func(f *os.File) error { synced = append(synced, f.Name()); return nil }
	create := func(dir string, sys system) error {
		s, err := openBy(t.Context(), dir, Options{Create: true}, sys)
		if err != nil {
			return err
		}
		return s.Close()
	}
	if err := create(filepath.Join(top, "a", "b", "c"), sys); err != nil {
		t.Fatal(err)
	}
	if want := []string{top, filepath.Join(top, "a"), filepath.Join(top, "a", "b")}; !slices.Equal(synced, want) {
		t.Errorf("synced %q, want %q", synced, want)
	}
	synced = nil
	if err := create(filepath.Join(top, "a"), sys); err != nil || !slices.Equal(synced, []string{top}) {
		t.Errorf("a folder that is there: synced %q, %v", synced, err)
	}
	sys.syncDir = func(*os.File) error { return syscall.EIO }
	if err := create(filepath.Join(top, "d"), sys); !errors.Is(err, syscall.EIO) {
		t.Errorf("a name that cannot be made durable: %v", err)
	}
	all := 0
	var refusal error = syscall.EINVAL
	if runtime.GOOS == "windows" {
		refusal = errors.ErrUnsupported
	}
	sys.syncDir = func(*os.File) error { return refusal }
	sys.syncAll = func(*os.File) error { all++; return nil }
	if err := create(filepath.Join(top, "e", "f"), sys); err != nil || all != 2 {
		t.Errorf("a system that syncs no folder: %v after %d syncs of all", err, all)
	}
}

func TestAnObjectThatWasCutEndsUnexpectedly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if err := s.Put(t.Context(), "a", store.Bytes(make([]byte, 100000))); err != nil {
		t.Fatal(err)
	}
	err := s.Get(t.Context(), "a", store.Range{}, func(r io.Reader) error {
		if _, err := io.CopyN(io.Discard, r, 10); err != nil {
			return err
		}
		path := filepath.Join(dir, "a")
		if err := errors.Join(os.Chmod(path, 0o600), os.Truncate(path, 50000)); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, r)
		return err
	})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("get = %v", err)
	}
}

func TestAnEmptyFolderGoesWithItsLastObject(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	for i := range 2 {
		if err := s.Put(t.Context(), fmt.Sprintf("data/s/%d", i), store.Bytes("x")); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []bool{true, false} {
		if err := s.Delete(t.Context(), fmt.Sprintf("data/s/%d", i)); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "data", "s")); (err == nil) != want {
			t.Errorf("after %d deletions: %v", i+1, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder above: %v", err)
	}
}

func BenchmarkLocal(b *testing.B) {
	for name, d := range map[string]Direct{"direct": DirectAuto, "buffered": DirectNever} {
		b.Run(name, func(b *testing.B) {
			storetest.Bench(b, func(b *testing.B) store.Store { return open(b, b.TempDir(), Options{Direct: d}) })
		})
	}
}
