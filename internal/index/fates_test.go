package index

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/pack"
	"github.com/nacre-backup/nacre/internal/record"
)

// control seals a control object as this machine's writer and puts it.
func (e *env) control(t testing.TB, class crypt.Class, path string, encode func(w id.Writer) ([]byte, error)) {
	t.Helper()
	ctx := context.Background()
	w, err := e.repo.Writer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	outer, err := encode(w.Writer())
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.repo.SealControl(ctx, class, path, outer, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.repo.Store().Put(ctx, path, content(b)); err != nil {
		t.Fatal(err)
	}
}

func (e *env) condemn(t testing.TB, packs ...record.Pack) {
	t.Helper()
	gid := id.Session{0xc0}
	path := record.CondemnedPath(gid)
	e.control(t, crypt.ClassCondemned, path, func(w id.Writer) ([]byte, error) {
		return (&record.Condemned{Path: path, Writer: w, ID: gid, Packs: packs}).Encode()
	})
}

func (e *env) rescue(t testing.TB, gone ...record.Pack) {
	t.Helper()
	sid := id.Session{0x5e}
	path := record.FatePath(0, sid)
	e.control(t, crypt.ClassFate, path, func(w id.Writer) ([]byte, error) {
		return (&record.Fate{Path: path, Writer: w, Session: sid, Kind: record.Rescue, Gone: gone, Sequence: 9}).Encode()
	})
}

func TestCondemnedPacksAreReadAndServeNoClaims(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	p := e.saved(t, 0, 20)
	e.condemn(t, p)
	for _, cache := range []string{e.cache, t.TempDir()} {
		x := e.open(t, nil, cache)
		e.wantFound(t, x, 0, 20, p)
		e.wantKnown(t, x, 0, 20, false)
	}
	// Nothing but the fate tells of the pack: a reader still finds what is in it until it is gone.
	for _, o := range e.mem.Names(record.Indexes) {
		if err := e.mem.Delete(context.Background(), o); err != nil {
			t.Fatal(err)
		}
	}
	x := e.open(t, nil, t.TempDir())
	e.wantFound(t, x, 0, 20, p)
	e.wantKnown(t, x, 0, 20, false)
}

func TestGonePacksAreForgotten(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a, b := e.saved(t, 0, 20), e.saved(t, 10, 30)
	e.condemn(t, a)
	e.rescue(t, a)
	if err := e.mem.Delete(context.Background(), a.Path()); err != nil {
		t.Fatal(err)
	}
	for _, cache := range []string{e.cache, t.TempDir()} {
		x := e.open(t, nil, cache)
		e.wantLost(t, x, 0, 10)
		e.wantKnown(t, x, 0, 10, false)
		for n := 10; n < 30; n++ {
			if got := x.Copies(nil, e.short(n)); len(got) != 1 || got[0].Pack != b {
				t.Fatalf("copies of blob %d: %v", n, got)
			}
		}
		if got := x.Stats(); got.Packs != 1 && cache != e.cache {
			t.Fatalf("stats %+v", got)
		}
		if got := x.Problems(); len(got) != 0 {
			t.Fatalf("problems %v", got)
		}
	}
}

// object puts an index object with the entries.
func (e *env) object(t testing.TB, entries ...pack.IndexEntry) {
	t.Helper()
	h, key, err := e.repo.NewHeader(crypt.ClassIndex)
	if err != nil {
		t.Fatal(err)
	}
	s, err := crypt.NewSealer(h, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := codec.NewCoder(codec.Fastest)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	w, err := pack.NewIndexWriter(&buf, s, c, pack.IndexHead{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range entries {
		if err := w.Add(n); err != nil {
			t.Skip("the writer refuses it already: ", err)
		}
	}
	res, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.repo.Store().Put(context.Background(), record.IndexPath(res.Name), content(buf.Bytes())); err != nil {
		t.Fatal(err)
	}
}

func TestIndexObjectsThatSayImpossibleThingsAreReported(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*pack.IndexEntry){
		"a path of no pack":          func(n *pack.IndexEntry) { n.Path = "data/nonsense" },
		"a header of another class":  func(n *pack.IndexEntry) { n.Path = strings.Replace(n.Path, "data/", "meta/", 1) },
		"a directory that is no one": func(n *pack.IndexEntry) { n.Body = []byte{1, 2, 3} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			s, x := e.begin(t)
			good, bad := e.store(t, s, 0, 10), e.store(t, s, 10, 20)
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			entry := func(p Pack) pack.IndexEntry {
				return pack.IndexEntry{Path: p.Ref.Path(), Size: p.Ref.Size, Header: *p.Header, Body: p.Body}
			}
			n := entry(bad)
			change(&n)
			e.object(t, entry(good), n)
			y := e.open(t, nil, t.TempDir())
			e.wantLost(t, y, 0, 20) // an object counts whole or not at all
			if got := y.Problems(); len(got) != 1 || !errors.Is(got[0], errs.Corrupt) || !strings.Contains(got[0].Error(), record.Indexes) {
				t.Fatalf("problems %v", got)
			}
		})
	}
}

func TestWhatIsNoIndexObjectsNameIsLeftAlone(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.saved(t, 0, 10)
	e.mem.Set(record.Indexes+"readme", []byte("not ours"))
	x := e.open(t, nil, t.TempDir())
	e.wantKnown(t, x, 0, 10, true)
	if got := x.Problems(); len(got) != 0 {
		t.Fatalf("problems %v", got)
	}
}
