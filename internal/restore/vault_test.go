package restore_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nacre-backup/nacre/internal/blob"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/mem"
	"github.com/nacre-backup/nacre/internal/testkit/chance"
	"github.com/nacre-backup/nacre/internal/tree"
	"github.com/nacre-backup/nacre/internal/view"
)

// object is one entry of a snapshot that is made for a test.
type object struct {
	dir     string
	entry   tree.Entry
	content []byte
	chunk   int  // length of its chunks; 0 stands for 300,000
	holes   bool // chunks of zeros are stored as holes
}

// snapshot is a repository with one snapshot.
type snapshot struct {
	store *mem.Store
	repo  *repo.Repo
	snap  *session.Snapshot
}

// vault stores objects as a snapshot of a repository in memory.
func vault(t testing.TB, objects []object) *snapshot {
	t.Helper()
	ctx := t.Context()
	s := mem.New()
	r, err := repo.Init(ctx, repo.InitOptions{
		Store: s, Rand: chance.New([32]byte{7}), Label: "test",
		Credential: repo.Credential{Keyfile: crypt.FormatKeyfile(crypt.Key{1, 2, 3}, id.Repository{})},
	})
	must(t, err)
	ses, st, err := session.Begin(ctx, r, session.BeginOptions{Program: "test"})
	must(t, err)
	x, err := index.Open(ctx, r, st, index.Options{})
	must(t, err)
	w := blob.NewWriter(ctx, r, ses, x, blob.Options{})
	k := w.Worker()
	pages := blob.NewPages(blob.NewReader(r, x), "")
	d := r.Domain()
	slices.SortStableFunc(objects, func(a, b object) int {
		return tree.Key{Dir: []byte(a.dir), Name: a.entry.Name}.Compare(tree.Key{Dir: []byte(b.dir), Name: b.entry.Name})
	})
	b := tree.NewBuilder(d.SplitKey(), pages.Store(k))
	for i := range objects {
		o := &objects[i]
		e := o.entry
		if e.Type == tree.File && e.Size == 0 {
			e.Size = uint64(len(o.content))
		}
		e.Content = content(t, d, k, pages.Store(k), o)
		for n := range e.Xattrs {
			if v := e.Xattrs[n].Value; len(v) > 256 {
				blob := d.ID(crypt.KindData, v)
				_, err := k.Put(ctx, crypt.KindData, blob, v)
				must(t, err)
				e.Xattrs[n] = tree.Xattr{Name: e.Xattrs[n].Name, Blob: blob, Size: uint64(len(v))}
			}
		}
		if len(e.Target) > 256 {
			e.TargetBlob = d.ID(crypt.KindData, e.Target)
			_, err := k.Put(ctx, crypt.KindData, e.TargetBlob, e.Target)
			must(t, err)
			e.Target = nil
		}
		must(t, b.Add(ctx, []byte(o.dir), &e))
	}
	root, err := b.Finish(ctx)
	must(t, err)
	must(t, w.Flush(ctx))
	must(t, x.Write(ctx, ses))
	snap, err := ses.Commit(ctx, &record.Snapshot{Host: "h", Name: "n", Root: tree.AppendRef(nil, root), Domain: d.Scope()})
	must(t, err)
	must(t, w.Close())
	must(t, pages.Close())
	must(t, x.Close())
	return &snapshot{store: s, repo: r, snap: snap}
}

// content stores the content of an object.
func content(t testing.TB, d *crypt.Domain, k *blob.Worker, s tree.PageStore, o *object) tree.Content {
	ctx := t.Context()
	if len(o.content) == 0 {
		return tree.Content{}
	}
	if o.chunk == 0 && len(o.content) <= 128 {
		return tree.Content{Kind: tree.Inline, Inline: o.content}
	}
	size := o.chunk
	if size == 0 {
		size = 300_000
	}
	x := tree.NewExtentWriter(s)
	for c := range slices.Chunk(o.content, size) {
		if o.holes && len(bytes.Trim(c, "\x00")) == 0 {
			must(t, x.Hole(ctx, uint64(len(c))))
			continue
		}
		blob := d.ID(crypt.KindData, c)
		_, err := k.Put(ctx, crypt.KindData, blob, c)
		must(t, err)
		must(t, x.Data(ctx, blob, uint64(len(c))))
	}
	out, err := x.Finish(ctx)
	must(t, err)
	return out
}

// open opens a view of the snapshot, as a process of its own would.
func (s *snapshot) open(t testing.TB) *view.View {
	t.Helper()
	v, err := view.Open(t.Context(), s.repo, view.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, v.Close()) })
	return v
}

// openView is open for snapshots that may be too damaged for it.
func openView(t testing.TB, s *snapshot) (*view.View, error) {
	t.Helper()
	return view.Open(t.Context(), s.repo, view.Options{})
}

// objects lists the names of objects below a prefix.
func (s *snapshot) objects(t testing.TB, prefix string) []string {
	t.Helper()
	var names []string
	must(t, s.store.List(context.Background(), prefix, func(i store.Info) error {
		names = append(names, i.Name)
		return nil
	}))
	return names
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noise is n bytes that do not compress and do not repeat.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed, 1}).Read(b) // it never fails
	return b
}

// reopen opens the repository in a store.
func reopen(t testing.TB, s store.Store) *repo.Repo {
	t.Helper()
	r, err := repo.Open(t.Context(), repo.OpenOptions{
		Store: s, Rand: chance.New([32]byte{8}),
		Credential: repo.Credential{Keyfile: crypt.FormatKeyfile(crypt.Key{1, 2, 3}, id.Repository{})},
	})
	must(t, err)
	return r
}
