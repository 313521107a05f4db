package faults

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/nacre-backup/nacre/internal/connect"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/tree"
	"github.com/nacre-backup/nacre/internal/view"
)

// vault looks into the repository of a box by the program's own rooms, without a cache and without leaving a trace.
type vault struct {
	repo  *repo.Repo
	state *session.State
	view  *view.View
}

// look opens the repository as it is now.
func (b *box) look(t *testing.T) *vault {
	t.Helper()
	ctx := context.Background()
	at, err := connect.ParseLocation(b.repo)
	must(t, err)
	s, err := connect.OpenStore(ctx, at, false)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	boot, err := repo.Probe(ctx, s)
	must(t, err)
	key, err := os.ReadFile(filepath.Join(b.home, ".config", "nacre", boot.Repository.String()+".key"))
	must(t, err)
	v := &vault{}
	v.repo, err = repo.Open(ctx, repo.OpenOptions{Store: s, Credential: repo.Credential{Keyfile: key}})
	must(t, err)
	v.state, err = session.List(ctx, v.repo)
	must(t, err)
	v.view, err = view.Open(ctx, v.repo, view.Options{State: v.state})
	must(t, err)
	t.Cleanup(func() { must(t, v.view.Close()) })
	return v
}

// usable lists the packs whose blobs may be used.
func (v *vault) usable(t *testing.T) (list []record.Pack) {
	t.Helper()
	must(t, v.state.Packs(func(p record.Pack) error { list = append(list, p); return nil }))
	return list
}

// blobs lists what stands in packs: the bytes of each blob of content, 0 for pages, and which blobs stand there more
// than once.
func (v *vault) blobs(t *testing.T, packs []record.Pack) (all map[id.Short]int64, twice []id.Short) {
	t.Helper()
	all = map[id.Short]int64{}
	for _, p := range packs {
		r, err := index.ReadPack(context.Background(), v.repo, p)
		must(t, err)
		for _, b := range r.Directory().Blobs {
			if _, ok := all[b.ID]; ok {
				twice = append(twice, b.ID)
			}
			all[b.ID] = 0
			if b.Kind == crypt.KindData {
				all[b.ID] = int64(b.Len)
			}
		}
	}
	return all, twice
}

// file is what a snapshot's tree has of a regular file.
type file struct {
	size    int64
	partial bool
	blobs   []id.Short
}

// files lists the regular files of a snapshot by their absolute paths.
func (v *vault) files(t *testing.T, s *session.Snapshot) map[string]file {
	t.Helper()
	ctx := context.Background()
	tr, err := v.view.Tree(s)
	must(t, err)
	all := map[string]file{}
	must(t, tr.Walk(ctx, nil, func(dir []byte, e *tree.Entry) error {
		if e.Type != tree.File {
			return nil
		}
		f := file{size: int64(e.Size), partial: e.Flags&tree.Partial != 0}
		err := v.view.Extents(ctx, e, func(x view.Extent) error {
			if !x.ID.IsZero() {
				f.blobs = append(f.blobs, x.ID.Short())
			}
			return nil
		})
		all["/"+string(tree.JoinPath(nil, dir, e.Name))] = f
		return err
	}))
	return all
}

// packsOf makes packs of the objects that are packs.
func packsOf(t *testing.T, objects map[string]int64) (list []record.Pack) {
	t.Helper()
	for o, size := range objects {
		p, err := record.ParsePack(o, size)
		must(t, err)
		list = append(list, p)
	}
	return list
}
