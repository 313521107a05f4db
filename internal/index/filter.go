package index

import (
	"encoding/binary"
	"math/bits"

	"github.com/nacre-backup/nacre/internal/id"
)

const (
	filterBits   = 10 // bits of filter per row
	filterProbes = 6  // bits set per row
	filterBlock  = 64 // bytes of a block: one cache line, so that a question costs one memory access
)

// filter is a blocked Bloom filter over ids: 1.25 bytes a row, about one false answer in a hundred. Ids are keyed
// hashes, so their own bytes serve as the hash: bytes 8 to 15 choose the block, bytes 12 to 19 the bits in it.
type filter []byte

// filterSize is the size in bytes of a filter for n rows.
func filterSize(n uint64) uint64 {
	blocks := (n*filterBits + filterBlock*8 - 1) / (filterBlock * 8)
	return max(blocks, 1) * filterBlock
}

func newFilter(n uint64) filter { return make(filter, filterSize(n)) }

func (f filter) block(s *id.Short) []byte {
	i, _ := bits.Mul64(binary.BigEndian.Uint64(s[8:]), uint64(len(f)/filterBlock))
	return f[i*filterBlock : (i+1)*filterBlock]
}

func (f filter) add(s *id.Short) {
	b := f.block(s)
	h := binary.LittleEndian.Uint64(s[12:])
	for range filterProbes {
		b[h>>3&(filterBlock-1)] |= 1 << (h & 7)
		h >>= 9
	}
}

// has reports whether s may have been added; false means that it was not.
func (f filter) has(s *id.Short) bool {
	b := f.block(s)
	h := binary.LittleEndian.Uint64(s[12:])
	for range filterProbes {
		if b[h>>3&(filterBlock-1)]&(1<<(h&7)) == 0 {
			return false
		}
		h >>= 9
	}
	return true
}
