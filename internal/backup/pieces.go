package backup

import (
	"io"

	"github.com/nacre-backup/nacre/internal/chunk"
	"github.com/nacre-backup/nacre/internal/source"
)

// pieces reads a file and cuts it. Each stretch of data between holes is cut by itself: a chunk ends where a hole
// begins.
type pieces struct {
	chunker *chunk.Chunker
	// buffer returns a buffer of at least twice the longest chunk. It may be the one that data got last.
	buffer func() []byte
	// data takes buf, which holds whole chunks of the lengths cuts, and after them bytes that are not its business.
	data func(buf []byte, cuts []int) error
	hole func(n int64) error
	read func(n int) // told of each read

	rest []byte // bytes behind the last cut
}

// file reads from the offset to size. A file that turns out shorter ends early.
func (p *pieces) file(f source.File, from, size int64) error {
	for off := from; off < size; {
		start, end, err := f.NextData(off, size)
		if err != nil {
			return err
		}
		start, end = max(start, off), min(end, size)
		if start > off {
			if err := p.hole(start - off); err != nil {
				return err
			}
		}
		if start >= size {
			return nil
		}
		short, err := p.stretch(io.NewSectionReader(f, start, end-start), end-start, start > from || from == 0)
		if err != nil || short {
			return err
		}
		off = end
	}
	return nil
}

// stretch cuts n bytes of r, or all of r if n is below 0. It reports whether r had fewer. whole says that r stands at the
// beginning of a stretch, not within one: a short stretch is then one chunk (docs/format/chunker.md).
func (p *pieces) stretch(r io.Reader, n int64, whole bool) (short bool, err error) {
	p.rest = p.rest[:0]
	var got int64
	for {
		buf := p.buffer()
		have := copy(buf, p.rest)
		want := len(buf)
		if n >= 0 {
			want = int(min(int64(want), int64(have)+n-got))
		}
		k, err := io.ReadFull(r, buf[have:want])
		p.read(k)
		got += int64(k)
		have += k
		eof := err == io.EOF || err == io.ErrUnexpectedEOF || n >= 0 && got == n
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return false, err
		}
		cuts, at := p.cuts(buf[:have], eof, whole && int64(have) == got)
		p.rest = append(p.rest[:0], buf[at:have]...)
		if len(cuts) > 0 {
			if err := p.data(buf, cuts); err != nil {
				return false, err
			}
		}
		if eof {
			return n >= 0 && got < n, nil
		}
	}
}

// cuts returns the lengths of the chunks that b begins with, and their sum. eof says that nothing follows b, all that
// nothing came before it: such a file is one chunk if it is short.
func (p *pieces) cuts(b []byte, eof, all bool) (cuts []int, at int) {
	if all && eof && len(b) > 0 && len(b) <= p.chunker.Whole() {
		return []int{len(b)}, len(b)
	}
	for at < len(b) {
		c := p.chunker.Cut(b[at:], eof)
		if c == 0 {
			break
		}
		cuts = append(cuts, c)
		at += c
	}
	return cuts, at
}
