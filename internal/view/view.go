// Package view is about what readers of a repository see: its snapshots, their trees, the content of their files.
//
// A View stands on one listing of the repository (session.State), an index and a blob reader; it shows the moment of
// that listing until Refresh. It writes nothing to the repository. Where a blob is missed, the reader below takes a
// newer listing once, since a pruner may have moved it.
package view

import (
	"context"
	"io"

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
type View struct{}

// Open lists the repository and opens its index.
func Open(ctx context.Context, r *repo.Repo, o Options) (*View, error) { panic("view: skeleton") }

// Repo is the repository.
func (v *View) Repo() *repo.Repo { panic("view: skeleton") }

// State is the listing that the view shows.
func (v *View) State() *session.State { panic("view: skeleton") }

// Index is the view's index.
func (v *View) Index() *index.Index { panic("view: skeleton") }

// Blobs is the view's blob reader.
func (v *View) Blobs() *blob.Reader { panic("view: skeleton") }

// Pages is the view's page reader.
func (v *View) Pages() *blob.Pages { panic("view: skeleton") }

// Close gives up the caches.
func (v *View) Close() error { panic("view: skeleton") }

// Snapshots lists the snapshots, oldest first, without checkpoints.
func (v *View) Snapshots() []*session.Snapshot { panic("view: skeleton") }

// Resolve finds the snapshot that a user names:
//
//	latest, latest~2      the newest one, the second before it
//	NAME, NAME~1          the newest one of that name, the one before
//	4f2a...               a unique prefix of an id of at least 4 digits
//	@2026-11-01           the newest one that is not younger than that moment: a day (its end), or a time as in
//	                      2026-11-01T12:00 or RFC 3339, in the local zone where it says none
//
// It is errs.NotFound where there is none; *AmbiguousError lists the candidates of a prefix.
func (v *View) Resolve(name string) (*session.Snapshot, error) { panic("view: skeleton") }

// AmbiguousError says that a prefix stands for several snapshots.
type AmbiguousError struct {
	Name       string
	Candidates []*session.Snapshot
}

func (e *AmbiguousError) Error() string { panic("view: skeleton") }

// Tree opens the snapshot's tree, with Lookup, List, Walk, Du and a cursor. Its Lost is nil.
func (v *View) Tree(s *session.Snapshot) (tree.Tree, error) { panic("view: skeleton") }

// Diff calls fn for each path whose entry is not the same in two snapshots, in key order: with a nil old or new where
// one of them has none.
func (v *View) Diff(ctx context.Context, a, b *session.Snapshot, fn func(dir []byte, old, new *tree.Entry) error) error {
	panic("view: skeleton")
}

// Extents calls fn for each stretch of a file's content, in order: blobs, holes (a zero ID), or the entry's inline bytes
// as one stretch with a zero ID and Inline set.
func (v *View) Extents(ctx context.Context, e *tree.Entry, fn func(Extent) error) error {
	panic("view: skeleton")
}

// Extent is a stretch of a file.
type Extent struct {
	tree.Extent
	Inline []byte
}

// File reads the content of one regular file.
type File struct{}

// OpenFile opens the content of an entry of type File. Nothing is fetched before the first read.
func (v *View) OpenFile(ctx context.Context, e *tree.Entry) (*File, error) { panic("view: skeleton") }

// Size is the file's length.
func (f *File) Size() int64 { panic("view: skeleton") }

// ReadAt implements io.ReaderAt under the context that the file was opened with.
func (f *File) ReadAt(p []byte, off int64) (int, error) { panic("view: skeleton") }

// WriteTo writes the whole content to w in order; holes are written as zeros.
func (f *File) WriteTo(w io.Writer) (int64, error) { panic("view: skeleton") }

// Xattr returns the value of an attribute, which may stand out of line.
func (v *View) Xattr(ctx context.Context, x *tree.Xattr) ([]byte, error) { panic("view: skeleton") }

// Target returns the target of a symlink, which may stand out of line.
func (v *View) Target(ctx context.Context, e *tree.Entry) ([]byte, error) { panic("view: skeleton") }
