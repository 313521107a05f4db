package faults

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// noise is a stream of bytes that do not compress, the same for the same seed.
func noise(seed uint64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// put writes a file of n bytes of noise.
func put(t testing.TB, path string, seed uint64, n int64) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	_, err = io.CopyN(f, noise(seed), n)
	must(t, err)
	must(t, f.Close())
}

// scatter fills a folder with n files of noise of lo to hi bytes, in folders of 50.
func scatter(t testing.TB, dir string, seed uint64, n int, lo, hi int64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range n {
		sub := filepath.Join(dir, fmt.Sprintf("d%03d", i/50))
		if i%50 == 0 {
			must(t, os.MkdirAll(sub, 0o755))
		}
		put(t, filepath.Join(sub, fmt.Sprintf("f%05d", i)), seed<<20+uint64(i), lo+r.Int64N(hi-lo+1))
	}
}

// words writes a file of n bytes of text that compresses slowly at the best level.
func words(t testing.TB, path string, seed uint64, n int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 2))
	text := make([]byte, 0, n+16)
	for len(text) < n {
		text = fmt.Appendf(text, "%x %x\n", r.IntN(1<<12), r.IntN(1<<20))
	}
	must(t, os.WriteFile(path, text[:n], 0o644))
}
