package pack

import (
	"encoding/binary"
	"fmt"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/segment"
)

const (
	dirVersion  = 1
	uniform     = 0x80 // marks a single byte of kind for all blobs
	maxSegments = 1<<24 - 1
	maxPack     = 1 << 30
	maxSealed   = 18 << 20 // of a segment of class D or M
)

// Directory says which blobs stand where in a pack. Decoded, it takes 28 bytes a blob and 24 a segment.
type Directory struct {
	Segments []Segment
	Blobs    []Blob // segment by segment
}

// Segment is a segment of a pack.
type Segment struct {
	Offset int64  // in the pack
	Len    uint32 // sealed
	RawLen uint32 // sum of the lengths of its blobs; 0 in class I
	First  uint32 // index of its first blob in Blobs
	Blobs  uint32 // how many
}

// Blob is a blob of a pack.
type Blob struct {
	ID   id.Short
	Kind crypt.Kind
	Len  uint32
}

// Range says where the slot-th blob of segment segno stands in the segment's raw bytes; ok is false if there is none.
func (d *Directory) Range(segno, slot uint32) (from, to int, ok bool) {
	if uint64(segno) >= uint64(len(d.Segments)) || slot >= d.Segments[segno].Blobs {
		return 0, 0, false
	}
	s := &d.Segments[segno]
	for _, b := range d.Blobs[s.First : s.First+slot] {
		from += int(b.Len)
	}
	return from, from + int(d.Blobs[s.First+slot].Len), true
}

// Blob is the slot-th blob of segment segno in its raw bytes; nil if there is none.
func (d *Directory) Blob(raw []byte, segno, slot uint32) []byte {
	from, to, ok := d.Range(segno, slot)
	if !ok || to > len(raw) {
		return nil
	}
	return raw[from:to:to]
}

// In are the blobs of a segment.
func (d *Directory) In(segno uint32) []Blob {
	s := &d.Segments[segno]
	return d.Blobs[s.First : s.First+s.Blobs]
}

// add appends a segment; d grows as the pack does.
func (d *Directory) add(offset int64, sealedLen int, blobs []segment.Blob) {
	s := Segment{Offset: offset, Len: uint32(sealedLen), First: uint32(len(d.Blobs)), Blobs: uint32(len(blobs))}
	for i := range blobs {
		b := &blobs[i]
		s.RawLen += b.Len
		d.Blobs = append(d.Blobs, Blob{ID: b.ID.Short(), Kind: b.Kind, Len: b.Len})
	}
	d.Segments = append(d.Segments, s)
}

// Encode is the directory's raw bytes without padding.
func (d *Directory) Encode() []byte {
	b := make([]byte, 0, 16+5*len(d.Segments)+24*len(d.Blobs))
	b = append(b, dirVersion)
	b = binary.AppendUvarint(b, uint64(len(d.Segments)))
	b = binary.AppendUvarint(b, uint64(len(d.Blobs)))
	for i := range d.Segments {
		b = binary.AppendUvarint(b, uint64(d.Segments[i].Len))
	}
	for i := range d.Segments {
		b = binary.AppendUvarint(b, uint64(d.Segments[i].Blobs))
	}
	if len(d.Blobs) > 0 {
		if d.uniform() {
			b = append(b, uniform|byte(d.Blobs[0].Kind))
		} else {
			for i := range d.Blobs {
				b = append(b, byte(d.Blobs[i].Kind))
			}
		}
	}
	for i := range d.Blobs {
		b = binary.AppendUvarint(b, uint64(d.Blobs[i].Len))
	}
	for i := range d.Blobs {
		b = append(b, d.Blobs[i].ID[:]...)
	}
	return b
}

// uniform reports whether all blobs are of one kind.
func (d *Directory) uniform() bool {
	for i := range d.Blobs {
		if d.Blobs[i].Kind != d.Blobs[0].Kind {
			return false
		}
	}
	return true
}

// DecodeDirectory reads the raw bytes of a directory of a pack of the class, with or without padding. start is where
// segment 0 begins: the header's Size. Whatever Encode does not make is errs.Corrupt.
func DecodeDirectory(body []byte, c crypt.Class, start int64) (*Directory, error) {
	d, err := decodeDirectory(body, c, start)
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	return d, nil
}

func decodeDirectory(body []byte, class crypt.Class, start int64) (*Directory, error) {
	c := &cursor{b: body}
	if v := c.uv(1 << 32); c.err == nil && v != dirVersion {
		return nil, errs.New(errs.Unsupported, "version %d", v)
	}
	nSeg, nBlob := c.uv(maxSegments), c.uv(1<<32)
	if c.err != nil {
		return nil, c.err
	}
	// A segment takes 2 bytes at least, a blob 21: counts beyond that are lies, and no memory is taken for them.
	if left := uint64(len(c.b)); nSeg > left/2 || nBlob > left/21 {
		return nil, errs.New(errs.Corrupt, "%d segments and %d blobs in %d bytes", nSeg, nBlob, left)
	}
	d := &Directory{Segments: make([]Segment, nSeg), Blobs: make([]Blob, nBlob)}
	d.decodeSegments(c, class, start)
	d.decodeKinds(c, class)
	d.decodeLengths(c)
	for i := range d.Blobs {
		copy(d.Blobs[i].ID[:], c.take(uint64(len(id.Short{}))))
	}
	if c.err == nil && len(c.b) > 0 {
		pad := c.uv(64 << 20)
		for _, z := range c.take(pad) {
			if z != 0 {
				return nil, errs.New(errs.Corrupt, "the padding is not zero")
			}
		}
		if c.err == nil && len(c.b) > 0 {
			return nil, errs.New(errs.Corrupt, "%d bytes are left over", len(c.b))
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	return d, nil
}

// decodeSegments reads where the segments stand and how many blobs each has.
func (d *Directory) decodeSegments(c *cursor, class crypt.Class, start int64) {
	limit := uint64(maxSealed)
	if class == crypt.ClassIndex {
		limit = uint64(crypt.MaxRawLen(class, 0)) + 1<<20
	}
	at := start
	for i := range d.Segments {
		n := c.uv(limit)
		if c.err == nil && n < crypt.Overhead+2 {
			c.err = errs.New(errs.Corrupt, "segment %d of %d bytes", i, n)
		}
		d.Segments[i].Offset, d.Segments[i].Len = at, uint32(n)
		if at += int64(n); c.err == nil && at > maxPack {
			c.err = errs.New(errs.Corrupt, "segment %d ends behind the largest pack", i)
		}
	}
	first := uint64(0)
	for i := range d.Segments {
		n := c.uv(segment.MaxBlobs)
		if c.err == nil && (n == 0) != (class == crypt.ClassIndex) {
			c.err = errs.New(errs.Corrupt, "segment %d of a pack of class %s with %d blobs", i, class, n)
		}
		d.Segments[i].First, d.Segments[i].Blobs = uint32(first), uint32(n)
		first += n
	}
	if c.err == nil && first != uint64(len(d.Blobs)) {
		c.err = errs.New(errs.Corrupt, "%d blobs in the segments, %d in all", first, len(d.Blobs))
	}
}

// decodeKinds reads the kinds of the blobs.
func (d *Directory) decodeKinds(c *cursor, class crypt.Class) {
	if c.err != nil || len(d.Blobs) == 0 {
		return
	}
	var kinds []byte
	if one := c.b[0]; one&uniform != 0 {
		c.take(1)
		for i := range d.Blobs {
			d.Blobs[i].Kind = crypt.Kind(one &^ uniform)
		}
	} else if kinds = c.take(uint64(len(d.Blobs))); c.err == nil {
		for i := range d.Blobs {
			d.Blobs[i].Kind = crypt.Kind(kinds[i])
		}
		if d.uniform() {
			c.err = errs.New(errs.Corrupt, "one kind for all, but not in the short form")
		}
	}
	for i := range d.Blobs {
		if k := d.Blobs[i].Kind; c.err == nil && (!k.Valid() || k.Class() != class) {
			c.err = errs.New(errs.Corrupt, "blob of kind %d in a pack of class %s", k, class)
		}
	}
}

// decodeLengths reads the lengths of the blobs and sums them up.
func (d *Directory) decodeLengths(c *cursor) {
	if c.err != nil {
		return
	}
	for i := range d.Segments {
		s := &d.Segments[i]
		sum := uint64(0)
		for j := s.First; j < s.First+s.Blobs; j++ {
			n := c.uv(segment.MaxBlob)
			d.Blobs[j].Len = uint32(n)
			sum += n
		}
		if c.err == nil && sum > uint64(crypt.MaxRawLen(crypt.ClassData, 0)) {
			c.err = errs.New(errs.Corrupt, "segment %d holds %d raw bytes", i, sum)
		}
		s.RawLen = uint32(sum)
	}
}
