// Package segment is about the unit of compression, sealing and fetching: several blobs compressed together and
// sealed once.
//
// A Builder belongs to one worker and needs no lock. Blobs below the target are gathered until the target is reached;
// a larger one is alone. Compress compresses what was gathered; Seal seals it under the object's header and its
// number in the object, opens and decodes it again and compares it with the raw bytes (law 6), so that nothing that a
// bad compressor, processor or memory cell did leaves the process. Memory: the raw bytes, the payload, the sealed
// bytes and the decoded bytes of one segment, at most 4 x 17 MiB and about 2 MiB as a rule, reused from segment to
// segment.
package segment

import (
	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
)

// How many raw bytes a segment gathers.
const (
	TargetData = 512 << 10
	TargetMeta = 256 << 10
)

// MaxBlobs is how many blobs a segment holds at most.
const MaxBlobs = 65535

// Coder compresses and decodes; *codec.Coder is one. It is used by one goroutine at a time.
type Coder interface {
	// Encode appends the payload for src to dst and tells its codec.
	Encode(dst, src []byte) (c codec.ID, payload []byte)
	// Decode appends the rawLen decoded bytes to dst.
	Decode(dst []byte, c codec.ID, payload []byte, rawLen int) ([]byte, error)
}

// Blob is a blob of a segment.
type Blob struct {
	Kind crypt.Kind
	ID   id.ID
	Len  uint32
}

// Builder gathers blobs into a segment. One worker owns it.
type Builder struct{}

// NewBuilder makes a builder for packs of class D, M or I.
func NewBuilder(c crypt.Class, coder Coder) *Builder { panic("segment: skeleton") }

// Fits reports whether a blob of n bytes may be added to what is gathered now. An empty builder fits every blob up to
// 16 MiB - 1.
func (b *Builder) Fits(n int) bool { panic("segment: skeleton") }

// Add adds a blob. Content is copied unless it reaches the target and so is alone: then it must stay unchanged until
// Seal has returned.
func (b *Builder) Add(k crypt.Kind, blob id.ID, content []byte) error { panic("segment: skeleton") }

// Full reports whether the target is reached.
func (b *Builder) Full() bool { panic("segment: skeleton") }

// Empty reports whether nothing is gathered.
func (b *Builder) Empty() bool { panic("segment: skeleton") }

// Blobs are the gathered blobs in order, valid until Reset.
func (b *Builder) Blobs() []Blob { panic("segment: skeleton") }

// Compress compresses what is gathered and returns the length that Seal's result will have.
func (b *Builder) Compress() int { panic("segment: skeleton") }

// Seal seals the segment as number segno of the object, opens and decodes it again and compares. The result is valid
// until the next call of Compress.
func (b *Builder) Seal(s *crypt.Sealer, segno uint32) ([]byte, error) { panic("segment: skeleton") }

// Reset forgets what is gathered and keeps the buffers.
func (b *Builder) Reset() { panic("segment: skeleton") }
