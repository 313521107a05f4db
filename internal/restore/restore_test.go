package restore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/restore"
	"github.com/nacre-backup/nacre/internal/sink/files"
	"github.com/nacre-backup/nacre/internal/sink/sinktest"
	"github.com/nacre-backup/nacre/internal/tree"
)

func entry(name string, typ tree.Type) tree.Entry { return *sinktest.Entry(name, typ) }

func dir(in, name string) object  { return object{dir: in, entry: entry(name, tree.Dir)} }
func link(in, name string) object { return object{dir: in, entry: entry(name, tree.Symlink)} }
func file(in, name string, content []byte) object {
	return object{dir: in, entry: entry(name, tree.File), content: content}
}

// small is a snapshot with a bit of everything, below the implied directory home.
func small() []object {
	top, home := entry("", tree.Dir), entry("home", tree.Dir)
	top.Flags, home.Flags = tree.Implied, tree.Implied
	top.ModTime, home.ModTime = tree.Time{}, tree.Time{}
	holes := file("home/u", "holes", slices.Concat(noise(9, 4096), make([]byte, 1<<20), noise(8, 4096)))
	holes.chunk, holes.holes = 4096, true
	long := link("home/u", "long")
	long.entry.Target = bytes.Repeat([]byte("x/"), 500)
	attr := file("home/u", "attr", []byte("with attributes"))
	attr.entry.Xattrs = []tree.Xattr{{Name: []byte("user.long"), Value: bytes.Repeat([]byte("v"), 1000)}, {Name: []byte("user.short"), Value: []byte("s")}}
	return []object{
		{entry: top},
		{entry: home},
		dir("home", "u"), holes, long, attr,
		file("home/u", "empty", nil), file("home/u", "tiny", []byte("tiny")), file("home/u", "big", noise(1, 3_000_000)),
		file("home/u", "middle", noise(2, 40_000)), link("home/u", "link"), dir("home/u", "sub"),
		file("home/u/sub", "again", noise(2, 40_000)), file("home/u/sub", "other", noise(3, 70_000)), dir("home/u", "void"),
		dir("home/u", "sub2"), dir("home/u/sub2", "deep"), file("home/u/sub2/deep", "f", noise(4, 5_000)),
	}
}

// run restores and fails on an error of the run.
func run(t *testing.T, s *snapshot, target string, fo files.Options, o restore.Options) *restore.Summary {
	t.Helper()
	fo.NoSync = true
	to, err := files.New(target, fo)
	must(t, err)
	sum, err := restore.Run(t.Context(), s.open(t), s.snap, to, o)
	if err != nil {
		t.Fatalf("restore: %v", err)
	}
	return sum
}

// listing describes all that is below a folder: type and content by path.
func listing(t *testing.T, top string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == top {
			return err
		}
		rel, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		what := "dir"
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			what = "link to " + to
		case d.Type().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what = fmt.Sprintf("%d bytes %x", len(b), hash(b))
		}
		all[filepath.ToSlash(rel)] = what
		return nil
	}))
	return all
}

func hash(b []byte) [8]byte {
	var h [8]byte
	for i, c := range b {
		h[i%8] = h[i%8]*31 + c + byte(i>>3)
	}
	return h
}

// want is the listing that objects should give, with paths turned by turn ("" leaves one out).
func want(objects []object, turn func(path string) string) map[string]string {
	all := map[string]string{}
	for _, o := range objects {
		path := turn(string(tree.JoinPath(nil, []byte(o.dir), o.entry.Name)))
		if path == "" {
			continue
		}
		switch o.entry.Type {
		case tree.Dir:
			all[path] = "dir"
		case tree.Symlink:
			all[path] = "link to " + string(o.entry.Target)
		case tree.File:
			all[path] = fmt.Sprintf("%d bytes %x", len(o.content), hash(o.content))
		}
	}
	return all
}

func same(path string) string { return path }

func TestASnapshotComesBackAsItWas(t *testing.T) {
	t.Parallel()
	objects := small()
	s := vault(t, objects)
	target := filepath.Join(t.TempDir(), "new")
	var counters event.Counters
	sum := run(t, s, target, files.Options{}, restore.Options{Counters: &counters, Verify: true})
	if d := cmp.Diff(want(objects, same), listing(t, target)); d != "" {
		t.Error(d)
	}
	if sum.Incomplete() || len(sum.Failures) > 0 || len(sum.Losses) > 0 {
		t.Errorf("summary: %+v", sum)
	}
	if sum.Files != 9 || sum.Dirs != 7 || sum.Symlinks != 2 {
		t.Errorf("summary: %+v", sum)
	}
	if b := counters.Bytes.Load(); b != sum.Bytes || b != counters.TotalBytes.Load() || counters.Entries.Load() != counters.TotalEntries.Load() {
		t.Errorf("counted %d of %d bytes, %d of %d entries; the summary says %d bytes", b, counters.TotalBytes.Load(),
			counters.Entries.Load(), counters.TotalEntries.Load(), sum.Bytes)
	}
	for _, o := range objects {
		if o.entry.Flags&tree.Implied != 0 {
			continue
		}
		fi, err := os.Lstat(filepath.Join(target, o.dir, string(o.entry.Name)))
		must(t, err)
		if got := fi.ModTime(); got.Unix() != o.entry.ModTime.Sec || uint32(got.Nanosecond()) != o.entry.ModTime.Nsec {
			t.Errorf("%s/%s has the time %v, want %v", o.dir, o.entry.Name, got, o.entry.ModTime)
		}
	}
}

func TestAPartOfASnapshotGoesStraightIntoTheTarget(t *testing.T) {
	t.Parallel()
	objects := small()
	s := vault(t, objects)
	below := func(top string, strip int) func(string) string {
		return func(path string) string {
			rel, ok := strings.CutPrefix(path, top+"/")
			parts := strings.Split(rel, "/")
			if !ok || len(parts) <= strip {
				return ""
			}
			return strings.Join(parts[strip:], "/")
		}
	}
	for _, c := range []struct {
		name string
		o    restore.Options
		turn func(string) string
	}{
		{"a directory", restore.Options{SubPath: []byte("home/u")}, below("home/u", 0)},
		{"a deep directory", restore.Options{SubPath: []byte("home/u/sub2")}, below("home/u/sub2", 0)},
		{"a file", restore.Options{SubPath: []byte("home/u/middle")}, func(p string) string {
			if p == "home/u/middle" {
				return "middle"
			}
			return ""
		}},
		{"one component less", restore.Options{StripComponents: 1}, below("home", 0)},
		{"two components less", restore.Options{StripComponents: 2}, below("home/u", 0)},
		{"one component less of a directory", restore.Options{StripComponents: 1, SubPath: []byte("home")}, below("home/u", 0)},
		{"more components than there are", restore.Options{StripComponents: 9}, func(string) string { return "" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			target := t.TempDir()
			sum := run(t, s, target, files.Options{}, c.o)
			if d := cmp.Diff(want(objects, c.turn), listing(t, target)); d != "" || sum.Incomplete() {
				t.Errorf("%s\n%+v", d, sum)
			}
		})
	}
	to, err := files.New(t.TempDir(), files.Options{NoSync: true})
	must(t, err)
	if _, err := restore.Run(t.Context(), s.open(t), s.snap, to, restore.Options{SubPath: []byte("home/nobody")}); !errors.Is(err, errs.NotFound) {
		t.Errorf("a path that is not there: %v", err)
	}
}

func TestAFilterTakesWhatItWantsAndTheDirectoriesToIt(t *testing.T) {
	t.Parallel()
	objects := small()
	s := vault(t, objects)
	take := func(path string) restore.Choice {
		switch {
		case path == "home/u/sub":
			return restore.Leave
		case path == "home/u/sub2/deep/f" || path == "home/u/tiny":
			return restore.Take
		}
		return restore.Descend
	}
	target := t.TempDir()
	sum := run(t, s, target, files.Options{}, restore.Options{Select: func(path []byte, typ tree.Type) restore.Choice {
		if strings.HasPrefix(string(path), "home/u/sub/") {
			t.Errorf("asked for %q below a directory that is left out", path)
		}
		return take(string(path))
	}})
	got := listing(t, target)
	wanted := want(objects, func(p string) string {
		if slices.Contains([]string{"home", "home/u", "home/u/sub2", "home/u/sub2/deep"}, p) || take(p) == restore.Take {
			return p
		}
		return ""
	})
	if d := cmp.Diff(wanted, got); d != "" || sum.Incomplete() || sum.Files != 2 || sum.Dirs != 5 {
		t.Errorf("%s\n%+v", d, sum)
	}
	fi, err := os.Stat(filepath.Join(target, "home", "u", "sub2"))
	must(t, err)
	if fi.Mode().Perm() != 0o750 || fi.ModTime().Nanosecond() == 0 {
		t.Errorf("a directory on the way has mode %v and time %v", fi.Mode(), fi.ModTime())
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	t.Parallel()
	s := vault(t, small())
	target := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(target, "home", "u"), 0o700))
	must(t, os.WriteFile(filepath.Join(target, "home", "u", "tiny"), []byte("mine"), 0o600))
	before := listing(t, target)
	sum := run(t, s, target, files.Options{}, restore.Options{DryRun: true})
	if d := cmp.Diff(before, listing(t, target)); d != "" {
		t.Error(d)
	}
	if sum.Files != 8 || sum.Skipped != 1 || sum.Dirs != 7 || sum.Incomplete() {
		t.Errorf("%+v", sum)
	}
	sum, err := restore.Run(t.Context(), s.open(t), s.snap, nil, restore.Options{DryRun: true})
	if err != nil || sum.Files != 9 {
		t.Errorf("without a target: %v, %+v", err, sum)
	}
}

func TestOverwriteRulesHoldForWholeRuns(t *testing.T) {
	t.Parallel()
	objects := small()
	s := vault(t, objects)
	target := t.TempDir()
	run(t, s, target, files.Options{}, restore.Options{})
	tiny := filepath.Join(target, "home", "u", "tiny")
	must(t, os.WriteFile(tiny, []byte("changed"), 0o600))

	sum := run(t, s, target, files.Options{}, restore.Options{})
	if sum.Files != 0 || sum.Skipped != 11 {
		t.Errorf("never: %+v", sum)
	}
	if b, err := os.ReadFile(tiny); string(b) != "changed" || err != nil {
		t.Errorf("never: %q, %v", b, err)
	}
	sum = run(t, s, target, files.Options{Overwrite: files.IfChanged}, restore.Options{})
	if sum.Files != 1 || sum.Skipped != 10 {
		t.Errorf("if-changed: %+v", sum)
	}
	sum = run(t, s, target, files.Options{Overwrite: files.Always}, restore.Options{})
	if sum.Files != 9 || sum.Skipped != 0 || sum.Incomplete() {
		t.Errorf("always: %+v", sum)
	}
	if d := cmp.Diff(want(objects, same), listing(t, target)); d != "" {
		t.Error(d)
	}
}

// linked makes members of a hard-link group.
func linked(in, name string, group byte, n uint32, content []byte) object {
	o := file(in, name, content)
	o.entry.Nlink, o.entry.Link = n, id.Link{group}
	return o
}

func TestHardLinksAreJoinedByGroupAndContent(t *testing.T) {
	t.Parallel()
	// Group 2 was read while it changed; groups 3 and 4 have equal content.
	objects := []object{
		dir("", "d"), linked("", "a1", 1, 3, noise(1, 1000)), linked("d", "a2", 1, 3, noise(1, 1000)),
		linked("d", "a3", 1, 3, noise(1, 1000)), linked("", "b1", 2, 4, noise(2, 1000)), linked("", "b2", 2, 4, noise(3, 1000)),
		linked("d", "b3", 2, 4, noise(2, 1000)), linked("d", "b4", 2, 4, noise(3, 1000)), linked("", "c1", 3, 2, noise(4, 1000)),
		linked("", "c2", 4, 2, noise(4, 1000)), linked("", "i1", 5, 2, []byte("in")), linked("d", "i2", 5, 2, []byte("in")),
		linked("", "e1", 6, 2, nil), linked("d", "e2", 6, 2, nil),
	}
	s := vault(t, objects)
	target := t.TempDir()
	sum := run(t, s, target, files.Options{}, restore.Options{Verify: true})
	if d := cmp.Diff(want(objects, same), listing(t, target)); d != "" || sum.Incomplete() || sum.Links != 6 {
		t.Errorf("%s\n%+v", d, sum)
	}
	one := func(a, b string) bool {
		x, err := os.Stat(filepath.Join(target, a))
		must(t, err)
		y, err := os.Stat(filepath.Join(target, b))
		must(t, err)
		return os.SameFile(x, y)
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"a1", "d/a2", true},
		{"a1", "d/a3", true},
		{"b1", "d/b3", true},
		{"b2", "d/b4", true},
		{"b1", "b2", false},
		{"c1", "c2", false},
		{"i1", "d/i2", true},
		{"e1", "d/e2", true},
		{"e1", "i1", false},
	} {
		if one(c.a, c.b) != c.same {
			t.Errorf("%s and %s are one file: %v, want %v", c.a, c.b, !c.same, c.same)
		}
	}
}

func TestALinkIsNeverMadeToAFileOfTheUser(t *testing.T) {
	t.Parallel()
	objects := []object{
		linked("", "a", 1, 4, noise(1, 1000)), linked("", "b", 1, 4, noise(1, 1000)), linked("", "c", 1, 4, noise(1, 1000)),
	}
	s := vault(t, objects)
	target := t.TempDir()
	must(t, os.WriteFile(filepath.Join(target, "a"), []byte("mine"), 0o600))
	sum := run(t, s, target, files.Options{}, restore.Options{})
	got := listing(t, target)
	wanted := want(objects, same)
	wanted["a"] = fmt.Sprintf("4 bytes %x", hash([]byte("mine")))
	if d := cmp.Diff(wanted, got); d != "" || sum.Skipped != 1 || sum.Files != 2 || sum.Links != 1 {
		t.Errorf("%s\n%+v", d, sum)
	}
}

func TestWhatIsBelowADirectoryThatCannotBeMadeIsLeftOut(t *testing.T) {
	t.Parallel()
	s := vault(t, small())
	target, out := t.TempDir(), t.TempDir()
	must(t, os.MkdirAll(filepath.Join(target, "home", "u"), 0o700))
	must(t, os.Symlink(out, filepath.Join(target, "home", "u", "sub2")))
	sum := run(t, s, target, files.Options{Overwrite: files.Always}, restore.Options{})
	if sum.Failed != 1 || string(sum.Failures[0].Path) != "home/u/sub2" {
		t.Errorf("%+v", sum)
	}
	if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
		t.Errorf("outside: %v, %v", left, err)
	}
}

func TestFilesAndLinksPassThroughManyWindows(t *testing.T) {
	t.Parallel()
	var objects []object
	for d := range 20 {
		name := fmt.Sprintf("d%02d", d)
		objects = append(objects, dir("", name))
		for f := range 30 {
			objects = append(objects, file(name, fmt.Sprint(f), noise(byte(f), 129+f%5)))
		}
		big := file(name, "big", noise(byte(d), 20_000))
		big.chunk = 700
		objects = append(objects, big, linked(name, "linked", 1, 20, noise(77, 999)))
	}
	s := vault(t, objects)
	for _, b := range [][3]int{{1, 1, 1}, {7, 100, 2}, {1000, 3, 1000}, {10000, 100, 2}} {
		target := t.TempDir()
		o := restore.WithBounds(restore.Options{Verify: true, Workers: 4}, b[0], b[1], b[2])
		to, err := files.New(target, files.Options{NoSync: true})
		must(t, err)
		w := &wrapped{Sink: to}
		sum, err := restore.Run(t.Context(), s.open(t), s.snap, w, o)
		must(t, err)
		if d := cmp.Diff(want(objects, same), listing(t, target)); d != "" || sum.Incomplete() || sum.Links != 19 {
			t.Errorf("%v: %s\n%+v", b, d, sum)
		}
		// One for each worker, one that passes through windows, and those of several pieces.
		if most := o.Workers + 1 + b[2]; w.most > most || w.open != 0 {
			t.Errorf("%v: %d files were open at once, at most %d should be; %d still are", b, w.most, most, w.open)
		}
	}
}

func TestSparseLeavesZerosOut(t *testing.T) {
	t.Parallel()
	content := slices.Concat(noise(1, 5000), make([]byte, 1<<20), noise(2, 5000))
	objects := []object{file("", "f", content)}
	s := vault(t, objects)
	target := t.TempDir()
	sum := run(t, s, target, files.Options{}, restore.Options{Sparse: true, Verify: true})
	if d := cmp.Diff(want(objects, same), listing(t, target)); d != "" || sum.Incomplete() {
		t.Errorf("%s\n%+v", d, sum)
	}
	if n, ok := allocated(t, filepath.Join(target, "f")); ok && n > 100_000 {
		t.Errorf("%d bytes are allocated", n)
	}
}
