package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/segment"
)

// drawDirectory makes any directory that a writer may make for a pack of the class.
func drawDirectory(t *rapid.T, class crypt.Class) *Directory {
	d := &Directory{}
	kinds := []crypt.Kind{crypt.KindData}
	if class == crypt.ClassMeta {
		kinds = []crypt.Kind{crypt.KindTree, crypt.KindExtent}
	}
	at := int64(crypt.HeaderSize)
	for range rapid.IntRange(0, 5).Draw(t, "segments") {
		n := rapid.IntRange(crypt.Overhead+2, 3_000_000).Draw(t, "len")
		var blobs []segment.Blob
		if class != crypt.ClassIndex {
			for range rapid.IntRange(1, 5).Draw(t, "blobs") {
				b := segment.Blob{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Len: rapid.Uint32Range(0, 3<<20).Draw(t, "bloblen")}
				b.ID[0], b.ID[19] = rapid.Byte().Draw(t, "id"), 7
				blobs = append(blobs, b)
			}
		}
		d.add(at, n, blobs)
		at += int64(n)
	}
	return d
}

func TestDirectoriesReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		class := rapid.SampledFrom([]crypt.Class{crypt.ClassData, crypt.ClassMeta, crypt.ClassIndex}).Draw(t, "class")
		d := drawDirectory(t, class)
		body := d.Encode()
		pad := rapid.SampledFrom([]int{0, 1, 127, 128, 5000}).Draw(t, "pad")
		padded := append(binary.AppendUvarint(bytes.Clone(body), uint64(pad)), make([]byte, pad)...)
		for _, b := range [][]byte{body, padded} {
			got, err := DecodeDirectory(b, class, crypt.HeaderSize)
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Segments) == 0 {
				if len(got.Segments) != 0 || len(got.Blobs) != 0 {
					t.Fatal("an empty directory is not empty")
				}
				continue
			}
			if len(got.Blobs) == 0 {
				got.Blobs = nil
			}
			if diff := cmp.Diff(d, got); diff != "" {
				t.Fatal(diff)
			}
		}
		for n := range body {
			if _, err := DecodeDirectory(body[:n], class, crypt.HeaderSize); !errors.Is(err, errs.Corrupt) {
				t.Fatalf("cut to %d of %d bytes: %v", n, len(body), err)
			}
		}
	})
}

func TestBlobsAreFoundInTheirSegments(t *testing.T) {
	t.Parallel()
	d := &Directory{}
	d.add(72, 100, []segment.Blob{{Kind: 1, Len: 3}, {Kind: 1, Len: 0}, {Kind: 1, Len: 5}})
	d.add(172, 100, []segment.Blob{{Kind: 1, Len: 2, ID: id.ID{9}}})
	raw := []byte("abcdefgh")
	for slot, want := range []string{"abc", "", "defgh"} {
		got := d.Blob(raw, 0, uint32(slot))
		if string(got) != want || got == nil || cap(got) != len(got) {
			t.Errorf("blob %d is %q", slot, got)
		}
	}
	if got := d.Blob([]byte("xy"), 1, 0); string(got) != "xy" || d.In(1)[0].ID != (id.Short{9}) {
		t.Errorf("blob of segment 1 is %q", got)
	}
	for _, c := range [][2]uint32{{0, 3}, {1, 1}, {2, 0}, {1 << 31, 0}, {0, 1 << 31}} {
		if got := d.Blob(raw, c[0], c[1]); got != nil {
			t.Errorf("blob %d of segment %d is %q", c[1], c[0], got)
		}
	}
	if got := d.Blob(raw[:7], 0, 2); got != nil {
		t.Errorf("a blob that ends behind the segment is %q", got)
	}
}

func TestDirectoriesThatNoWriterMakesAreRefused(t *testing.T) {
	t.Parallel()
	ids := func(n int) []byte { return make([]byte, 20*n) }
	cat := func(parts ...any) (b []byte) {
		for _, p := range parts {
			switch v := p.(type) {
			case int:
				b = binary.AppendUvarint(b, uint64(v))
			case []byte:
				b = append(b, v...)
			}
		}
		return b
	}
	for _, c := range []struct {
		name  string
		class crypt.Class
		b     []byte
		kind  error
		text  string
	}{
		{"empty", 'D', nil, errs.Corrupt, "early"},
		{"later version", 'D', cat(2, 0, 0), errs.Unsupported, "version 2"},
		{"a longer form of a number", 'D', cat([]byte{0x81, 0}, 0, 0), errs.Corrupt, "shortest"},
		{"a number without end", 'D', bytes.Repeat([]byte{0xFF}, 12), errs.Corrupt, "shortest"},
		{"too many segments", 'D', cat(1, 1<<24, 0), errs.Corrupt, "limit"},
		{"more segments than bytes", 'D', cat(1, 100, 0, 0), errs.Corrupt, "100 segments"},
		{"more blobs than bytes", 'D', cat(1, 1, 1<<31, 50, 1), errs.Corrupt, "blobs in"},
		{"a tiny segment", 'D', cat(1, 1, 1, crypt.Overhead+1, 1, 0x81, 0, ids(1)), errs.Corrupt, "of 33 bytes"},
		{"a huge segment", 'D', cat(1, 1, 1, maxSealed+1, 1, 0x81, 0, ids(1)), errs.Corrupt, "limit"},
		{"a segment without blobs in a data pack", 'D', cat(1, 1, 0, 50, 0), errs.Corrupt, "0 blobs"},
		{"a segment with blobs in an index", 'I', cat(1, 1, 1, 50, 1, []byte{0x81}, 0, ids(1)), errs.Corrupt, "1 blobs"},
		{"too many blobs in a segment", 'D', cat(1, 1, 65536, 50, 65536, []byte{0x81}, make([]byte, 65536*21)), errs.Corrupt, "limit"},
		{"more blobs in the segments", 'D', cat(1, 1, 1, 50, 2, []byte{0x81}, 0, ids(1)), errs.Corrupt, "2 blobs in the segments, 1"},
		{"fewer blobs in the segments", 'D', cat(1, 1, 2, 50, 1, []byte{0x81}, 0, 0, ids(2)), errs.Corrupt, "1 blobs in the segments, 2"},
		{"a kind of another class", 'D', cat(1, 1, 1, 50, 1, []byte{0x82}, 0, ids(1)), errs.Corrupt, "kind 2"},
		{"a data blob in a metadata pack", 'M', cat(1, 1, 1, 50, 1, []byte{0x81}, 0, ids(1)), errs.Corrupt, "kind 1"},
		{"kind 0", 'D', cat(1, 1, 1, 50, 1, []byte{0x80}, 0, ids(1)), errs.Corrupt, "kind 0"},
		{"an unknown kind", 'M', cat(1, 1, 2, 50, 2, []byte{2, 4}, 0, 0, ids(2)), errs.Corrupt, "kind 4"},
		{"one kind written out", 'M', cat(1, 1, 2, 50, 2, []byte{2, 2}, 0, 0, ids(2)), errs.Corrupt, "short form"},
		{"a huge blob", 'D', cat(1, 1, 1, 50, 1, []byte{0x81}, 16<<20, ids(1)), errs.Corrupt, "limit"},
		{"more raw bytes than a segment has", 'D', cat(1, 1, 2, 50, 2, []byte{0x81}, 9<<20, 9<<20, ids(2)), errs.Corrupt, "raw bytes"},
		{"padding that is not zero", 'D', cat(1, 0, 0, 3, []byte{0, 0, 1}), errs.Corrupt, "padding"},
		{"padding that ends early", 'D', cat(1, 0, 0, 3, []byte{0, 0}), errs.Corrupt, "early"},
		{"bytes behind the padding", 'D', cat(1, 0, 0, 1, []byte{0, 0}), errs.Corrupt, "left over"},
		{"longer than any pack", 'I', hugeDirectory(), errs.Corrupt, "behind the largest pack"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if d, err := DecodeDirectory(c.b, c.class, crypt.HeaderSize); !errors.Is(err, c.kind) || d != nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// hugeDirectory is that of an index object of 20 segments of 60 MiB.
func hugeDirectory() []byte {
	b := []byte{1, 20, 0}
	for range 20 {
		b = binary.AppendUvarint(b, 60<<20)
	}
	return append(b, make([]byte, 20)...)
}

func FuzzDecodeDirectory(f *testing.F) {
	d := &Directory{}
	d.add(72, 100, []segment.Blob{{Kind: 2, Len: 3}, {Kind: 3, Len: 200}})
	f.Add(append(d.Encode(), 2, 0, 0), byte('M'))
	f.Add([]byte{1, 1, 0, 50, 0}, byte('I'))
	d = &Directory{}
	d.add(72, 100, []segment.Blob{{Kind: 1, Len: 3}})
	f.Add(d.Encode(), byte('D'))
	f.Fuzz(func(t *testing.T, b []byte, class byte) {
		d, err := DecodeDirectory(b, crypt.Class(class), crypt.HeaderSize)
		if err != nil {
			if !errors.Is(err, errs.Corrupt) && !errors.Is(err, errs.Unsupported) {
				t.Fatalf("failure without a kind: %v", err)
			}
			return
		}
		body := d.Encode()
		if !bytes.HasPrefix(b, body) {
			t.Fatal("it encodes to other bytes")
		}
		if rest := b[len(body):]; len(rest) > 0 {
			pad, n := binary.Uvarint(rest)
			if n <= 0 || int(pad) != len(rest)-n || len(bytes.Trim(rest[n:], "\x00")) > 0 {
				t.Fatal("what follows is no padding")
			}
		}
		for i := range d.Segments {
			s := &d.Segments[i]
			for slot := range s.Blobs {
				if from, to, ok := d.Range(uint32(i), slot); !ok || from > to || to > int(s.RawLen) {
					t.Fatalf("blob %d of segment %d stands at %d to %d of %d", slot, i, from, to, s.RawLen)
				}
			}
		}
	})
}
