package faultfs

import (
	"os"
	"os/exec"
	"path"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Call is one request of the kernel.
type Call struct {
	// Op is the request's name: lookup getattr setattr mkdir unlink rmdir rename rename2 link symlink create open read
	// write flush fsync opendir readdir fsyncdir statfs xattr. A rename with flags is a rename2.
	Op string
	// Path is the file's, relative to the mount, "." at its top: of a link or rename the new one.
	Path string
	// N counts the requests of this Op, from 1.
	N int
	// Direct is set for a write past the page cache.
	Direct bool
}

// Rule answers a call: zero passes it on. It is called from several goroutines at once and may block.
type Rule func(Call) syscall.Errno

// FS is a mounted file system.
type FS struct {
	Dir string // where it is mounted

	mu     sync.Mutex
	rule   Rule
	counts map[string]int
	paths  map[uint64]string
	trace  []Call
	gone   bool
	server *fuse.Server
}

// Mount mounts the folder back on a new folder until the test ends. It skips the test where FUSE is missing.
func Mount(t testing.TB, back string) *FS {
	t.Helper()
	dev, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skip("needs FUSE (/dev/fuse and fusermount3)")
	}
	dev.Close() //nolint:errcheck,gosec // it was only looked for
	if _, err := exec.LookPath("fusermount3"); err != nil && os.Geteuid() != 0 {
		t.Skip("needs fuse3 (apt): FUSE (/dev/fuse and fusermount3)")
	}
	root, err := fs.NewLoopbackRoot(back)
	if err != nil {
		t.Fatal(err)
	}
	f := &FS{Dir: t.TempDir(), counts: map[string]int{}, paths: map[uint64]string{fuse.FUSE_ROOT_ID: "."}}
	f.server, err = fuse.NewServer(&raw{fs.NewNodeFS(root, &fs.Options{}), f}, f.Dir, &fuse.MountOptions{
		DirectMount: true, FsName: "faultfs", Name: "faultfs", DisableReadDirPlus: true, MaxWrite: 1 << 20,
	})
	if err != nil {
		t.Skipf("needs FUSE (/dev/fuse and fusermount3): %v", err)
	}
	go f.server.Serve()
	t.Cleanup(f.end)
	f.guard(t)
	if err := f.server.WaitMount(); err != nil {
		t.Fatal(err)
	}
	return f
}

// guard runs a small process that takes the mount away if this one dies in its middle. A thread that waits for this
// process's own answer would else wait for ever, and hold what it waits for: the kernel ends it when the mount is
// aborted. Only root may do that.
func (f *FS) guard(t testing.TB) {
	if os.Geteuid() != 0 {
		return
	}
	const script = `while s=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) && [ -n "$s" ] && [ "$s" != Z ]; do sleep 1; done
umount -f "$2"; umount -l "$2"`
	cmd := exec.Command("sh", "-c", script, "guard", strconv.Itoa(os.Getpid()), f.Dir)
	if err := cmd.Start(); err != nil {
		return // it is a precaution
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
}

// Detach takes the mount away from its folder, in use or not: what is open stays open. It may be called again.
func (f *FS) Detach() {
	f.SetRule(nil)
	f.mu.Lock()
	gone := f.gone
	f.gone = true
	f.mu.Unlock()
	if gone {
		return
	}
	if err := syscall.Unmount(f.Dir, syscall.MNT_DETACH); err != nil {
		_ = exec.Command("fusermount3", "-u", "-z", f.Dir).Run() // an ordinary user's way
	}
}

// end detaches and waits for the server, which ends when the last open file of the mount is closed.
func (f *FS) end() {
	f.Detach()
	f.server.Wait()
}

// SetRule replaces the rule; nil passes everything on. The counts begin anew.
func (f *FS) SetRule(r Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rule, f.counts, f.trace = r, map[string]int{}, nil
}

// Trace returns the calls since the last SetRule, in the order in which they came.
func (f *FS) Trace() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Call(nil), f.trace...)
}

// Refuse is a rule that answers the calls named with an error.
func Refuse(errno syscall.Errno, ops ...string) Rule {
	return func(c Call) syscall.Errno {
		for _, op := range ops {
			if c.Op == op {
				return errno
			}
		}
		return 0
	}
}

func (f *FS) join(node uint64, name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return path.Join(f.paths[node], name)
}

func (f *FS) learn(node uint64, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paths[node] = name
}

// judge counts a call and asks the rule.
func (f *FS) judge(c Call) fuse.Status {
	f.mu.Lock()
	f.counts[c.Op]++
	c.N = f.counts[c.Op]
	rule := f.rule
	f.trace = append(f.trace, c)
	f.mu.Unlock()
	if rule == nil {
		return fuse.OK
	}
	return fuse.Status(rule(c))
}

func (f *FS) on(op string, node uint64, name string) fuse.Status {
	return f.judge(Call{Op: op, Path: f.join(node, name)})
}
