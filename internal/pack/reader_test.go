package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

func TestAPackGivesBackItsBlobs(t *testing.T) {
	t.Parallel()
	var blobs [][]byte
	for i, n := range []int{0, 1, 1000, 300 << 10, 300 << 10, 5 << 20, 17, 600 << 10, 512 << 10, 512<<10 - 1, 40} {
		blobs = append(blobs, content(uint64(i), n))
	}
	blobs = append(blobs, noise(1, 700<<10), noise(2, 300))
	file, res := build(t, crypt.ClassData, TargetData, crypt.KindData, blobs...)
	if res.Name != crypt.Sum(file) || res.Size != int64(len(file)) {
		t.Fatalf("result says %s of %d bytes, the pack is %x of %d", res.Name, res.Size, crypt.Sum(file), len(file))
	}
	r, err := Open(readFrom(file), res.Size, crypt.ClassData, keyOf)
	if err != nil {
		t.Fatal(err)
	}
	d := r.Directory()
	if got := d.Encode(); !bytes.Equal(got, res.Body) {
		t.Fatal("the directory that was read differs from the one that was written")
	}
	c := newCoder(t)
	var raw []byte
	n := 0
	for i := range d.Segments {
		s := &d.Segments[i]
		if raw, err = r.Decode(raw, uint32(i), file[s.Offset:s.Offset+int64(s.Len)], c); err != nil {
			t.Fatal(err)
		}
		for slot := range s.Blobs {
			got := d.Blob(raw, uint32(i), slot)
			if !bytes.Equal(got, blobs[n]) {
				t.Fatalf("blob %d differs", n)
			}
			if testDomain.ID(crypt.KindData, got).Short() != d.In(uint32(i))[slot].ID {
				t.Fatalf("blob %d has another id", n)
			}
			n++
		}
	}
	if n != len(blobs) {
		t.Fatalf("%d blobs of %d", n, len(blobs))
	}
	again, err := NewReader(r.Header(), d, testKey)
	if err != nil {
		t.Fatal(err)
	}
	s := &d.Segments[0]
	if _, err := again.Decode(nil, 0, file[s.Offset:s.Offset+int64(s.Len)], c); err != nil {
		t.Errorf("a reader made from what an index knows: %v", err)
	}
	if _, err := NewReader(&crypt.Header{}, d, testKey); err == nil {
		t.Error("a reader of no pack")
	}
}

// counted counts the reads and their bytes.
func counted(read ReadFunc, reads, total *int) ReadFunc {
	return func(p []byte, at int64) error {
		*reads++
		*total += len(p)
		return read(p, at)
	}
}

func TestOpeningAPackTakesFewReads(t *testing.T) {
	t.Parallel()
	var many [][]byte
	for i := range 4000 {
		many = append(many, content(uint64(i), 200))
	}
	for _, c := range []struct {
		name        string
		blobs       [][]byte
		reads, most int
	}{
		{"a small pack", [][]byte{[]byte("x")}, 1, 1000},
		{"a pack of some segments", [][]byte{noise(1, 600<<10), noise(2, 600<<10)}, 2, tailSize + crypt.HeaderSize + crypt.CapsuleSize},
		{"a pack with a long directory", many, 3, 2 * tailSize},
	} {
		file, res := build(t, crypt.ClassData, 2<<20, crypt.KindData, c.blobs...)
		var reads, total int
		if _, err := Open(counted(readFrom(file), &reads, &total), res.Size, crypt.ClassData, keyOf); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if reads != c.reads || total > c.most+len(res.Body) {
			t.Errorf("%s of %d bytes: %d reads of %d bytes", c.name, res.Size, reads, total)
		}
	}
}

func TestAPackOfAPutOnlyWriterOpensForReaders(t *testing.T) {
	t.Parallel()
	seed := crypt.Key{1}
	pub, err := crypt.ReaderPublic(seed)
	if err != nil {
		t.Fatal(err)
	}
	capsule, ikm, err := crypt.NewCapsule(pub)
	if err != nil {
		t.Fatal(err)
	}
	h := &crypt.Header{Class: crypt.ClassData, Suite: crypt.SuiteChaCha, Domain: testDomain.Scope(), Capsule: capsule}
	s, err := crypt.NewSealer(h, ikm)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	w, err := NewWriter(&buf, s, TargetData)
	if err != nil {
		t.Fatal(err)
	}
	big := noise(1, 300<<10)
	store(t, w, newCoder(t), crypt.KindData, []byte("content"), big)
	res, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	key := func(h *crypt.Header) (crypt.Key, error) { return crypt.OpenCapsule(seed, h.Capsule) }
	r, err := Open(readFrom(buf.Bytes()), res.Size, crypt.ClassData, key)
	if err != nil {
		t.Fatal(err)
	}
	at := r.Directory().Segments[0]
	if at.Offset != crypt.HeaderSize+crypt.CapsuleSize {
		t.Errorf("segment 0 begins at %d", at.Offset)
	}
	raw, err := r.Decode(nil, 0, buf.Bytes()[at.Offset:at.Offset+int64(at.Len)], newCoder(t))
	if err != nil || !bytes.Equal(raw, append([]byte("content"), big...)) {
		t.Errorf("the content differs: %v", err)
	}
}

func TestDamageOfAPackIsFoundWhereItIs(t *testing.T) {
	t.Parallel()
	file, res := build(t, crypt.ClassMeta, TargetMeta, crypt.KindTree, content(1, 3000), content(2, 500))
	r, err := Open(readFrom(file), res.Size, crypt.ClassMeta, keyOf)
	if err != nil {
		t.Fatal(err)
	}
	seg := r.Directory().Segments[0]
	from, to := int(seg.Offset), int(seg.Offset)+int(seg.Len)
	c := newCoder(t)
	for i := range file {
		b := bytes.Clone(file)
		b[i] ^= 1 << (i % 8)
		r, err := Open(readFrom(b), res.Size, crypt.ClassMeta, keyOf)
		if i < from || i >= to {
			if !errors.Is(err, errs.Corrupt) && !errors.Is(err, errs.Unsupported) {
				t.Fatalf("byte %d of %d flipped: %v", i, len(file), err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("byte %d, in the segment: the pack does not open: %v", i, err)
		}
		if _, err := r.Decode(nil, 0, b[from:to], c); !errors.Is(err, errs.Corrupt) {
			t.Fatalf("byte %d, in the segment: %v", i, err)
		}
	}
	for n := range file {
		if _, err := Open(readFrom(file[:n]), int64(n), crypt.ClassMeta, keyOf); !errors.Is(err, errs.Corrupt) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(file), err)
		}
		if _, err := Open(readFrom(file[:n]), res.Size, crypt.ClassMeta, keyOf); !errors.Is(err, errs.Corrupt) {
			t.Fatalf("shorter than its size says, %d of %d bytes: %v", n, len(file), err)
		}
	}
	if _, err := r.Decode(nil, 1, file[from:to], c); !errors.Is(err, errs.Corrupt) {
		t.Errorf("a segment that is not there: %v", err)
	}
	if _, err := Open(readFrom(file), res.Size, crypt.ClassData, keyOf); !errors.Is(err, errs.Corrupt) {
		t.Errorf("another class: %v", err)
	}
	if _, err := Open(readFrom(file), maxPack+1, crypt.ClassMeta, keyOf); !errors.Is(err, errs.Corrupt) {
		t.Errorf("larger than any pack: %v", err)
	}
}

func TestFailuresOfTheStoreAndOfTheKeyringComeThrough(t *testing.T) {
	t.Parallel()
	file, res := build(t, crypt.ClassData, TargetData, crypt.KindData, noise(1, 200<<10))
	boom := errors.New("the net is down")
	for n := range 2 {
		reads := 0
		read := func(p []byte, at int64) error {
			if reads++; reads > n {
				return boom
			}
			return readFrom(file)(p, at)
		}
		if _, err := Open(read, res.Size, crypt.ClassData, keyOf); !errors.Is(err, boom) || errors.Is(err, errs.Corrupt) {
			t.Errorf("read %d fails: %v", n, err)
		}
	}
	_, err := Open(readFrom(file), res.Size, crypt.ClassData, func(*crypt.Header) (crypt.Key, error) {
		return crypt.Key{}, errs.New(errs.NotFound, "no such domain")
	})
	if !errors.Is(err, errs.NotFound) {
		t.Errorf("no key: %v", err)
	}
	_, err = Open(readFrom(file), res.Size, crypt.ClassData, func(*crypt.Header) (crypt.Key, error) { return crypt.Key{1}, nil })
	if !errors.Is(err, errs.Corrupt) {
		t.Errorf("another key: %v", err)
	}
	var many [][]byte
	for i := range 4000 {
		many = append(many, content(uint64(i), 200))
	}
	file, res = build(t, crypt.ClassData, 2<<20, crypt.KindData, many...)
	reads := 0
	if _, err := Open(func(p []byte, at int64) error {
		if reads++; reads == 3 {
			return boom
		}
		return readFrom(file)(p, at)
	}, res.Size, crypt.ClassData, keyOf); !errors.Is(err, boom) {
		t.Errorf("the read of the directory fails: %v", err)
	}
}

// hostile makes a pack of one stored segment whose directory is raw, sealed with the right key.
func hostile(t *testing.T, raw []byte, codec uint8, trailer func(b []byte)) []byte {
	t.Helper()
	s := newSealer(t, crypt.ClassData, 1)
	b := s.Header().Append(nil)
	blob := testDomain.ID(crypt.KindData, []byte("hello")).Short()
	b = s.Seal(b, 0, 0, 5, []id.Short{blob}, []byte("hello"))
	at := len(b)
	b = s.Seal(b, crypt.DirSegno, codec, len(raw), nil, raw)
	tr := binary.LittleEndian.AppendUint64(nil, uint64(at))
	tr = binary.LittleEndian.AppendUint32(tr, uint32(len(b)-at))
	if trailer != nil {
		trailer(tr)
	}
	tr = binary.LittleEndian.AppendUint32(tr, crc32.Update(crc32.Checksum(s.Header().Append(nil), castagnoli), castagnoli, tr))
	return append(append(b, tr...), trailerMagic...)
}

func TestHostilePacksAreRefused(t *testing.T) {
	t.Parallel()
	d := &Directory{}
	blob := testDomain.ID(crypt.KindData, []byte("hello"))
	dir := func(sealedLen int, rawLen uint32) []byte {
		*d = Directory{}
		b := make([]Blob, 1)
		b[0] = Blob{ID: blob.Short(), Kind: crypt.KindData, Len: rawLen}
		d.Segments = []Segment{{Len: uint32(sealedLen), Blobs: 1}}
		d.Blobs = b
		return append(d.Encode(), 0)
	}
	good := crypt.SealedLen(5, 5)
	if file := hostile(t, dir(good, 5), 0, nil); true {
		if _, err := Open(readFrom(file), int64(len(file)), crypt.ClassData, keyOf); err != nil {
			t.Fatalf("the honest one: %v", err)
		}
	}
	for _, c := range []struct {
		name string
		file []byte
		text string
	}{
		{"segments that end before the directory", hostile(t, dir(good-1, 5), 0, nil), "segments end"},
		{"segments that end in the directory", hostile(t, dir(good+1, 5), 0, nil), "segments end"},
		{"no segments", hostile(t, []byte{1, 0, 0, 0}, 0, nil), "segments end"},
		{"a compressed directory", hostile(t, dir(good, 5), 1, nil), "codec 1"},
		{"a directory that is none", hostile(t, []byte{1}, 0, nil), "early"},
		{"an offset in the header", hostile(t, dir(good, 5), 0, func(b []byte) { binary.LittleEndian.PutUint64(b, 10) }), "a directory of"},
		{"an offset behind the end", hostile(t, dir(good, 5), 0, func(b []byte) { binary.LittleEndian.PutUint64(b, 1<<62) }), "a directory of"},
		{"a length that does not fit", hostile(t, dir(good, 5), 0, func(b []byte) { b[8]++ }), "a directory of"},
	} {
		_, err := Open(readFrom(c.file), int64(len(c.file)), crypt.ClassData, keyOf)
		if err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// A directory that lies about the length of a blob, so that blobs would not fill their segment.
	file := hostile(t, dir(good, 4), 0, nil)
	r, err := Open(readFrom(file), int64(len(file)), crypt.ClassData, keyOf)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Decode(nil, 0, file[crypt.HeaderSize:crypt.HeaderSize+good], newCoder(t)); !errors.Is(err, errs.Corrupt) || !strings.Contains(err.Error(), "its blobs have 4") {
		t.Errorf("blobs shorter than their segment: %v", err)
	}
	// A segment that opens and does not decode.
	s := newSealer(t, crypt.ClassData, 1)
	sealed := s.Seal(nil, 0, 1, 5, nil, []byte("no zstd frame"))
	r, err = NewReader(s.Header(), &Directory{Segments: []Segment{{RawLen: 5, Blobs: 1}}, Blobs: make([]Blob, 1)}, testKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Decode(nil, 0, sealed, newCoder(t)); !errors.Is(err, errs.Corrupt) {
		t.Errorf("no zstd frame: %v", err)
	}
}

func TestSegmentsMayBeDecodedAtOnce(t *testing.T) {
	t.Parallel()
	var blobs [][]byte
	for i := range 20 {
		blobs = append(blobs, content(uint64(i), 600<<10))
	}
	file, res := build(t, crypt.ClassData, TargetData, crypt.KindData, blobs...)
	r, err := Open(readFrom(file), res.Size, crypt.ClassData, keyOf)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c := newCoder(t)
			for i := range r.Directory().Segments {
				s := r.Directory().Segments[i]
				raw, err := r.Decode(nil, uint32(i), file[s.Offset:s.Offset+int64(s.Len)], c)
				if err != nil || !bytes.Equal(raw, blobs[i]) {
					t.Errorf("segment %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzOpen(f *testing.F) {
	var buf bytes.Buffer
	w, err := NewWriter(&buf, newSealer(f, crypt.ClassData, 1), TargetData)
	if err != nil {
		f.Fatal(err)
	}
	store(f, w, newCoder(f), crypt.KindData, []byte("hello"))
	if _, err := w.Close(); err != nil {
		f.Fatal(err)
	}
	file := buf.Bytes()
	f.Add(file)
	f.Add(file[crypt.HeaderSize:])
	at := crypt.HeaderSize + crypt.SealedLen(5, 5) // of the directory: what is before it, Open does not look at
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := Open(readFrom(b), int64(len(b)), crypt.ClassData, keyOf)
		if err == nil && (len(b) != len(file) || !bytes.Equal(b[:crypt.HeaderSize], file[:crypt.HeaderSize]) || !bytes.Equal(b[at:], file[at:])) {
			t.Fatal("a forged pack opens")
		}
		if err != nil && !errors.Is(err, errs.Corrupt) && !errors.Is(err, errs.Unsupported) {
			t.Fatalf("failure without a kind: %v", err)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	s := newSealer(b, crypt.ClassData, 1)
	sealed := noise(1, 130<<10)
	b.SetBytes(int64(len(sealed)))
	w, err := NewWriter(io.Discard, s, MaxTarget)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		t, ok := w.Reserve(len(sealed), 0)
		if !ok {
			if w, err = NewWriter(io.Discard, s, MaxTarget); err != nil {
				b.Fatal(err)
			}
			continue
		}
		if err := t.Put(sealed, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeDirectory(b *testing.B) {
	var blobs [][]byte
	for i := range 10_000 {
		blobs = append(blobs, fmt.Appendf(nil, "blob %d", i))
	}
	var buf bytes.Buffer
	w, err := NewWriter(&buf, newSealer(b, crypt.ClassData, 1), TargetData)
	if err != nil {
		b.Fatal(err)
	}
	store(b, w, newCoder(b), crypt.KindData, blobs...)
	res, err := w.Close()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(res.Body)))
	for b.Loop() {
		if _, err := DecodeDirectory(res.Body, crypt.ClassData, crypt.HeaderSize); err != nil {
			b.Fatal(err)
		}
	}
}
