package index

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/pack"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/segment"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store/mem"
	"github.com/nacre-backup/nacre/internal/testkit/vaulttest"
)

// env is a repository in memory and a cache folder.
type env struct {
	mem   *mem.Store
	repo  *repo.Repo
	cache string
}

func newEnv(t testing.TB) *env {
	t.Helper()
	s, r := vaulttest.New(t, nil)
	return &env{mem: s, repo: r, cache: t.TempDir()}
}

// blobN is the n-th test blob and its id.
func (e *env) blobN(n int) ([]byte, id.ID) {
	b := fmt.Appendf(nil, "content of blob %d of the test", n)
	return b, e.repo.Domain().ID(crypt.KindData, b)
}

func (e *env) short(n int) id.Short {
	_, i := e.blobN(n)
	return i.Short()
}

// begin opens a session and an index under it, with the env's cache unless another folder is given.
func (e *env) begin(t testing.TB, cache ...string) (*session.Session, *Index) {
	t.Helper()
	ctx := context.Background()
	s, st, err := session.Begin(ctx, e.repo, session.BeginOptions{Program: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return s, e.open(t, st, cache...)
}

// open opens an index for the state, or for the newest one if it is nil.
func (e *env) open(t testing.TB, st *session.State, cache ...string) *Index {
	t.Helper()
	dir := e.cache
	if len(cache) > 0 {
		dir = cache[0]
	}
	if st == nil {
		st = e.list(t)
	}
	x, err := Open(context.Background(), e.repo, st, Options{CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func (e *env) list(t testing.TB) *session.State {
	t.Helper()
	st, err := session.List(context.Background(), e.repo)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// store puts a pack with the blobs from..to, 10 to a segment, and returns what its directory says.
func (e *env) store(t testing.TB, s *session.Session, from, to int) Pack {
	t.Helper()
	h, key, err := e.repo.NewHeader(crypt.ClassData)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := crypt.NewSealer(h, key)
	if err != nil {
		t.Fatal(err)
	}
	coder, err := codec.NewCoder(codec.Fastest)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	w, err := pack.NewWriter(&buf, sealer, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	b := segment.NewBuilder(crypt.ClassData, coder)
	for n := from; n < to; n += 10 {
		for i := n; i < min(n+10, to); i++ {
			content, blob := e.blobN(i)
			if err := b.Add(crypt.KindData, blob, content); err != nil {
				t.Fatal(err)
			}
		}
		ticket, ok := w.Reserve(b.Compress(), len(b.Blobs()))
		if !ok {
			t.Fatal("the pack is full")
		}
		sealed, err := b.Seal(sealer, ticket.Segno())
		if err != nil {
			t.Fatal(err)
		}
		if err := ticket.Put(sealed, b.Blobs()); err != nil {
			t.Fatal(err)
		}
		b.Reset()
	}
	res, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	ref := record.Pack{Class: 'D', Session: s.ID(), N: s.NextPack(crypt.ClassData), Size: res.Size, Name: res.Name}
	if err := e.repo.Store().Put(context.Background(), ref.Path(), content(buf.Bytes())); err != nil {
		t.Fatal(err)
	}
	return Pack{Ref: ref, Header: h, Dir: res.Dir, Body: res.Body}
}

// add stores a pack and adds it.
func (e *env) add(t testing.TB, s *session.Session, x *Index, from, to int) record.Pack {
	t.Helper()
	p := e.store(t, s, from, to)
	if err := x.Add(context.Background(), s, p); err != nil {
		t.Fatal(err)
	}
	return p.Ref
}

// commit writes the index and commits.
func (e *env) commit(t testing.TB, s *session.Session, x *Index) {
	t.Helper()
	ctx := context.Background()
	if err := x.Write(ctx, s); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(ctx, &record.Snapshot{Host: "h", Domain: e.repo.Domain().Scope()}); err != nil {
		t.Fatal(err)
	}
}

// saved makes a commit of one pack with the blobs from..to.
func (e *env) saved(t testing.TB, from, to int) record.Pack {
	t.Helper()
	s, x := e.begin(t)
	p := e.add(t, s, x, from, to)
	e.commit(t, s, x)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

// wantKnown checks that Claim knows the blobs from..to, or knows none of them. It claims them.
func (e *env) wantKnown(t testing.TB, x *Index, from, to int, want bool) {
	t.Helper()
	for n := from; n < to; n++ {
		if got := x.Known(e.short(n)); got != want {
			t.Fatalf("known blob %d: %v, want %v", n, got, want)
		}
		if got := x.Claim(e.short(n)); got != want {
			t.Fatalf("claim of blob %d: known = %v, want %v", n, got, want)
		}
	}
}

// wantFound checks that Lookup finds the blobs from..to in the pack.
func (e *env) wantFound(t testing.TB, x *Index, from, to int, p record.Pack) {
	t.Helper()
	for n := from; n < to; n++ {
		content, blob := e.blobN(n)
		want := Location{Pack: p, Segment: uint32((n - from) / 10), Slot: uint16((n - from) % 10), RawLen: uint32(len(content))}
		if got, ok := x.Lookup(blob.Short()); !ok || got != want {
			t.Fatalf("lookup of blob %d: %+v %v, want %+v", n, got, ok, want)
		}
	}
}

func (e *env) wantLost(t testing.TB, x *Index, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if got, ok := x.Lookup(e.short(n)); ok {
			t.Fatalf("lookup of blob %d: %+v, want none", n, got)
		}
	}
}
