package pack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math/bits"
	"sync"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/segment"
)

// Target sizes of packs. The keyring may say otherwise.
const (
	TargetData = 32 << 20
	TargetMeta = 8 << 20
)

const (
	trailerMagic = "NACREND1"
	trailerSize  = 24
	// MaxTarget is the largest target of a pack. What comes on top of it (the last segment, the directory, the padding)
	// keeps below the limit of 1 GiB.
	MaxTarget = maxPack - 128<<20
	// maxBlobs ends a pack of very many tiny blobs before its target, so that its directory stays below 13 MiB.
	maxBlobs = 1 << 19
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Writer writes one pack. It is safe for concurrent use. Its lock is held while bytes are written and hashed, and
// never while a segment is compressed, sealed or verified.
type Writer struct {
	sealer *crypt.Sealer
	header []byte // with the capsule
	target int64

	mu       sync.Mutex
	w        io.Writer
	hash     hash.Hash
	reserved int64  // header and all segments that tickets were given for
	blobs    int    // of these
	given    uint32 // number of the next ticket
	due      uint32 // number of the segment that is written next
	at       int64  // bytes written
	early    map[uint32]early
	dir      Directory
	closed   bool
	err      error // the first failure; it stays
}

// early is a segment that came before its turn.
type early struct {
	sealed []byte
	blobs  []segment.Blob
}

// NewWriter begins a pack: it writes the header. target is where the pack is full.
func NewWriter(w io.Writer, s *crypt.Sealer, target int64) (*Writer, error) {
	h := s.Header()
	if h.Class.Control() {
		return nil, errs.New(errs.Usage, "class %s is no class of packs", h.Class)
	}
	if target < 1 || target > MaxTarget {
		return nil, errs.New(errs.Usage, "pack size %d: not between 1 and %d", target, MaxTarget)
	}
	p := &Writer{
		sealer: s, header: h.Append(nil), target: target, w: w, hash: crypt.NewHash(), early: map[uint32]early{},
	}
	p.reserved = int64(len(p.header))
	p.writeLocked(p.header)
	return p, p.err
}

// Ticket is a place for one segment in a pack.
type Ticket struct {
	w     *Writer
	segno uint32
	len   int
	blobs int
}

// Reserve takes the next segment number for a segment of sealedLen bytes with so many blobs. ok is false when the pack
// has reached its target: begin another one. Each ticket must be Put, else Close fails.
func (w *Writer) Reserve(sealedLen, blobs int) (t Ticket, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.reserved >= w.target || w.blobs >= maxBlobs || w.given >= maxSegments {
		return Ticket{}, false
	}
	t = Ticket{w: w, segno: w.given, len: sealedLen, blobs: blobs}
	w.given++
	w.reserved += int64(sealedLen)
	w.blobs += blobs
	return t, true
}

// Segno is the number to seal the segment with.
func (t Ticket) Segno() uint32 { return t.segno }

// Sealer is the sealer of the pack.
func (t Ticket) Sealer() *crypt.Sealer { return t.w.sealer }

// Put hands the sealed segment in. sealed and blobs may be reused when Put returns. A failure is the pack's: every
// later call returns it too.
func (t Ticket) Put(sealed []byte, blobs []segment.Blob) error {
	w := t.w
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil:
		return w.err
	case w.closed || t.segno < w.due || w.early[t.segno].sealed != nil:
		w.err = errs.New(errs.Usage, "segment %d was handed in twice or too late", t.segno)
	case len(sealed) != t.len || len(blobs) != t.blobs:
		w.err = errs.New(errs.Usage, "segment %d has %d bytes and %d blobs, reserved were %d and %d", t.segno, len(sealed), len(blobs), t.len, t.blobs)
	case t.segno != w.due:
		w.early[t.segno] = early{sealed: bytes.Clone(sealed), blobs: append([]segment.Blob(nil), blobs...)}
	default:
		w.placeLocked(sealed, blobs)
		for e, ok := w.early[w.due]; ok && w.err == nil; e, ok = w.early[w.due] {
			delete(w.early, w.due)
			w.placeLocked(e.sealed, e.blobs)
		}
	}
	return w.err
}

// placeLocked writes the segment that is due.
func (w *Writer) placeLocked(sealed []byte, blobs []segment.Blob) {
	w.dir.add(w.at, len(sealed), blobs)
	w.due++
	w.writeLocked(sealed)
}

// writeLocked writes and hashes.
func (w *Writer) writeLocked(p []byte) {
	if w.err != nil {
		return
	}
	if n, err := w.w.Write(p); err != nil {
		w.err = fmt.Errorf("write a pack: %w", err)
		return
	} else if n != len(p) {
		w.err = fmt.Errorf("write a pack: %w", io.ErrShortWrite)
		return
	}
	_, _ = w.hash.Write(p) // a hash takes every byte
	w.at += int64(len(p))
}

// Size is how many bytes are reserved so far, with the header.
func (w *Writer) Size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reserved
}

// Header is the pack's header.
func (w *Writer) Header() *crypt.Header { return w.sealer.Header() }

// Result is what became of a pack.
type Result struct {
	Name id.Name // BLAKE3 of its bytes
	Size int64
	Dir  *Directory
	Body []byte // the directory's raw bytes without padding, as index objects carry it
}

// Close writes the directory, padded to a Padmé length if the pack did not reach its target, and the trailer.
func (w *Writer) Close() (*Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil && w.closed {
		w.err = errs.New(errs.Usage, "the pack is closed already")
	}
	if w.err == nil && w.due != w.given {
		w.err = errs.New(errs.Usage, "segment %d of %d never came", w.due, w.given)
	}
	if w.err != nil {
		return nil, w.err
	}
	w.closed = true
	r := &Result{Dir: &w.dir, Body: w.dir.Encode()}
	sealed, err := w.sealDirectory(r.Body)
	if err != nil {
		w.err = err
		return nil, err
	}
	trailer := binary.LittleEndian.AppendUint64(nil, uint64(w.at))
	trailer = binary.LittleEndian.AppendUint32(trailer, uint32(len(sealed)))
	crc := crc32.Update(crc32.Checksum(w.header, castagnoli), castagnoli, trailer)
	trailer = binary.LittleEndian.AppendUint32(trailer, crc)
	trailer = append(trailer, trailerMagic...)
	w.writeLocked(sealed)
	w.writeLocked(trailer)
	if w.err != nil {
		return nil, w.err
	}
	r.Name, r.Size = id.Name(w.hash.Sum(nil)), w.at
	return r, nil
}

// sealDirectory pads and seals the directory and reads it back (law 6).
func (w *Writer) sealDirectory(body []byte) ([]byte, error) {
	pad := 0
	if w.at < w.target {
		pad = padding(w.at, len(body))
	}
	raw := binary.AppendUvarint(append([]byte(nil), body...), uint64(pad))
	raw = append(raw, make([]byte, pad)...)
	if len(raw) > crypt.MaxRawLen(w.Header().Class, crypt.DirSegno) {
		return nil, errs.New(errs.Usage, "directory of %d bytes is beyond the limit", len(raw))
	}
	sealed := w.sealer.Seal(nil, crypt.DirSegno, 0, len(raw), nil, raw)
	p, err := w.sealer.Open(nil, sealed, crypt.DirSegno, nil)
	if err == nil && !bytes.Equal(p.Payload, raw) {
		err = errs.New(errs.Corrupt, "the bytes differ")
	}
	if err == nil {
		_, err = DecodeDirectory(p.Payload, w.Header().Class, int64(len(w.header)))
	}
	if err != nil {
		return nil, errs.WithHint(fmt.Errorf("a pack's directory does not read back as it was written: %w", err), "test the memory and the processor of this machine")
	}
	return sealed, nil
}

// padding is how many zeros bring a pack, whose directory begins at offset at and has a body of n bytes, to a Padmé
// length. The length of the padding and of the whole are coded in bytes of their own, so some lengths cannot be met
// exactly; then the next Padmé length is taken.
func padding(at int64, n int) int {
	total := func(pad int) int64 {
		raw := n + uvLen(pad) + pad
		return at + int64(crypt.SealedLen(raw, raw)) + trailerSize
	}
	for want := padme(total(0)); ; want = padme(want + 1) {
		pad := int(want - total(0))
		for pad > 0 && total(pad) > want {
			pad--
		}
		if total(pad) == want {
			return pad
		}
	}
}

// uvLen is the length of n as uv.
func uvLen(n int) int { return (bits.Len64(uint64(n)|1) + 6) / 7 }

// padme is the smallest length at or above n whose low bits are zero, so that lengths below 2^e come in about 2^(log2
// e) steps: at most 12 % more, and no more than log log n bits of the length are told.
func padme(n int64) int64 {
	if n < 2 {
		return n
	}
	e := bits.Len64(uint64(n)) - 1
	s := bits.Len64(uint64(e))
	mask := int64(1)<<max(e-s, 0) - 1
	return (n + mask) &^ mask
}
