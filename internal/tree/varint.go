package tree

import "encoding/binary"

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

// uvLong reads a varint of two bytes or more.
func (s *scanner) uvLong() uint64 {
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
