//go:build unix

package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/attrs"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/sink/sinktest"
	"github.com/nacre-backup/nacre/internal/tree"
)

// TestSuite runs the conformance suite over the system's sink and, on any system, over the portable one.
func TestSuite(t *testing.T) {
	t.Parallel()
	t.Run("system", func(t *testing.T) {
		t.Parallel()
		sinktest.Run(t, func(t *testing.T) *sinktest.Target {
			return target(t, Restored(runtime.GOOS), func(dir string) (sink.Sink, error) { return New(dir, Options{NoSync: true}) })
		})
	})
	suiteStepByStep(t)
	t.Run("portable", func(t *testing.T) {
		t.Parallel()
		sinktest.Run(t, func(t *testing.T) *sinktest.Target {
			return target(t, portableRestores(runtime.GOOS), func(dir string) (sink.Sink, error) {
				return newPortable(dir, Options{NoSync: true}, &losses{})
			})
		})
	})
}

// target makes an empty target with something around it.
func target(t *testing.T, has attrs.Set, open func(dir string) (sink.Sink, error)) *sinktest.Target {
	t.Helper()
	around := t.TempDir()
	dir := filepath.Join(around, "target")
	for _, name := range []string{"outside", "x", "d"} {
		if err := os.Mkdir(filepath.Join(around, name), 0o711); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(around, "outside", "x"), []byte("precious"), 0o604); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(t, dir) })
	return &sinktest.Target{
		Has: has,
		Open: func(t *testing.T) sink.Sink {
			s, err := open(dir)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Look:      func(t *testing.T, path string) *sinktest.Object { return look(t, dir, path) },
		Outside:   func(t *testing.T) string { return outside(t, around, dir) },
		Leftovers: func(t *testing.T) []string { return leftovers(t, dir) },
	}
}

// removeAll makes directories writable again, so that an ordinary user can remove them.
func removeAll(t *testing.T, dir string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return nil
	})
}

// inDir opens the directory of path step by step, since path may be longer than one call takes.
func inDir(t *testing.T, top, path string) (fd int, name string) {
	t.Helper()
	fd, err := unix.Open(top, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for {
		head, rest, more := strings.Cut(path, "/")
		if !more {
			return fd, head
		}
		next, err := unix.Openat(fd, head, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		_ = unix.Close(fd)
		if err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		fd, path = next, rest
	}
}

func look(t *testing.T, top, path string) *sinktest.Object {
	t.Helper()
	if path == "" {
		top, path = filepath.Dir(top), filepath.Base(top)
	}
	fd, name := inDir(t, top, path)
	defer unix.Close(fd) // it was only read
	var st unix.Stat_t
	err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		t.Fatalf("%q: %v", path, err)
	}
	o := &sinktest.Object{
		Mode: uint32(st.Mode) & 0o7777, File: fmt.Sprint(st.Dev, st.Ino),
		ModTime: tree.Time{Sec: int64(st.Mtim.Sec), Nsec: uint32(st.Mtim.Nsec)},
		Holes:   int64(st.Blocks)*512 < st.Size,
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		o.Type = tree.Dir
	case unix.S_IFREG:
		o.Type = tree.File
		if st.Mode&0o400 != 0 || os.Geteuid() == 0 {
			o.Content, o.Xattrs = readAll(t, fd, name)
		}
	case unix.S_IFLNK:
		o.Type = tree.Symlink
		buf := make([]byte, 5000)
		n, err := unix.Readlinkat(fd, name, buf)
		if err != nil {
			t.Fatal(err)
		}
		o.Target = string(buf[:n])
	case unix.S_IFIFO:
		o.Type = tree.FIFO
	case unix.S_IFSOCK:
		o.Type = tree.Socket
	case unix.S_IFCHR:
		o.Type = tree.CharDevice
	case unix.S_IFBLK:
		o.Type = tree.BlockDevice
	}
	return o
}

func readAll(t *testing.T, dir int, name string) ([]byte, map[string]string) {
	t.Helper()
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close() // it was only read
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, fi.Size())
	if _, err := f.ReadAt(content, 0); err != nil && len(content) > 0 {
		t.Fatal(err)
	}
	return content, xattrsOf(t, fd)
}

func xattrsOf(t *testing.T, fd int) map[string]string {
	t.Helper()
	buf := make([]byte, 65536)
	n, err := unix.Flistxattr(fd, buf)
	if errors.Is(err, syscall.ENOTSUP) || n == 0 {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		value := make([]byte, 65536)
		n, err := unix.Fgetxattr(fd, name, value)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(value[:n])
	}
	return all
}

// outside describes everything in around but the target.
func outside(t *testing.T, around, target string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(around, func(path string, d fs.DirEntry, err error) error {
		if path == target {
			return fs.SkipDir
		}
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %o %d %d %d %d", path, st.Mode, st.Uid, st.Gid, st.Nlink, st.Size)
		if path != around { // whose own time changes with the target's making
			fmt.Fprintf(&b, " %d.%d %d.%d", st.Mtim.Sec, st.Mtim.Nsec, st.Ctim.Sec, st.Ctim.Nsec)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), tempPrefix) {
			found = append(found, path)
		}
		return nil // what is too deep to be walked by path has no temporary names
	})
	return found
}

func BenchmarkSink(b *testing.B) {
	for name, open := range map[string]func(dir string) (sink.Sink, error){
		"system":   func(dir string) (sink.Sink, error) { return New(dir, Options{}) },
		"portable": func(dir string) (sink.Sink, error) { return newPortable(dir, Options{}, &losses{}) },
	} {
		b.Run(name, func(b *testing.B) {
			sinktest.Benchmark(b, func(b *testing.B) sink.Sink {
				s, err := open(b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				return s
			})
		})
	}
}
