// Package sinktest is about the conformance suite of the sink family: what every sink promises, shown on a real
// target. A member's test calls Run with a Target for it.
package sinktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nacre-backup/nacre/internal/attrs"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
)

// Target is a place that a sink writes to, and eyes to see what it did.
type Target struct {
	// Has is what the sink restores.
	Has attrs.Set
	// Open begins a run into the target.
	Open func(t *testing.T) sink.Sink
	// Look returns what the target has at path, nil if nothing.
	Look func(t *testing.T, path string) *Object
	// Outside lists what lies around the target, metadata included. It must stay the same whatever the sink is given.
	Outside func(t *testing.T) string
	// Leftovers lists names in the target that belong to no entry.
	Leftovers func(t *testing.T) []string
}

// Object is what was seen at a path.
type Object struct {
	Type    tree.Type
	Mode    uint32
	ModTime tree.Time
	Content []byte
	Target  string
	Xattrs  map[string]string
	File    string // equal for hard links of one file
	Holes   bool   // the file occupies less than its size
}

// Run runs the suite; each test gets a target of its own.
func Run(t *testing.T, fresh func(t *testing.T) *Target) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, tg *Target)
	}{
		{"objects of every type come out as they went in", everyType},
		{"a name that is no single component is refused and nothing outside is touched", hostileNames},
		{"content may come in any order from several goroutines", anyOrder},
		{"what is not written reads as zeros and takes no room", holes},
		{"a file may be empty or end in a hole", sizes},
		{"an aborted file leaves nothing", aborted},
		{"a directory that nobody may write to is filled", readOnlyDirectory},
		{"an entry without its directory fails and the sink goes on", missingParent},
		{"hard links share one file", links},
		{"a cancelled run ends and leaves no file half-written", cancelled},
		{"a tree deeper than a path can name is made", deep},
		{"names of any bytes are kept", anyNames},
		{"many directories are filled at once", many},
		{"a second run into the same target leaves the same objects", again},
		{"directories keep their times after they were filled", directoryTimes},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tg := fresh(t)
			before := tg.Outside(t)
			test.run(t, tg)
			if after := tg.Outside(t); after != before {
				t.Errorf("outside the target was\n%s\nand is now\n%s", before, after)
			}
			if left := tg.Leftovers(t); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func everyType(t *testing.T, tg *Target) {
	s := tg.Open(t)
	top := Entry("", tree.Dir)
	dir, sub := Entry("dir", tree.Dir), Entry("sub", tree.Dir)
	dir.Mode = 0o711
	sub.Mode = 0o1777
	file, link := Entry("file", tree.File), Entry("link", tree.Symlink)
	file.Xattrs = []tree.Xattr{
		{Name: []byte("user.empty"), Value: nil}, {Name: []byte("user.nacre"), Value: []byte("a\x00b")},
	}
	odd := Entry("odd", tree.File)
	odd.Mode = 0
	Put(t, s, "", top, "")
	Put(t, s, "", dir, "")
	Put(t, s, "dir", file, "content")
	if tg.Has.Has(attrs.Symlinks) {
		Put(t, s, "dir", link, "")
	}
	Put(t, s, "dir", odd, "cannot be read")
	Put(t, s, "dir", sub, "")
	var nodes []*tree.Entry
	for typ, a := range map[tree.Type]attrs.Attribute{tree.FIFO: attrs.FIFOs, tree.Socket: attrs.Sockets} {
		e := Entry(a.String(), typ)
		err := TryPut(s, "dir/sub", e, "")
		switch {
		case tg.Has.Has(a) && err != nil:
			t.Errorf("%v: %v", a, err)
		case tg.Has.Has(a):
			nodes = append(nodes, e)
		case !errors.Is(err, sink.ErrSkipped):
			t.Errorf("%v, which this sink does not restore: %v, want ErrSkipped", a, err)
		}
	}
	Close(t, s)
	check(t, tg, "", top, "")
	check(t, tg, "", dir, "")
	check(t, tg, "dir", file, "content")
	if tg.Has.Has(attrs.Symlinks) {
		check(t, tg, "dir", link, "")
	}
	check(t, tg, "dir", sub, "")
	for _, e := range nodes {
		check(t, tg, "dir/sub", e, "")
	}
	if o := tg.Look(t, "dir/odd"); o == nil || tg.Has.Has(attrs.Mode) && o.Mode != 0 {
		t.Errorf("dir/odd is %+v, want mode 0", o)
	}
}

func hostileNames(t *testing.T, tg *Target) {
	s := tg.Open(t)
	Put(t, s, "", Entry("d", tree.Dir), "")
	Put(t, s, "d", Entry("f", tree.File), "x")
	up := Entry("up", tree.Symlink)
	up.Target = []byte("../..")
	if tg.Has.Has(attrs.Symlinks) {
		Put(t, s, "d", up, "")
	}
	for _, to := range []string{"..", ".", "", "../outside", "a\x00b", "up/outside"} {
		if err := s.Link(context.Background(), []byte("d"), Entry("l", tree.File), []byte("d"), []byte(to)); err == nil {
			t.Errorf("a link to %q was made", to)
		}
	}
	types := []tree.Type{tree.Dir, tree.File, tree.Symlink, tree.FIFO, tree.Socket, tree.CharDevice, tree.BlockDevice}
	for _, typ := range append(types, 0, 99) {
		for _, name := range []string{"", ".", "..", "/", "//", "/x", "x/", "a/b", "../x", "a\x00b", "\x00", "d/../../x"} {
			if name == "" && typ == tree.Dir {
				continue // the target itself
			}
			if err := TryPut(s, "", Entry(name, typ), ""); err == nil {
				t.Errorf("type %d with the name %q was accepted", typ, name)
			}
		}
		for _, dir := range []string{
			"..", ".", "/", "//", "/d", "d/", "d/..", "d//", "../d", "d/../d", "d/./", "d\x00", "d/up", "d/up/d", "d/f",
			"/etc", strings.Repeat("../", 40) + "tmp",
		} {
			if err := TryPut(s, dir, Entry("x", typ), ""); err == nil {
				t.Errorf("type %d in the directory %q was accepted", typ, dir)
			}
		}
	}
	if err := TryPut(s, "d", Entry(strings.Repeat("n", 70000), tree.File), ""); err == nil {
		t.Error("a name of 70,000 bytes was accepted")
	}
	Close(t, s)
}

func anyOrder(t *testing.T, tg *Target) {
	const parts, size = 64, 10_007
	want := make([]byte, parts*size)
	for i := range want {
		want[i] = byte(i*7 + i>>9)
	}
	s := tg.Open(t)
	e := Entry("f", tree.File)
	e.Size = uint64(len(want))
	f, err := s.Begin(context.Background(), nil, e)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := parts - 1 - g; i >= 0; i -= 4 {
				if n, err := f.WriteAt(want[i*size:(i+1)*size], int64(i*size)); err != nil || n != size {
					t.Errorf("part %d: wrote %d: %v", i, n, err)
				}
			}
		})
	}
	wg.Wait()
	if err := f.Finish(context.Background()); err != nil {
		t.Fatal(err)
	}
	Close(t, s)
	check(t, tg, "", e, string(want))
}

func holes(t *testing.T, tg *Target) {
	s := tg.Open(t)
	e := Entry("f", tree.File)
	const size = 4 << 20
	want := make([]byte, size)
	copy(want[1<<20:], bytes.Repeat([]byte("island"), 1000))
	e.Size = size
	f, err := s.Begin(context.Background(), nil, e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(want[1<<20:1<<20+6000], 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := f.Finish(context.Background()); err != nil {
		t.Fatal(err)
	}
	Close(t, s)
	check(t, tg, "", e, string(want))
	if o := tg.Look(t, "f"); tg.Has.Has(attrs.Holes) && o != nil && !o.Holes {
		t.Error("the holes take room")
	}
}

func sizes(t *testing.T, tg *Target) {
	s := tg.Open(t)
	empty := Entry("empty", tree.File)
	Put(t, s, "", empty, "")
	hole := Entry("hole", tree.File)
	hole.Size = 100_000
	f, err := s.Begin(context.Background(), nil, hole)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Finish(context.Background()); err != nil {
		t.Fatal(err)
	}
	Close(t, s)
	check(t, tg, "", empty, "")
	check(t, tg, "", hole, string(make([]byte, 100_000)))
}

func aborted(t *testing.T, tg *Target) {
	s := tg.Open(t)
	e := Entry("f", tree.File)
	e.Size = 5
	f, err := s.Begin(context.Background(), nil, e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("hel"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Abort(); err != nil {
		t.Fatal(err)
	}
	Close(t, s)
	if o := tg.Look(t, "f"); o != nil {
		t.Errorf("the aborted file is there: %+v", o)
	}
}

func readOnlyDirectory(t *testing.T, tg *Target) {
	s := tg.Open(t)
	d := Entry("d", tree.Dir)
	d.Mode = 0o500
	f := Entry("f", tree.File)
	Put(t, s, "", d, "")
	Put(t, s, "d", f, "x")
	Close(t, s)
	check(t, tg, "", d, "")
	check(t, tg, "d", f, "x")
}

func missingParent(t *testing.T, tg *Target) {
	s := tg.Open(t)
	for _, typ := range []tree.Type{tree.Dir, tree.File, tree.Symlink} {
		if err := TryPut(s, "no/such", Entry("x", typ), ""); err == nil {
			t.Errorf("type %d was made without its directory", typ)
		}
	}
	f := Entry("f", tree.File)
	Put(t, s, "", f, "x")
	Close(t, s)
	check(t, tg, "", f, "x")
}

func links(t *testing.T, tg *Target) {
	if !tg.Has.Has(attrs.HardLinks) {
		return
	}
	ctx := context.Background()
	s := tg.Open(t)
	first := Entry("first", tree.File)
	Put(t, s, "", Entry("d", tree.Dir), "")
	Put(t, s, "", first, "shared")
	if err := s.Link(ctx, []byte("d"), Entry("second", tree.File), nil, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := s.Link(ctx, nil, Entry("third", tree.File), []byte("d"), []byte("second")); err != nil {
		t.Fatal(err)
	}
	if err := s.Link(ctx, nil, Entry("fourth", tree.File), nil, []byte("nowhere")); err == nil {
		t.Error("a link to nothing was made")
	}
	Close(t, s)
	a, b, c := tg.Look(t, "first"), tg.Look(t, "d/second"), tg.Look(t, "third")
	if a == nil || b == nil || c == nil || a.File != b.File || a.File != c.File {
		t.Fatalf("not one file: %+v, %+v, %+v", a, b, c)
	}
	check(t, tg, "", first, "shared")
}

func cancelled(t *testing.T, tg *Target) {
	ctx, cancel := context.WithCancel(context.Background())
	s := tg.Open(t)
	Put(t, s, "", Entry("whole", tree.File), "x")
	half := Entry("half", tree.File)
	half.Size = 3
	f, err := s.Begin(ctx, nil, half)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := s.Begin(ctx, nil, Entry("later", tree.File)); !errors.Is(err, context.Canceled) {
		t.Errorf("begin: %v", err)
	}
	if err := f.Finish(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("finish: %v", err)
	}
	if err := s.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
	for _, name := range []string{"half", "later"} {
		if o := tg.Look(t, name); o != nil {
			t.Errorf("%s is there: %+v", name, o)
		}
	}
}

func deep(t *testing.T, tg *Target) {
	if !tg.Has.Has(attrs.LongPaths) {
		return
	}
	s := tg.Open(t)
	var dirs []string
	var entries []*tree.Entry
	at := ""
	for i := range 300 {
		e := Entry(fmt.Sprintf("%0100d", i), tree.Dir)
		e.ModTime = stamp(int64(i))
		Put(t, s, at, e, "")
		dirs, entries = append(dirs, at), append(entries, e)
		at = string(tree.JoinPath(nil, []byte(at), e.Name))
	}
	f := Entry("leaf", tree.File)
	Put(t, s, at, f, "deep")
	Close(t, s)
	check(t, tg, at, f, "deep")
	for i, e := range entries {
		check(t, tg, dirs[i], e, "")
	}
}

func anyNames(t *testing.T, tg *Target) {
	if !tg.Has.Has(attrs.AnyNames) {
		return
	}
	s := tg.Open(t)
	var entries []*tree.Entry
	for _, name := range []string{
		"new\nline", "\xff\xfe", "\x01", " ", "...", "-rf", "\\", "a\\..\\b", "~", "\xc3\xa9", "e\xcc\x81", "CON",
		strings.Repeat("\xf0", 255), "*", "con:stream", "trailing.", "\x1b[31m",
	} {
		e := Entry(name, tree.File)
		Put(t, s, "", e, name)
		entries = append(entries, e)
	}
	Close(t, s)
	for _, e := range entries {
		check(t, tg, "", e, string(e.Name))
	}
}

func many(t *testing.T, tg *Target) {
	const workers, dirs, files = 4, 100, 5
	s := tg.Open(t)
	for d := range dirs {
		Put(t, s, "", Entry(fmt.Sprint(d), tree.Dir), "")
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for d := range dirs {
				for f := range files {
					name := fmt.Sprintf("%d-%d", w, f)
					if err := TryPut(s, fmt.Sprint(d), Entry(name, tree.File), name); err != nil {
						t.Errorf("%d/%s: %v", d, name, err)
					}
				}
			}
		})
	}
	wg.Wait()
	Close(t, s)
	for d := range dirs {
		for w := range workers {
			for f := range files {
				name := fmt.Sprintf("%d-%d", w, f)
				check(t, tg, fmt.Sprint(d), Entry(name, tree.File), name)
			}
		}
	}
}

func again(t *testing.T, tg *Target) {
	d, f, l := Entry("d", tree.Dir), Entry("f", tree.File), Entry("l", tree.Symlink)
	entries := []*tree.Entry{f}
	if tg.Has.Has(attrs.Symlinks) {
		entries = append(entries, l)
	}
	for range 2 {
		s := tg.Open(t)
		Put(t, s, "", d, "")
		for _, e := range entries {
			content := ""
			if e == f {
				content = "same"
			}
			if err := TryPut(s, "d", e, content); err != nil && !errors.Is(err, sink.ErrSkipped) {
				t.Fatalf("%s: %v", e.Name, err)
			}
		}
		Close(t, s)
	}
	check(t, tg, "", d, "")
	for _, e := range entries {
		content := ""
		if e == f {
			content = "same"
		}
		check(t, tg, "d", e, content)
	}
}

func directoryTimes(t *testing.T, tg *Target) {
	s := tg.Open(t)
	d := Entry("d", tree.Dir)
	d.ModTime = tree.Time{Sec: -1, Nsec: 500_000_000}
	Put(t, s, "", d, "")
	for i := range 10 {
		e := Entry(fmt.Sprint(i), tree.Dir)
		Put(t, s, "d", e, "")
		Put(t, s, "d/"+fmt.Sprint(i), Entry("f", tree.File), "x")
	}
	Close(t, s)
	check(t, tg, "", d, "")
}
