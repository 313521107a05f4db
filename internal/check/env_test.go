package check

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"

	"github.com/nacre-backup/nacre/internal/blob"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/mem"
	"github.com/nacre-backup/nacre/internal/testkit/vaulttest"
	"github.com/nacre-backup/nacre/internal/tree"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// env is a repository in memory.
type env struct {
	mem  *mem.Store
	repo *repo.Repo
}

func newEnv(t testing.TB) *env {
	t.Helper()
	s, r := vaulttest.New(t, vaulttest.Clock{})
	return &env{mem: s, repo: r}
}

// mustOpen opens the repository in a store, as a client without a memory.
func mustOpen(t testing.TB, s store.Store, events event.Func) *repo.Repo {
	t.Helper()
	return vaulttest.Open(t, s, vaulttest.Clock{}, events)
}

// run opens the repository in a store and checks it.
func run(t testing.TB, s store.Store, o Options) (*Report, error) {
	t.Helper()
	return Run(context.Background(), mustOpen(t, s, nil), o)
}

// content makes bytes that no other seed makes.
func content(seed uint64, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(b) // never fails
	return b
}

// dirs and files make the tree of a test snapshot: files a to z in each of so many directories, of 3,000 bytes each, and
// a big one with an extent list at the end.
type shape struct {
	dirs    int
	changed int // the directory whose files differ from those of other snapshots
}

// commit stores a snapshot.
func (e *env) commit(t testing.TB, name string, sh shape) *session.Snapshot {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s, st, err := session.Begin(ctx, e.repo, session.BeginOptions{Program: "test"})
	must(err)
	x, err := index.Open(ctx, e.repo, st, index.Options{})
	must(err)
	w := blob.NewWriter(ctx, e.repo, s, x, blob.Options{})
	k := w.Worker()
	pages := blob.NewPages(blob.NewReader(e.repo, x), "")
	put := func(b []byte) id.ID {
		i := e.repo.Domain().ID(crypt.KindData, b)
		_, err := k.Put(ctx, crypt.KindData, i, b)
		must(err)
		return i
	}
	b := tree.NewBuilder(e.repo.Domain().SplitKey(), pages.Store(k))
	must(b.Add(ctx, nil, &tree.Entry{Type: tree.Dir, Mode: 0o755}))
	for d := range sh.dirs {
		must(b.Add(ctx, nil, &tree.Entry{Name: fmt.Appendf(nil, "dir%03d", d), Type: tree.Dir, Mode: 0o755}))
	}
	xw := tree.NewExtentWriter(pages.Store(k))
	for i := range 10 {
		must(xw.Data(ctx, put(content(1<<20+uint64(i), 20000)), 20000))
	}
	big, err := xw.Finish(ctx)
	must(err)
	must(b.Add(ctx, nil, &tree.Entry{Name: []byte("zbig"), Type: tree.File, Mode: 0o644, Size: 200000, Content: big}))
	for d := range sh.dirs {
		for f := range 26 {
			seed := uint64(d*100 + f)
			if d == sh.changed {
				seed += 500_000
			}
			c := tree.Content{Kind: tree.Direct, IDs: []id.ID{put(content(seed, 3000))}}
			must(b.Add(ctx, fmt.Appendf(nil, "dir%03d", d), &tree.Entry{Name: []byte{byte('a' + f)}, Type: tree.File, Mode: 0o644, Size: 3000, Content: c}))
		}
	}
	root, err := b.Finish(ctx)
	must(err)
	must(w.Flush(ctx))
	must(x.Write(ctx, s))
	snap, err := s.Commit(ctx, &record.Snapshot{Host: "h", Name: name, Time: int64(len(name)), Root: tree.AppendRef(nil, root), Domain: e.repo.Domain().Scope()})
	must(err)
	must(w.Close())
	must(pages.Close())
	must(x.Close())
	return snap
}
