package pack

import (
	"io"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/segment"
)

// IndexHead begins an index object.
type IndexHead struct {
	Level    uint32
	Replaces []id.Name // index objects that this one makes needless
}

// IndexEntry tells of one pack.
type IndexEntry struct {
	Path    string
	Size    int64
	Header  crypt.Header // without its capsule, see CapsuleHash
	Capsule [32]byte     // BLAKE3 of the capsule; zero if there is none
	Body    []byte       // the directory's raw bytes without padding
}

// IndexWriter writes one index object, segment by segment: memory is one segment and one entry.
type IndexWriter struct{}

// NewIndexWriter begins an index object.
func NewIndexWriter(w io.Writer, s *crypt.Sealer, c segment.Coder, h IndexHead) (*IndexWriter, error) {
	panic("pack: skeleton")
}

// Add adds a pack.
func (w *IndexWriter) Add(e IndexEntry) error { panic("pack: skeleton") }

// Close ends the object.
func (w *IndexWriter) Close() (*Result, error) { panic("pack: skeleton") }

// ReadIndex reads an index object of size bytes and calls fn for each pack; the entry is valid during the call.
func ReadIndex(read ReadFunc, size int64, key KeyFunc, c segment.Coder, fn func(IndexEntry) error) (IndexHead, error) {
	panic("pack: skeleton")
}
