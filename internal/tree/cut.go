package tree

import (
	"encoding/binary"
	"fmt"

	"github.com/zeebo/blake3"
)

// The rule by which pages end (docs/format/tree.md section 6).
const (
	cutBits    = 4
	cutMin     = 8
	cutSize    = 192 << 10
	cutBitsMod = 60
)

// cutter decides where pages end. One goroutine uses it.
type cutter struct {
	bits int // cutBits, but for the measurement of ADR 1
	h    *blake3.Hasher
	buf  []byte
	sum  [32]byte
}

func newCutter(key [32]byte) *cutter {
	h, err := blake3.NewKeyed(key[:])
	if err != nil { // only for a key of another length
		panic(fmt.Sprintf("tree: key of %d bytes", len(key)))
	}
	return &cutter{bits: cutBits, h: h}
}

func (c *cutter) clone() *cutter { return &cutter{bits: c.bits, h: c.h.Clone()} }

// hash returns the hash of a key, given by the last component of its directory and its name.
func (c *cutter) hash(component, name []byte) uint64 {
	c.buf = append(append(append(c.buf[:0], component...), 0), name...)
	c.h.Reset()
	_, _ = c.h.Write(c.buf) // a hash never fails
	return binary.LittleEndian.Uint64(c.h.Sum(c.sum[:0]))
}

// ends reports whether a page of the level ends after an item with the hash, whose number in the page is n and with
// which the page's canonical size is size.
func (c *cutter) ends(hash uint64, level, n, size int) bool {
	if n >= maxItems || size >= cutSize && (level == 0 || n >= 2) {
		return true
	}
	return n >= cutMin && hash>>(c.bits*level%cutBitsMod)&(1<<c.bits-1) == 0
}
