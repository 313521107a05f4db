package index

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"

	"github.com/zeebo/blake3"

	"github.com/nacre-backup/nacre/internal/id"
)

// runFile is where a run is written: a file or memory.
type runFile interface {
	io.Writer
	io.WriterAt
}

// tables are the sources and packs of a run that is being made. Packs is walked twice.
type tables struct {
	sources []id.Name
	packs   iter.Seq[packEntry]
}

// runWriter writes one run from rows that come in order. It holds the filter and the fences, 1.31 bytes a row,
// and a write buffer.
type runWriter struct {
	runHeader
	tables
	f      runFile
	w      *bufio.Writer
	block  []byte
	fences []byte
	bloom  filter
	last   row
}

// newRunWriter begins a run of at most upper rows.
func newRunWriter(f runFile, repo id.Repository, t tables, upper uint64) (*runWriter, error) {
	w := &runWriter{tables: t, f: f, w: bufio.NewWriterSize(f, 256<<10), bloom: newFilter(upper), block: make([]byte, 0, blockSize)}
	w.repo, w.runHeader.sources, w.runHeader.filter = repo, uint64(len(t.sources)), uint64(len(w.bloom))
	h := blake3.New()
	var b []byte
	hash := func(p []byte) { _, _ = h.Write(p) } // a hash does not fail
	hash(repo[:])
	hash(binary.LittleEndian.AppendUint64(nil, upper))
	for _, s := range t.sources {
		hash(s[:])
	}
	for p := range t.packs {
		b = p.append(b[:0])
		hash(b)
		w.runHeader.packs++
	}
	copy(w.number[:], h.Sum(nil))
	_, err := w.w.Write(make([]byte, blockSize)) // the header comes last, when its checksums are known
	return w, err
}

// add appends a row, which must not be below the one before it. An equal one is dropped.
func (w *runWriter) add(r row) error {
	if w.rows > 0 {
		switch c := compareRows(w.last, r); {
		case c == 0:
			return nil
		case c > 0:
			panic(fmt.Sprintf("index run: row %x after %x", r, w.last))
		}
	}
	w.last = r
	w.rows++
	if len(w.block) == 0 {
		w.fences = append(w.fences, r[:fenceSize]...)
	}
	s := r.id()
	w.bloom.add(&s)
	w.block = append(w.block, r[:]...)
	if len(w.block) == rowsPerBlock*rowSize {
		return w.flushBlock()
	}
	return nil
}

func (w *runWriter) flushBlock() error {
	if len(w.block) == 0 {
		return nil
	}
	b := w.block[:blockSize]
	clear(b[len(w.block):])
	i := uint64(len(w.fences))/fenceSize - 1
	binary.LittleEndian.PutUint32(b[blockSize-4:], blockSum(&w.number, i, b))
	w.block = w.block[:0]
	_, err := w.w.Write(b)
	return err
}

// finish writes the tables, the filter and the header.
func (w *runWriter) finish() error {
	err := w.flushBlock()
	put := func(sum *uint32, b []byte) {
		*sum = crc32.Update(*sum, castagnoli, b)
		if _, werr := w.w.Write(b); err == nil {
			err = werr
		}
	}
	for _, s := range w.tables.sources {
		put(&w.tableSum, s[:])
	}
	var b []byte
	for p := range w.tables.packs {
		b = p.append(b[:0])
		put(&w.tableSum, b)
	}
	put(&w.fastSum, w.fences)
	put(&w.fastSum, w.bloom)
	if err != nil {
		return err
	}
	if err := w.w.Flush(); err != nil {
		return err
	}
	_, err = w.f.WriteAt(w.encode(), 0)
	return err
}

// memFile is a run in memory.
type memFile struct{ b []byte }

func (m *memFile) Write(p []byte) (int, error) {
	m.b = append(m.b, p...)
	return len(p), nil
}

func (m *memFile) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > int64(len(m.b)) {
		return 0, errors.New("write beyond the end of a run in memory")
	}
	return copy(m.b[off:], p), nil
}
