package index

import (
	"context"
	"fmt"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/pack"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
)

// smallPack is the size up to which a pack is read whole to learn its directory: one request instead of two.
const smallPack = 128 << 10

// Pack is a pack and what its directory says.
type Pack struct {
	Ref    record.Pack
	Header *crypt.Header
	Dir    *pack.Directory
	Body   []byte // the directory's raw bytes without padding, as index objects carry it
}

// ReadPack reads a pack's header and directory from the store. The reader needs no store for them any more, and does
// not keep ctx.
func ReadPack(ctx context.Context, r *repo.Repo, ref record.Pack) (*pack.Reader, error) {
	path := ref.Path()
	read := func(p []byte, off int64) error { return readAt(ctx, r.Store(), path, p, off) }
	if ref.Size > 0 && ref.Size <= smallPack {
		all := make([]byte, ref.Size)
		if err := read(all, 0); err != nil {
			return nil, fmt.Errorf("read pack %s: %w", path, err)
		}
		read = fromMemory(all)
	}
	p, err := pack.Open(read, ref.Size, crypt.Class(ref.Class), r.ObjectKey)
	if err != nil {
		return nil, fmt.Errorf("open pack %s: %w", path, err)
	}
	return p, nil
}

// Directory opens a pack by what an index object says of its header and directory, for packs where they are damaged. A
// pack with a capsule cannot be opened so. It reads the index objects of the runs that know the pack: one or a few.
func (x *Index) Directory(ctx context.Context, ref record.Pack) (*pack.Reader, error) {
	for _, name := range x.sourcesOf(ref) {
		path := record.IndexPath(name)
		info, err := x.repo.Store().Stat(ctx, path)
		if err != nil {
			x.problem(fmt.Errorf("index object %s: %w", name, err))
			continue
		}
		packs, err := x.readObject(ctx, info)
		if err != nil {
			x.problem(fmt.Errorf("read index object %s: %w", name, err))
			continue
		}
		for _, p := range packs {
			if p.Ref != ref {
				continue
			}
			key, err := x.repo.ObjectKey(p.Header)
			if err != nil {
				return nil, fmt.Errorf("open pack %s: %w", ref.Path(), err)
			}
			return pack.NewReader(p.Header, p.Dir, key)
		}
	}
	return nil, errs.New(errs.NotFound, "no index object tells of pack %s", ref.Path())
}

// sourcesOf lists the index objects that may tell of a pack.
func (x *Index) sourcesOf(ref record.Pack) (names []id.Name) {
	for _, v := range *x.views.Load() {
		err := guard(func() error {
			for i := range uint32(v.packs) {
				p := v.pack(i)
				if p.ref != ref {
					continue
				}
				if name := v.source(p.source); name != (id.Name{}) {
					names = append(names, name)
					continue
				}
				// The pack was added by its own directory. Its object, if there is one, was written by the same session.
				for j := range uint32(v.sources) {
					if name := v.source(j); name != (id.Name{}) {
						names = append(names, name)
					}
				}
			}
			return nil
		})
		if err != nil {
			v.bad.Store(true)
		}
	}
	return names
}

// Damaged reports whether a part of the cache turned out damaged since the last Refresh, which makes it anew.
func (x *Index) Damaged() bool {
	for _, v := range *x.views.Load() {
		if v.bad.Load() {
			return true
		}
	}
	return false
}

// entry makes the entry of a run's pack table.
func (p *Pack) entry(source uint32) packEntry {
	e := packEntry{ref: p.Ref, dirAt: uint64(p.Header.Size()), source: source}
	h := *p.Header
	h.Capsule = nil
	copy(e.header[:], h.Append(nil))
	if n := len(p.Dir.Segments); n > 0 {
		last := &p.Dir.Segments[n-1]
		e.dirAt = uint64(last.Offset) + uint64(last.Len)
	}
	return e
}

func damagedRow(r *run) error {
	r.bad.Store(true)
	return errs.New(errs.Corrupt, "index cache: a row names a pack that is not in the table")
}
