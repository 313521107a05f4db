package view

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"

	"github.com/nacre-backup/nacre/internal/blob"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store/mem"
	"github.com/nacre-backup/nacre/internal/testkit/vaulttest"
	"github.com/nacre-backup/nacre/internal/tree"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type env struct {
	mem  *mem.Store
	repo *repo.Repo
}

func newEnv(t testing.TB) *env {
	t.Helper()
	s, r := vaulttest.New(t, vaulttest.Clock{})
	return &env{mem: s, repo: r}
}

// file is a file of a test snapshot: stretches of content, a nil one of which is a hole of a MiB.
type file struct {
	name     string
	stretch  [][]byte
	partial  bool
	longAttr []byte
	entry    tree.Entry
}

const hole = 1 << 20

func (f *file) content() []byte {
	var b []byte
	for _, s := range f.stretch {
		if s == nil {
			s = make([]byte, hole)
		}
		b = append(b, s...)
	}
	return b
}

// commit makes a snapshot of the files and returns it.
func (e *env) commit(t testing.TB, rec record.Snapshot, files ...*file) *session.Snapshot {
	t.Helper()
	ctx := context.Background()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s, st, err := session.Begin(ctx, e.repo, session.BeginOptions{Program: "test"})
	check(err)
	x, err := index.Open(ctx, e.repo, st, index.Options{})
	check(err)
	w := blob.NewWriter(ctx, e.repo, s, x, blob.Options{})
	k := w.Worker()
	pages := blob.NewPages(blob.NewReader(e.repo, x), "")
	put := func(b []byte) id.ID {
		i := e.repo.Domain().ID(crypt.KindData, b)
		_, err := k.Put(ctx, crypt.KindData, i, b)
		check(err)
		return i
	}
	b := tree.NewBuilder(e.repo.Domain().SplitKey(), pages.Store(k))
	check(b.Add(ctx, nil, &tree.Entry{Type: tree.Dir, Mode: 0o755}))
	for _, f := range files {
		f.entry = tree.Entry{Name: []byte(f.name), Type: tree.File, Mode: 0o644, Size: uint64(len(f.content()))}
		if len(f.stretch) == 1 && len(f.stretch[0]) <= 128 {
			f.entry.Content = tree.Content{Kind: tree.Inline, Inline: f.stretch[0]}
		} else {
			xw := tree.NewExtentWriter(pages.Store(k))
			for _, s := range f.stretch {
				if s == nil {
					check(xw.Hole(ctx, hole))
				} else {
					check(xw.Data(ctx, put(s), uint64(len(s))))
				}
			}
			f.entry.Content, err = xw.Finish(ctx)
			check(err)
		}
		if f.partial {
			f.entry.Flags |= tree.Partial
			f.entry.Size += 1000
		}
		if f.longAttr != nil {
			f.entry.Xattrs = []tree.Xattr{
				{Name: []byte("user.long"), Blob: put(f.longAttr), Size: uint64(len(f.longAttr))},
				{Name: []byte("user.short"), Value: []byte("v")},
			}
		}
		check(b.Add(ctx, nil, &f.entry))
	}
	root, err := b.Finish(ctx)
	check(err)
	check(w.Flush(ctx))
	check(x.Write(ctx, s))
	rec.Root, rec.Domain = tree.AppendRef(nil, root), e.repo.Domain().Scope()
	snap, err := s.Commit(ctx, &rec)
	check(err)
	check(w.Close())
	check(x.Close())
	return snap
}

func (e *env) view(t testing.TB) *View {
	t.Helper()
	v, err := Open(context.Background(), e.repo, Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

// testFiles are files of every kind of content, in key order.
func testFiles() []*file {
	many := &file{name: "e-extents"}
	for n := range 700 {
		many.stretch = append(many.stretch, noise(byte(n), 300+n%7))
		if n%100 == 50 {
			many.stretch = append(many.stretch, nil)
		}
	}
	return []*file{
		{name: "a-empty"},
		{name: "b-inline", stretch: [][]byte{[]byte("a few bytes")}},
		{name: "c-direct", stretch: [][]byte{noise(1, 70_000)}, longAttr: noise(7, 5000)},
		{name: "d-direct", stretch: [][]byte{noise(1, 70_000), noise(2, 50_000), noise(3, 1)}},
		many,
		{name: "f-sparse", stretch: [][]byte{nil, noise(4, 9000), nil, nil}},
		{name: "g-partial", stretch: [][]byte{noise(5, 3000)}, partial: true},
	}
}

func TestFilesReadBack(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEnv(t)
	files := testFiles()
	snap := e.commit(t, record.Snapshot{Host: "h"}, files...)
	v := e.view(t)
	tr, err := v.Tree(snap)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		entry, err := tr.Lookup(ctx, []byte(f.name))
		if err != nil {
			t.Fatal(err)
		}
		want := f.content()
		var sum uint64
		if err := v.Extents(ctx, entry, func(x Extent) error {
			if x.Offset != sum {
				return fmt.Errorf("extent at %d, want %d", x.Offset, sum)
			}
			sum += x.Length
			return nil
		}); err != nil || sum != uint64(len(want)) {
			t.Fatalf("%s: extents of %d bytes, want %d: %v", f.name, sum, len(want), err)
		}
		if f.partial {
			continue
		}
		o, err := v.OpenFile(ctx, entry)
		if err != nil {
			t.Fatal(err)
		}
		if o.Size() != int64(len(want)) {
			t.Fatalf("%s: size %d, want %d", f.name, o.Size(), len(want))
		}
		var buf bytes.Buffer
		if n, err := o.WriteTo(&buf); err != nil || n != int64(len(want)) || !bytes.Equal(buf.Bytes(), want) {
			t.Fatalf("%s: %d bytes, %v", f.name, n, err)
		}
		if len(want) > 0 && len(want) < 200_000 {
			if err := iotest.TestReader(io.NewSectionReader(o, 0, o.Size()), want); err != nil {
				t.Fatalf("%s: %v", f.name, err)
			}
		}
		rnd := rand.New(rand.NewPCG(1, uint64(len(want))))
		for range 50 {
			off := rnd.IntN(len(want) + 10)
			p := make([]byte, rnd.IntN(100_000))
			n, err := o.ReadAt(p, int64(off))
			end := min(off+len(p), len(want))
			if off > end {
				end = off
			}
			if !bytes.Equal(p[:n], want[min(off, len(want)):min(end, len(want))]) || (n < len(p)) != errors.Is(err, io.EOF) || err != nil && !errors.Is(err, io.EOF) {
				t.Fatalf("%s: read of %d at %d: %d, %v", f.name, len(p), off, n, err)
			}
		}
		if _, err := o.ReadAt(nil, -1); !errors.Is(err, errs.Usage) {
			t.Fatalf("a read before the start: %v", err)
		}
	}
}

func TestManyMayReadAFileAtOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEnv(t)
	files := testFiles()
	e.commit(t, record.Snapshot{Host: "h"}, files...)
	o, err := e.view(t).OpenFile(ctx, &files[4].entry)
	if err != nil {
		t.Fatal(err)
	}
	want := files[4].content()
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for off := n * 1000; off < len(want); off += 300_000 {
				p := make([]byte, min(5000, len(want)-off))
				if _, err := o.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, want[off:off+len(p)]) {
					t.Errorf("read at %d: %v", off, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestAttributesAndTargetsOutOfLine(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEnv(t)
	files := testFiles()
	e.commit(t, record.Snapshot{Host: "h"}, files...)
	v := e.view(t)
	f := files[2]
	if got, err := v.Xattr(ctx, &f.entry.Xattrs[0]); err != nil || !bytes.Equal(got, f.longAttr) {
		t.Fatalf("long attribute: %d bytes, %v", len(got), err)
	}
	if got, err := v.Xattr(ctx, &f.entry.Xattrs[1]); err != nil || string(got) != "v" {
		t.Fatalf("short attribute: %q, %v", got, err)
	}
	link := &tree.Entry{Name: []byte("l"), Type: tree.Symlink, Target: []byte("to")}
	if got, err := v.Target(ctx, link); err != nil || string(got) != "to" {
		t.Fatalf("short target: %q, %v", got, err)
	}
	link.Target, link.TargetBlob = nil, f.entry.Xattrs[0].Blob
	if got, err := v.Target(ctx, link); err != nil || !bytes.Equal(got, f.longAttr) {
		t.Fatalf("long target: %d bytes, %v", len(got), err)
	}
	link.TargetBlob = id.ID{1}
	if _, err := v.Target(ctx, link); !errors.Is(err, errs.NotFound) || !strings.Contains(err.Error(), `"l"`) {
		t.Fatalf("lost target: %v", err)
	}
	if _, err := v.Xattr(ctx, &tree.Xattr{Name: []byte("a"), Blob: id.ID{1}}); !errors.Is(err, errs.NotFound) {
		t.Fatalf("lost attribute: %v", err)
	}
	if _, err := v.OpenFile(ctx, link); !errors.Is(err, errs.Usage) {
		t.Fatalf("a link opened as a file: %v", err)
	}
}

func TestLostBlobsAreErrorsAndNeverWrongBytes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEnv(t)
	files := testFiles()
	e.commit(t, record.Snapshot{Host: "h"}, files...)
	for _, name := range append(e.mem.Names(record.Data), e.mem.Names(record.Meta)...) {
		if err := e.mem.Delete(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	v := e.view(t)
	for _, f := range files[2:6] {
		o, err := v.OpenFile(ctx, &f.entry)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := o.WriteTo(io.Discard); !errors.Is(err, errs.NotFound) || n > hole {
			t.Errorf("%s: %d bytes, %v", f.name, n, err)
		}
	}
	o, err := v.OpenFile(ctx, &files[1].entry)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := o.WriteTo(&buf); err != nil || buf.String() != "a few bytes" {
		t.Errorf("inline content needs no pack: %v", err)
	}
	direct := files[3].entry
	direct.Content.IDs = []id.ID{{1}, {2}}
	var lost *tree.LostExtentError
	if err := v.Extents(ctx, &direct, func(Extent) error { return nil }); !errors.As(err, &lost) || lost.Page != (id.ID{1}) {
		t.Errorf("extents of lost blobs: %v", err)
	}
}

func TestSizesThatDoNotFitTheContentAreDamage(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEnv(t)
	files := testFiles()
	e.commit(t, record.Snapshot{Host: "h"}, files...)
	v := e.view(t)
	for _, f := range files[1:6] {
		bad := f.entry
		bad.Size += 10
		o, err := v.OpenFile(ctx, &bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.WriteTo(io.Discard); !errors.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", f.name, err)
		}
	}
	if _, err := v.OpenFile(ctx, &tree.Entry{Type: tree.File, Size: 1 << 63}); !errors.Is(err, errs.Corrupt) {
		t.Errorf("an impossible size: %v", err)
	}
	lost := tree.Entry{Type: tree.File, Size: 1 << 32, Content: tree.Content{Kind: tree.Direct, IDs: []id.ID{{1}}}}
	if err := v.Extents(ctx, &lost, func(x Extent) error {
		t.Errorf("a lost blob of %d bytes", x.Length)
		return nil
	}); !errors.Is(err, errs.NotFound) {
		t.Errorf("a lost blob of a length that none has: %v", err)
	}
	for _, f := range files {
		for _, x := range f.entry.Xattrs {
			if x.Size++; !x.Blob.IsZero() {
				if _, err := v.Xattr(ctx, &x); !errors.Is(err, errs.Corrupt) {
					t.Errorf("an attribute of another length: %v", err)
				}
			}
		}
	}
}

func TestDiffShowsWhatChanged(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	one, two, three := &file{name: "one", stretch: [][]byte{{1}}}, &file{name: "two", stretch: [][]byte{{2}}}, &file{name: "x", stretch: [][]byte{{3}}}
	a := e.commit(t, record.Snapshot{Host: "h"}, one, two)
	b := e.commit(t, record.Snapshot{Host: "h"}, two, three)
	v := e.view(t)
	var got []string
	if err := v.Diff(context.Background(), a, b, func(_ []byte, old, new *tree.Entry) error {
		if old != nil {
			got = append(got, "-"+string(old.Name))
		}
		if new != nil {
			got = append(got, "+"+string(new.Name))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if s := strings.Join(got, " "); s != "-one +x" {
		t.Fatalf("diff %q", s)
	}
	broken := &session.Snapshot{ID: id.Session{1}, Record: &record.Snapshot{Root: []byte{0xff}}}
	if _, err := v.Tree(broken); err == nil {
		t.Fatal("a root that does not decode opens")
	}
	if err := v.Diff(context.Background(), broken, a, nil); err == nil {
		t.Fatal("diff with a broken root")
	}
	if err := v.Diff(context.Background(), a, broken, nil); err == nil {
		t.Fatal("diff with a broken root")
	}
	if tr, err := v.Tree(&session.Snapshot{}); err != nil || tr.Root.Entries != 0 {
		t.Fatalf("a snapshot without a tree: %v", err)
	}
}

func TestOpenTakesAStateAndFailsWithoutAStore(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEnv(t)
	e.commit(t, record.Snapshot{Host: "h"}, testFiles()...)
	st, err := session.List(ctx, e.repo)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Open(ctx, e.repo, Options{State: st})
	if err != nil {
		t.Fatal(err)
	}
	if v.State() != st || v.Repo() != e.repo || v.Index() == nil || v.Blobs() == nil || v.Pages() == nil {
		t.Fatal("the view shows something else")
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Open(ended, e.repo, Options{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("open says %v", err)
	}
	if err := v.Refresh(ended); !errors.Is(err, context.Canceled) {
		t.Fatalf("refresh says %v", err)
	}
	if _, err := Open(ended, e.repo, Options{State: st}); !errors.Is(err, context.Canceled) {
		t.Fatalf("open says %v", err)
	}
}
