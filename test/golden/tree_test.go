//go:build linux

package golden

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// rootName is the folder that is backed up; a restored tree is searched for it.
const rootName = "golden-source"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lines makes n numbered lines: nothing repeats, and much compresses.
func lines(seed string, n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "%s line %d of %d: %x\n", seed, i, n, sha256.Sum256(fmt.Append(nil, seed, i/40)))
	}
	return b.Bytes()
}

// makeTree makes a folder with something of everything that an ordinary user can make.
func makeTree(t *testing.T, dir string) string {
	t.Helper()
	root := filepath.Join(dir, rootName)
	must(t, os.MkdirAll(root, 0o755))
	write := func(name string, content []byte, mode fs.FileMode) {
		p := filepath.Join(root, name)
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		must(t, os.WriteFile(p, content, mode))
		must(t, os.Chmod(p, mode))
	}
	write("empty", nil, 0o644)
	write("short", []byte("a short file stands in its page\n"), 0o600)
	write("text", lines("text", 2_000), 0o640)
	write("large", lines("large", 14_000), 0o644)
	write("program", []byte("#!/bin/sh\nexit 0\n"+strings.Repeat("# a comment\n", 30)), 0o755)
	write("names/new\nline and \xff\xfe", []byte("a name of any bytes"), 0o644)
	write("names/"+strings.Repeat("n", 255), []byte("a long name"), 0o644)
	write("names/sub dir/ leading", []byte("blanks"), 0o644)
	write("names!/after", []byte("sorts beside names/"), 0o644)
	for i := range 120 {
		write(fmt.Sprintf("many/file%03d", i), lines(fmt.Sprint("many", i), i%7), 0o644)
	}
	write(strings.Repeat("deep/", 70)+"bottom", []byte("the bottom"), 0o644)
	must(t, os.Symlink("text", filepath.Join(root, "link")))
	must(t, os.Symlink("/nowhere/"+strings.Repeat("long/", 80), filepath.Join(root, "names", "dangling")))
	must(t, os.Link(filepath.Join(root, "text"), filepath.Join(root, "names", "second name of text")))
	must(t, unix.Mkfifo(filepath.Join(root, "fifo"), 0o620))
	must(t, os.Chmod(filepath.Join(root, "fifo"), 0o620))
	f, err := os.Create(filepath.Join(root, "sparse"))
	must(t, err)
	_, err = f.WriteAt(lines("island", 100), 3<<20)
	must(t, err)
	must(t, f.Truncate(5<<20))
	must(t, f.Close())
	for name, value := range map[string]string{"user.short": "value", "user.long": strings.Repeat("long value ", 50)} {
		_ = unix.Setxattr(filepath.Join(root, "short"), name, []byte(value), 0) // where the file system has them
	}
	setTimes(t, root)
	return root
}

// changeTree makes the second snapshot's state.
func changeTree(t *testing.T, root string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(root, "text2"), lines("text", 2_001), 0o644))
	must(t, os.Remove(filepath.Join(root, "many", "file007")))
	must(t, os.Rename(filepath.Join(root, "many"), filepath.Join(root, "moved")))
	b := lines("large", 14_000)
	copy(b[len(b)/2:], "changed in the middle")
	must(t, os.WriteFile(filepath.Join(root, "large"), b, 0o644))
	setTimes(t, root)
}

// setTimes gives everything a time of its own, before and after 1970, children before their folders.
func setTimes(t *testing.T, root string) {
	t.Helper()
	var paths []string
	must(t, filepath.WalkDir(root, func(p string, _ fs.DirEntry, err error) error {
		paths = append(paths, p)
		return err
	}))
	sort.Sort(sort.Reverse(sort.StringSlice(paths)))
	for i, p := range paths {
		at := time.Unix(1_600_000_000+int64(len(p))*1000-int64(i%5)*500_000_000, int64(i)*1_000_003%1_000_000_000)
		ts := unix.NsecToTimespec(at.UnixNano())
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, p, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
	}
}

// manifest describes a tree, a line for each object: what any restore must bring back as any user.
func manifest(t *testing.T, root string, xattrs bool) string {
	t.Helper()
	var out []string
	first := map[[2]uint64]string{}
	must(t, filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%q %s %04o %d.%09d", rel, d.Type(), st.Mode&0o7777, st.Mtim.Sec, st.Mtim.Nsec)
		switch {
		case d.Type().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d %x", len(b), sha256.Sum256(b))
		case d.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			line = fmt.Sprintf("%q link to %q %d.%09d", rel, to, st.Mtim.Sec, st.Mtim.Nsec)
		}
		if st.Nlink > 1 && !d.IsDir() {
			key := [2]uint64{uint64(st.Dev), st.Ino}
			if _, ok := first[key]; !ok {
				first[key] = rel
			}
			line += fmt.Sprintf(" = %q", first[key])
		}
		if xattrs && d.Type().IsRegular() {
			line += xattrsOf(p)
		}
		out = append(out, line)
		return nil
	}))
	sort.Strings(out)
	return strings.Join(out, "\n") + "\n"
}

// xattrsOf lists the attributes that the tree has.
func xattrsOf(p string) (s string) {
	buf := make([]byte, 4096)
	for _, name := range []string{"user.long", "user.short"} {
		if n, err := unix.Getxattr(p, name, buf); err == nil {
			s += fmt.Sprintf(" %s=%x", name, sha256.Sum256(buf[:n]))
		}
	}
	return s
}

// withoutXattrs takes the attributes out of a manifest, for a file system that has none.
func withoutXattrs(m string) string {
	var out []string
	for _, l := range strings.Split(m, "\n") {
		if i := strings.Index(l, " user."); i >= 0 {
			l = l[:i]
		}
		out = append(out, l)
	}
	return strings.Join(out, "\n")
}

// hasXattrs reports whether files in dir can have attributes.
func hasXattrs(t *testing.T, dir string) bool {
	t.Helper()
	p := filepath.Join(dir, "xattr-probe")
	must(t, os.WriteFile(p, nil, 0o600))
	defer os.Remove(p)
	return unix.Setxattr(p, "user.long", bytes.Repeat([]byte("x"), 600), 0) == nil
}

// findRoot finds the backed-up folder in a restored tree.
func findRoot(t *testing.T, dir string) string {
	t.Helper()
	found := ""
	must(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == rootName {
			found = p
			return fs.SkipAll
		}
		return err
	}))
	if found == "" {
		t.Fatalf("no folder %s in what was restored", rootName)
	}
	return found
}
