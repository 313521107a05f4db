// Package sourcetest is about what every source must keep: the suite that each member of the family runs.
package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

// Fixture is a source and what is in it.
type Fixture struct {
	Source  source.Source
	Content map[string][]byte // regular files by their path from the top; the source may have more
	Stream  bool              // the files are streams
}

// Run runs the suite. open makes a new source over the same content each time; the suite closes it.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Fixture){
		"entries come in key order, the top first":          testOrder,
		"a directory comes before what is in it":            testParents,
		"retained items stay as they were":                  testRetain,
		"describing adds to an entry and changes nothing":   testDescribe,
		"content is read by several at once":                testContent,
		"entries can be listed once only":                   testOnce,
		"the end of the context ends the listing":           testCancel,
		"a listing may be left early":                       testBreak,
		"an error has a class, and no error has none":       testClass,
		"content has every byte between what NextData says": testHoles,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fx := open(t)
			defer func() {
				if err := fx.Source.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			test(t, fx)
		})
	}
}

// each lists the source and calls fn with each entry, which lasts until fn returns.
func each(t *testing.T, s source.Source, fn func(path string, it *source.Item)) {
	t.Helper()
	for it, err := range s.Entries(t.Context()) {
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		if (it.Entry == nil) == (it.Err == nil) {
			t.Fatalf("item in %q: exactly one of entry and error must be set", it.Dir)
		}
		if it.Entry != nil {
			fn(string(tree.JoinPath(nil, it.Dir, it.Entry.Name)), it)
		}
	}
}

func testOrder(t *testing.T, fx Fixture) {
	var last *tree.Key
	each(t, fx.Source, func(path string, it *source.Item) {
		k := tree.Key{Dir: bytes.Clone(it.Dir), Name: bytes.Clone(it.Entry.Name)}
		switch {
		case last == nil && path != "":
			t.Fatalf("the first entry is %q, want the top", path)
		case last == nil && it.Entry.Type != tree.Dir:
			t.Fatal("the top is no directory")
		case last != nil && last.Compare(k) >= 0:
			t.Fatalf("%q in %q comes after %q in %q", k.Name, k.Dir, last.Name, last.Dir)
		}
		last = &k
	})
	if last == nil {
		t.Fatal("no entries")
	}
}

func testParents(t *testing.T, fx Fixture) {
	dirs := map[string]bool{}
	each(t, fx.Source, func(path string, it *source.Item) {
		if path != "" && !dirs[string(it.Dir)] {
			t.Fatalf("%q comes before its directory", path)
		}
		if it.Entry.Type == tree.Dir {
			dirs[path] = true
		}
	})
}

func testRetain(t *testing.T, fx Fixture) {
	type pair struct {
		kept  *source.Item
		dir   []byte
		entry tree.Entry
		link  string
	}
	var all []pair
	each(t, fx.Source, func(_ string, it *source.Item) {
		p := pair{kept: fx.Source.Retain(it), dir: bytes.Clone(it.Dir), entry: *it.Entry, link: string([]byte(it.LinkID))}
		p.entry.Name = bytes.Clone(it.Entry.Name)
		all = append(all, p)
	})
	for _, p := range all {
		if !bytes.Equal(p.kept.Dir, p.dir) || p.kept.LinkID != p.link {
			t.Errorf("%q: directory %q or link changed", p.dir, p.kept.Dir)
		}
		if d := cmp.Diff(norm(p.entry), norm(*p.kept.Entry)); d != "" {
			t.Errorf("%q changed: %s", p.entry.Name, d)
		}
		fx.Source.Release(p.kept)
	}
}

// norm makes a nil name and an empty one alike.
func norm(e tree.Entry) tree.Entry {
	if len(e.Name) == 0 {
		e.Name = nil
	}
	return e
}

func retainAll(t *testing.T, fx Fixture) []*source.Item {
	t.Helper()
	var all []*source.Item
	each(t, fx.Source, func(_ string, it *source.Item) { all = append(all, fx.Source.Retain(it)) })
	t.Cleanup(func() {
		for _, it := range all {
			fx.Source.Release(it)
		}
	})
	return all
}

func testDescribe(t *testing.T, fx Fixture) {
	var group sync.WaitGroup
	for _, it := range retainAll(t, fx) {
		group.Go(func() {
			before := *it.Entry
			if err := fx.Source.Describe(t.Context(), it); err != nil {
				t.Errorf("describe %q: %v", it.Entry.Name, err)
				return
			}
			after := *it.Entry
			if !slices.IsSortedFunc(after.Xattrs, func(a, b tree.Xattr) int { return bytes.Compare(a.Name, b.Name) }) {
				t.Errorf("%q: attributes are not in order", after.Name)
			}
			if after.Type == tree.Symlink && len(after.Target) == 0 && after.ErrClass == tree.ErrNone {
				t.Errorf("%q: a symbolic link without target", after.Name)
			}
			after.User, after.Group, after.Xattrs, after.FSFlags, after.ProjectID, after.Target = "", "", nil, 0, 0, nil
			if d := cmp.Diff(before, after); d != "" {
				t.Errorf("describe changed %q: %s", before.Name, d)
			}
		})
	}
	group.Wait()
}

func testContent(t *testing.T, fx Fixture) {
	found := map[string]bool{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, it := range retainAll(t, fx) {
		path := string(tree.JoinPath(nil, it.Dir, it.Entry.Name))
		want, ok := fx.Content[path]
		if !ok || it.Entry.Type != tree.File {
			continue
		}
		group.Go(func() {
			got, err := readAll(t.Context(), fx, it, len(want))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%q: read %d bytes and %v, want %d bytes", path, len(got), err, len(want))
			}
			mu.Lock()
			found[path] = true
			mu.Unlock()
		})
	}
	group.Wait()
	for path := range fx.Content {
		if !found[path] {
			t.Errorf("%q was not listed as a file", path)
		}
	}
}

func readAll(ctx context.Context, fx Fixture, it *source.Item, size int) ([]byte, error) {
	f, err := fx.Source.Open(ctx, it)
	if err != nil {
		return nil, err
	}
	if fx.Stream {
		got, err := io.ReadAll(f.(source.Streamed))
		return got, errors.Join(err, f.Close())
	}
	if int(it.Entry.Size) != size {
		return nil, errors.Join(errors.New("the entry has another size"), f.Close())
	}
	buf := make([]byte, size+1)
	n, err := f.ReadAt(buf, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	var e tree.Entry
	if serr := f.Stat(&e); serr != nil || int(e.Size) != size {
		err = errors.Join(err, serr, errors.New("stat shows another size"))
	}
	return buf[:n], errors.Join(err, f.Close())
}

func testHoles(t *testing.T, fx Fixture) {
	if fx.Stream {
		return // a stream has no holes
	}
	for _, it := range retainAll(t, fx) {
		want, ok := fx.Content[string(tree.JoinPath(nil, it.Dir, it.Entry.Name))]
		if !ok {
			continue
		}
		f, err := fx.Source.Open(t.Context(), it)
		if err != nil {
			t.Fatal(err)
		}
		size := int64(len(want))
		for off := int64(0); off < size; {
			start, end, err := f.NextData(off, size)
			if err != nil || start < off || end > size || end < start || end == start && end != size {
				t.Fatalf("%q: next data at %d of %d: %d to %d, %v", it.Entry.Name, off, size, start, end, err)
			}
			if hole := want[off:start]; len(bytes.Trim(hole, "\x00")) > 0 {
				t.Fatalf("%q: the hole from %d to %d holds data", it.Entry.Name, off, start)
			}
			off = end
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func testOnce(t *testing.T, fx Fixture) {
	each(t, fx.Source, func(string, *source.Item) {})
	for _, err := range fx.Source.Entries(t.Context()) {
		if err == nil {
			t.Fatal("a second listing yields entries")
		}
		return
	}
	t.Fatal("a second listing yields nothing, not even an error")
}

func testCancel(t *testing.T, fx Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range fx.Source.Entries(ctx) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Fatalf("the listing ended with %v, want the context's error", last)
	}
}

func testBreak(t *testing.T, fx Fixture) {
	for range fx.Source.Entries(t.Context()) { //nolint:errcheck // it stops before an error could matter
		break
	}
}

func testClass(t *testing.T, fx Fixture) {
	if c := fx.Source.ErrClass(nil); c != tree.ErrNone {
		t.Errorf("no error has class %d", c)
	}
	if c := fx.Source.ErrClass(errors.New("x")); c == tree.ErrNone {
		t.Error("an error has no class")
	}
}
