package files

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/tree"
)

// pending is the stack of what waits for Close: directories' metadata and late flags. Read from its end it gives the
// deepest first, because a directory is begun before what it holds. It keeps at most pendingMemory bytes, and one
// record, in memory; older blocks go to a temporary file that has no name.
type pending struct {
	mu     sync.Mutex
	limit  int
	block  []byte // whole records, each followed by its length as u32
	file   *os.File
	blocks []int64 // ends of the blocks in file
}

const pendingMemory = 8 << 20

// record is one thing to do at Close.
type record struct {
	made  bool // the directory was made by this run
	dir   []byte
	entry tree.Entry
	// Of a file that waits for late flags: which one it is, since its name may be another one's by then.
	dev, ino uint64
}

// push adds a record.
func (p *pending) push(r *record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit == 0 {
		p.limit = pendingMemory
	}
	if len(p.block) >= p.limit {
		if err := p.spillLocked(); err != nil {
			return fmt.Errorf("keep metadata of directories for later: %w", err)
		}
	}
	n := len(p.block)
	p.block = r.append(p.block)
	p.block = binary.LittleEndian.AppendUint32(p.block, uint32(len(p.block)-n))
	return nil
}

func (p *pending) spillLocked() error {
	if p.file == nil {
		f, err := os.CreateTemp("", "nacre-restore-")
		if err != nil {
			return err
		}
		p.file = f
		// Where an open file cannot be removed, close removes it.
		_ = os.Remove(f.Name())
	}
	end := int64(0)
	if n := len(p.blocks); n > 0 {
		end = p.blocks[n-1]
	}
	if _, err := p.file.WriteAt(p.block, end); err != nil {
		return err
	}
	p.blocks = append(p.blocks, end+int64(len(p.block)))
	p.block = p.block[:0]
	return nil
}

// pop takes the newest record off; ok is false when none is left.
func (p *pending) pop() (r record, ok bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.block) == 0 {
		n := len(p.blocks)
		if n == 0 {
			return r, false, nil
		}
		start := int64(0)
		if n > 1 {
			start = p.blocks[n-2]
		}
		p.block = make([]byte, p.blocks[n-1]-start)
		p.blocks = p.blocks[:n-1]
		if _, err := p.file.ReadAt(p.block, start); err != nil {
			return r, false, fmt.Errorf("read back metadata of directories: %w", err)
		}
	}
	end := len(p.block) - 4
	n := int(binary.LittleEndian.Uint32(p.block[end:]))
	err = r.decode(p.block[end-n : end])
	p.block = p.block[:end-n]
	return r, true, err
}

func (p *pending) close() error {
	if p.file == nil {
		return nil
	}
	name := p.file.Name()
	err := p.file.Close()
	if rm := os.Remove(name); rm != nil && !errors.Is(rm, os.ErrNotExist) {
		err = errors.Join(err, rm)
	}
	return err
}

func (r *record) append(b []byte) []byte {
	e := &r.entry
	str := func(s []byte) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	num := func(v uint64) { b = binary.AppendUvarint(b, v) }
	made := uint64(0)
	if r.made {
		made = 1
	}
	num(made)
	str(r.dir)
	str(e.Name)
	str([]byte(e.User))
	str([]byte(e.Group))
	b = binary.AppendVarint(b, e.ModTime.Sec)
	b = binary.AppendVarint(b, e.BirthTime.Sec)
	for _, v := range []uint64{
		uint64(e.ModTime.Nsec), uint64(e.BirthTime.Nsec), uint64(e.Type), uint64(e.Mode), uint64(e.UID), uint64(e.GID), uint64(e.FSFlags),
		uint64(e.ProjectID), uint64(e.Flags), r.dev, r.ino, uint64(len(e.Xattrs)),
	} {
		num(v)
	}
	for i := range e.Xattrs {
		str(e.Xattrs[i].Name)
		str(e.Xattrs[i].Value)
	}
	return b
}

var errRecord = errs.New(errs.Corrupt, "metadata of directories kept for later is damaged")

func (r *record) decode(b []byte) error {
	e := &r.entry
	var bad bool
	num := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			bad = true
			return 0
		}
		b = b[n:]
		return v
	}
	str := func() []byte {
		n := num()
		if n > uint64(len(b)) {
			bad = true
			return nil
		}
		s := append([]byte(nil), b[:n]...)
		b = b[n:]
		return s
	}
	r.made = num() == 1
	r.dir, e.Name = str(), str()
	e.User, e.Group = string(str()), string(str())
	for _, sec := range []*int64{&e.ModTime.Sec, &e.BirthTime.Sec} {
		v, n := binary.Varint(b)
		if n <= 0 {
			return errRecord
		}
		*sec, b = v, b[n:]
	}
	e.ModTime.Nsec, e.BirthTime.Nsec = uint32(num()), uint32(num())
	e.Type, e.Mode = tree.Type(num()), uint32(num())
	e.UID, e.GID = uint32(num()), uint32(num())
	e.FSFlags, e.ProjectID = uint32(num()), uint32(num())
	e.Flags = tree.Flags(num())
	r.dev, r.ino = num(), num()
	for n := num(); n > 0 && !bad; n-- {
		e.Xattrs = append(e.Xattrs, tree.Xattr{Name: str(), Value: str()})
	}
	if bad || len(b) > 0 {
		return errRecord
	}
	return nil
}
