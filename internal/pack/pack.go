// Package pack is about packs: the objects that hold sealed segments and a sealed directory that finds the blobs in
// them.
//
// A Writer streams a pack while it fills and hashes it for its name. Several workers share it: Reserve gives a worker
// the next segment number, the worker seals outside of any lock, and Ticket.Put hands the bytes in. Segments stand in
// the order of their numbers, so bytes that come early are copied and held until the ones before them came; at most
// one segment per worker is held. A reader reads the last 64 KiB, which hold trailer and directory as a rule, then
// the segments that it wants.
package pack

import (
	"io"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/segment"
)

// Target sizes of packs.
const (
	TargetData = 32 << 20
	TargetMeta = 8 << 20
)

// Directory says which blobs stand where in a pack.
type Directory struct {
	Segments []Segment
	Blobs    []Blob // segment by segment
}

// Segment is a segment of a pack.
type Segment struct {
	Offset int64  // in the pack
	Len    uint32 // sealed
	RawLen uint32 // sum of the lengths of its blobs
	First  uint32 // index of its first blob in Blobs
	Blobs  uint32 // how many
}

// Blob is a blob of a pack.
type Blob struct {
	ID   id.Short
	Kind crypt.Kind
	Len  uint32
}

// Writer writes one pack. It is safe for concurrent use.
type Writer struct{}

// NewWriter begins a pack: it writes the header. target is where the pack is full.
func NewWriter(w io.Writer, s *crypt.Sealer, target int64) (*Writer, error) { panic("pack: skeleton") }

// Ticket is a place for one segment in a pack.
type Ticket struct{}

// Reserve takes the next segment number for a segment of sealedLen bytes. ok is false when the pack has reached its
// target: begin another one. Each ticket must be Put, else Close fails.
func (w *Writer) Reserve(sealedLen int) (t Ticket, ok bool) { panic("pack: skeleton") }

// Segno is the number to seal the segment with.
func (t Ticket) Segno() uint32 { panic("pack: skeleton") }

// Sealer is the sealer of the pack.
func (t Ticket) Sealer() *crypt.Sealer { panic("pack: skeleton") }

// Put hands the sealed segment in. sealed may be reused when Put returns.
func (t Ticket) Put(sealed []byte, blobs []segment.Blob) error { panic("pack: skeleton") }

// Size is how many bytes are reserved so far, with the header.
func (w *Writer) Size() int64 { panic("pack: skeleton") }

// Result is what became of a pack.
type Result struct {
	Name id.Name // BLAKE3 of its bytes
	Size int64
	Dir  *Directory
	Body []byte // the directory's raw bytes up to and without padLen, as index objects carry it
}

// Close writes the directory, padded to a Padmé length if the pack did not reach its target, and the trailer.
func (w *Writer) Close() (*Result, error) { panic("pack: skeleton") }

// KeyFunc finds the input key for the object with that header; (*crypt.Ring).ObjectKey is one.
type KeyFunc func(h *crypt.Header) (crypt.Key, error)

// ReadFunc fills p with the bytes of the object from offset on.
type ReadFunc func(p []byte, offset int64) error

// Reader opens segments of one pack. It is safe for concurrent use.
type Reader struct{}

// Open reads header, trailer and directory of a pack of size bytes.
func Open(read ReadFunc, size int64, class crypt.Class, key KeyFunc) (*Reader, error) {
	panic("pack: skeleton")
}

// NewReader makes the reader of a pack whose header and directory are known from an index object.
func NewReader(h *crypt.Header, d *Directory, ikm crypt.Key) (*Reader, error) { panic("pack: skeleton") }

// Header is the pack's header.
func (r *Reader) Header() *crypt.Header { panic("pack: skeleton") }

// Directory is the pack's directory.
func (r *Reader) Directory() *Directory { panic("pack: skeleton") }

// Decode opens and decodes segment segno from its sealed bytes and appends its raw bytes to dst[:0]. c is the caller's
// own coder.
func (r *Reader) Decode(dst []byte, segno uint32, sealed []byte, c segment.Coder) ([]byte, error) {
	panic("pack: skeleton")
}

// Blob is the slot-th blob of segment segno in its raw bytes; nil if there is none.
func (d *Directory) Blob(raw []byte, segno, slot uint32) []byte { panic("pack: skeleton") }

// Encode is the directory's raw bytes without padding.
func (d *Directory) Encode() []byte { panic("pack: skeleton") }

// DecodeDirectory reads the raw bytes of a directory of a pack of the class, with or without padding. start is where
// segment 0 begins: the header's Size.
func DecodeDirectory(body []byte, c crypt.Class, start int64) (*Directory, error) {
	panic("pack: skeleton")
}
