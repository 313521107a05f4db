package index

import (
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/pack"
)

// Pack is a pack and what its directory says.
type Pack struct {
	Ref    PackRef
	Size   int64
	Header *crypt.Header
	Dir    *pack.Directory
	Body   []byte // the directory's raw bytes without padding, as index objects carry it
}

// record makes the entry of a run's pack table.
func (p *Pack) record(source uint32) packRecord {
	r := packRecord{ref: p.Ref, size: uint64(p.Size), dirAt: uint64(p.Header.Size()), source: source}
	copy(r.header[:], p.Header.Append(nil))
	if n := len(p.Dir.Segments); n > 0 {
		last := &p.Dir.Segments[n-1]
		r.dirAt = uint64(last.Offset) + uint64(last.Len)
	}
	return r
}

func damagedRecord(r *run) error {
	r.bad.Store(true)
	return errs.New(errs.Corrupt, "index cache: a record names a pack that is not in the table")
}
