package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/attrs"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/sink/sinktest"
	"github.com/nacre-backup/nacre/internal/tree"
)

func TestSetIDBitsAreRestoredOnRequest(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{false, true} {
		dir := t.TempDir()
		s := open(t, dir, Options{SetID: asked})
		e, d := sinktest.Entry("f", tree.File), sinktest.Entry("d", tree.Dir)
		e.Mode, d.Mode = 0o6755, 0o2775
		sinktest.Put(t, s, "", e, "x")
		sinktest.Put(t, s, "", d, "")
		sinktest.Close(t, s)
		want := uint32(0o755)
		if asked {
			want = 0o6755
		}
		if st := stat(t, filepath.Join(dir, "f")); uint32(st.Mode)&0o7777 != want {
			t.Errorf("asked %v: mode %o, want %o", asked, st.Mode&0o7777, want)
		}
		if st := stat(t, filepath.Join(dir, "d")); st.Mode&0o7777 != 0o2775 {
			t.Errorf("the directory has mode %o", st.Mode&0o7777)
		}
		if got := len(s.Losses()); got != map[bool]int{false: 1, true: 0}[asked] {
			t.Errorf("asked %v: losses %+v", asked, s.Losses())
		}
	}
}

func TestWhatOnlyWindowsHasIsCountedAsLost(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), Options{})
	e := sinktest.Entry("f", tree.File)
	e.FSFlags = tree.FlagHidden
	sinktest.Put(t, s, "", e, "x")
	sinktest.Close(t, s)
	if l := s.Losses(); len(l) != 1 || l[0].Attribute != attrs.Hidden {
		t.Errorf("losses %+v", l)
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	needsRoot(t)
	for _, c := range []struct {
		name             string
		numeric          bool
		user, group      string
		uid, gid         uint32
		wantUID, wantGID uint32
	}{
		{"a known name decides", false, "nobody", "nogroup", 4711, 4712, 65534, 65534},
		{"numbers decide on request", true, "nobody", "nogroup", 4711, 4712, 4711, 4712},
		{"an unknown name leaves the number", false, "no-such-user", "no-such-group", 4711, 4712, 4711, 4712},
		{"no name leaves the number", false, "", "", 4711, 4712, 4711, 4712},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, dir, Options{NumericIDs: c.numeric, SetID: true})
			for _, typ := range []tree.Type{tree.Dir, tree.File, tree.Symlink, tree.FIFO, tree.Socket} {
				e := sinktest.Entry(fmt.Sprint(typ), typ)
				e.UID, e.GID, e.User, e.Group = c.uid, c.gid, c.user, c.group
				if typ == tree.File {
					e.Mode = 0o6711
				}
				sinktest.Put(t, s, "", e, "")
			}
			sinktest.Close(t, s)
			for _, typ := range []tree.Type{tree.Dir, tree.File, tree.Symlink, tree.FIFO, tree.Socket} {
				st := stat(t, filepath.Join(dir, fmt.Sprint(typ)))
				if st.Uid != c.wantUID || st.Gid != c.wantGID {
					t.Errorf("type %d belongs to %d:%d, want %d:%d", typ, st.Uid, st.Gid, c.wantUID, c.wantGID)
				}
				if typ == tree.File && st.Mode&0o7777 != 0o6711 {
					t.Errorf("mode is %o: changing the owner took the set-id bits", st.Mode&0o7777)
				}
			}
		})
	}
}

// acl is a POSIX ACL in the form of the kernel: user::rw-, user:4711:rwx, group::r--, mask::rwx, other::---.
func acl() []byte {
	b := []byte{2, 0, 0, 0}
	for _, e := range [][3]uint32{{1, 6, ^uint32(0)}, {2, 7, 4711}, {4, 4, ^uint32(0)}, {16, 7, ^uint32(0)}, {32, 0, ^uint32(0)}} {
		b = append(b, byte(e[0]), 0, byte(e[1]), 0, byte(e[2]), byte(e[2]>>8), byte(e[2]>>16), byte(e[2]>>24))
	}
	return b
}

func TestACLs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Setxattr(dir, aclDefault, acl(), 0); err != nil {
		t.Skip("needs a file system with ACLs: " + err.Error())
	}
	s := open(t, dir, Options{})
	with := func(e *tree.Entry, names ...string) *tree.Entry {
		for _, n := range names {
			e.Xattrs = append(e.Xattrs, tree.Xattr{Name: []byte(n), Value: acl()})
			e.Mode = e.Mode&^0o777 | 0o670
		}
		return e
	}
	entries := []*tree.Entry{
		with(sinktest.Entry("file", tree.File), aclAccess), sinktest.Entry("plain file", tree.File),
		with(sinktest.Entry("dir", tree.Dir), aclAccess, aclDefault), sinktest.Entry("plain dir", tree.Dir),
		sinktest.Entry("plain fifo", tree.FIFO), with(sinktest.Entry("fifo", tree.FIFO), aclAccess),
	}
	for _, e := range entries {
		sinktest.Put(t, s, "", e, "")
	}
	sinktest.Put(t, s, "plain dir", sinktest.Entry("inner", tree.File), "")
	sinktest.Close(t, s)
	for _, e := range append(entries, sinktest.Entry("plain dir/inner", tree.File)) {
		path := filepath.Join(dir, string(e.Name))
		if st := stat(t, path); uint32(st.Mode)&0o7777 != e.Mode {
			t.Errorf("%s has mode %o, want %o", e.Name, st.Mode&0o7777, e.Mode)
		}
		for _, name := range []string{aclAccess, aclDefault} {
			got := make([]byte, 1000)
			n, err := unix.Lgetxattr(path, name, got)
			want := slices.ContainsFunc(e.Xattrs, func(x tree.Xattr) bool { return string(x.Name) == name })
			if want != (err == nil) || want && !bytes.Equal(got[:n], acl()) {
				t.Errorf("%s has %s = %x, %v; wanted: %v", e.Name, name, got[:max(n, 0)], err, want)
			}
		}
	}
}

func TestANewFileInASetGIDDirectoryGetsItsOwnGroup(t *testing.T) {
	t.Parallel()
	needsRoot(t)
	dir := t.TempDir()
	if err := errors.Join(os.Chown(dir, 0, 4712), unix.Chmod(dir, 0o2755)); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{})
	for _, typ := range []tree.Type{tree.Dir, tree.File, tree.FIFO} {
		sinktest.Put(t, s, "", sinktest.Entry(fmt.Sprint(typ), typ), "")
	}
	sinktest.Close(t, s)
	for _, typ := range []tree.Type{tree.Dir, tree.File, tree.FIFO} {
		st := stat(t, filepath.Join(dir, fmt.Sprint(typ)))
		if st.Gid != 0 || st.Mode&0o7000 != 0 {
			t.Errorf("type %d has group %d and mode %o", typ, st.Gid, st.Mode)
		}
	}
}

func TestCapabilitiesDevicesAndForeignAttributes(t *testing.T) {
	t.Parallel()
	needsRoot(t)
	capValue := []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} // cap_net_bind_service+ep
	for _, asked := range []bool{false, true} {
		dir := t.TempDir()
		s := open(t, dir, Options{SetID: asked, Devices: asked})
		f := sinktest.Entry("f", tree.File)
		f.UID, f.GID = 4711, 4712
		f.Xattrs = []tree.Xattr{
			{Name: []byte(capability), Value: capValue}, {Name: []byte("trusted.nacre"), Value: []byte("t")},
		}
		sinktest.Put(t, s, "", f, "x")
		l := sinktest.Entry("l", tree.Symlink)
		l.Xattrs = []tree.Xattr{{Name: []byte("trusted.nacre"), Value: []byte("on a link")}}
		sinktest.Put(t, s, "", l, "")
		var errDev error
		for name, typ := range map[string]tree.Type{"null": tree.CharDevice, "loop": tree.BlockDevice} {
			e := sinktest.Entry(name, typ)
			e.Major, e.Minor = 300, 70000
			if asked {
				sinktest.Put(t, s, "", e, "")
			} else {
				errDev = sinktest.TryPut(s, "", e, "")
			}
		}
		sinktest.Close(t, s)
		buf := make([]byte, 100)
		n, err := unix.Lgetxattr(filepath.Join(dir, "f"), capability, buf)
		if asked != (err == nil) || asked && !bytes.Equal(buf[:n], capValue) {
			t.Errorf("asked %v: capability is %x, %v", asked, buf[:max(n, 0)], err)
		}
		for name, want := range map[string]string{"f": "t", "l": "on a link"} {
			if n, err := unix.Lgetxattr(filepath.Join(dir, name), "trusted.nacre", buf); err != nil || string(buf[:n]) != want {
				t.Errorf("%s has the attribute %q, %v", name, buf[:max(n, 0)], err)
			}
		}
		if !asked {
			if !errors.Is(errDev, sink.ErrSkipped) || len(s.Losses()) != 2 {
				t.Errorf("devices that were not asked for: %v, losses %+v", errDev, s.Losses())
			}
			continue
		}
		for name, typ := range map[string]uint32{"null": unix.S_IFCHR, "loop": unix.S_IFBLK} {
			st := stat(t, filepath.Join(dir, name))
			if st.Mode != typ|0o640 || st.Rdev != unix.Mkdev(300, 70000) || st.Mtim.Nsec != 123_456_700 {
				t.Errorf("%s: %+v", name, st)
			}
		}
	}
}

func TestInodeFlagsComeLast(t *testing.T) {
	t.Parallel()
	needsRoot(t)
	dir := t.TempDir()
	flags := func(name string) uint32 {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close() // it was only read
		v, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		if err != nil {
			t.Skip("needs a file system with inode flags: " + err.Error())
		}
		return v
	}
	flags(".")
	// clear takes the flags away that users set; the others are the file system's business.
	clear := func(name string) error {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		v, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		if err == nil {
			err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(v&^setFlags))
		}
		return errors.Join(err, f.Close())
	}
	t.Cleanup(func() {
		for _, name := range []string{"d", "d/f", "d/g"} {
			_ = clear(name) // it may not be there
		}
	})
	d, f := sinktest.Entry("d", tree.Dir), sinktest.Entry("f", tree.File)
	d.FSFlags = flagImmutable | 0x40
	f.FSFlags = flagAppend | 0x40 | 0x80000 // the last one says extents and is not for users
	put := func(o Options) error {
		s := open(t, dir, o)
		sinktest.Put(t, s, "", d, "")
		err := sinktest.TryPut(s, "d", f, "content")
		if err == nil {
			err = s.Link(context.Background(), []byte("d"), sinktest.Entry("g", tree.File), []byte("d"), []byte("f"))
		}
		sinktest.Close(t, s)
		return err
	}
	if err := put(Options{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{"d": flagImmutable | 0x40, "d/f": flagAppend | 0x40, "d/g": flagAppend | 0x40} {
		if got := flags(name) & setFlags; got != want {
			t.Errorf("%s has flags %x, want %x", name, got, want)
		}
	}
	if st := stat(t, filepath.Join(dir, "d", "f")); st.Nlink != 2 || st.Mode&0o7777 != 0o640 {
		t.Errorf("the file: %+v", st)
	}
	// A run that was killed before Close has left the flag out; the next one sets it though the content is the same.
	if err := errors.Join(clear("d"), clear("d/f")); err != nil {
		t.Fatal(err)
	}
	peek := func(o Options) error {
		s := open(t, dir, o)
		err := s.Peek(context.Background(), []byte("d"), f)
		sinktest.Close(t, s)
		return err
	}
	if err := peek(Options{Overwrite: IfChanged}); err != nil {
		t.Errorf("the second run is told to leave the file alone: %v", err)
	}
	if err := peek(Options{Overwrite: IfChanged, DryRun: true}); !errors.Is(err, sink.ErrSame) {
		t.Errorf("a rehearsal of the second run: %v", err)
	}
	if err := put(Options{Overwrite: IfChanged}); !errors.Is(err, sink.ErrSame) {
		t.Errorf("second run: %v", err)
	}
	if got := flags("d/f") & setFlags; got != flagAppend {
		t.Errorf("after the second run flags are %x", got)
	}
}

func TestLateFlagsAreNotSetOnAnObjectThatTookThePlace(t *testing.T) {
	t.Parallel()
	needsRoot(t)
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	write(t, other, "not of this snapshot", 0o600)
	s := open(t, dir, Options{})
	f := sinktest.Entry("f", tree.File)
	f.FSFlags = flagImmutable
	sinktest.Put(t, s, "", f, "content")
	if err := errors.Join(os.Remove(filepath.Join(dir, "f")), os.Link(other, filepath.Join(dir, "f"))); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(context.Background()); !errors.Is(err, errReplaced) {
		t.Errorf("close: %v", err)
	}
	if err := os.WriteFile(other, []byte("can be written"), 0o600); err != nil {
		t.Error(err)
	}
}

// TestAnOrdinaryUserLosesOwnersOnly restores a tree of root's as a user without rights; as root it runs itself again
// as such a user.
func TestAnOrdinaryUserLosesOwnersOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		asUser(t, dir, "TestAnOrdinaryUserLosesOwnersOnly")
		return
	}
	s := open(t, dir, Options{SetID: true})
	d, f, l, p := sinktest.Entry("d", tree.Dir), sinktest.Entry("f", tree.File), sinktest.Entry("l", tree.Symlink), sinktest.Entry("p", tree.FIFO)
	for _, e := range []*tree.Entry{d, f, l, p} {
		e.UID, e.GID = 0, 0
	}
	f.Mode = 0o6755
	f.Xattrs = []tree.Xattr{
		{Name: []byte(capability), Value: []byte{1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
		{Name: []byte("trusted.x"), Value: []byte("x")},
	}
	sinktest.Put(t, s, "", d, "")
	for _, e := range []*tree.Entry{f, l, p} {
		sinktest.Put(t, s, "d", e, "")
	}
	sinktest.Close(t, s)
	if st := stat(t, filepath.Join(dir, "d", "f")); st.Mode&0o7777 != 0o755 {
		t.Errorf("a file of the wrong owner has mode %o", st.Mode&0o7777)
	}
	got := map[attrs.Attribute]int64{}
	for _, l := range s.Losses() {
		got[l.Attribute] = l.Count
		if l.Err == nil || len(l.First) == 0 {
			t.Errorf("a loss without a reason: %+v", l)
		}
	}
	if got[attrs.Owner] != 4 || got[attrs.SetID] != 1 || got[attrs.Capabilities] != 1 || got[attrs.Xattrs] != 1 {
		t.Errorf("losses: %v", got)
	}
}

// asUser runs a test of this binary as an ordinary user.
func asUser(t *testing.T, dir, test string) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "test")
	tmp := filepath.Join(dir, "tmp")
	if err := errors.Join(os.WriteFile(exe, self, 0o755), os.Mkdir(tmp, 0o700), os.Chown(tmp, 65534, 65534),
		os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run", "^"+test+"$", "-test.v")
	cmd.Dir = tmp
	cmd.Env = []string{"TMPDIR=" + tmp, "HOME=" + tmp}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+test) {
		t.Errorf("as an ordinary user: %v\n%s", err, out)
	}
}
