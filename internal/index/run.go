package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"runtime/debug"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
)

// A run is an immutable sorted file of rows:
//
//	header                 one block
//	rows                blocks of 127 rows and a trailer; the last block may hold fewer
//	sources                32 bytes each: the index objects that the packs were taken from, or zeros for packs whose
//	                       own directory was read
//	packs                  packEntrySize bytes each
//	fences                 8 bytes for each block of rows: the first bytes of its first id
//	filter                 a blocked Bloom filter over all ids
//
// Every block carries a checksum that begins with the run's own number, so a block of another file, an old block or a
// block of zeros does not pass. The header, tables, fences and filter are checked when the run is opened; a block of
// rows when it is first used. A question costs one line of the filter and, if that says "maybe", one block: memory
// is 1.25 bytes of filter and 0.06 of fences a row, all of it mapped from the file.
const (
	runMagic      = "NACREIX1"
	blockSize     = 4096
	rowsPerBlock  = 127
	packEntrySize = 144
	sourceSize    = 32
	fenceSize     = 8
)

// Limits of a run that a reader accepts; they bound what a damaged header can make it compute.
const (
	maxRunRows  = 1 << 40
	maxRunPacks = 1 << 31
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// runHeader is the first block of a run.
type runHeader struct {
	number   [16]byte // of this run: a hash of its repository and tables
	repo     id.Repository
	rows     uint64
	packs    uint64
	sources  uint64
	filter   uint64 // bytes of filter
	tableSum uint32 // CRC-32C of sources and packs
	fastSum  uint32 // CRC-32C of fences and filter
}

func (h *runHeader) blocks() uint64 { return (h.rows + rowsPerBlock - 1) / rowsPerBlock }

// offsets of the parts of the file.
func (h *runHeader) sourcesAt() uint64 { return blockSize + h.blocks()*blockSize }
func (h *runHeader) packsAt() uint64   { return h.sourcesAt() + h.sources*sourceSize }
func (h *runHeader) fencesAt() uint64  { return h.packsAt() + h.packs*packEntrySize }
func (h *runHeader) filterAt() uint64  { return h.fencesAt() + h.blocks()*fenceSize }
func (h *runHeader) size() uint64      { return h.filterAt() + h.filter }

// encode makes the header's block.
func (h *runHeader) encode() []byte {
	b := make([]byte, 0, blockSize)
	b = append(b, runMagic...)
	b = append(b, h.number[:]...)
	b = append(b, h.repo[:]...)
	b = binary.LittleEndian.AppendUint64(b, h.rows)
	b = binary.LittleEndian.AppendUint64(b, h.packs)
	b = binary.LittleEndian.AppendUint64(b, h.sources)
	b = binary.LittleEndian.AppendUint64(b, h.filter)
	b = binary.LittleEndian.AppendUint32(b, h.tableSum)
	b = binary.LittleEndian.AppendUint32(b, h.fastSum)
	b = b[:blockSize-4]
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeRunHeader reads and checks the header of a run whose file has size bytes.
func decodeRunHeader(b []byte, size uint64) (h runHeader, err error) {
	if len(b) < blockSize || string(b[:8]) != runMagic {
		return h, errs.New(errs.Corrupt, "index cache: not a run")
	}
	b = b[:blockSize]
	if crc32.Checksum(b[:blockSize-4], castagnoli) != binary.LittleEndian.Uint32(b[blockSize-4:]) {
		return h, errs.New(errs.Corrupt, "index cache: header does not match its checksum")
	}
	copy(h.number[:], b[8:])
	copy(h.repo[:], b[24:])
	h.rows = binary.LittleEndian.Uint64(b[40:])
	h.packs = binary.LittleEndian.Uint64(b[48:])
	h.sources = binary.LittleEndian.Uint64(b[56:])
	h.filter = binary.LittleEndian.Uint64(b[64:])
	h.tableSum = binary.LittleEndian.Uint32(b[72:])
	h.fastSum = binary.LittleEndian.Uint32(b[76:])
	if h.rows > maxRunRows || h.packs > maxRunPacks || h.sources > maxRunPacks || h.filter > size ||
		h.filter == 0 || h.filter%filterBlock != 0 || h.size() != size {
		return h, errs.New(errs.Corrupt, "index cache: %d bytes do not fit the header", size)
	}
	return h, nil
}

// packEntry is an entry of a run's pack table.
type packEntry struct {
	ref    record.Pack
	dirAt  uint64                 // where its sealed directory begins
	source uint32                 // in the table of sources
	header [crypt.HeaderSize]byte // of the pack, so that it opens without reading it
}

func (p *packEntry) append(b []byte) []byte {
	b = append(b, p.header[:]...)
	b = append(b, p.ref.Name[:]...)
	b = append(b, p.ref.Session[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.ref.Size))
	b = binary.LittleEndian.AppendUint64(b, p.dirAt)
	b = binary.LittleEndian.AppendUint32(b, p.ref.N)
	return binary.LittleEndian.AppendUint32(b, p.source)
}

func decodePackEntry(b []byte) (p packEntry) {
	copy(p.header[:], b)
	p.ref.Class = b[9] // the class stands in the header
	copy(p.ref.Name[:], b[72:])
	copy(p.ref.Session[:], b[104:])
	p.ref.Size = int64(binary.LittleEndian.Uint64(b[120:]))
	p.dirAt = binary.LittleEndian.Uint64(b[128:])
	p.ref.N = binary.LittleEndian.Uint32(b[136:])
	p.source = binary.LittleEndian.Uint32(b[140:])
	return p
}

// run is an open run. All methods may be called from several goroutines at once.
type run struct {
	runHeader
	path    string // "" when it lives in memory
	data    []byte
	fences  []byte
	bloom   filter
	checked []atomic.Uint32 // one bit per block: its checksum held
	bad     atomic.Bool     // a block was damaged or could not be read
	unmap   func() error
}

// newRun checks data, the bytes of a whole run of the repository, and returns it open. The run keeps data.
func newRun(data []byte, repo id.Repository) (r *run, err error) {
	r = &run{data: data}
	err = guard(func() error {
		if r.runHeader, err = decodeRunHeader(data, uint64(len(data))); err != nil {
			return err
		}
		if r.repo != repo {
			return errs.New(errs.Corrupt, "index cache: belongs to another repository")
		}
		if crc32.Checksum(data[r.sourcesAt():r.fencesAt()], castagnoli) != r.tableSum {
			return errs.New(errs.Corrupt, "index cache: tables do not match their checksum")
		}
		if crc32.Checksum(data[r.fencesAt():], castagnoli) != r.fastSum {
			return errs.New(errs.Corrupt, "index cache: filter does not match its checksum")
		}
		for i := range r.packs {
			if p := r.pack(uint32(i)); uint64(p.source) >= r.sources {
				return errs.New(errs.Corrupt, "index cache: pack %d has no source", i)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.fences = data[r.fencesAt():r.filterAt()]
	r.bloom = filter(data[r.filterAt():])
	r.checked = make([]atomic.Uint32, (r.blocks()+31)/32)
	return r, nil
}

// errFault says that mapped memory could not be read.
var errFault = errors.New("index cache: cannot be read")

// guard calls fn and turns a fault in mapped memory (the disk under the cache cannot be read) into an error.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			if _, fault := p.(interface{ Addr() uintptr }); !fault {
				panic(p)
			}
			err = errs.As(errs.Corrupt, fmt.Errorf("%w: %v", errFault, p))
		}
	}()
	return fn()
}

// noSource stands for a source that is not in the table. Nothing has this name, so nothing trusts it.
var noSource = id.Name(bytes.Repeat([]byte{0xff}, len(id.Name{})))

// source returns the name of source i; zero for packs' own directories. That i is in the table was looked at when the
// run was opened, but a file can change under its mapping.
func (r *run) source(i uint32) id.Name {
	if uint64(i) >= r.sources {
		r.bad.Store(true)
		return noSource
	}
	return id.Name(r.data[r.sourcesAt()+uint64(i)*sourceSize:][:sourceSize])
}

// pack returns entry i of the pack table.
func (r *run) pack(i uint32) packEntry {
	return decodePackEntry(r.data[r.packsAt()+uint64(i)*packEntrySize:][:packEntrySize])
}

func (r *run) fence(i uint64) uint64 { return prefix(r.fences[i*fenceSize:]) }

// block returns the rows of block i after its checksum held once.
func (r *run) block(i uint64) ([]byte, error) {
	b := r.data[blockSize*(1+i):][:blockSize]
	n := min(r.rows-i*rowsPerBlock, rowsPerBlock)
	word, bit := &r.checked[i/32], uint32(1)<<(i%32)
	if word.Load()&bit == 0 {
		if binary.LittleEndian.Uint32(b[blockSize-4:]) != blockSum(&r.number, i, b) {
			r.bad.Store(true)
			return nil, errs.New(errs.Corrupt, "index cache: block %d does not match its checksum", i)
		}
		word.Or(bit)
	}
	return b[:n*rowSize], nil
}

// blockSum is the checksum of block i of the run with this number.
func blockSum(number *[16]byte, i uint64, b []byte) uint32 {
	var seed [24]byte
	copy(seed[:], number[:])
	binary.LittleEndian.PutUint64(seed[16:], i)
	return crc32.Update(crc32.Checksum(seed[:], castagnoli), castagnoli, b[:blockSize-4])
}

// find calls fn for each row of s until fn returns false.
func (r *run) find(s *id.Short, fn func(place) bool) error {
	err := guard(func() error {
		if r.rows == 0 || !r.bloom.has(s) {
			return nil
		}
		p := prefix(s[:])
		for i := r.firstBlock(p); i < r.blocks() && r.fence(i) <= p; i++ {
			b, err := r.block(i)
			if err != nil {
				return err
			}
			for j := r.firstRow(b, i, p); j < len(b)/rowSize; j++ {
				rec := row(b[j*rowSize:][:rowSize])
				if prefix(rec[:]) != p {
					break
				}
				if rec.id() == *s && !fn(rec.place()) {
					return nil
				}
			}
		}
		return nil
	})
	if err != nil {
		r.bad.Store(true)
	}
	return err
}

// firstBlock returns the block in which ids with prefix p begin, if there are any: the last block whose fence is below
// p, or 0. It starts where p stands if ids are spread evenly, which keyed hashes are, and widens from there.
func (r *run) firstBlock(p uint64) uint64 {
	n := r.blocks()
	guess, _ := bits.Mul64(p, n)
	lo, hi := guess, guess // invariant after the loops: fence(lo) < p or lo = 0; hi = n or fence(hi) >= p
	for step := uint64(1); lo > 0 && r.fence(lo) >= p; step *= 2 {
		hi = lo
		lo -= min(step, lo)
	}
	for step := uint64(1); hi < n && r.fence(hi) < p; step *= 2 {
		lo = hi
		hi = min(hi+step, n)
	}
	for hi-lo > 1 {
		if mid := lo + (hi-lo)/2; r.fence(mid) < p {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// firstRow returns the first row of block i, whose rows are b, with a prefix of at least p. It starts where p stands if
// the ids between this block's fence and the next one are spread evenly; a block is small enough to walk from there.
func (r *run) firstRow(b []byte, i, p uint64) int {
	n := len(b) / rowSize
	low, high := r.fence(i), ^uint64(0)
	if i+1 < r.blocks() {
		high = r.fence(i + 1)
	}
	j := 0
	if p > low && high > low {
		j = min(int(float64(p-low)/float64(high-low)*float64(n)), n)
	}
	for j > 0 && prefix(b[(j-1)*rowSize:]) >= p {
		j--
	}
	for j < n && prefix(b[j*rowSize:]) < p {
		j++
	}
	return j
}

// close unmaps the run. No other method may be called any more.
func (r *run) close() error {
	if r.unmap == nil {
		return nil
	}
	return r.unmap()
}
