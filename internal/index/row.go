package index

import (
	"bytes"
	"encoding/binary"

	"github.com/nacre-backup/nacre/internal/id"
)

// rowSize is the size of a row in a run.
const rowSize = 32

// row is one line of a run: which segment of which pack holds a blob.
//
//	 0  20  first 20 bytes of the blob's id
//	20   4  number of the pack in the run's pack table
//	24   3  segment
//	27   2  slot in the segment
//	29   3  length of the blob
//
// The integers are little-endian. Records are sorted by all their bytes, so equal ids stand together.
type row [rowSize]byte

// place is what a row says beside the id.
type place struct {
	pack    uint32
	segment uint32 // below 2^24
	slot    uint16
	rawLen  uint32 // below 2^24
}

func makeRow(s id.Short, p place) (r row) {
	copy(r[:20], s[:])
	binary.LittleEndian.PutUint32(r[20:], p.pack)
	putUint24(r[24:], p.segment)
	binary.LittleEndian.PutUint16(r[27:], p.slot)
	putUint24(r[29:], p.rawLen)
	return r
}

func (r *row) id() id.Short { return id.Short(r[:20]) }

func (r *row) place() place {
	return place{
		pack:    binary.LittleEndian.Uint32(r[20:]),
		segment: uint24(r[24:]),
		slot:    binary.LittleEndian.Uint16(r[27:]),
		rawLen:  uint24(r[29:]),
	}
}

func putUint24(b []byte, v uint32) { b[0], b[1], b[2] = byte(v), byte(v>>8), byte(v>>16) }

func uint24(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 }

// prefix is the first 8 bytes of an id as a number: the order of prefixes is the order of ids.
func prefix(s []byte) uint64 { return binary.BigEndian.Uint64(s) }

// compareRows orders rows by all their bytes.
func compareRows(a, b row) int {
	if p, q := prefix(a[:]), prefix(b[:]); p != q {
		if p < q {
			return -1
		}
		return 1
	}
	return bytes.Compare(a[8:], b[8:])
}
