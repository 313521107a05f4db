package files

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/sink/sinktest"
	"github.com/nacre-backup/nacre/internal/tree"
)

func newSink(t *testing.T, dir string, o Options) *Sink {
	t.Helper()
	s, err := New(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// attributes returns what Windows tells of an object, for good.
func attributes(t *testing.T, path string) *syscall.Win32FileAttributeData {
	t.Helper()
	fi, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Sys().(*syscall.Win32FileAttributeData)
}

func TestAttributesAndTimesOfWindowsComeBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dirs, file, fixed := sinktest.Entry("d", tree.Dir), sinktest.Entry("f", tree.File), sinktest.Entry("fixed", tree.File)
	fixed.Mode = 0o444
	dirs.Mode = 0o555 // no attribute of a directory stands for it
	for _, e := range []*tree.Entry{dirs, file, fixed} {
		e.FSFlags = tree.FlagHidden | tree.FlagSystem
	}
	plain := sinktest.Entry("plain", tree.File)
	s := newSink(t, dir, Options{NoSync: true})
	sinktest.Put(t, s, "", dirs, "")
	sinktest.Put(t, s, "d", file, "x")
	sinktest.Put(t, s, "d", fixed, "y")
	sinktest.Put(t, s, "d", plain, "z")
	if err := s.Link(context.Background(), nil, sinktest.Entry("link", tree.File), []byte("d"), []byte("fixed")); err != nil {
		t.Error(err)
	}
	sinktest.Close(t, s)
	if l := s.Losses(); len(l) > 0 {
		t.Errorf("lost: %+v", l)
	}
	const both = windows.FILE_ATTRIBUTE_HIDDEN | windows.FILE_ATTRIBUTE_SYSTEM
	for name, want := range map[string]uint32{
		"d": both, "d/f": both, "d/fixed": both | windows.FILE_ATTRIBUTE_READONLY, "link": both | windows.FILE_ATTRIBUTE_READONLY,
		"d/plain": 0,
	} {
		d := attributes(t, filepath.Join(dir, name))
		if got := d.FileAttributes & (both | windows.FILE_ATTRIBUTE_READONLY); got != want {
			t.Errorf("%s has the attributes %#x, want %#x", name, got, want)
		}
	}
}

func TestTimesOfCreationComeBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	born := time.Unix(1_200_000_000, 987_654_300)
	s := newSink(t, dir, Options{NoSync: true})
	for name, typ := range map[string]tree.Type{"d": tree.Dir, "f": tree.File} {
		e := sinktest.Entry(name, typ)
		e.BirthTime = tree.Time{Sec: born.Unix(), Nsec: uint32(born.Nanosecond())}
		sinktest.Put(t, s, "", e, "")
	}
	sinktest.Close(t, s)
	for _, name := range []string{"d", "f"} {
		if got := time.Unix(0, attributes(t, filepath.Join(dir, name)).CreationTime.Nanoseconds()); !got.Equal(born) {
			t.Errorf("%s was made at %v, want %v", name, got, born)
		}
	}
}

func TestAReadOnlyFileIsReplacedWhereTheRuleSaysSo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		s := newSink(t, dir, Options{NoSync: true, Overwrite: Always})
		for _, name := range []string{"a", "b"} {
			e := sinktest.Entry(name, tree.File)
			e.Mode = 0o444
			sinktest.Put(t, s, "", e, name)
		}
		if err := s.Link(context.Background(), nil, sinktest.Entry("b", tree.File), nil, []byte("a")); err != nil {
			t.Error(err)
		}
		sinktest.Close(t, s)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "b")); string(b) != "a" {
		t.Errorf("b holds %q, %v", b, err)
	}
	if a := attributes(t, filepath.Join(dir, "b")).FileAttributes; a&windows.FILE_ATTRIBUTE_READONLY == 0 {
		t.Errorf("b has the attributes %#x", a)
	}
}

func TestNamesThatDifferInCaseAndNamesOfDevicesAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSink(t, dir, Options{NoSync: true, Overwrite: Always})
	sinktest.Put(t, s, "", sinktest.Entry("name", tree.File), "first")
	if err := sinktest.TryPut(s, "", sinktest.Entry("NAME", tree.File), "second"); !errors.Is(err, errs.Exists) {
		t.Errorf("NAME over name: %v", err)
	}
	for _, name := range []string{"NUL", "com1.txt", "a.", "a ", "a:b"} {
		for _, typ := range []tree.Type{tree.File, tree.Dir} {
			if err := sinktest.TryPut(s, "", sinktest.Entry(name, typ), ""); !errors.Is(err, errs.Unsupported) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	sinktest.Close(t, s)
	if b, err := os.ReadFile(filepath.Join(dir, "name")); string(b) != "first" {
		t.Errorf("name holds %q, %v", b, err)
	}
}

func TestAWholeSnapshotOfWindowsIsRestored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSink(t, dir, Options{NoSync: true})
	for _, volume := range []string{"C:", `\\server\share`} {
		sinktest.Put(t, s, "", sinktest.Entry(volume, tree.Dir), "")
		sinktest.Put(t, s, volume, sinktest.Entry("d", tree.Dir), "")
		sinktest.Put(t, s, volume+"/d", sinktest.Entry("f", tree.File), volume)
		err := s.Link(context.Background(), []byte(volume), sinktest.Entry("g", tree.File), []byte(volume+"/d"), []byte("f"))
		if err != nil {
			t.Error(err)
		}
		f, err := s.Open(context.Background(), []byte(volume), []byte("g"))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := f.Size(); n != int64(len(volume)) || err != nil {
			t.Errorf("size %d, %v", n, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Peek(context.Background(), []byte(volume), sinktest.Entry("g", tree.File)); !errors.Is(err, sink.ErrSame) && !errors.Is(err, sink.ErrSkipped) {
			t.Errorf("peek: %v", err)
		}
	}
	sinktest.Close(t, s)
	for path, want := range map[string]string{"C/d/f": "C:", "server-share/g": `\\server\share`} {
		if b, err := os.ReadFile(filepath.Join(dir, path)); string(b) != want {
			t.Errorf("%s holds %q, %v", path, b, err)
		}
	}
}

func TestPathsOfMoreThan260CharactersAreMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSink(t, dir, Options{NoSync: true})
	name, at := strings.Repeat("ü", 100), ""
	for range 4 {
		sinktest.Put(t, s, at, sinktest.Entry(name, tree.Dir), "")
		at = string(tree.JoinPath(nil, []byte(at), []byte(name)))
	}
	sinktest.Put(t, s, at, sinktest.Entry("end", tree.File), "far away")
	sinktest.Close(t, s)
	if b, err := os.ReadFile(`\\?\` + filepath.Join(dir, filepath.FromSlash(at), "end")); string(b) != "far away" {
		t.Errorf("the file holds %q, %v", b, err)
	}
}
