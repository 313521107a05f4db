package osfile

import "unsafe"

// BlockSize is the alignment that direct I/O asks of memory, offsets and lengths on every disk of today.
const BlockSize = 4096

// Aligned returns n bytes whose address is a multiple of BlockSize.
func Aligned(n int) []byte {
	buf := make([]byte, n+BlockSize)
	skip := 0
	if rest := int(uintptr(unsafe.Pointer(&buf[0])) % BlockSize); rest != 0 {
		skip = BlockSize - rest
	}
	return buf[skip : skip+n : skip+n]
}
