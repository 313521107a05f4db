package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

var testDomain = crypt.NewDomain(id.Domain{1}, crypt.Key{2})

func newSealer(tb testing.TB, c crypt.Class) *crypt.Sealer {
	tb.Helper()
	h, err := crypt.NewHeader(rand.NewChaCha8([32]byte{1}), c, crypt.SuiteAES, testDomain.Scope(), 1)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := crypt.NewSealer(h, crypt.Key{3})
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

// content is n bytes that compress well, or not at all.
func content(seed uint64, n int, compress bool) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	var b []byte
	for len(b) < n {
		if compress {
			b = fmt.Appendf(b, "line %d of a file that compresses\n", r.IntN(1000))
		} else {
			b = binary.LittleEndian.AppendUint64(b, r.Uint64())
		}
	}
	return b[:n]
}

// read opens and decodes a sealed segment without the builder.
func read(tb testing.TB, s *crypt.Sealer, segno uint32, sealed []byte, blobs []Blob) []byte {
	tb.Helper()
	var ids []id.Short
	for _, b := range blobs {
		ids = append(ids, b.ID.Short())
	}
	p, err := s.Open(nil, sealed, segno, ids)
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := newCoder(tb).Decode(nil, codec.ID(p.Codec), p.Payload, p.RawLen)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func TestASegmentHoldsItsBlobsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	data, meta := newSealer(t, crypt.ClassData), newSealer(t, crypt.ClassMeta)
	coder := newCoder(t)
	builders := map[crypt.Kind]*Builder{
		crypt.KindData: NewBuilder(crypt.ClassData, coder), crypt.KindTree: NewBuilder(crypt.ClassMeta, coder),
	}
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]crypt.Kind{crypt.KindData, crypt.KindTree}).Draw(rt, "kind")
		s := map[crypt.Kind]*crypt.Sealer{crypt.KindData: data, crypt.KindTree: meta}[kind]
		b := builders[kind]
		b.Reset()
		compress := rapid.Bool().Draw(rt, "compress")
		var want []byte
		var n int
		for !b.Full() {
			size := rapid.SampledFrom([]int{0, 1, 100, 5000, 100_000, TargetMeta - 1, TargetData - 1, TargetData, 2_000_000}).Draw(rt, "size")
			if !b.Fits(size) {
				break
			}
			p := content(uint64(n), size, compress)
			if err := b.Add(kind, testDomain.ID(kind, p), p); err != nil {
				rt.Fatal(err)
			}
			want = append(want, p...)
			if n++; n == 60 {
				break
			}
		}
		announced := b.Compress()
		sealed, err := b.Seal(s, uint32(n))
		if err != nil {
			rt.Fatal(err)
		}
		if len(sealed) != announced {
			rt.Fatalf("%d bytes, announced were %d", len(sealed), announced)
		}
		if got := read(t, s, uint32(n), sealed, b.Blobs()); !bytes.Equal(got, want) || b.RawLen() != len(want) {
			rt.Fatal("the bytes differ")
		}
		at := 0
		for _, blob := range b.Blobs() {
			if p := want[at : at+int(blob.Len)]; blob.ID != testDomain.ID(kind, p) || blob.Kind != kind {
				rt.Fatal("a blob is not where it should be")
			}
			at += int(blob.Len)
		}
	})
}

func TestBlobsAreGatheredUpToTheTarget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		class  crypt.Class
		kind   crypt.Kind
		target int
	}{{crypt.ClassData, crypt.KindData, 512 << 10}, {crypt.ClassMeta, crypt.KindTree, 256 << 10}, {crypt.ClassMeta, crypt.KindExtent, 256 << 10}} {
		b := NewBuilder(c.class, newCoder(t))
		add := func(n int) {
			t.Helper()
			if !b.Fits(n) {
				t.Fatalf("%d bytes do not fit", n)
			}
			if err := b.Add(c.kind, id.ID{}, make([]byte, n)); err != nil {
				t.Fatal(err)
			}
		}
		if !b.Empty() || b.Full() || !b.Fits(MaxBlob) || b.Fits(MaxBlob+1) {
			t.Error("an empty builder is not empty")
		}
		add(1)
		if b.Empty() || b.Full() || b.Fits(c.target) || !b.Fits(c.target-1) {
			t.Error("a large blob fits behind a small one, or a small one does not")
		}
		add(c.target - 2)
		if b.Full() {
			t.Error("full before the target")
		}
		add(0)
		add(1)
		if !b.Full() || b.Fits(0) || b.RawLen() != c.target {
			t.Error("not full at the target")
		}
		b.Reset()
		if !b.Empty() || b.RawLen() != 0 || len(b.Blobs()) != 0 {
			t.Error("not empty after Reset")
		}
		add(c.target)
		if !b.Full() || b.Fits(0) {
			t.Error("a large blob is not alone")
		}
		b.Reset()
		for range MaxBlobs {
			add(0)
		}
		if !b.Full() || b.Fits(0) {
			t.Error("more blobs fit than a segment may have")
		}
	}
}

func TestALargeBlobIsNotCopied(t *testing.T) {
	t.Parallel()
	b := NewBuilder(crypt.ClassData, newCoder(t))
	p := content(1, TargetData, true)
	if err := b.Add(crypt.KindData, id.ID{}, p); err != nil {
		t.Fatal(err)
	}
	if &b.content()[0] != &p[0] {
		t.Error("it was copied")
	}
}

func TestWhatHasNoPlaceIsRefused(t *testing.T) {
	t.Parallel()
	coder := newCoder(t)
	data := NewBuilder(crypt.ClassData, coder)
	full := NewBuilder(crypt.ClassData, coder)
	if err := full.Add(crypt.KindData, id.ID{}, make([]byte, TargetData)); err != nil {
		t.Fatal(err)
	}
	index := NewBuilder(crypt.ClassIndex, coder)
	for name, f := range map[string]func() error{
		"a page in a data pack":   func() error { return data.Add(crypt.KindTree, id.ID{}, nil) },
		"a blob of kind 0":        func() error { return data.Add(0, id.ID{}, nil) },
		"a blob of kind 4":        func() error { return NewBuilder(crypt.ClassMeta, coder).Add(4, id.ID{}, nil) },
		"a blob in an index":      func() error { return index.Add(crypt.KindTree, id.ID{}, nil) },
		"a blob beyond the limit": func() error { return data.Add(crypt.KindData, id.ID{}, make([]byte, MaxBlob+1)) },
		"a blob behind a full segment": func() error {
			return full.Add(crypt.KindData, id.ID{}, nil)
		},
		"bytes in a data pack": func() error { _, err := data.Write([]byte{1}); return err },
		"a data segment in a metadata pack": func() error {
			_, err := full.Seal(newSealer(t, crypt.ClassMeta), 0)
			return err
		},
	} {
		if err := f(); !errors.Is(err, errs.Usage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIndexSegmentsTakeBytes(t *testing.T) {
	t.Parallel()
	b := NewBuilder(crypt.ClassIndex, newCoder(t))
	p := content(1, TargetIndex+10, true)
	n, err := b.Write(p)
	if err != nil || n != TargetIndex || !b.Full() || b.Empty() {
		t.Fatalf("%d bytes taken, %v", n, err)
	}
	if n, err := b.Write(p); n != 0 || err != nil {
		t.Errorf("a full segment took %d bytes, %v", n, err)
	}
	s := newSealer(t, crypt.ClassIndex)
	sealed, err := b.Seal(s, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, s, 0, sealed, nil), p[:TargetIndex]) {
		t.Error("the bytes differ")
	}
}

// faulty is a coder with a fault.
type faulty struct {
	*codec.Coder
	encode func(id codec.ID, payload []byte) (codec.ID, []byte)
	decode func(raw []byte, err error) ([]byte, error)
}

func (f *faulty) Encode(dst, src []byte) (codec.ID, []byte) {
	i, p := f.Coder.Encode(dst, src)
	if f.encode != nil {
		return f.encode(i, p)
	}
	return i, p
}

func (f *faulty) Decode(dst []byte, i codec.ID, payload []byte, rawLen int) ([]byte, error) {
	raw, err := f.Coder.Decode(dst, i, payload, rawLen)
	if f.decode != nil {
		return f.decode(raw, err)
	}
	return raw, err
}

func TestNothingWrongIsHandedOn(t *testing.T) {
	t.Parallel()
	flip := func(at int) func(codec.ID, []byte) (codec.ID, []byte) {
		return func(i codec.ID, p []byte) (codec.ID, []byte) {
			if at < 0 {
				at += len(p)
			}
			p[at] ^= 0x10
			return i, p
		}
	}
	broken := errors.New("broken decoder")
	for _, c := range []struct {
		name     string
		compress bool
		f        faulty
	}{
		{"a bit flips in the first stored byte", false, faulty{encode: flip(0)}},
		{"a bit flips in the last stored byte", false, faulty{encode: flip(-1)}},
		{"a bit flips in the compressed bytes", true, faulty{encode: flip(-1)}},
		{"a bit flips in the frame's head", true, faulty{encode: flip(5)}},
		{"the codec is wrong", true, faulty{encode: func(_ codec.ID, p []byte) (codec.ID, []byte) { return codec.Raw, p }}},
		{"the codec is unknown", true, faulty{encode: func(_ codec.ID, p []byte) (codec.ID, []byte) { return 9, p }}},
		{"the payload is cut", true, faulty{encode: func(i codec.ID, p []byte) (codec.ID, []byte) { return i, p[:len(p)-1] }}},
		{"stored bytes are cut", false, faulty{encode: func(i codec.ID, p []byte) (codec.ID, []byte) { return i, p[:len(p)-1] }}},
		{"the decoder fails", true, faulty{decode: func([]byte, error) ([]byte, error) { return nil, broken }}},
		{"the decoder flips a bit", true, faulty{decode: func(raw []byte, err error) ([]byte, error) { raw[77] ^= 1; return raw, err }}},
		{"the decoder loses the end", true, faulty{decode: func(raw []byte, err error) ([]byte, error) { return raw[:len(raw)-1], err }}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.f.Coder = newCoder(t)
			b := NewBuilder(crypt.ClassData, &c.f)
			p := content(1, 10_000, c.compress)
			if err := b.Add(crypt.KindData, testDomain.ID(crypt.KindData, p), p); err != nil {
				t.Fatal(err)
			}
			sealed, err := b.Seal(newSealer(t, crypt.ClassData), 0)
			if !errors.Is(err, errs.Corrupt) || sealed != nil || errs.Hint(err) == "" {
				t.Errorf("got %d bytes, %v", len(sealed), err)
			}
		})
	}
}

func TestContentThatChangesUnderTheBuilderIsFound(t *testing.T) {
	t.Parallel()
	b := NewBuilder(crypt.ClassData, newCoder(t))
	p := content(1, TargetData, true)
	if err := b.Add(crypt.KindData, testDomain.ID(crypt.KindData, p), p); err != nil {
		t.Fatal(err)
	}
	b.Compress()
	p[1000] ^= 1
	if _, err := b.Seal(newSealer(t, crypt.ClassData), 0); !errors.Is(err, errs.Corrupt) {
		t.Errorf("got %v", err)
	}
}

func TestABuilderGivesLargeBuffersBack(t *testing.T) {
	t.Parallel()
	b := NewBuilder(crypt.ClassData, newCoder(t))
	s := newSealer(t, crypt.ClassData)
	seal := func(n int) {
		p := content(1, n, false)
		if err := b.Add(crypt.KindData, id.ID{}, p); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Seal(s, 0); err != nil {
			t.Fatal(err)
		}
		b.Reset()
	}
	seal(100_000)
	if cap(b.sealed) == 0 || cap(b.opened) == 0 || cap(b.payload) == 0 {
		t.Error("small buffers are not kept")
	}
	seal(MaxBlob)
	if cap(b.sealed) > keepBuffer || cap(b.payload) > keepBuffer || cap(b.opened) > keepBuffer {
		t.Error("large buffers are kept")
	}
}

func BenchmarkSegment(b *testing.B) {
	for _, compress := range []bool{true, false} {
		b.Run(fmt.Sprintf("compress=%v", compress), func(b *testing.B) {
			s := newSealer(b, crypt.ClassData)
			x := NewBuilder(crypt.ClassData, newCoder(b))
			p := content(1, 16<<10, compress)
			blob := testDomain.ID(crypt.KindData, p)
			b.SetBytes(TargetData)
			b.ReportAllocs()
			for b.Loop() {
				for !x.Full() {
					if err := x.Add(crypt.KindData, blob, p); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := x.Seal(s, 0); err != nil {
					b.Fatal(err)
				}
				x.Reset()
			}
		})
	}
}
