package osfile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/osfile"
)

func TestErrorsOfTheSystemGetTheirKind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, missing := os.Stat(filepath.Join(dir, "none"))
	exists := os.Mkdir(dir, 0o700)
	for what, c := range map[string]struct{ err, kind error }{
		"a missing file": {missing, errs.NotFound},
		"a taken name":   {exists, errs.Exists},
		"a wrapped one":  {fmt.Errorf("open: %w", missing), errs.NotFound},
		"a refusal":      {&fs.PathError{Op: "open", Err: fs.ErrPermission}, errs.Denied},
	} {
		got := osfile.Classify(c.err)
		if !errors.Is(got, c.kind) || got.Error() != c.err.Error() || !errors.Is(got, c.err) {
			t.Errorf("%s: %v has not kind %v, or another text", what, got, c.kind)
		}
	}
	own := errors.New("own")
	if osfile.Classify(nil) != nil || osfile.Classify(own) != own { //nolint:errorlint // as it is
		t.Error("what is no error of the system is changed")
	}
	if osfile.Unsupported(nil) || osfile.Unsupported(missing) || !osfile.Unsupported(errors.ErrUnsupported) {
		t.Error("a missing file or nothing counts as a refusal, or ErrUnsupported does not")
	}
}

func TestARenameWithoutReplacingRefusesATakenName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, n := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, n), []byte(n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() // opened for reading
	err = osfile.RenameNoReplace(d, "a", d, "b")
	if osfile.Unsupported(err) {
		t.Skipf("needs a system that renames without replacing: %v", err)
	}
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("rename to a taken name: %v", err)
	}
	if err := osfile.RenameNoReplace(d, "a", d, "c"); err != nil {
		t.Errorf("rename to a free name: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "c")); string(b) != "a" {
		t.Errorf("c holds %q, %v", b, err)
	}
}

func TestFilesAndFoldersSync(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // of no interest here
	if _, err := f.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() // opened for reading
	for what, err := range map[string]error{
		"flush": osfile.Flush(f, 0, 1), "data": osfile.SyncData(f), "folder": osfile.SyncDir(d), "all": osfile.SyncAll(d), "cache": osfile.DropCache(f),
	} {
		if err != nil && !osfile.Unsupported(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if runtime.GOOS == "linux" {
		if n, err := osfile.Free(f); err != nil || n <= 0 {
			t.Errorf("free space: %d, %v", n, err)
		}
	}
	_ = osfile.LocalDisk(f) // either answer is right here
}

func TestAlignedMemoryIsAligned(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 511, 4096, 1 << 20} {
		b := osfile.Aligned(n)
		if len(b) != n || cap(b) != n || uintptr(unsafe.Pointer(&b[0]))%osfile.BlockSize != 0 {
			t.Errorf("%d bytes: length %d, capacity %d, at %p", n, len(b), cap(b), &b[0])
		}
	}
}

func TestInterruptedCallsAreMadeAgain(t *testing.T) {
	t.Parallel()
	own := errors.New("own")
	n := 0
	if err := osfile.Again(func() error { n++; return own }); err != own || n != 1 { //nolint:errorlint // as it is
		t.Errorf("%v after %d calls", err, n)
	}
}
