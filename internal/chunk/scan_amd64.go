package chunk

import "golang.org/x/sys/cpu"

// haveWide says that scanWide can run. (x/sys/cpu checks the operating system's part, too.)
var haveWide = cpu.X86.HasAVX2

// scanWide tests blocks blocks of 32 positions from p on and returns the number of the first block with a candidate
// and its candidates as bits, or blocks and 0. It reads 32*blocks + 7 bytes.
//
//go:noescape
func scanWide(p *byte, blocks int, c1, c2, threshold uint32) (k int, mask uint32)
