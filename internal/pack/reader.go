package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"

	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/segment"
)

// tailSize is what Open reads of a pack's end: trailer and, as a rule, directory.
const tailSize = 64 << 10

// KeyFunc finds the input key for the object with that header; (*crypt.Ring).ObjectKey is one.
type KeyFunc func(h *crypt.Header) (crypt.Key, error)

// ReadFunc fills p with the bytes of the object from offset on.
type ReadFunc func(p []byte, offset int64) error

// Reader opens segments of one pack. It is safe for concurrent use.
type Reader struct {
	opener *crypt.Opener
	dir    *Directory
}

// NewReader makes the reader of a pack whose header, with its capsule, and directory are known.
func NewReader(h *crypt.Header, d *Directory, ikm crypt.Key) (*Reader, error) {
	o, err := crypt.NewOpener(h, ikm)
	if err != nil {
		return nil, err
	}
	return &Reader{opener: o, dir: d}, nil
}

// Header is the pack's header.
func (r *Reader) Header() *crypt.Header { return r.opener.Header() }

// Directory is the pack's directory.
func (r *Reader) Directory() *Directory { return r.dir }

// Open reads header, trailer and directory of a pack of size bytes: two reads, a third if the directory is longer than
// 64 KiB. Whatever does not fit together is errs.Corrupt; failures of read and key are returned as they are.
func Open(read ReadFunc, size int64, class crypt.Class, key KeyFunc) (*Reader, error) {
	r, err := open(read, size, class, key)
	if err != nil {
		return nil, fmt.Errorf("open a pack of class %s: %w", class, err)
	}
	return r, nil
}

func open(read ReadFunc, size int64, class crypt.Class, key KeyFunc) (*Reader, error) {
	if size < crypt.HeaderSize+crypt.Overhead+trailerSize || size > maxPack {
		return nil, errs.New(errs.Corrupt, "%d bytes are no length of a pack", size)
	}
	tail, err := readAt(read, max(0, size-tailSize), int(min(size, tailSize)))
	if err != nil {
		return nil, err
	}
	head := tail
	if size > tailSize {
		if head, err = readAt(read, 0, crypt.HeaderSize+crypt.CapsuleSize); err != nil {
			return nil, err
		}
	}
	h, err := crypt.ParseHeader(head)
	if err != nil {
		return nil, err
	}
	if h.Class != class {
		return nil, errs.New(errs.Corrupt, "its header is of class %s", h.Class)
	}
	at, n, err := parseTrailer(tail[len(tail)-trailerSize:], h, size)
	if err != nil {
		return nil, err
	}
	var sealed []byte
	if from := at - (size - int64(len(tail))); from >= 0 {
		sealed = tail[from : from+int64(n)]
	} else if sealed, err = readAt(read, at, n); err != nil {
		return nil, err
	}
	ikm, err := key(h)
	if err != nil {
		return nil, err
	}
	return openDirectory(h, ikm, sealed, at)
}

// openDirectory opens the sealed directory, which begins at offset at.
func openDirectory(h *crypt.Header, ikm crypt.Key, sealed []byte, at int64) (*Reader, error) {
	o, err := crypt.NewOpener(h, ikm)
	if err != nil {
		return nil, err
	}
	p, err := o.Open(nil, sealed, crypt.DirSegno, nil)
	if err != nil {
		return nil, fmt.Errorf("directory: %w", err)
	}
	if codec.ID(p.Codec) != codec.Raw {
		return nil, errs.New(errs.Unsupported, "directory with codec %d", p.Codec)
	}
	d, err := DecodeDirectory(p.Payload, h.Class, int64(h.Size()))
	if err != nil {
		return nil, err
	}
	end := int64(h.Size())
	if k := len(d.Segments); k > 0 {
		end = d.Segments[k-1].Offset + int64(d.Segments[k-1].Len)
	}
	if end != at {
		return nil, errs.New(errs.Corrupt, "its segments end at %d, its directory begins at %d", end, at)
	}
	return &Reader{opener: o, dir: d}, nil
}

// parseTrailer says where the sealed directory stands.
func parseTrailer(t []byte, h *crypt.Header, size int64) (at int64, n int, err error) {
	if string(t[16:]) != trailerMagic {
		return 0, 0, errs.New(errs.Corrupt, "it does not end like a pack: cut short or overwritten")
	}
	crc := crc32.Update(crc32.Checksum(h.Append(nil), castagnoli), castagnoli, t[:12])
	if binary.LittleEndian.Uint32(t[12:]) != crc {
		return 0, 0, errs.New(errs.Corrupt, "the checksum of header and trailer does not match")
	}
	off, length := binary.LittleEndian.Uint64(t), binary.LittleEndian.Uint32(t[8:])
	if off < uint64(h.Size()) || off > uint64(size) || uint64(length) != uint64(size)-off-trailerSize ||
		uint64(length) > uint64(crypt.MaxRawLen(h.Class, crypt.DirSegno))+1<<10 {
		return 0, 0, errs.New(errs.Corrupt, "a directory of %d bytes at %d in a pack of %d", length, off, size)
	}
	return int64(off), int(length), nil
}

// readAt reads n bytes. An object that ends early is damaged: its size was known.
func readAt(read ReadFunc, at int64, n int) ([]byte, error) {
	p := make([]byte, n)
	err := read(p, at)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = errs.As(errs.Corrupt, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read %d bytes at %d: %w", n, at, err)
	}
	return p, nil
}

// scratch holds buffers for opened segments, one for each goroutine that decodes at the moment.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// putScratch gives a buffer back unless it is a rare large one.
func putScratch(buf *[]byte) {
	if cap(*buf) <= 2<<20 {
		scratch.Put(buf)
	}
}

// Decode opens and decodes segment segno from its sealed bytes and appends its raw bytes to dst[:0]. c is the caller's
// own coder. The blobs' ids are not compared with their content here.
func (r *Reader) Decode(dst []byte, segno uint32, sealed []byte, c segment.Coder) ([]byte, error) {
	if uint64(segno) >= uint64(len(r.dir.Segments)) {
		return nil, errs.New(errs.Corrupt, "segment %d of %d", segno, len(r.dir.Segments))
	}
	blobs := r.dir.In(segno)
	ids := make([]id.Short, len(blobs))
	for i := range blobs {
		ids[i] = blobs[i].ID
	}
	buf := scratch.Get().(*[]byte)
	defer putScratch(buf)
	*buf = slices.Grow((*buf)[:0], len(sealed))
	p, err := r.opener.Open(*buf, sealed, segno, ids)
	if err != nil {
		return nil, err
	}
	if r.Header().Class != crypt.ClassIndex && p.RawLen != int(r.dir.Segments[segno].RawLen) {
		return nil, errs.New(errs.Corrupt, "segment %d: %d raw bytes, its blobs have %d", segno, p.RawLen, r.dir.Segments[segno].RawLen)
	}
	raw, err := c.Decode(dst[:0], codec.ID(p.Codec), p.Payload, p.RawLen)
	if err != nil {
		return nil, fmt.Errorf("segment %d: %w", segno, err)
	}
	return raw, nil
}
