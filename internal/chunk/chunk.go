package chunk

import (
	"encoding/binary"
	"math/bits"

	"github.com/nacre-backup/nacre/internal/errs"
)

// The averages that New accepts.
const (
	MinAverage = 16 << 10
	MaxAverage = 256 << 10
)

const (
	window        = 8  // bytes that the candidate test looks at
	confirmWindow = 64 // bytes that the confirming hash looks at
	candidateBits = 10 // a position is a candidate with probability 2^-candidateBits
	block         = 32 // positions that the wide scan tests at once
	scanThreshold = -(1 << (32 - candidateBits)) & (1<<32 - 1)
)

// Chunker cuts streams. It is immutable and safe for concurrent use.
type Chunker struct {
	scan   scanKey
	seeds  confirmKey
	min    int    // shortest chunk that a cut can end
	normal int    // from this length on the high threshold holds
	max    int    // longest chunk
	low    uint64 // threshold of the confirming hash before the normal point
	high   uint64 // and from it on
	wide   bool   // the AVX2 kernel is used; the cuts are the same without it
}

// New makes the Chunker of a domain's chunk key. The average is a power of two from MinAverage to MaxAverage.
func New(key [32]byte, avg int) (*Chunker, error) {
	if avg < MinAverage || avg > MaxAverage || avg&(avg-1) != 0 {
		return nil, errs.New(errs.Usage, "average chunk of %d bytes: want a power of two from %d to %d",
			avg, MinAverage, MaxAverage)
	}
	// A candidate turns up every 2^candidateBits bytes, so a threshold of 2^64 >> n makes a cut every
	// 2^(candidateBits+n) bytes.
	perCandidate := bits.TrailingZeros(uint(avg)) - candidateBits
	return &Chunker{
		scan:   deriveScan(&key, avg),
		seeds:  deriveConfirm(&key, avg),
		min:    avg / 2,
		normal: avg / 16 * 13,
		max:    4 * avg,
		low:    1 << (64 - perCandidate - 1),
		high:   1 << (64 - perCandidate + 2),
		wide:   haveWide,
	}, nil
}

// Max returns the length of the longest chunk, four times the average.
func (c *Chunker) Max() int { return c.max }

// Whole returns the length up to which a stream is one chunk, twice the average. Cut does not know where a stream
// begins, so this rule is the caller's: who holds a whole stream of at most this length does not call Cut.
func (c *Chunker) Whole() int { return c.max / 2 }

// Cut returns the length of the first chunk of p, which begins where a chunk begins. With eof, p ends where the
// stream ends; the rest of p is then the last chunk if no cut lies in it. 0 means that more bytes are needed, which
// happens only if p is shorter than Max and eof is false, or if p is empty. An answer above 0 does not change when
// more bytes are given.
func (c *Chunker) Cut(p []byte, eof bool) int {
	n := len(p)
	if n > c.max {
		n = c.max
	}
	if k := c.search(p[:n]); k > 0 {
		return k
	}
	if eof || n == c.max {
		return n
	}
	return 0
}

// search returns the first cut in p, which is at most max bytes long, or 0.
func (c *Chunker) search(p []byte) int {
	limit := len(p) - window // last position at which a window fits
	for at := c.min - window; at <= limit; {
		first, mask := c.candidates(p, at, limit)
		for ; mask != 0; mask &= mask - 1 {
			end := first + bits.TrailingZeros32(mask) + window
			threshold := c.low
			if end >= c.normal {
				threshold = c.high
			}
			if c.seeds.hash(p[end-confirmWindow:end]) < threshold {
				return end
			}
		}
		at = first + block
	}
	return 0
}

// candidates looks from position at on, up to limit inclusive, for the first block of positions that holds a
// candidate. It returns the block's first position and the candidates in it as bits; no bits say that there is none
// up to limit. All positions before first+block are then dealt with.
func (c *Chunker) candidates(p []byte, at, limit int) (first int, mask uint32) {
	if c.wide {
		if blocks := (limit - at + 1) / block; blocks > 0 {
			k, m := scanWide(&p[at], blocks, c.scan.c1, c.scan.c2, scanThreshold)
			at += k * block
			if m != 0 {
				return at, m
			}
		}
	}
	return c.scan.portable(p, at, limit)
}

// scanKey holds the odd multipliers of the candidate test.
type scanKey struct{ c1, c2 uint32 }

// is reports whether the window whose bytes are w, read as a little-endian number, is a candidate.
func (k scanKey) is(w uint64) bool {
	return uint32(w)*k.c1+uint32(w>>32)*k.c2 >= scanThreshold
}

// portable is candidates without special instructions, four positions a turn. Eight multiplies a turn are what it
// costs; loads and tests hide behind them.
func (k scanKey) portable(p []byte, at, limit int) (first int, mask uint32) {
	c1, c2 := k.c1, k.c2
	for q := p[min(at, len(p)):]; len(q) >= window+3; q = q[4:] {
		x0 := binary.LittleEndian.Uint32(q[0:])*c1 + binary.LittleEndian.Uint32(q[4:])*c2
		x1 := binary.LittleEndian.Uint32(q[1:])*c1 + binary.LittleEndian.Uint32(q[5:])*c2
		x2 := binary.LittleEndian.Uint32(q[2:])*c1 + binary.LittleEndian.Uint32(q[6:])*c2
		x3 := binary.LittleEndian.Uint32(q[3:])*c1 + binary.LittleEndian.Uint32(q[7:])*c2
		if x0 >= scanThreshold || x1 >= scanThreshold || x2 >= scanThreshold || x3 >= scanThreshold {
			break
		}
		at += 4
	}
	for ; at <= limit; at++ {
		if k.is(binary.LittleEndian.Uint64(p[at:])) {
			return at, k.block(p, at, limit)
		}
	}
	return at, 0
}

// block returns the candidates among the positions from at on, at most block of them and none after limit.
func (k scanKey) block(p []byte, at, limit int) (mask uint32) {
	for i := 0; i < block && at+i <= limit; i++ {
		if k.is(binary.LittleEndian.Uint64(p[at+i:])) {
			mask |= 1 << i
		}
	}
	return mask
}

// confirmKey holds the seeds of the confirming hash.
type confirmKey [11]uint64

// hash returns the keyed hash of the 64 bytes of w.
func (s *confirmKey) hash(w []byte) uint64 {
	w = w[:confirmWindow:confirmWindow]
	h := s[8]
	for k := 0; k < 4; k++ {
		a := binary.LittleEndian.Uint64(w[16*k:]) ^ s[2*k] ^ h
		b := binary.LittleEndian.Uint64(w[16*k+8:]) ^ s[2*k+1]
		hi, lo := bits.Mul64(a, b)
		h = hi ^ lo
	}
	hi, lo := bits.Mul64(h^s[9], s[10])
	return hi ^ lo
}
