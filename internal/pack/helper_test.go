package pack

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/segment"
)

var (
	testKey    = crypt.Key{9, 8, 7}
	testDomain = crypt.NewDomain(id.Domain{1, 2, 3}, crypt.Key{4, 5, 6})
)

// keyOf is the KeyFunc of the tests.
func keyOf(*crypt.Header) (crypt.Key, error) { return testKey, nil }

// newSealer makes the sealer of a pack with a salt that depends on seed alone.
func newSealer(tb testing.TB, c crypt.Class, seed byte) *crypt.Sealer {
	tb.Helper()
	h, err := crypt.NewHeader(rand.NewChaCha8([32]byte{seed}), c, crypt.SuiteAES, testDomain.Scope(), 1)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := crypt.NewSealer(h, testKey)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func newCoder(tb testing.TB) *codec.Coder {
	tb.Helper()
	c, err := codec.NewCoder(codec.Fastest)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// readFrom serves reads from memory.
func readFrom(b []byte) ReadFunc {
	r := bytes.NewReader(b)
	return func(p []byte, at int64) error {
		_, err := io.ReadFull(io.NewSectionReader(r, at, int64(len(p))), p)
		return err
	}
}

// content is n bytes that compress, and depend on seed.
func content(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	var b []byte
	for len(b) < n {
		b = fmt.Appendf(b, "line %d of file %d, which compresses\n", r.IntN(1000), seed)
	}
	return b[:n]
}

// noise is n bytes that do not compress.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// store writes blobs into w as one worker does.
func store(tb testing.TB, w *Writer, c segment.Coder, kind crypt.Kind, blobs ...[]byte) {
	tb.Helper()
	b := segment.NewBuilder(w.Header().Class, c)
	flush := func() {
		if b.Empty() {
			return
		}
		t, ok := w.Reserve(b.Compress(), len(b.Blobs()))
		if !ok {
			tb.Fatal("the pack is full")
		}
		sealed, err := b.Seal(t.Sealer(), t.Segno())
		if err == nil {
			err = t.Put(sealed, b.Blobs())
		}
		if err != nil {
			tb.Fatal(err)
		}
		b.Reset()
	}
	for _, p := range blobs {
		if !b.Fits(len(p)) {
			flush()
		}
		if err := b.Add(kind, testDomain.ID(kind, p), p); err != nil {
			tb.Fatal(err)
		}
		if b.Full() {
			flush()
		}
	}
	flush()
}

// build makes a pack of blobs and returns its bytes.
func build(tb testing.TB, class crypt.Class, target int64, kind crypt.Kind, blobs ...[]byte) ([]byte, *Result) {
	tb.Helper()
	var buf bytes.Buffer
	w, err := NewWriter(&buf, newSealer(tb, class, 1), target)
	if err != nil {
		tb.Fatal(err)
	}
	store(tb, w, newCoder(tb), kind, blobs...)
	r, err := w.Close()
	if err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes(), r
}
