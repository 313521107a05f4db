package files

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/nacre-backup/nacre/internal/tree"
)

// subSpool keeps the subdirectories of a large directory on disk, in order, until they are taken. It is written to the
// end before it is read.
type subSpool struct {
	f    *tempFile
	w    *bufio.Writer
	r    *bufio.Reader
	left int
}

const subHead = 25

func newSubSpool(f *tempFile) *subSpool { return &subSpool{f: f, w: bufio.NewWriterSize(f, 64<<10)} }

// put appends a subdirectory. The first error of writing shows when the spool is read.
func (p *subSpool) put(s *sub, name []byte) {
	var head [subHead]byte
	binary.LittleEndian.PutUint16(head[0:], s.len)
	binary.LittleEndian.PutUint32(head[2:], s.fs)
	binary.LittleEndian.PutUint64(head[6:], s.dev)
	binary.LittleEndian.PutUint64(head[14:], s.ino)
	head[22] = byte(s.flags)
	var text string
	if s.err != nil {
		head[23] = byte(ErrClass(s.err))
		text = errText(s.err)
		head[24] = byte(len(text))
	}
	_, _ = p.w.Write(head[:])
	_, _ = p.w.Write(name)
	_, _ = p.w.WriteString(text)
	p.left++
}

// take reads the next subdirectory; its name is in memory of its own, followed by a NUL byte.
func (p *subSpool) take() (s sub, name []byte, err error) {
	if p.r == nil {
		if err := p.w.Flush(); err != nil {
			return s, nil, fmt.Errorf("write the subdirectories of a large directory: %w", err)
		}
		p.r = bufio.NewReaderSize(io.NewSectionReader(p.f.f, 0, p.f.size), 64<<10)
	}
	var head [subHead]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return s, nil, fmt.Errorf("read the subdirectories of a large directory: %w", err)
	}
	s = sub{
		len: binary.LittleEndian.Uint16(head[0:]), fs: binary.LittleEndian.Uint32(head[2:]), flags: recFlags(head[22]),
		dev: binary.LittleEndian.Uint64(head[6:]), ino: binary.LittleEndian.Uint64(head[14:]),
	}
	own := make([]byte, int(s.len)+1)
	text := make([]byte, head[24])
	for _, b := range [][]byte{own[:s.len], text} {
		if _, err := io.ReadFull(p.r, b); err != nil {
			return s, nil, fmt.Errorf("read the subdirectories of a large directory: %w", err)
		}
	}
	if class := tree.ErrClass(head[23]); class != tree.ErrNone {
		s.err = &classError{class, errors.New(string(text))}
	}
	p.left--
	if p.left == 0 {
		p.f.close()
	}
	return s, own[:s.len], nil
}
