package tree

import (
	"encoding/binary"
	"math/bits"
)

// appendUv appends v as unsigned LEB128 in its shortest form.
func appendUv(b []byte, v uint64) []byte {
	if v < 0x80 {
		return append(b, byte(v))
	}
	return binary.AppendUvarint(b, v)
}

// appendZz appends v zigzag-coded.
func appendZz(b []byte, v int64) []byte { return appendUv(b, zigzag(v)) }

func appendStr[S ~string | ~[]byte](b []byte, s S) []byte {
	return append(appendUv(b, uint64(len(s))), s...)
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// scanner reads the parts of one column. After the first mistake bad is set and every read returns zeros, so that
// loops need no error paths; callers ask done at the end and bound every loop by a checked count.
type scanner struct {
	b   []byte
	i   int
	bad bool
}

// uv reads one varint. The short ones, which are most, are read where uv is inlined.
func (s *scanner) uv() uint64 {
	if s.i < len(s.b) && s.b[s.i] < 0x80 {
		s.i++
		return uint64(s.b[s.i-1])
	}
	return s.uvLong()
}

// uvLong reads a varint of two bytes or more. Those of up to eight bytes are put together at once, if the page has
// eight bytes from there on, be they the column's or not.
func (s *scanner) uvLong() uint64 {
	if i := s.i; i >= 0 && i <= len(s.b) && i+8 <= cap(s.b) {
		if v, n := gather(binary.LittleEndian.Uint64(s.b[i : i+8])); n > 0 && i+n <= len(s.b) {
			s.i = i + n
			return v
		}
	}
	return s.uvSlow()
}

// gather returns the varint of n bytes with which x begins, the lowest byte first; n is 0 if it does not end in x or is
// not in its shortest form. The lowest byte without the mark ends the number, and the groups of seven bits move together.
func gather(x uint64) (v uint64, n int) {
	end := ^x & 0x8080808080808080
	if end == 0 {
		return 0, 0
	}
	last := bits.TrailingZeros64(end) &^ 7 // the last byte's place
	if x>>last&0xff == 0 && last > 0 {
		return 0, 0
	}
	x &= (end ^ (end - 1)) & 0x7f7f7f7f7f7f7f7f
	x = x&0x007f007f007f007f | x&0x7f007f007f007f00>>1
	x = x&0x00003fff00003fff | x&0x3fff00003fff0000>>2
	return x&0x0fffffff | x>>4&^0x0fffffff, last/8 + 1
}

// uvSlow reads a varint byte by byte.
func (s *scanner) uvSlow() uint64 {
	b := s.b[min(s.i, len(s.b)):]
	v := uint64(0)
	for k := 0; k < len(b) && k < binary.MaxVarintLen64; k++ {
		c := b[k]
		v |= uint64(c&0x7f) << (7 * k)
		if c < 0x80 {
			if c == 0 && k > 0 || k == binary.MaxVarintLen64-1 && c > 1 {
				break // not the shortest form, or more than 64 bits
			}
			s.i += k + 1
			return v
		}
	}
	s.fail()
	return 0
}

// uvs fills dst with varints.
func (s *scanner) uvs(dst []uint64) {
	b, i := s.b, s.i
	for k := range dst {
		if i >= len(b) {
			s.fail()
			return
		}
		if b[i] < 0x80 {
			dst[k] = uint64(b[i])
			i++
			continue
		}
		if i+8 <= cap(b) {
			if v, n := gather(binary.LittleEndian.Uint64(b[i : i+8])); n > 0 && i+n <= len(b) {
				dst[k] = v
				i += n
				continue
			}
		}
		s.i = i
		if dst[k] = s.uvSlow(); s.bad {
			return
		}
		i = s.i
	}
	s.i = i
}

func (s *scanner) zz() int64 { return unzigzag(s.uv()) }

// upTo reads a varint that must not be above limit.
func (s *scanner) upTo(limit uint64) int {
	v := s.uv()
	if v > limit {
		s.fail()
		return 0
	}
	return int(v)
}

func (s *scanner) u8() byte {
	if s.i >= len(s.b) {
		s.fail()
		return 0
	}
	s.i++
	return s.b[s.i-1]
}

// bytes returns the next n bytes, which alias the page.
func (s *scanner) bytes(n int) []byte {
	if n > len(s.b)-s.i {
		s.fail()
		return nil
	}
	s.i += n
	return s.b[s.i-n : s.i : s.i]
}

// str reads a length of at most limit and that many bytes.
func (s *scanner) str(limit uint64) []byte { return s.bytes(s.upTo(limit)) }

func (s *scanner) fail() {
	s.bad = true
	s.i = len(s.b)
}

func (s *scanner) more() bool { return s.i < len(s.b) }

// done reports whether the column was read without a mistake and to its end.
func (s *scanner) done() bool { return !s.bad && s.i == len(s.b) }
