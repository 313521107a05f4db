package index

import (
	"encoding/binary"
	"hash/crc32"
)

// reseal gives a changed run the checksums that it would have if it had been written so.
func reseal(b []byte) {
	sum := func() { binary.LittleEndian.PutUint32(b[blockSize-4:], crc32.Checksum(b[:blockSize-4], castagnoli)) }
	sum()
	h, err := decodeRunHeader(b, uint64(len(b)))
	if err != nil {
		return
	}
	h.tableSum = crc32.Checksum(b[h.sourcesAt():h.fencesAt()], castagnoli)
	h.fastSum = crc32.Checksum(b[h.fencesAt():], castagnoli)
	copy(b, h.encode())
	for i := range h.blocks() {
		block := b[blockSize*(1+i):][:blockSize]
		binary.LittleEndian.PutUint32(block[blockSize-4:], blockSum(&h.number, i, block))
	}
}
