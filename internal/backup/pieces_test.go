package backup

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/chunk"
	"github.com/nacre-backup/nacre/internal/tree"
)

// island is a stretch of data in a holeyFile.
type island struct{ start, end int64 }

// holeyFile is a file in memory with holes.
type holeyFile struct {
	data    []byte
	islands []island
}

func (f *holeyFile) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(f.data).ReadAt(p, off)
}

func (f *holeyFile) NextData(off, size int64) (start, end int64, err error) {
	for _, i := range f.islands {
		if off < i.end {
			return max(off, i.start), i.end, nil
		}
	}
	return size, size, nil
}
func (f *holeyFile) Stat(*tree.Entry) error { return nil }
func (f *holeyFile) Close() error           { return nil }

func TestPiecesOfAFileMakeUpTheFile(t *testing.T) {
	t.Parallel()
	c, err := chunk.New([32]byte{7}, 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 1<<20).Draw(t, "size")
		f := &holeyFile{data: make([]byte, size)}
		for at := int64(0); at < size; {
			start := at + rapid.Int64Range(0, size/2).Draw(t, "gap")
			end := min(start+rapid.Int64Range(1, size).Draw(t, "length"), size)
			if start >= size {
				break
			}
			f.islands = append(f.islands, island{start, end})
			seed := rapid.Byte().Draw(t, "seed")
			for i := start; i < end; i++ {
				f.data[i] = byte(i*i>>7) ^ seed | 1
			}
			at = end + 1
		}
		from := rapid.Int64Range(0, size).Draw(t, "from")
		got := append([]byte(nil), f.data[:from]...)
		p := pieces{
			chunker: c,
			buffer:  func() []byte { return make([]byte, 256<<10) },
			data: func(buf []byte, cuts []int) error {
				for _, n := range cuts {
					if n > c.Max() {
						t.Fatalf("a chunk of %d bytes", n)
					}
					got = append(got, buf[:n]...)
					buf = buf[n:]
				}
				return nil
			},
			hole: func(n int64) error { got = append(got, make([]byte, n)...); return nil },
			read: func(int) {},
		}
		if err := p.file(f, from, size); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, f.data) {
			t.Fatal("the pieces do not make up the file")
		}
	})
}

// oneByte reads a byte at a time and fails at the end if told so.
type oneByte struct {
	b    []byte
	fail error
}

func (r *oneByte) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		if r.fail != nil {
			return 0, r.fail
		}
		return 0, io.EOF
	}
	p[0], r.b = r.b[0], r.b[1:]
	return 1, nil
}

func TestPiecesOfAStreamEndWithItsEnd(t *testing.T) {
	t.Parallel()
	c, err := chunk.New([32]byte{7}, 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("stream of no known length. "), 20000)
	var got []byte
	p := pieces{
		chunker: c, buffer: func() []byte { return make([]byte, 256<<10) }, read: func(int) {},
		data: func(buf []byte, cuts []int) error {
			for _, n := range cuts {
				got = append(got, buf[:n]...)
				buf = buf[n:]
			}
			return nil
		},
	}
	if _, err := p.stretch(&oneByte{b: content}, -1, true); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%v; %d bytes of %d", err, len(got), len(content))
	}
	broken := errors.New("broken pipe")
	if _, err := p.stretch(&oneByte{b: content, fail: broken}, -1, true); !errors.Is(err, broken) {
		t.Fatalf("a stream that breaks off gave %v", err)
	}
}

func TestShortStretchesAreOneChunk(t *testing.T) {
	t.Parallel()
	c, err := chunk.New([32]byte{7}, 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	whole := int64(c.Whole())
	content := make([]byte, 8*whole)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	var cuts []int
	p := pieces{
		chunker: c, buffer: func() []byte { return make([]byte, 256<<10) }, read: func(int) {},
		data: func(_ []byte, n []int) error { cuts = append(cuts, n...); return nil },
		hole: func(int64) error { cuts = append(cuts, 0); return nil },
	}
	// Two stretches that may stay whole, then one that may not.
	f := &holeyFile{data: content, islands: []island{{0, whole}, {whole + 10, whole + 20}, {2 * whole, 5 * whole}}}
	if err := p.file(f, 0, 5*whole); err != nil {
		t.Fatal(err)
	}
	if len(cuts) < 6 || cuts[0] != int(whole) || cuts[1] != 0 || cuts[2] != 10 || cuts[3] != 0 {
		t.Errorf("cuts %v, want one chunk of %d, a hole, one of 10, a hole, and several", cuts, whole)
	}
	cuts = nil
	if _, err := p.stretch(&oneByte{b: content[:whole]}, -1, true); err != nil || len(cuts) != 1 {
		t.Errorf("a short stream has the chunks %v, %v", cuts, err)
	}
	cuts = nil
	if err := p.file(&holeyFile{data: content, islands: []island{{0, 4 * whole}}}, 3*whole, 4*whole); err != nil || len(cuts) < 2 {
		t.Errorf("the rest of a long stretch has the chunks %v, %v: it is no stretch of its own", cuts, err)
	}
}
