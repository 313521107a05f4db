package blob

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/mem"
	"github.com/nacre-backup/nacre/internal/testkit/vaulttest"
)

// plain hides the extras of a store, but for its creating of absent objects: packs are gathered in memory.
type plain struct{ store.Store }

// As implements store.Aser.
func (p plain) As(target any) bool {
	if t, ok := target.(*store.PutIfAbsenter); ok {
		return store.As(p.Store, t)
	}
	return false
}

// hasty is a clock that never waits.
type hasty struct{ clock.System }

func (hasty) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// env is a repository in memory.
type env struct {
	mem  *mem.Store
	repo *repo.Repo
}

func newEnv(t testing.TB) *env {
	t.Helper()
	s, r := vaulttest.New(t, hasty{})
	return &env{mem: s, repo: r}
}

// through opens the repository through another store.
func (e *env) through(t testing.TB, s store.Store) *env {
	t.Helper()
	return &env{mem: e.mem, repo: vaulttest.Open(t, s, hasty{}, nil)}
}

// run is a session with what writes into it.
type run struct {
	e *env
	s *session.Session
	x *index.Index
	w *Writer
}

func (e *env) begin(t testing.TB) *run {
	t.Helper()
	ctx := context.Background()
	s, st, err := session.Begin(ctx, e.repo, session.BeginOptions{Program: "test"})
	if err != nil {
		t.Fatal(err)
	}
	x, err := index.Open(ctx, e.repo, st, index.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := NewWriter(ctx, e.repo, s, x, Options{})
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return &run{e: e, s: s, x: x, w: w}
}

func (r *run) commit(t testing.TB) {
	t.Helper()
	ctx := context.Background()
	if err := r.w.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.x.Write(ctx, r.s); err != nil {
		t.Fatal(err)
	}
	if _, err := r.s.Commit(ctx, &record.Snapshot{Host: "h", Domain: r.e.repo.Domain().Scope()}); err != nil {
		t.Fatal(err)
	}
}

// reader opens a reader over the newest state.
func (e *env) reader(t testing.TB) *Reader {
	t.Helper()
	ctx := context.Background()
	st, err := session.List(ctx, e.repo)
	if err != nil {
		t.Fatal(err)
	}
	x, err := index.Open(ctx, e.repo, st, index.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return NewReader(e.repo, x)
}

// content makes the n-th test blob of the kind: half of it text that compresses, half of it noise.
func content(kind crypt.Kind, n, size int) []byte {
	seed := [32]byte{byte(kind)}
	binary.LittleEndian.PutUint64(seed[8:], uint64(n))
	binary.LittleEndian.PutUint64(seed[16:], uint64(size))
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(seed).Read(b) // never fails
	copy(b[:size/2], bytes.Repeat([]byte("all work and no play makes a dull test. "), size/80+1))
	return b
}

// testBlob is a blob with its kind and id.
type testBlob struct {
	kind crypt.Kind
	id   id.ID
	data []byte
}

func (e *env) blob(kind crypt.Kind, n, size int) testBlob {
	b := content(kind, n, size)
	return testBlob{kind, e.repo.Domain().ID(kind, b), b}
}

func (k *Worker) mustPut(t testing.TB, b testBlob, want bool) {
	t.Helper()
	stored, err := k.Put(context.Background(), b.kind, b.id, b.data)
	if err != nil {
		t.Fatal(err)
	}
	if stored != want {
		t.Fatalf("stored = %v, want %v", stored, want)
	}
}

func (r *Reader) mustGet(t testing.TB, b testBlob) {
	t.Helper()
	got, err := r.Get(context.Background(), b.kind, b.id, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, b.data) {
		t.Fatalf("blob %s reads back as %d other bytes", b.id, len(got))
	}
}
