package crypt

import (
	"encoding/binary"
	"hash"
	"sync"

	"github.com/zeebo/blake3"
	"lukechampine.com/blake3/guts"
)

// largeContent is from where on keyed hashes go through the wide kernels of lukechampine.com/blake3 (a quarter faster
// on machines with AVX-512); below it zeebo/blake3 is faster. Both give the same hash. See BenchmarkID.
const largeContent = 128 << 10

// Sum is the BLAKE3-256 hash of p, the hash that names objects.
func Sum(p []byte) [32]byte { return blake3.Sum256(p) }

// NewHash makes a streaming BLAKE3-256.
func NewHash() hash.Hash { return blake3.New() }

// keyed is BLAKE3 under one key. It is safe for concurrent use and does not allocate in the steady state: hashers
// (10 KiB each) come from a pool, one for each goroutine that hashes at the moment.
type keyed struct {
	words [8]uint32
	pool  sync.Pool
}

// keyedState is a hasher and the place for its result.
type keyedState struct {
	h   *blake3.Hasher
	out [32]byte
}

func newKeyed(k Key) *keyed {
	d := &keyed{}
	for i := range d.words {
		d.words[i] = binary.LittleEndian.Uint32(k[4*i:])
	}
	d.pool.New = func() any {
		h, err := blake3.NewKeyed(k[:])
		if err != nil {
			panic("blake3: " + err.Error()) // only for keys that are not 32 bytes
		}
		return &keyedState{h: h}
	}
	return d
}

// sum is the keyed hash of head ‖ body. head is short; the wide kernels are used only without it.
func (d *keyed) sum(head, body []byte) [32]byte {
	if len(head) == 0 && len(body) > largeContent {
		return wideSum(&d.words, body)
	}
	s := d.pool.Get().(*keyedState)
	s.h.Reset()
	_, _ = s.h.Write(head) // a hash takes every byte
	_, _ = s.h.Write(body)
	s.h.Sum(s.out[:0])
	out := s.out
	d.pool.Put(s)
	return out
}

// wideBuf is what one call of the wide kernel takes: 16 chunks of 1 KiB.
const wideBuf = guts.MaxSIMD * guts.ChunkSize

// wideSum is the keyed hash of p, which is longer than wideBuf. It folds the subtrees of 16 KiB as a binary counter
// counts: after the n-th subtree as many pairs are merged as n has trailing zero bits.
func wideSum(key *[8]uint32, p []byte) [32]byte {
	var stack [48][8]uint32 // subtrees still unmerged, the highest first; 48 levels are 2^62 bytes
	depth, n := 0, uint64(0)
	for len(p) > wideBuf {
		node := guts.CompressBuffer((*[wideBuf]byte)(p), wideBuf, key, n*guts.MaxSIMD, guts.FlagKeyedHash)
		cv := guts.ChainingValue(node)
		n++
		for t := n; t&1 == 0; t >>= 1 {
			depth--
			cv = guts.ChainingValue(guts.ParentNode(stack[depth], cv, key, guts.FlagKeyedHash))
		}
		stack[depth] = cv
		depth++
		p = p[wideBuf:]
	}
	var last [wideBuf]byte
	copy(last[:], p)
	node := guts.CompressBuffer(&last, len(p), key, n*guts.MaxSIMD, guts.FlagKeyedHash)
	for depth > 0 {
		depth--
		node = guts.ParentNode(stack[depth], guts.ChainingValue(node), key, guts.FlagKeyedHash)
	}
	node.Flags |= guts.FlagRoot
	out := guts.WordsToBytes(guts.CompressNode(node))
	return [32]byte(out[:32])
}
