package pack

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/segment"
)

const (
	indexVersion = 1
	maxPath      = 255
	// maxReplaces caps the list of replaced index objects: 32 MiB.
	maxReplaces = 1 << 20
	// maxDirBody is how long a pack's directory may be without its padding.
	maxDirBody = 64 << 20
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
	Header  crypt.Header // without its capsule, see Capsule
	Capsule [32]byte     // BLAKE3 of the capsule; zero if there is none
	Body    []byte       // the directory's raw bytes without padding
}

// HasCapsule reports whether the pack's header has a capsule, which must be read from the pack itself.
func (e *IndexEntry) HasCapsule() bool { return e.Capsule != [32]byte{} }

// Directory decodes the pack's directory.
func (e *IndexEntry) Directory() (*Directory, error) {
	start := int64(crypt.HeaderSize)
	if e.HasCapsule() {
		start += crypt.CapsuleSize
	}
	d, err := DecodeDirectory(e.Body, e.Header.Class, start)
	if err != nil {
		return nil, fmt.Errorf("index entry of pack %s: %w", e.Path, err)
	}
	return d, nil
}

// append encodes the entry.
func (e *IndexEntry) append(b []byte) []byte {
	b = append(b, 1)
	b = binary.AppendUvarint(b, uint64(len(e.Path)))
	b = append(b, e.Path...)
	b = binary.AppendUvarint(b, uint64(e.Size))
	h := e.Header
	h.Capsule = nil
	if e.HasCapsule() {
		h.Capsule = make([]byte, crypt.CapsuleSize) // for its length in the header
	}
	b = append(b, h.Append(nil)[:crypt.HeaderSize]...)
	if e.HasCapsule() {
		b = append(b, e.Capsule[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(e.Body)))
	return append(b, e.Body...)
}

// IndexWriter writes one index object, segment by segment: memory is one segment and one entry. One goroutine uses it.
type IndexWriter struct {
	w   *Writer
	b   *segment.Builder
	buf []byte
	err error
}

// NewIndexWriter begins an index object.
func NewIndexWriter(w io.Writer, s *crypt.Sealer, c segment.Coder, h IndexHead) (*IndexWriter, error) {
	if s.Header().Class != crypt.ClassIndex {
		return nil, errs.New(errs.Usage, "an index object of class %s", s.Header().Class)
	}
	if len(h.Replaces) > maxReplaces {
		return nil, errs.New(errs.Usage, "an index object cannot replace %d others", len(h.Replaces))
	}
	p, err := NewWriter(w, s, MaxTarget)
	if err != nil {
		return nil, err
	}
	x := &IndexWriter{w: p, b: segment.NewBuilder(crypt.ClassIndex, c)}
	head := []byte{indexVersion}
	head = binary.AppendUvarint(head, uint64(h.Level))
	head = binary.AppendUvarint(head, uint64(len(h.Replaces)))
	for i := range h.Replaces {
		head = append(head, h.Replaces[i][:]...)
	}
	x.put(head)
	return x, x.err
}

// Add adds a pack.
func (x *IndexWriter) Add(e IndexEntry) error {
	if x.err == nil {
		switch {
		case len(e.Path) == 0 || len(e.Path) > maxPath || e.Size <= 0:
			x.err = errs.New(errs.Usage, "index entry: path %q, size %d", e.Path, e.Size)
		case len(e.Body) > maxDirBody:
			x.err = errs.New(errs.Usage, "index entry of pack %s: directory of %d bytes", e.Path, len(e.Body))
		case e.Header.Class != crypt.ClassData && e.Header.Class != crypt.ClassMeta || e.Header.Domain != x.w.Header().Domain:
			x.err = errs.New(errs.Usage, "index entry of pack %s: class %s and domain %s have no place here", e.Path, e.Header.Class, e.Header.Domain)
		}
	}
	if x.err == nil {
		x.buf = e.append(x.buf[:0])
		x.put(x.buf)
	}
	return x.err
}

// Close ends the object.
func (x *IndexWriter) Close() (*Result, error) {
	x.put([]byte{0})
	x.flush()
	if x.err != nil {
		return nil, x.err
	}
	return x.w.Close()
}

// put adds bytes, and writes the segments that they fill.
func (x *IndexWriter) put(p []byte) {
	for len(p) > 0 && x.err == nil {
		var n int
		n, x.err = x.b.Write(p)
		p = p[n:]
		if x.b.Full() {
			x.flush()
		}
	}
}

// flush writes what is gathered as a segment.
func (x *IndexWriter) flush() {
	if x.err != nil || x.b.Empty() {
		return
	}
	t, ok := x.w.Reserve(x.b.Compress(), 0)
	if !ok {
		x.err = errs.New(errs.Usage, "an index object cannot be larger than %d bytes", MaxTarget)
		return
	}
	var sealed []byte
	if sealed, x.err = x.b.Seal(t.Sealer(), t.Segno()); x.err == nil {
		x.err = t.Put(sealed, nil)
	}
	x.b.Reset()
}

// ReadIndex reads an index object of size bytes and calls fn for each pack; the entry is valid during the call. Memory
// is the largest entry and one segment.
func ReadIndex(read ReadFunc, size int64, key KeyFunc, c segment.Coder, fn func(IndexEntry) error) (IndexHead, error) {
	r, err := Open(read, size, crypt.ClassIndex, key)
	if err != nil {
		return IndexHead{}, err
	}
	p := indexParser{domain: r.Header().Domain, fn: fn}
	var sealed, raw []byte
	for i := range r.dir.Segments {
		s := &r.dir.Segments[i]
		if cap(sealed) < int(s.Len) {
			sealed = make([]byte, s.Len)
		}
		sealed = sealed[:s.Len]
		if err := read(sealed, s.Offset); err != nil {
			return p.head, fmt.Errorf("read segment %d of an index object: %w", i, err)
		}
		if raw, err = r.Decode(raw, uint32(i), sealed, c); err != nil {
			return p.head, fmt.Errorf("read an index object: %w", err)
		}
		if err := p.feed(raw); err != nil {
			return p.head, err
		}
	}
	return p.head, p.end()
}

// indexParser reads the body of an index object as it comes.
type indexParser struct {
	domain id.Domain
	fn     func(IndexEntry) error
	head   IndexHead
	begun  bool
	done   bool
	rest   []byte // the beginning of a value whose end has not come yet
}

// feed takes the next bytes.
func (p *indexParser) feed(b []byte) error {
	p.rest = append(p.rest, b...)
	c := &cursor{b: p.rest}
	for !p.done {
		before := c.b
		e, more := p.next(c)
		if c.short() {
			c.b, c.err = before, nil
			break
		}
		if c.err != nil {
			return fmt.Errorf("index object: %w", c.err)
		}
		if more {
			if err := p.fn(e); err != nil {
				return err
			}
		}
	}
	if len(c.b) < len(p.rest) { // else a value is still coming, and moving it each time would be its length times its parts
		p.rest = append(p.rest[:0], c.b...)
	}
	if p.done && len(p.rest) > 0 {
		return errs.New(errs.Corrupt, "index object: bytes behind its end")
	}
	return nil
}

// end reports whether everything came.
func (p *indexParser) end() error {
	if !p.done {
		return fmt.Errorf("index object: %w", errShort)
	}
	return nil
}

// next reads the head or an entry; it is an entry if more is true.
func (p *indexParser) next(c *cursor) (e IndexEntry, more bool) {
	if !p.begun {
		p.readHead(c)
		return e, false
	}
	if c.uv(1) == 0 {
		p.done = c.err == nil
		return e, false
	}
	e.Path = string(c.take(c.uv(maxPath)))
	e.Size = int64(c.uv(maxPack))
	h := c.take(crypt.HeaderSize)
	if c.err != nil {
		return e, false
	}
	e.Header, e.Capsule = p.readHeader(c, h)
	e.Body = c.take(c.uv(maxDirBody))
	return e, c.err == nil
}

// readHeader reads a pack's header and the hash of its capsule.
func (p *indexParser) readHeader(c *cursor, b []byte) (h crypt.Header, capsule [32]byte) {
	full := append(append(make([]byte, 0, crypt.HeaderSize+crypt.CapsuleSize), b...), make([]byte, crypt.CapsuleSize)...)
	parsed, err := crypt.ParseHeader(full)
	if err != nil {
		c.err = err
		return h, capsule
	}
	if parsed.Capsule != nil {
		copy(capsule[:], c.take(32))
		if c.err == nil && capsule == ([32]byte{}) {
			c.err = errs.New(errs.Corrupt, "a capsule's hash is zero")
		}
	}
	if parsed.Domain != p.domain || parsed.Class != crypt.ClassData && parsed.Class != crypt.ClassMeta {
		c.err = errs.New(errs.Corrupt, "a pack of class %s of domain %s has no place in it", parsed.Class, parsed.Domain)
	}
	h = *parsed
	h.Capsule = nil
	return h, capsule
}

// readHead reads what stands before the entries.
func (p *indexParser) readHead(c *cursor) {
	if v := c.uv(1 << 32); c.err == nil && v != indexVersion {
		c.err = errs.New(errs.Unsupported, "version %d", v)
	}
	p.head.Level = uint32(c.uv(1<<32 - 1))
	names := c.take(32 * c.uv(maxReplaces))
	if c.err != nil {
		return
	}
	p.head.Replaces = nil
	for ; len(names) > 0; names = names[32:] {
		p.head.Replaces = append(p.head.Replaces, id.Name(names[:32]))
	}
	p.begun = true
}
