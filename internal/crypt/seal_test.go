package crypt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// testSealer makes a sealer with a header that depends on seed.
func testSealer(tb testing.TB, c Class, s Suite, seed byte) *Sealer {
	tb.Helper()
	var d id.Domain
	if !c.Control() {
		d = id.Domain{7}
	}
	h, err := NewHeader(seeded(seed), c, s, d, 1)
	if err != nil {
		tb.Fatal(err)
	}
	x, err := NewSealer(h, countingKey(1))
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

func TestWhatWasSealedOpens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		class := rapid.SampledFrom([]Class{ClassData, ClassMeta, ClassIndex, ClassFate}).Draw(t, "class")
		suite := rapid.SampledFrom([]Suite{SuiteAES, SuiteChaCha}).Draw(t, "suite")
		segno := rapid.SampledFrom([]uint32{0, 1, 1 << 20, DirSegno}).Draw(t, "segno")
		codec := uint8(rapid.IntRange(0, 1).Draw(t, "codec"))
		payload := pattern(rapid.SampledFrom([]int{0, 1, 127, 128, 70_000, 300_000}).Draw(t, "len"))
		rawLen := len(payload)
		if codec == 1 {
			rawLen = rapid.IntRange(0, MaxRawLen(class, segno)).Draw(t, "rawLen")
		}
		ids := make([]id.Short, rapid.IntRange(0, 3).Draw(t, "ids"))
		var d id.Domain
		if !class.Control() {
			d = id.Domain{7}
		}
		h, err := NewHeader(seeded(rapid.Byte().Draw(t, "seed")), class, suite, d, 1)
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewSealer(h, countingKey(1))
		if err != nil {
			t.Fatal(err)
		}
		sealed := s.Seal([]byte("before"), segno, codec, rawLen, ids, payload)
		if string(sealed[:6]) != "before" {
			t.Fatal("what stood before is gone")
		}
		sealed = sealed[6:]
		if len(sealed) != SealedLen(rawLen, len(payload)) {
			t.Fatalf("%d bytes, SealedLen says %d", len(sealed), SealedLen(rawLen, len(payload)))
		}
		o, err := NewOpener(h, countingKey(1))
		if err != nil {
			t.Fatal(err)
		}
		p, err := o.Open(make([]byte, 0, 100), sealed, segno, ids)
		if err != nil {
			t.Fatal(err)
		}
		if p.Codec != codec || p.RawLen != rawLen || !bytes.Equal(p.Payload, payload) {
			t.Fatalf("opened codec %d raw length %d payload of %d", p.Codec, p.RawLen, len(p.Payload))
		}
	})
}

func TestAnyFlippedBitKeepsASegmentShut(t *testing.T) {
	t.Parallel()
	for _, suite := range []Suite{SuiteAES, SuiteChaCha} {
		s := testSealer(t, ClassData, suite, 1)
		sealed := s.Seal(nil, 3, 1, 100, nil, pattern(20))
		for bit := range len(sealed) * 8 {
			b := bytes.Clone(sealed)
			b[bit/8] ^= 1 << (bit % 8)
			if _, err := s.Open(nil, b, 3, nil); !errors.Is(err, errs.Corrupt) {
				t.Fatalf("suite %d: bit %d flipped: %v", suite, bit, err)
			}
		}
		for n := range len(sealed) {
			if _, err := s.Open(nil, sealed[:n], 3, nil); !errors.Is(err, errs.Corrupt) {
				t.Fatalf("suite %d: cut to %d bytes: %v", suite, n, err)
			}
		}
	}
}

func TestASegmentOpensInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	s := testSealer(t, ClassData, SuiteAES, 1)
	ids := []id.Short{{1}, {2}}
	sealed := s.Seal(nil, 3, 0, 20, ids, pattern(20))
	if _, err := s.Open(nil, sealed, 3, ids); err != nil {
		t.Fatal(err)
	}
	h := *s.Header()
	change := func(f func(h *Header)) *Opener {
		x := h
		f(&x)
		o, err := NewOpener(&x, countingKey(1))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	otherKey, err := NewOpener(&h, countingKey(2))
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() (Plain, error){
		"moved to another number": func() (Plain, error) { return s.Open(nil, sealed, 4, ids) },
		"taken for a directory":   func() (Plain, error) { return s.Open(nil, sealed, DirSegno, ids) },
		"other ids":               func() (Plain, error) { return s.Open(nil, sealed, 3, []id.Short{{1}, {3}}) },
		"ids swapped":             func() (Plain, error) { return s.Open(nil, sealed, 3, []id.Short{{2}, {1}}) },
		"fewer ids":               func() (Plain, error) { return s.Open(nil, sealed, 3, ids[:1]) },
		"no ids":                  func() (Plain, error) { return s.Open(nil, sealed, 3, nil) },
		"other key":               func() (Plain, error) { return otherKey.Open(nil, sealed, 3, ids) },
		"other class": func() (Plain, error) {
			return change(func(h *Header) { h.Class = ClassMeta }).Open(nil, sealed, 3, ids)
		},
		"other suite": func() (Plain, error) {
			return change(func(h *Header) { h.Suite = SuiteChaCha }).Open(nil, sealed, 3, ids)
		},
		"other domain": func() (Plain, error) { return change(func(h *Header) { h.Domain[15]++ }).Open(nil, sealed, 3, ids) },
		"other epoch":  func() (Plain, error) { return change(func(h *Header) { h.Epoch++ }).Open(nil, sealed, 3, ids) },
		"other salt":   func() (Plain, error) { return change(func(h *Header) { h.Salt[31]++ }).Open(nil, sealed, 3, ids) },
		"a capsule": func() (Plain, error) {
			return change(func(h *Header) { h.Capsule = pattern(CapsuleSize) }).Open(nil, sealed, 3, ids)
		},
		"beyond every segment": func() (Plain, error) { return s.Open(nil, make([]byte, 18<<20+1), 3, ids) },
	} {
		if _, err := open(); !errors.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The same input key with and without the capsule: only the associated data tell.
	with := change(func(h *Header) { h.Capsule = pattern(CapsuleSize) })
	swapped := bytes.Clone(pattern(CapsuleSize))
	swapped[0] ^= 1
	other := change(func(h *Header) { h.Capsule = swapped })
	sealed = (&Sealer{Opener: *with}).Seal(nil, 0, 1, 20, nil, pattern(20))
	if _, err := other.Open(nil, sealed, 0, nil); !errors.Is(err, errs.Corrupt) {
		t.Errorf("another capsule: %v", err)
	}
}

// forge seals plaintext under an arbitrary siv, as only a holder of the key could.
func forge(s *Sealer, segno uint32, siv [sivSize]byte, plain []byte) []byte {
	a, nonce := s.aead(segno, siv[:])
	return a.Seal(append([]byte(nil), siv[:]...), nonce, plain, s.additional(segno))
}

func TestASealThatOpensWithTheWrongHashIsRefused(t *testing.T) {
	t.Parallel()
	s := testSealer(t, ClassData, SuiteAES, 1)
	sealed := forge(s, 0, [sivSize]byte{1, 2, 3}, []byte{1, 5, 'x', 'y'})
	if _, err := s.Open(nil, sealed, 0, nil); !errors.Is(err, errs.Corrupt) || !strings.Contains(err.Error(), "hash differs") {
		t.Errorf("got %v", err)
	}
}

func TestSealedLengthsThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		class Class
		segno uint32
		head  []byte // codec and raw length
		body  []byte
		text  string
	}{
		{"longer form of a number", ClassData, 0, []byte{1, 0x85, 0}, nil, "raw length"},
		{"number without end", ClassData, 0, []byte{1, 0x85}, nil, "raw length"},
		{"number of 11 bytes", ClassData, 0, append([]byte{1}, bytes.Repeat([]byte{0xFF}, 11)...), nil, "raw length"},
		{"more than a pack's segment may have", ClassData, 0, binary.AppendUvarint([]byte{1}, maxRawPack+1), nil, "raw length"},
		{"more than an index's segment may have", ClassIndex, 0, binary.AppendUvarint([]byte{1}, maxRawDir+1), nil, "raw length"},
		{"more than a directory may have", ClassMeta, DirSegno, binary.AppendUvarint([]byte{1}, maxRawDir+1), nil, "raw length"},
		{"more than a record may have", ClassFate, 0, binary.AppendUvarint([]byte{1}, maxRawControl+1), nil, "raw length"},
		{"stored bytes of another length", ClassFate, 0, []byte{0, 5}, []byte("four"), "announced"},
		{"stored blobs of another length", ClassData, 0, []byte{0, 5}, []byte("four"), "announced"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := testSealer(t, c.class, SuiteAES, 1)
			sealed := forge(s, c.segno, s.sivOf(c.segno, c.head, nil, c.body), append(bytes.Clone(c.head), c.body...))
			if _, err := s.Open(nil, sealed, c.segno, nil); !errors.Is(err, errs.Corrupt) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAClonedMachineRepeatsNoKey(t *testing.T) {
	t.Parallel()
	// Two machines with the same random state make the same header and then seal different content.
	a, b := testSealer(t, ClassData, SuiteAES, 1), testSealer(t, ClassData, SuiteAES, 1)
	one, two := pattern(64), pattern(64)
	two[63]++
	x, y := a.Seal(nil, 0, 1, 64, nil, one), b.Seal(nil, 0, 1, 64, nil, two)
	if bytes.Equal(x[:sivSize], y[:sivSize]) {
		t.Fatal("different content has one siv")
	}
	same := 0
	for i := range 62 { // where the plaintexts agree, equal bytes would betray a repeated key stream
		if x[sivSize+i] == y[sivSize+i] {
			same++
		}
	}
	if same > 16 {
		t.Errorf("%d of 62 bytes of the key stream repeat", same)
	}
	if z := b.Seal(nil, 0, 1, 64, nil, one); !bytes.Equal(x, z) {
		t.Error("the same content under the same header is sealed differently")
	}
}

func TestSegmentsMayBeSealedAtOnce(t *testing.T) {
	t.Parallel()
	s := testSealer(t, ClassMeta, SuiteAES, 1)
	var wg sync.WaitGroup
	for w := range uint32(8) {
		wg.Go(func() {
			for i := range uint32(20) {
				p := fmt.Appendf(nil, "worker %d segment %d", w, i)
				got, err := s.Open(nil, s.Seal(nil, w<<8|i, 1, len(p), nil, p), w<<8|i, nil)
				if err != nil || !bytes.Equal(got.Payload, p) {
					t.Errorf("got %q, %v", got.Payload, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzOpenSegment(f *testing.F) {
	s := testSealer(f, ClassData, SuiteAES, 1)
	f.Add(s.Seal(nil, 0, 1, 100, nil, pattern(50)), false)
	f.Add([]byte{1, 5, 'h', 'e', 'l', 'l', 'o'}, true)
	f.Fuzz(func(t *testing.T, b []byte, inside bool) {
		if inside { // the plaintext is hostile, as if a holder of the key had made it
			if len(b) == 0 {
				return
			}
			b = forge(s, 0, [sivSize]byte{1}, b)
		}
		p, err := s.Open(nil, b, 0, nil)
		if err != nil {
			if !errors.Is(err, errs.Corrupt) {
				t.Fatalf("failure without a kind: %v", err)
			}
			return
		}
		if !bytes.Equal(s.Seal(nil, 0, p.Codec, p.RawLen, nil, p.Payload), b) {
			t.Fatal("what was opened seals to other bytes")
		}
	})
}

func TestCapsulesOpenForTheReaderOnly(t *testing.T) {
	t.Parallel()
	pub, err := ReaderPublic(countingKey(1))
	if err != nil || len(pub) != xwingPublic {
		t.Fatalf("public key of %d bytes: %v", len(pub), err)
	}
	capsule, ikm, err := NewCapsule(pub)
	if err != nil || len(capsule) != CapsuleSize {
		t.Fatalf("capsule of %d bytes: %v", len(capsule), err)
	}
	if got, err := OpenCapsule(countingKey(1), capsule); err != nil || got != ikm {
		t.Fatalf("the reader does not get the key: %v", err)
	}
	if got, err := OpenCapsule(countingKey(2), capsule); err == nil && got == ikm {
		t.Error("another reader gets the key")
	}
	capsule[5] ^= 1
	if got, err := OpenCapsule(countingKey(1), capsule); err == nil && got == ikm {
		t.Error("a damaged capsule yields the key")
	}
	if _, err := OpenCapsule(countingKey(1), capsule[1:]); !errors.Is(err, errs.Corrupt) {
		t.Errorf("a short capsule: %v", err)
	}
	if _, _, err := NewCapsule(pub[1:]); !errors.Is(err, errs.Corrupt) {
		t.Errorf("a short public key: %v", err)
	}
	_, again, err := NewCapsule(pub)
	if err != nil || again == ikm {
		t.Error("two capsules have one key")
	}
}

func TestLocalRecordsOpenUnderTheirOwnNameAndUse(t *testing.T) {
	t.Parallel()
	l := NewLocal(countingKey(1), "pages")
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		content := rapid.SliceOf(rapid.Byte()).Draw(t, "content")
		sealed := l.Seal([]byte("x"), name, content)[1:]
		if len(sealed) != len(content)+LocalOverhead {
			t.Fatalf("%d bytes for %d", len(sealed), len(content))
		}
		got, err := l.Open([]byte("before"), name, sealed)
		if err != nil || !bytes.Equal(got, append([]byte("before"), content...)) {
			t.Fatalf("got %q, %v", got, err)
		}
		bad := bytes.Clone(sealed)
		bad[rapid.IntRange(0, len(bad)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		for what, open := range map[string]func() ([]byte, error){
			"flipped":       func() ([]byte, error) { return l.Open(nil, name, bad) },
			"other name":    func() ([]byte, error) { return l.Open(nil, name+"x", sealed) },
			"other use":     func() ([]byte, error) { return NewLocal(countingKey(1), "journal").Open(nil, name, sealed) },
			"other key":     func() ([]byte, error) { return NewLocal(countingKey(2), "pages").Open(nil, name, sealed) },
			"cut":           func() ([]byte, error) { return l.Open(nil, name, sealed[:len(sealed)-1]) },
			"cut to little": func() ([]byte, error) { return l.Open(nil, name, sealed[:LocalOverhead-1]) },
		} {
			if _, err := open(); !errors.Is(err, errs.Corrupt) {
				t.Fatalf("%s: %v", what, err)
			}
		}
	})
}

func TestTheSivOfALocalRecordIsAHashOfItsNameAndContent(t *testing.T) {
	t.Parallel()
	l := NewLocal(countingKey(1), "pages")
	// A name that runs into the content must not give the same record.
	if bytes.Equal(l.Seal(nil, "ab", []byte("c"))[:sivSize], l.Seal(nil, "a", []byte("bc"))[:sivSize]) {
		t.Error("name and content run into one another")
	}
}

func BenchmarkID(b *testing.B) {
	d := NewDomain(id.Domain{1}, countingKey(1))
	for _, n := range []int{1 << 10, 64 << 10, 256 << 10, 1 << 20} {
		p := pattern(n)
		b.Run(fmt.Sprintf("%dKiB", n>>10), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				d.ID(KindData, p)
			}
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	for _, suite := range []Suite{SuiteAES, SuiteChaCha} {
		for _, codec := range []uint8{0, 1} {
			s := testSealer(b, ClassData, suite, 1)
			p, ids := pattern(130<<10), make([]id.Short, 50)
			dst := make([]byte, 0, 200<<10)
			sealed := s.Seal(nil, 0, codec, len(p), ids, p)
			name := fmt.Sprintf("suite%d/codec%d/130KiB", suite, codec)
			b.Run("seal/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(p)))
				b.ReportAllocs()
				for b.Loop() {
					dst = s.Seal(dst[:0], 0, codec, len(p), ids, p)
				}
			})
			b.Run("open/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(p)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.Open(dst, sealed, 0, ids); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
