package chunk

import (
	"encoding/binary"

	"github.com/zeebo/blake3"
)

// deriveScan draws the multipliers of the candidate test until no run of one byte is a candidate: disks are full of
// such runs, and where they were candidates every position in them would have to be confirmed. A draw is good with
// probability 0.78; the number of draws is not bounded, but 100 are never needed.
func deriveScan(key *[32]byte, avg int) scanKey {
	for attempt := uint32(0); ; attempt++ {
		d := derive(key, "nacre/1 chunk scan", avg, attempt)
		k := scanKey{binary.LittleEndian.Uint32(d[0:]) | 1, binary.LittleEndian.Uint32(d[4:]) | 1}
		if k.quietOnRuns() {
			return k
		}
	}
}

// quietOnRuns reports whether no window of eight equal bytes is a candidate.
func (k scanKey) quietOnRuns() bool {
	for v := uint64(0); v < 256; v++ {
		if k.is(v * 0x0101010101010101) {
			return false
		}
	}
	return true
}

// deriveConfirm draws the seeds of the confirming hash.
func deriveConfirm(key *[32]byte, avg int) (s confirmKey) {
	var all [96]byte
	for i := uint32(0); i < 3; i++ {
		d := derive(key, "nacre/1 chunk confirm", avg, i)
		copy(all[32*i:], d[:])
	}
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(all[8*i:])
	}
	s[10] |= 1
	return s
}

// derive returns B3k(key, purpose || u32 avg || u32 n).
func derive(key *[32]byte, purpose string, avg int, n uint32) (out [32]byte) {
	h, err := blake3.NewKeyed(key[:])
	if err != nil {
		panic("chunk: blake3 refuses a key of 32 bytes: " + err.Error())
	}
	var tail [8]byte
	binary.LittleEndian.PutUint32(tail[0:], uint32(avg))
	binary.LittleEndian.PutUint32(tail[4:], n)
	_, _ = h.WriteString(purpose) // the hasher's Write never fails
	_, _ = h.Write(tail[:])
	h.Sum(out[:0])
	return out
}
