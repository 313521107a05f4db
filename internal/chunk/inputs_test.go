package chunk

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// xorshift fills n bytes from the generator that docs/format/chunker.md defines for the golden lists.
func xorshift(n int) []byte {
	p := make([]byte, 0, n+8)
	x := uint64(88172645463325252)
	for len(p) < n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		for i := 0; i < 8; i++ {
			p = append(p, byte(x>>(8*i)))
		}
	}
	return p[:n]
}

// text makes n bytes of lines that look like a log: few distinct words, growing numbers.
func text(n int) []byte {
	var b bytes.Buffer
	words := []string{"open", "close", "read", "write", "user", "from", "port", "accepted", "refused", "session"}
	x := uint64(88172645463325252)
	for i := 0; b.Len() < n; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		fmt.Fprintf(&b, "%08d %s %s %s %d\n", i, words[x%10], words[x>>8%10], words[x>>16%10], x>>20%65536)
	}
	return b.Bytes()[:n]
}

// inputs are the kinds of data that every comparison runs over.
func inputs(c *Chunker, n int) map[string][]byte {
	mixed := xorshift(n)
	for i := 0; i < n; i += n/7 + 1 { // islands of zeros, as in disk images
		clear(mixed[i:min(n, i+n/13)])
	}
	return map[string][]byte{
		"random":      xorshift(n),
		"text":        text(n),
		"zeros":       make([]byte, n),
		"ones":        bytes.Repeat([]byte{0xff}, n),
		"mixed":       mixed,
		"adversarial": adversarial(c, n),
		"pairs":       bytes.Repeat([]byte("ab"), n/2),
		"counters":    counters(n),
	}
}

// counters is a table of 16-byte records in which little changes.
func counters(n int) []byte {
	p := make([]byte, n)
	for i := 0; i+16 <= n; i += 16 {
		p[i], p[i+1], p[i+2], p[i+8] = byte(i>>4), byte(i>>12), byte(i>>20), 7
	}
	return p
}

// adversarial is made by who knows the key: candidates stand as densely as they can, so that each position is
// confirmed, and where the confirming hash refuses them all no cut comes before the longest chunk.
func adversarial(c *Chunker, n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	w := make([]byte, window)
	for {
		for i := range w {
			w[i] = byte(r.Uint32())
		}
		p := bytes.Repeat(w, 16)
		dense := 0
		for i := range window {
			if c.scan.portableIs(p[i:]) {
				dense++
			}
		}
		if dense >= 2 {
			return bytes.Repeat(w, n/window+1)[:n]
		}
	}
}

// portableIs is the candidate test as docs/format/chunker.md says it, byte by byte.
func (k scanKey) portableIs(p []byte) bool {
	var a, b uint64
	for i := 3; i >= 0; i-- {
		a, b = a<<8|uint64(p[i]), b<<8|uint64(p[i+4])
	}
	return (a*uint64(k.c1)+b*uint64(k.c2))%(1<<32) >= 1<<32-1<<22
}
