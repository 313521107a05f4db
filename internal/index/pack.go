package index

import (
	"context"
	"fmt"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
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
