//go:build !amd64

package chunk

// haveWide is a constant here, so that the compiler drops the wide scan.
const haveWide = false

// scanWide is never called: haveWide is false.
func scanWide(*byte, int, uint32, uint32, uint32) (k int, mask uint32) {
	panic("chunk: no wide scan on this machine")
}
