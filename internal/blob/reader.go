package blob

import (
	"context"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/pack"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
)

// Reader reads blobs. It is safe for concurrent use. It keeps decoded segments of 32 MiB in all and the directories of
// packs, 32 MiB in all.
type Reader struct{}

// NewReader returns a reader.
func NewReader(r *repo.Repo, x *index.Index) *Reader { panic("blob: skeleton") }

// Get appends the content of a blob to dst[:0], verified against its id. errs.NotFound says that no copy is left, or
// none was ever stored; errs.Corrupt that the copies that are left are damaged.
func (r *Reader) Get(ctx context.Context, kind crypt.Kind, blob id.ID, dst []byte) ([]byte, error) {
	panic("blob: skeleton")
}

// Locate returns the copies of a blob, the best first, for plans.
func (r *Reader) Locate(blob id.ID) []index.Location { panic("blob: skeleton") }

// Pack opens a pack: its header and directory.
func (r *Reader) Pack(ctx context.Context, p record.Pack) (*pack.Reader, error) {
	panic("blob: skeleton")
}

// Segment is a segment that was fetched and decoded.
type Segment struct {
	Pack record.Pack
	N    uint32
	Err  error // it is damaged or could not be read; Raw is nil then
	Raw  []byte
}

// Blob returns the blob in a slot after comparing it with its id. It is valid as long as the segment.
func (s *Segment) Blob(slot uint16, kind crypt.Kind, blob id.ID) ([]byte, error) {
	panic("blob: skeleton")
}

// Verify compares every blob of the segment with the id that the pack's directory gives it.
func (s *Segment) Verify() error { panic("blob: skeleton") }

// Segments fetches segments of a pack, given in ascending order, and calls fn for each, in order and on the caller's
// goroutine; the segment is valid during the call. Ranges are rounded to 64 KiB and read as one where the gap between
// them is below 256 KiB; a range of more than 8 MiB is read in pieces. A damaged segment comes with its Err set; the
// pack's own failure (it is gone, its directory is damaged) and fn's error are returned. Memory is 8 MiB and a segment.
func (r *Reader) Segments(ctx context.Context, p record.Pack, segs []uint32, fn func(*Segment) error) error {
	panic("blob: skeleton")
}

// Refresh takes the newest state of the repository and what its index objects say.
func (r *Reader) Refresh(ctx context.Context) error { panic("blob: skeleton") }
