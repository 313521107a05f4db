package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/testkit/program"
)

var root = os.Geteuid() == 0

// special fills a folder with every kind of file and of name that this user may make here.
func special(t *testing.T, dir string) {
	t.Helper()
	s := maker{t, dir}
	s.file("empty", nil, 0o644)
	s.file("inline", []byte("short"), 0o600)
	s.file("small", bytes.Repeat([]byte("small "), 2000), 0o444)
	s.file("large", noise(3<<20), 0o640)
	s.file("executable", []byte("#!/bin/sh\n"), 0o755)
	s.file("no rights", []byte("secret"), 0)
	s.sparse("sparse", 8<<20, 0, 1<<20, 5<<20)
	s.sparse("only a hole", 4<<20)
	must(t, os.Symlink("small", s.path("link")))
	must(t, os.Symlink("/no/such/"+strings.Repeat("long/", 300), s.path("broken link")))
	must(t, unix.Mkfifo(s.path("fifo"), 0o620))
	s.socket("socket")
	s.mkdir("links/sub")
	must(t, os.Link(s.path("small"), s.path("links/small")))
	must(t, os.Link(s.path("small"), s.path("links/sub/small")))
	must(t, os.Link(s.path("large"), s.path("links/large")))
	must(t, os.Link(s.path("empty"), s.path("links/empty")))
	s.names()
	s.long(3900 - len(dir))
	s.attributes()
	if root {
		s.rootOnly()
	}
	for i, name := range []string{"small", "links", "links/sub", "fifo", "link", "large", "empty"} {
		when := []unix.Timespec{{Sec: 1_000_000_000, Nsec: 1}, {Sec: int64(i)*40_000_000 - 100_000_000, Nsec: int64(i) * 111_111_111}}
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, s.path(name), when, unix.AT_SYMLINK_NOFOLLOW))
	}
}

type maker struct {
	t   *testing.T
	dir string
}

func (s maker) path(name string) string { return filepath.Join(s.dir, name) }

func (s maker) mkdir(name string) { must(s.t, os.MkdirAll(s.path(name), 0o755)) }

func (s maker) file(name string, content []byte, mode os.FileMode) {
	s.t.Helper()
	must(s.t, os.WriteFile(s.path(name), content, 0o600))
	must(s.t, os.Chmod(s.path(name), mode))
}

// noise is bytes that do not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

// sparse makes a file of a size with islands of data.
func (s maker) sparse(name string, size int64, islands ...int64) {
	s.t.Helper()
	f, err := os.Create(s.path(name))
	must(s.t, err)
	for _, at := range islands {
		_, err := f.WriteAt(noise(70_000), at)
		must(s.t, err)
	}
	must(s.t, f.Truncate(size))
	must(s.t, f.Close())
}

// socket binds by a short path: the length of a socket's name is limited.
func (s maker) socket(name string) {
	s.t.Helper()
	dir, err := os.Open(s.dir)
	must(s.t, err)
	defer dir.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(s.t, err)
	must(s.t, unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name)}))
	must(s.t, unix.Close(fd))
}

func (s maker) names() {
	s.mkdir("names")
	for i, n := range []string{
		"new\nline", "\xff\xfe\xfd", strings.Repeat("n", 255), strings.Repeat("ü", 127), " ", " lead", "trail ", "-rf", "--help",
		"a\tb", "*", "?", "[a]", `\`, `a\nb`, "'", `"`, "`id`", "$HOME", "\x01\x1b[31m", "..a", "...", "a:b", "con", "\u202egnp.exe", "~",
		"latest", "#x", "!x", "%d", "é", "e\u0301",
	} {
		s.file(filepath.Join("names", n), fmt.Appendf(nil, "name %d", i), 0o644)
		s.mkdir(filepath.Join("names", strings.Repeat("x", 3)+n[:min(len(n), 250)]))
	}
}

// long makes directories until a path is n bytes long, with a file at the end.
func (s maker) long(n int) {
	p := "long"
	for len(p)+210 < n {
		p = filepath.Join(p, strings.Repeat("d", 200))
		s.mkdir(p)
	}
	s.file(filepath.Join(p, strings.Repeat("f", n-len(p)-1)), []byte("at the end"), 0o644)
}

// attributes sets extended attributes and ACLs, where the file system has them.
func (s maker) attributes() {
	s.mkdir("attributes/dir")
	s.file("attributes/file", []byte("x"), 0o640)
	set := func(name, attr string, value []byte) {
		err := unix.Lsetxattr(s.path(name), attr, value, 0)
		if errors.Is(err, unix.EOPNOTSUPP) {
			s.t.Logf("this file system has no attribute %s", attr)
			return
		}
		must(s.t, err)
	}
	set("attributes/file", "user.short", []byte("value"))
	set("attributes/file", "user.empty", nil)
	set("attributes/file", "user.binary", []byte{0, 1, 255, '\n'})
	set("attributes/file", "user.long", noise(2000))
	set("attributes/dir", "user.of a directory", []byte("yes"))
	acl := []byte("\x02\x00\x00\x00\x01\x00\x07\x00\xff\xff\xff\xff\x02\x00\x05\x00\x09\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x07\x00\xff\xff\xff\xff\x20\x00\x01\x00\xff\xff\xff\xff")
	set("attributes/file", "system.posix_acl_access", acl)
	set("attributes/dir", "system.posix_acl_access", acl)
	set("attributes/dir", "system.posix_acl_default", acl)
}

// rootOnly makes what needs the superuser.
func (s maker) rootOnly() {
	s.mkdir("root")
	s.file("root/owned", []byte("x"), 0o644)
	must(s.t, os.Chown(s.path("root/owned"), 12345, 54321))
	s.file("root/setid", []byte("x"), 0o755)
	must(s.t, os.Chown(s.path("root/setid"), 1, 1))
	must(s.t, os.Chmod(s.path("root/setid"), 0o755|os.ModeSetuid|os.ModeSetgid))
	s.mkdir("root/sticky")
	must(s.t, os.Chmod(s.path("root/sticky"), 0o777|os.ModeSticky|os.ModeSetgid))
	must(s.t, os.Symlink("x", s.path("root/link")))
	must(s.t, os.Lchown(s.path("root/link"), 7, 8))
	for name, dev := range map[string]uint32{"char": unix.S_IFCHR, "block": unix.S_IFBLK} {
		if err := unix.Mknod(s.path("root/"+name), dev|0o640, int(unix.Mkdev(7, 300))); err != nil {
			s.t.Logf("no devices here: %v", err)
		}
	}
	s.file("root/capable", []byte("x"), 0o755)
	caps := []byte("\x01\x00\x00\x02\x00\x24\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	must(s.t, unix.Setxattr(s.path("root/capable"), "security.capability", caps, 0))
	must(s.t, unix.Lsetxattr(s.path("root/link"), "trusted.of.a.link", []byte("yes"), 0))
}

// sameByTools compares two folders by the programs that people trust: they must see no difference.
func sameByTools(t *testing.T, a, b string) {
	t.Helper()
	if out := tool(t, "/", "rsync", "-aHAXSnci", "--delete", a+"/", b+"/"); out != "" {
		t.Errorf("rsync sees differences:\n%s", clip(out))
	}
	for _, c := range [][]string{
		{"getfacl", "-R", "-P", "-n", "."}, {"getfattr", "-R", "-P", "-h", "-d", "-m", "-", "-e", "hex", "."}, {"getcap", "-r", "."},
	} {
		if x, y := tool(t, a, c[0], c[1:]...), tool(t, b, c[0], c[1:]...); x != y {
			t.Errorf("%s sees differences", c[0])
		} else if x == "" && (c[0] != "getcap" || root) {
			t.Errorf("%s sees nothing at all", c[0])
		}
	}
}

func needsCompare(t *testing.T) {
	t.Helper()
	needs(t, "rsync", "rsync")
	needs(t, "getfacl", "acl")
	needs(t, "getfattr", "attr")
	needs(t, "getcap", "libcap2-bin")
}

func TestEverySpecialFileComesBackAsItWas(t *testing.T) {
	t.Parallel()
	needsCompare(t)
	b := newBox(t)
	src := b.path("src")
	must(t, os.Mkdir(src, 0o755))
	special(t, src)
	if !root {
		must(t, os.Chmod(filepath.Join(src, "no rights"), 0o400))
	}
	b.backup(t, src)
	must(t, os.Mkdir(b.path("out"), 0o755))
	b.nacre(t, "restore", "latest:"+src, "--target", b.path("out"), "--set-id", "--devices", "--verify")
	sameByTools(t, src, b.path("out"))
	b.nacre(t, "restore", "latest", "--target", b.path("whole"), "--set-id", "--devices", "--numeric-ids")
	sameByTools(t, src, filepath.Join(b.path("whole"), src))

	must(t, os.Chmod(b.path("out", "inline"), 0o601)) // the comparison itself must be able to fail
	if tool(t, "/", "rsync", "-aHAXSnci", "--delete", src+"/", b.path("out")+"/") == "" {
		t.Error("rsync does not see a difference that is there")
	}
}

func TestADirectoryOfAHundredThousandEntriesComesBack(t *testing.T) {
	t.Parallel()
	needsCompare(t)
	b := newBox(t)
	dir := b.path("src", "many")
	must(t, os.MkdirAll(dir, 0o755))
	for i := range 100_000 {
		content := []byte(nil)
		if i%10 == 0 {
			content = fmt.Append(nil, i)
		}
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%x", i*2_654_435_761)), content, 0o644))
	}
	must(t, unix.Setxattr(dir, "user.x", []byte("y"), 0))
	program.Settle()
	s := b.backup(t, b.path("src"))
	if s.Stats.Files != 100_000 || s.Stats.Failed != 0 {
		t.Errorf("summary %+v", s)
	}
	b.nacre(t, "restore", "latest:"+b.path("src"), "--target", b.path("out"))
	if out := tool(t, "/", "rsync", "-aHAXSnci", "--delete", b.path("src")+"/", b.path("out")+"/"); out != "" {
		t.Errorf("rsync sees differences:\n%s", clip(out))
	}
	unchanged(t, b, b.path("src"))
}

// unchanged makes a second backup, which must write no data and no tree page.
func unchanged(t *testing.T, b *box, src string) {
	t.Helper()
	s := b.backup(t, src)
	if s.NewTreePages != 0 || s.NewBlobs != 0 || s.DataPacks != 0 || s.MetaPacks != 0 || s.Stats.ReadBytes != 0 || s.Stats.Changed+s.Stats.New != 0 {
		t.Errorf("an unchanged backup: %+v", s)
	}
	if s.Snapshot.Parent == "" || s.Stats.Unchanged == 0 {
		t.Errorf("the backup has no parent: %+v", s)
	}
}

func TestAnUnchangedBackupWritesNothing(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	src := b.path("src")
	must(t, os.Mkdir(src, 0o755))
	special(t, src)
	must(t, os.Chmod(filepath.Join(src, "no rights"), 0o400))
	program.Settle()
	b.backup(t, src)
	unchanged(t, b, src)
}

func TestAMovedDirectoryIsNotReadAgain(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for i := range 10_000 {
		dir := b.path("src", "old", fmt.Sprint(i%20))
		if i < 20 {
			must(t, os.MkdirAll(dir, 0o755))
		}
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), bytes.Repeat(fmt.Append(nil, i, " "), 50), 0o644))
	}
	program.Settle()
	b.backup(t, b.path("src"))
	must(t, os.MkdirAll(b.path("src", "new"), 0o755))
	must(t, os.Rename(b.path("src", "old"), b.path("src", "new", "place")))
	s := b.backup(t, b.path("src"))
	if s.Stats.ReadBytes != 0 || s.Stats.Moved < 10_000 || s.Stats.Files != 10_000 || s.DataPacks != 0 {
		t.Errorf("after the move: %+v", s)
	}
	b.nacre(t, "restore", "latest:"+b.path("src"), "--target", b.path("out"))
	if out := tool(t, "/", "diff", "-r", b.path("src"), b.path("out")); out != "" {
		t.Errorf("differences:\n%s", clip(out))
	}
}
