package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

func TestPathsGoToWindowsAsTheyAre(t *testing.T) {
	t.Parallel()
	for p, want := range map[string]string{
		`C:\`: `\\?\C:\`, `C:\a.\b`: `\\?\C:\a.\b`, `\\server\share\a`: `\\?\UNC\server\share\a`, `\\?\C:\a`: `\\?\C:\a`,
		`\\.\pipe\a`: `\\.\pipe\a`, ``: ``, `a`: `a`,
	} {
		if got := verbatim(p); got != want {
			t.Errorf("%q becomes %q, want %q", p, got, want)
		}
	}
}

func TestARootIsTheSameHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for p, want := range map[string]string{
		`c:\a`: `C:\a`, `C:/a/`: `C:\a`, `\\?\c:\a`: `C:\a`, `\\?\UNC\server\share\a`: `\\server\share\a`,
		`\\server\share\a`: `\\server\share\a`,
	} {
		if got, err := (&Options{}).absolute(p); got != want || err != nil {
			t.Errorf("%s is %s, %v, want %s", p, got, err, want)
		}
	}
}

// items walks a root and returns what lies directly in it.
func items(t *testing.T, root string) (*Source, map[string]*source.Item) {
	t.Helper()
	s := open(t, Options{Roots: []string{root}})
	v := walkAll(t, s)
	if len(v.errs) > 0 {
		t.Fatal(v.errs)
	}
	all := map[string]*source.Item{}
	for p, it := range v.entries {
		if rel, ok := strings.CutPrefix(p, top(root)); ok {
			all[rel] = it
		}
	}
	return s, all
}

func readAll(t *testing.T, s *Source, it *source.Item) string {
	t.Helper()
	f, err := s.Open(context.Background(), it)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.NewSectionReader(f, 0, int64(it.Entry.Size)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNamesThatWindowsTakesForOthersAreReadAsTheyAre(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	exact := verbatim(root)
	names := []string{"a", "a.", "a ", "a..", "NUL", "con.txt", "COM1"}
	for _, n := range names {
		write(t, exact+`\`+n, "the content of "+n)
	}
	long := exact
	for range 4 {
		long += `\` + strings.Repeat("ü", 100)
		if err := os.Mkdir(long, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, long+`\end`, "far away")
	s, all := items(t, root)
	for _, n := range names {
		if it := all[n]; it == nil || it.Entry.ErrClass != tree.ErrNone || it.Entry.Type != tree.File {
			t.Errorf("%q: %+v", n, it)
		} else if got := readAll(t, s, it); got != "the content of "+n {
			t.Errorf("%q holds %q", n, got)
		}
	}
	end := filepath.ToSlash(strings.TrimPrefix(long, exact+`\`)) + "/end"
	if it := all[end]; it == nil || readAll(t, s, it) != "far away" {
		t.Errorf("the file with the long path: %+v", it)
	}
	// The names cannot be removed but in the same form.
	if err := os.RemoveAll(exact); err != nil {
		t.Error(err)
	}
}

func TestWhatWindowsTellsOfAFileIsTaken(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, n := range []string{"plain", "fixed", "hidden", "one"} {
		write(t, filepath.Join(root, n), n)
	}
	if err := os.Link(filepath.Join(root, "one"), filepath.Join(root, "two")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for n, a := range map[string]uint32{
		"fixed": windows.FILE_ATTRIBUTE_READONLY, "hidden": windows.FILE_ATTRIBUTE_HIDDEN | windows.FILE_ATTRIBUTE_SYSTEM,
	} {
		if err := windows.SetFileAttributes(windows.StringToUTF16Ptr(filepath.Join(root, n)), a); err != nil {
			t.Fatal(err)
		}
	}
	stamp := time.Unix(1_500_000_000, 123_456_700)
	if err := os.Chtimes(filepath.Join(root, "plain"), stamp, stamp); err != nil {
		t.Fatal(err)
	}
	s, all := items(t, root)
	for n, mode := range map[string]uint32{"plain": 0o644, "fixed": 0o444, "hidden": 0o644, "dir": 0o755} {
		if e := all[n].Entry; e.Mode != mode {
			t.Errorf("%s has the mode %o, want %o", n, e.Mode, mode)
		}
	}
	plain, one, two := all["plain"], all["one"], all["two"]
	if m := plain.Entry.ModTime; m.Sec != stamp.Unix() || m.Nsec != uint32(stamp.Nanosecond()) {
		t.Errorf("modification time %+v", m)
	}
	if plain.Entry.ChangeTime.IsZero() || plain.Entry.BirthTime.IsZero() || plain.Entry.FS == "" {
		t.Errorf("times and file system of a file: %+v", plain.Entry)
	}
	if one.LinkID == "" || one.LinkID != two.LinkID || one.Entry.Nlink != 2 || plain.LinkID != "" || plain.Entry.Nlink != 1 {
		t.Errorf("link ids %q, %q, of another file %q", one.LinkID, two.LinkID, plain.LinkID)
	}
	if strings.HasPrefix(plain.Entry.FS, "NTFS:") && (plain.Entry.Inode == 0 || plain.Entry.Inode == one.Entry.Inode) {
		t.Errorf("inodes %d, %d", plain.Entry.Inode, one.Entry.Inode)
	}
	for n, flags := range map[string]uint32{"plain": 0, "hidden": tree.FlagHidden | tree.FlagSystem} {
		if err := s.Describe(context.Background(), all[n]); err != nil || all[n].Entry.FSFlags != flags {
			t.Errorf("%s: flags %#x, %v", n, all[n].Entry.FSFlags, err)
		}
	}
}

func TestAFileThatAnotherProgramKeepsForItselfIsAnErrorOfAccess(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	name := filepath.Join(root, "kept")
	write(t, name, "x")
	h, err := windows.CreateFile(windows.StringToUTF16Ptr(name), windows.GENERIC_READ, 0, nil, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer windows.CloseHandle(h) //nolint:errcheck // it was only read
	s, all := items(t, root)
	it := all["kept"]
	if it == nil || it.Entry.ErrClass != tree.ErrNone || it.Entry.Size != 1 {
		t.Fatalf("looked up: %+v", it)
	}
	if _, err := s.Open(context.Background(), it); s.ErrClass(err) != tree.ErrAccess {
		t.Errorf("open: %v, of class %d", err, s.ErrClass(err))
	}
}

func TestAFileThatIsBeingReadCanBeRemoved(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	name := filepath.Join(root, "f")
	write(t, name, "x")
	s, all := items(t, root)
	f, err := s.Open(context.Background(), all["f"])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// reparse is what package os tells of a reparse point.
type reparse struct {
	fs.FileInfo
	mode fs.FileMode
	sys  syscall.Win32FileAttributeData
}

func (r *reparse) Mode() fs.FileMode  { return r.mode }
func (r *reparse) ModTime() time.Time { return time.Unix(1, 0) }
func (r *reparse) Size() int64        { return 0 }
func (r *reparse) Sys() any           { return &r.sys }

func TestJunctionsAreLinksAndPlaceholdersAreFiles(t *testing.T) {
	t.Parallel()
	for attributes, want := range map[uint32]tree.Type{windows.FILE_ATTRIBUTE_DIRECTORY: tree.Symlink, 0: tree.File} {
		var r rec
		r.fromInfo(&reparse{
			mode: fs.ModeIrregular | 0o666,
			sys:  syscall.Win32FileAttributeData{FileAttributes: attributes | windows.FILE_ATTRIBUTE_REPARSE_POINT},
		})
		if r.typ != want {
			t.Errorf("attributes %#x: type %d, want %d", attributes, r.typ, want)
		}
	}
}

func TestErrorsOfWindowsHaveAClass(t *testing.T) {
	t.Parallel()
	for no, want := range map[windows.Errno]tree.ErrClass{
		windows.ERROR_LOCK_VIOLATION: tree.ErrAccess, windows.ERROR_ACCESS_DENIED: tree.ErrAccess, windows.ERROR_CRC: tree.ErrIO,
		windows.ERROR_FILE_NOT_FOUND: tree.ErrVanished, windows.ERROR_NOT_READY: tree.ErrMount, windows.ERROR_INVALID_DATA: tree.ErrOther,
	} {
		if got := ErrClass(&fs.PathError{Op: "open", Err: no}); got != want {
			t.Errorf("%v: class %d, want %d", no, got, want)
		}
	}
	if errors.Is(windows.ERROR_SHARING_VIOLATION, fs.ErrPermission) {
		t.Error("package os knows sharing violations by now")
	}
}
