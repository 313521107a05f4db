//go:build !portable

package files

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/tree"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// described walks a root and describes all entries, which it returns by their path below the root.
func described(t *testing.T, s *Source, root string) map[string]*tree.Entry {
	t.Helper()
	v := walkAll(t, s)
	if len(v.errs) > 0 {
		t.Fatalf("errors: %v", v.errs)
	}
	out := map[string]*tree.Entry{}
	for p, it := range v.entries {
		must(t, s.Describe(t.Context(), it))
		if rel, ok := strings.CutPrefix("/"+p, root+"/"); ok {
			out[rel] = it.Entry
		}
	}
	return out
}

func TestEveryTypeOfFileIsRecorded(t *testing.T) {
	t.Parallel()
	everyType(t)
}

// TestAnOldKernelIsEnough does not run beside other tests: it turns off calls that a kernel may lack.
func TestAnOldKernelIsEnough(t *testing.T) {
	noStatx.Store(true)
	noXattrAt.Store(true)
	defer noStatx.Store(false)
	defer noXattrAt.Store(false)
	everyType(t)
	attributes(t)
}

func everyType(t *testing.T) {
	root := t.TempDir()
	build(t, root, "file", "dir/")
	must(t, os.Symlink("nowhere/at all", filepath.Join(root, "link")))
	must(t, unix.Mkfifo(filepath.Join(root, "fifo"), 0o640))
	must(t, os.Chmod(filepath.Join(root, "file"), 0o4751|os.ModeSetuid))
	must(t, os.Chmod(filepath.Join(root, "dir"), 0o750|os.ModeSticky|os.ModeSetgid))
	when := []unix.Timespec{{Sec: 1, Nsec: 2}, {Sec: -77, Nsec: 123_456_789}}
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(root, "file"), when, 0))
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	defer unix.Close(fd)
	sock := true
	if dir, err := os.Open(root); err == nil { // by a short path: the name of a socket is limited
		defer dir.Close()
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/sock", dir.Fd())})
		sock = err == nil
	}
	e := described(t, open(t, Options{Roots: []string{root}}), root)
	for name, want := range map[string]tree.Type{"file": tree.File, "dir": tree.Dir, "link": tree.Symlink, "fifo": tree.FIFO} {
		if e[name] == nil || e[name].Type != want {
			t.Errorf("%s: %+v", name, e[name])
		}
	}
	if sock && (e["sock"] == nil || e["sock"].Type != tree.Socket) {
		t.Errorf("sock: %+v", e["sock"])
	}
	if string(e["link"].Target) != "nowhere/at all" || e["link"].Size != 0 {
		t.Errorf("link: %+v", e["link"])
	}
	if e["file"].Mode != 0o4751 || e["dir"].Mode != 0o3750 || e["fifo"].Mode&0o777 != 0o640 {
		t.Errorf("modes %o %o %o", e["file"].Mode, e["dir"].Mode, e["fifo"].Mode)
	}
	if got := e["file"].ModTime; got != (tree.Time{Sec: -77, Nsec: 123_456_789}) {
		t.Errorf("time %+v", got)
	}
	var st unix.Stat_t
	must(t, unix.Lstat(filepath.Join(root, "file"), &st))
	f := e["file"]
	if f.Inode != st.Ino || f.ChangeTime.Sec != st.Ctim.Sec || f.UID != st.Uid || f.GID != st.Gid || f.FS == "" || f.Size != 4 {
		t.Errorf("file: %+v, system says %+v", f, st)
	}
	if os.Geteuid() == 0 && f.User != "root" {
		t.Errorf("owner %q", f.User)
	}
}

func TestDevicesAreRecorded(t *testing.T) {
	t.Parallel()
	needsRoot(t)
	root := t.TempDir()
	if err := unix.Mknod(filepath.Join(root, "null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
		t.Skipf("needs root that may make devices: %v", err)
	}
	must(t, unix.Mknod(filepath.Join(root, "disk"), unix.S_IFBLK|0o600, int(unix.Mkdev(259, 70_000))))
	e := described(t, open(t, Options{Roots: []string{root}}), root)
	if n := e["null"]; n.Type != tree.CharDevice || n.Major != 1 || n.Minor != 3 {
		t.Errorf("null: %+v", n)
	}
	if d := e["disk"]; d.Type != tree.BlockDevice || d.Major != 259 || d.Minor != 70_000 {
		t.Errorf("disk: %+v", d)
	}
}

func TestHardLinksShareAnIdentityAndOtherFilesDoNot(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	build(t, root, "a", "sub/x", "c", "alone")
	must(t, os.Link(filepath.Join(root, "a"), filepath.Join(root, "sub/a2")))
	must(t, os.Link(filepath.Join(root, "a"), filepath.Join(root, "a3")))
	must(t, os.Link(filepath.Join(root, "c"), filepath.Join(root, "sub/c2")))
	v := walkAll(t, open(t, Options{Roots: []string{root}}))
	link := func(p string) string { return v.entries[top(root)+p].LinkID }
	if link("a") == "" || link("a") != link("sub/a2") || link("a") != link("a3") {
		t.Error("links of one file differ")
	}
	if link("c") == link("a") || link("c") != link("sub/c2") {
		t.Error("links of two files are the same")
	}
	if link("alone") != "" || link("sub") != "" {
		t.Error("what has no second name has an identity")
	}
	again := walkAll(t, open(t, Options{Roots: []string{root}}))
	if again.entries[top(root)+"a"].LinkID != link("a") {
		t.Error("the identity differs in a second run")
	}
}

func TestAttributesACLsAndCapabilitiesAreRead(t *testing.T) {
	t.Parallel()
	attributes(t)
}

func attributes(t *testing.T) {
	root := t.TempDir()
	build(t, root, "f", "d/")
	must(t, os.Symlink("f", filepath.Join(root, "l")))
	big := bytes.Repeat([]byte("v"), 3000)
	want := map[string]map[string][]byte{"f": {"user.b": big, "user.a": {}, "user.\xff": []byte("x")}, "d": {"user.d": []byte("y")}}
	if os.Geteuid() == 0 {
		want["f"]["security.capability"] = []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
		want["l"] = map[string][]byte{"trusted.t": []byte("z")}
	}
	acl := []byte("\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\x09\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x06\x00\xff\xff\xff\xff\x20\x00\x00\x00\xff\xff\xff\xff")
	want["f"]["system.posix_acl_access"] = acl
	for name, attrs := range want {
		for a, v := range attrs {
			if err := unix.Lsetxattr(filepath.Join(root, name), a, v, 0); err != nil {
				t.Skipf("needs a file system with extended attributes and ACLs: %s: %v", a, err)
			}
		}
	}
	for _, retained := range []bool{false, true} {
		s := open(t, Options{Roots: []string{root}})
		for it, err := range s.Entries(t.Context()) {
			must(t, err)
			if retained {
				it = s.Retain(it)
			}
			must(t, s.Describe(t.Context(), it))
			got := map[string][]byte{}
			for _, x := range it.Entry.Xattrs {
				got[string(x.Name)] = x.Value
			}
			for a, v := range want[string(it.Entry.Name)] {
				if g, ok := got[a]; !ok || !bytes.Equal(g, v) {
					t.Errorf("%q: attribute %q is %q, want %q", it.Entry.Name, a, g, v)
				}
			}
			if retained {
				s.Release(it)
			}
		}
	}
}

func TestInodeFlagsAreRead(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	build(t, root, "f")
	h, err := os.Open(filepath.Join(root, "f"))
	must(t, err)
	defer h.Close()
	flags := uint32(fsNoDump)
	if err := unix.IoctlSetPointerInt(int(h.Fd()), 0x40086602, int(flags)); err != nil {
		t.Skipf("needs a file system with inode flags: %v", err)
	}
	e := described(t, open(t, Options{Roots: []string{root}}), root)
	if e["f"].FSFlags != fsNoDump {
		t.Errorf("flags %x", e["f"].FSFlags)
	}
}

func TestNamesOfAnyBytesAreKept(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	var want []string
	for _, n := range []string{"new\nline", "\xff\xfe", strings.Repeat("n", 255), " ", "-rf", "a\tb", "*", `\`, "'", "\x01", "ü", "..a", "...", "a b"} {
		build(t, root, n)
		want = append(want, n)
	}
	slices.Sort(want)
	if got := walkAll(t, open(t, Options{Roots: []string{root}})).below(root); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestFileSystemsAreToldByWhatStaysWithThem(t *testing.T) {
	t.Parallel()
	if got := unescape(`/a\040b\134c`); got != `/a b\c` {
		t.Errorf("unescaped %q", got)
	}
	if m := findMount(1<<40 | 1); m != (mount{}) {
		t.Errorf("a device that is not mounted: %+v", m)
	}
	id := func(path string) string {
		p := append([]byte(path), 0)
		var st unix.Statx_t
		if errno := statx(unix.AT_FDCWD, &p[0], 0, &st); errno != 0 {
			t.Fatal(errno)
		}
		sys := &system{dev: joinDev(st.Dev_major, st.Dev_minor)}
		identify(sys, unix.AT_FDCWD, &p[0], true)
		if !sys.trusted {
			t.Errorf("%s: %q is not trusted", path, sys.id)
		}
		return sys.id
	}
	if got := id("/proc"); !strings.HasPrefix(got, "proc:") {
		t.Errorf("/proc is %q", got)
	}
	if root, proc := id("/"), id("/proc"); root == proc || root == "" || root != id("/") {
		t.Errorf("/ is %q", root)
	}
}

func TestLoopMountedFileSystemsHaveIdentities(t *testing.T) {
	t.Parallel()
	needsRoot(t)
	for _, c := range []struct{ mkfs, pkg, prefix string }{
		{"mkfs.ext4", "e2fsprogs", "ext4:"}, {"mkfs.xfs", "xfsprogs", "xfs:"}, {"mkfs.btrfs", "btrfs-progs", "btrfs:"},
	} {
		t.Run(c.mkfs, func(t *testing.T) {
			t.Parallel()
			image, point := filepath.Join(t.TempDir(), "image"), t.TempDir()
			if _, err := exec.LookPath(c.mkfs); err != nil {
				t.Skipf("needs %s (apt)", c.pkg)
			}
			must(t, os.WriteFile(image, nil, 0o600))
			must(t, os.Truncate(image, 400<<20))
			if out, err := exec.Command(c.mkfs, "-q", image).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var ids []string
			for range 2 {
				if out, err := exec.Command("mount", "-o", "loop", image, point).CombinedOutput(); err != nil {
					t.Skipf("needs loop devices: %s", out)
				}
				umount := func() { _ = unix.Unmount(point, unix.MNT_DETACH) }
				t.Cleanup(umount)
				build(t, point, "f")
				e := described(t, open(t, Options{Roots: []string{point}}), point)["f"]
				if !strings.HasPrefix(e.FS, c.prefix) || e.Inode == 0 {
					t.Errorf("file system %q, inode %d", e.FS, e.Inode)
				}
				ids = append(ids, e.FS)
				umount()
			}
			if ids[0] != ids[1] {
				t.Errorf("identities %q", ids)
			}
		})
	}
}
