package index

import (
	"context"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/pack"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
)

// Pack is a pack and what its directory says.
type Pack struct {
	Ref    record.Pack
	Header *crypt.Header
	Dir    *pack.Directory
	Body   []byte // the directory's raw bytes without padding, as index objects carry it
}

// ReadPack reads a pack's header and directory from the store.
func ReadPack(ctx context.Context, r *repo.Repo, ref record.Pack) (*pack.Reader, error) {
	panic("index: skeleton")
}

// entry makes the entry of a run's pack table.
func (p *Pack) entry(source uint32) packEntry {
	e := packEntry{ref: p.Ref, dirAt: uint64(p.Header.Size()), source: source}
	copy(e.header[:], p.Header.Append(nil))
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
