package fusefs

import (
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Op is a call that can fail.
type Op uint8

// The calls.
const (
	Lookup     Op = iota // finding a name in its directory; the path is the name's
	Getattr              // looking up an object that is known
	OpenDir              // opening a directory
	ReadDir              // reading names
	Open                 // opening a file
	Read                 // reading a file
	ListXattrs           // listing attributes
)

type fault struct {
	path  string
	op    Op
	errno syscall.Errno
	after int // calls (Read, ReadDir: of names, bytes) that still go well
	times int // how often it fails, below 0 for ever
}

// FS is a mounted file system.
type FS struct {
	Dir string // where it is mounted

	files  map[string][]byte // nil content: a directory
	server *fuse.Server

	mu     sync.Mutex
	faults []*fault
	short  map[string]int
	gone   bool
	hook   func(op Op, path string)
}

// Mount mounts a tree of files, by path and content; directories are made where files need them, or where a path ends
// with a slash. It is unmounted when the test ends. Where FUSE is missing the test is skipped.
func Mount(t testing.TB, files map[string]string) *FS {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("needs FUSE (/dev/fuse and fusermount3)")
	}
	if _, err := exec.LookPath("fusermount3"); err != nil && os.Geteuid() != 0 {
		t.Skip("needs FUSE (/dev/fuse and fusermount3)")
	}
	f := &FS{Dir: t.TempDir(), files: map[string][]byte{"": nil}, short: map[string]int{}}
	for p, content := range files {
		if name, ok := strings.CutSuffix(p, "/"); ok {
			f.mkdirs(name)
			continue
		}
		f.mkdirs(path.Dir(p))
		f.files[p] = append([]byte{}, content...)
	}
	opts := &fs.Options{NullPermissions: true}
	opts.DirectMount = os.Geteuid() == 0
	opts.FsName, opts.Name = "double", "double"
	server, err := fs.Mount(f.Dir, &node{fs: f}, opts)
	if err != nil {
		t.Skipf("needs FUSE (/dev/fuse and fusermount3): %v", err)
	}
	f.server = server
	t.Cleanup(func() {
		f.unmount()
		server.Wait()
	})
	return f
}

func (f *FS) mkdirs(dir string) {
	for ; dir != "." && dir != ""; dir = path.Dir(dir) {
		f.files[dir] = nil
	}
}

func (f *FS) unmount() {
	if f.server.Unmount() == nil {
		return
	}
	if unix.Unmount(f.Dir, unix.MNT_DETACH) != nil {
		_ = exec.Command("fusermount3", "-uzq", f.Dir).Run() // it may be unmounted already
	}
}

// Fail lets a call on a path fail from now on: times times, or for ever if times is below 0.
func (f *FS) Fail(p string, op Op, errno syscall.Errno, times int) {
	f.FailAfter(p, op, errno, 0, times)
}

// FailAfter lets a call fail after it went well for a while: that many names of ReadDir, bytes of Read, calls of others.
func (f *FS) FailAfter(p string, op Op, errno syscall.Errno, after, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, &fault{p, op, errno, after, times})
}

// Short lets reads of a file return at most n bytes.
func (f *FS) Short(p string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.short[p] = n
}

// On calls fn before each call is answered.
func (f *FS) On(fn func(op Op, path string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = fn
}

// GoAway ends the file system as when the process behind it dies: every call fails with ENOTCONN, and the mount point
// is the empty directory below it again.
func (f *FS) GoAway() {
	f.mu.Lock()
	f.gone = true
	f.mu.Unlock()
	if unix.Unmount(f.Dir, unix.MNT_DETACH) != nil {
		_ = exec.Command("fusermount3", "-uzq", f.Dir).Run() // open handles show ENOTCONN in any case
	}
}

// fails says whether a call fails now. at is how far a reading call has come.
func (f *FS) fails(p string, op Op, at int) syscall.Errno {
	f.mu.Lock()
	hook := f.hook
	f.mu.Unlock()
	if hook != nil {
		hook(op, p)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return syscall.ENOTCONN
	}
	for _, x := range f.faults {
		if x.path != p || x.op != op || x.times == 0 {
			continue
		}
		switch op {
		case Read, ReadDir:
			if at < x.after {
				continue
			}
		default:
			if x.after > 0 {
				x.after--
				continue
			}
		}
		x.times--
		return x.errno
	}
	return 0
}

// children returns the names in a directory.
func (f *FS) children(dir string) []string {
	var names []string
	for p := range f.files {
		if p != "" && strings.Trim(path.Dir(p), ".") == dir {
			names = append(names, path.Base(p))
		}
	}
	slices.Sort(names)
	return names
}
