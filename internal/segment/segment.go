// Package segment is about the unit of compression, sealing and fetching: several blobs compressed together and
// sealed once.
//
// A Builder belongs to one worker and needs no lock. Blobs below the target are gathered until the target is reached;
// a larger one is alone. Compress compresses what was gathered; Seal seals it under the object's header and its
// number in the object, opens and decodes it again and compares it with the raw bytes (law 6), so that nothing that a
// bad compressor, processor or memory cell did leaves the process. Memory: the raw bytes, the payload, the sealed
// bytes, the opened and the decoded bytes of one segment: about 3 MiB as a rule, at most 5 x 17 MiB; what a rare large
// segment took is given back by Reset.
package segment

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// How many raw bytes a segment gathers.
const (
	TargetData  = 512 << 10
	TargetMeta  = 256 << 10
	TargetIndex = 1 << 20
)

// MaxBlobs is how many blobs a segment holds at most, MaxBlob how long a blob may be.
const (
	MaxBlobs = 65535
	MaxBlob  = 16<<20 - 1
)

// keepBuffer is how large a buffer may be to be kept for the next segment.
const keepBuffer = 4 << 20

// Coder compresses and decodes; *codec.Coder is one. It is used by one goroutine at a time.
type Coder interface {
	// Encode appends the payload for src to dst and tells its codec.
	Encode(dst, src []byte) (codec.ID, []byte)
	// Decode appends the rawLen decoded bytes to dst.
	Decode(dst []byte, id codec.ID, payload []byte, rawLen int) ([]byte, error)
}

// Blob is a blob of a segment.
type Blob struct {
	Kind crypt.Kind
	ID   id.ID
	Len  uint32
}

// Builder gathers blobs into a segment. One worker owns it.
type Builder struct {
	class  crypt.Class
	target int
	coder  Coder

	raw   []byte     // what is gathered
	lone  []byte     // the one blob that is alone, in its owner's memory; raw is empty then
	blobs []Blob     // of raw or lone
	ids   []id.Short // of blobs

	ready   bool // codec and payload stand for what is gathered
	codec   codec.ID
	payload []byte

	sealed, opened, decoded []byte // of Seal
}

// NewBuilder makes a builder for packs of class D, M or I.
func NewBuilder(c crypt.Class, coder Coder) *Builder {
	target := TargetData
	switch c {
	case crypt.ClassMeta:
		target = TargetMeta
	case crypt.ClassIndex:
		target = TargetIndex
	}
	return &Builder{class: c, target: target, coder: coder}
}

// Fits reports whether a blob of n bytes may be added to what is gathered now. An empty builder fits every blob up to
// MaxBlob.
func (b *Builder) Fits(n int) bool {
	if b.Empty() {
		return n <= MaxBlob
	}
	return n < b.target && !b.Full()
}

// Add adds a blob. Content is copied unless it reaches the target and so is alone: then it must stay unchanged until
// Seal has returned.
func (b *Builder) Add(k crypt.Kind, blob id.ID, content []byte) error {
	if !k.Valid() || k.Class() != b.class {
		return errs.New(errs.Usage, "blob %s: kind %d has no place in a pack of class %s", blob, k, b.class)
	}
	if !b.Fits(len(content)) {
		return errs.New(errs.Usage, "blob %s: %d bytes do not fit into a segment of %d", blob, len(content), b.RawLen())
	}
	if len(content) >= b.target {
		b.lone = content
	} else {
		b.raw = append(b.raw, content...)
	}
	b.blobs = append(b.blobs, Blob{Kind: k, ID: blob, Len: uint32(len(content))})
	b.ids = append(b.ids, blob.Short())
	b.ready = false
	return nil
}

// Write adds bytes to a segment of class I, which holds no blobs. It takes what fits and tells how much that was.
func (b *Builder) Write(p []byte) (int, error) {
	if b.class != crypt.ClassIndex {
		return 0, errs.New(errs.Usage, "bytes without a blob have no place in a pack of class %s", b.class)
	}
	n := min(len(p), b.target-len(b.raw))
	b.raw = append(b.raw, p[:n]...)
	b.ready = false
	return n, nil
}

// Full reports whether the target is reached, or no further blob may be added.
func (b *Builder) Full() bool {
	return b.lone != nil || len(b.raw) >= b.target || len(b.blobs) >= MaxBlobs
}

// Empty reports whether nothing is gathered.
func (b *Builder) Empty() bool { return len(b.blobs) == 0 && len(b.raw) == 0 }

// RawLen is how many bytes are gathered.
func (b *Builder) RawLen() int { return len(b.content()) }

// content is what is gathered.
func (b *Builder) content() []byte {
	if b.lone != nil {
		return b.lone
	}
	return b.raw
}

// Blobs are the gathered blobs in order, valid until Reset.
func (b *Builder) Blobs() []Blob { return b.blobs }

// Compress compresses what is gathered and returns the length that Seal's result will have. It is the slow part and
// needs no place in a pack yet.
func (b *Builder) Compress() int {
	if !b.ready {
		b.codec, b.payload = b.coder.Encode(b.payload[:0], b.content())
		b.ready = true
	}
	return crypt.SealedLen(b.RawLen(), len(b.payload))
}

// Seal seals the segment as number segno of the object, opens and decodes it again and compares (law 6). A difference
// is errs.Corrupt: this machine cannot be trusted. The result is valid until the next call of Seal or Reset.
func (b *Builder) Seal(s *crypt.Sealer, segno uint32) ([]byte, error) {
	if c := s.Header().Class; c != b.class {
		return nil, errs.New(errs.Usage, "a segment of class %s has no place in an object of class %s", b.class, c)
	}
	b.Compress()
	raw := b.content()
	b.sealed = s.Seal(b.sealed[:0], segno, uint8(b.codec), len(raw), b.ids, b.payload)
	if err := b.verify(s, segno, raw); err != nil {
		err = fmt.Errorf("segment %d does not read back as it was written: %w", segno, err)
		return nil, errs.WithHint(errs.As(errs.Corrupt, err), "nothing wrong was stored; test the memory and the processor of this machine")
	}
	return b.sealed, nil
}

// verify reads the sealed segment back.
func (b *Builder) verify(s *crypt.Sealer, segno uint32, raw []byte) error {
	b.opened = slices.Grow(b.opened[:0], len(b.sealed))
	p, err := s.Open(b.opened, b.sealed, segno, b.ids)
	if err != nil {
		return err
	}
	got := p.Payload
	if codec.ID(p.Codec) != codec.Raw {
		if got, err = b.coder.Decode(b.decoded[:0], codec.ID(p.Codec), p.Payload, p.RawLen); err != nil {
			return err
		}
		b.decoded = got
	}
	if p.RawLen != len(raw) || !bytes.Equal(got, raw) {
		return errs.New(errs.Corrupt, "the bytes differ")
	}
	return nil
}

// Reset forgets what is gathered and keeps the buffers.
func (b *Builder) Reset() {
	b.lone, b.blobs, b.ids, b.ready = nil, b.blobs[:0], b.ids[:0], false
	for _, buf := range []*[]byte{&b.raw, &b.payload, &b.sealed, &b.opened, &b.decoded} {
		if cap(*buf) > keepBuffer {
			*buf = nil
		}
		*buf = (*buf)[:0]
	}
}
