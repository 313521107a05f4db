// Package view is about what readers of a repository see: its snapshots, their trees, the content of their files.
//
// A View stands on one listing of the repository (session.State), an index and a blob reader; its list of snapshots is
// that of the listing until Refresh. It writes nothing to the repository. Where a blob is missed, the reader below takes
// a newer listing once, since a pruner may have moved it.
package view

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/blob"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/tree"
)

// Options says how a view is opened.
type Options struct {
	CacheDir string         // this machine's cache folder for the repository; empty: nothing is cached
	State    *session.State // nil: the view lists the repository itself
}

// View is a reader's view of a repository. It is safe for concurrent use. Its memory is that of its index and its blob
// reader.
type View struct {
	repo  *repo.Repo
	state atomic.Pointer[session.State]
	index *index.Index
	blobs *blob.Reader
	pages *blob.Pages
}

// Open lists the repository and opens its index.
func Open(ctx context.Context, r *repo.Repo, o Options) (*View, error) {
	st := o.State
	if st == nil {
		var err error
		if st, err = session.List(ctx, r); err != nil {
			return nil, err
		}
	}
	x, err := index.Open(ctx, r, st, index.Options{CacheDir: o.CacheDir})
	if err != nil {
		return nil, err
	}
	v := &View{repo: r, index: x}
	v.blobs = blob.NewReader(r, x)
	v.pages = blob.NewPages(v.blobs, o.CacheDir)
	v.state.Store(st)
	return v, nil
}

// Refresh takes a newer listing.
func (v *View) Refresh(ctx context.Context) error {
	st, err := session.List(ctx, v.repo)
	if err != nil {
		return err
	}
	if err := v.index.Refresh(ctx, st); err != nil {
		return err
	}
	v.state.Store(st)
	return nil
}

// Repo is the repository.
func (v *View) Repo() *repo.Repo { return v.repo }

// State is the listing that the view shows.
func (v *View) State() *session.State { return v.state.Load() }

// Index is the view's index.
func (v *View) Index() *index.Index { return v.index }

// Blobs is the view's blob reader.
func (v *View) Blobs() *blob.Reader { return v.blobs }

// Pages is the view's page reader.
func (v *View) Pages() *blob.Pages { return v.pages }

// Close gives up the caches.
func (v *View) Close() error { return errors.Join(v.pages.Close(), v.index.Close()) }

// Snapshots lists the snapshots, oldest first, without checkpoints.
func (v *View) Snapshots() []*session.Snapshot { return v.State().Snapshots() }

// Tree opens the snapshot's tree, with Lookup, List, Walk, Du and a cursor. Its Lost is nil.
func (v *View) Tree(s *session.Snapshot) (tree.Tree, error) {
	if s.Record == nil || len(s.Record.Root) == 0 {
		return tree.Tree{Pages: v.pages}, nil
	}
	root, err := tree.ParseRef(s.Record.Root)
	if err != nil {
		return tree.Tree{}, fmt.Errorf("snapshot %s: %w", s.ID, err)
	}
	return tree.Tree{Root: root, Pages: v.pages}, nil
}

// Diff calls fn for each path whose entry is not the same in two snapshots, in key order: with a nil old or new where
// one of them has none.
func (v *View) Diff(ctx context.Context, a, b *session.Snapshot, fn func(dir []byte, old, new *tree.Entry) error) error {
	ta, err := v.Tree(a)
	if err != nil {
		return err
	}
	tb, err := v.Tree(b)
	if err != nil {
		return err
	}
	return tree.Diff(ctx, ta, tb, fn)
}
