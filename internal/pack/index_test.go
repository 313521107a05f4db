package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/segment"
)

// entries makes n entries with directories of so many blobs.
func entries(n, blobs int) []IndexEntry {
	var out []IndexEntry
	for i := range n {
		d := &Directory{}
		var list []segment.Blob
		start := int64(crypt.HeaderSize)
		e := IndexEntry{
			Path: fmt.Sprintf("data/%032d/%08x-%064d", i, i, i), Size: int64(1000 + i),
			Header: crypt.Header{Class: crypt.ClassData, Suite: crypt.SuiteAES, Domain: testDomain.Scope(), Epoch: uint32(i), Salt: [32]byte{byte(i)}},
		}
		if i%3 == 1 {
			e.Capsule = [32]byte{byte(i), 1}
			start += crypt.CapsuleSize
		}
		for j := range blobs {
			p := fmt.Appendf(nil, "blob %d of pack %d", j, i)
			list = append(list, segment.Blob{Kind: crypt.KindData, ID: testDomain.ID(crypt.KindData, p), Len: uint32(len(p))})
		}
		d.add(start, 5000, list)
		e.Body = d.Encode()
		out = append(out, e)
	}
	return out
}

// writeIndex makes an index object.
func writeIndex(t *testing.T, h IndexHead, list []IndexEntry) ([]byte, *Result) {
	t.Helper()
	var buf bytes.Buffer
	w, err := NewIndexWriter(&buf, newSealer(t, crypt.ClassIndex, 2), newCoder(t), h)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if err := w.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	r, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), r
}

// readIndex reads it; the entries are copied.
func readIndex(t *testing.T, file []byte) (IndexHead, []IndexEntry, error) {
	t.Helper()
	var list []IndexEntry
	h, err := ReadIndex(readFrom(file), int64(len(file)), keyOf, newCoder(t), func(e IndexEntry) error {
		e.Body = bytes.Clone(e.Body)
		list = append(list, e)
		return nil
	})
	return h, list, err
}

func TestIndexObjectsReadBack(t *testing.T) {
	t.Parallel()
	names := make([]id.Name, 70_000) // 2.2 MB: more than two segments
	for i := range names {
		names[i] = id.Name{byte(i), byte(i >> 8), byte(i >> 16), 1}
	}
	for _, c := range []struct {
		name  string
		head  IndexHead
		list  []IndexEntry
		least int // segments
	}{
		{"empty", IndexHead{}, nil, 1},
		{"one pack", IndexHead{Level: 1}, entries(1, 1), 1},
		{"some packs", IndexHead{Level: 3, Replaces: names[:2]}, entries(7, 100), 1},
		{"packs across segments", IndexHead{}, entries(40, 3000), 3},
		{"an entry longer than a segment", IndexHead{}, entries(2, 120_000/2), 3},
		{"many replaced objects", IndexHead{Replaces: names}, entries(3, 10), 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file, res := writeIndex(t, c.head, c.list)
			if res.Name != crypt.Sum(file) || len(res.Dir.Segments) < c.least || !padmeOK(res.Size) {
				t.Errorf("%d segments, %d bytes", len(res.Dir.Segments), res.Size)
			}
			h, list, err := readIndex(t, file)
			if err != nil {
				t.Fatal(err)
			}
			if h.Level != c.head.Level || !slices.Equal(h.Replaces, c.head.Replaces) {
				t.Error("the head differs")
			}
			if !slices.EqualFunc(c.list, list, func(a, b IndexEntry) bool {
				body := bytes.Equal(a.Body, b.Body)
				a.Body, b.Body = nil, nil // cmp is slow on long slices
				return body && cmp.Equal(a, b)
			}) {
				t.Error("the entries differ")
			}
			for i := range list {
				d, err := list[i].Directory()
				if err != nil {
					t.Fatal(err)
				}
				want := int64(crypt.HeaderSize)
				if list[i].HasCapsule() {
					want += crypt.CapsuleSize
				}
				if d.Segments[0].Offset != want {
					t.Errorf("segment 0 of pack %d begins at %d", i, d.Segments[0].Offset)
				}
			}
		})
	}
}

func TestGoldenIndex(t *testing.T) {
	t.Parallel()
	var b []byte
	for _, e := range entries(2, 1) {
		b = e.append(b)
	}
	golden(t, "index.golden", fmt.Sprintf("entries %x\n", b))
}

func TestWhatHasNoPlaceInAnIndexIsRefused(t *testing.T) {
	t.Parallel()
	good := entries(1, 1)[0]
	for name, change := range map[string]func(e *IndexEntry){
		"no path":        func(e *IndexEntry) { e.Path = "" },
		"a long path":    func(e *IndexEntry) { e.Path = strings.Repeat("x", 256) },
		"no size":        func(e *IndexEntry) { e.Size = 0 },
		"index object":   func(e *IndexEntry) { e.Header.Class = crypt.ClassIndex },
		"another domain": func(e *IndexEntry) { e.Header.Domain[0]++ },
		"huge directory": func(e *IndexEntry) { e.Body = make([]byte, maxDirBody+1) },
	} {
		w, err := NewIndexWriter(io.Discard, newSealer(t, crypt.ClassIndex, 1), newCoder(t), IndexHead{})
		if err != nil {
			t.Fatal(err)
		}
		e := good
		change(&e)
		if err := w.Add(e); !errors.Is(err, errs.Usage) {
			t.Errorf("%s: %v", name, err)
		}
		if err := w.Add(good); !errors.Is(err, errs.Usage) {
			t.Errorf("%s: then %v", name, err)
		}
		if _, err := w.Close(); !errors.Is(err, errs.Usage) {
			t.Errorf("%s: at the end %v", name, err)
		}
	}
	if _, err := NewIndexWriter(io.Discard, newSealer(t, crypt.ClassData, 1), newCoder(t), IndexHead{}); !errors.Is(err, errs.Usage) {
		t.Errorf("an index of class D: %v", err)
	}
	if _, err := NewIndexWriter(io.Discard, newSealer(t, crypt.ClassIndex, 1), newCoder(t), IndexHead{Replaces: make([]id.Name, maxReplaces+1)}); !errors.Is(err, errs.Usage) {
		t.Errorf("too many replaced: %v", err)
	}
	boom := errors.New("full")
	if _, err := NewIndexWriter(&failing{err: boom}, newSealer(t, crypt.ClassIndex, 1), newCoder(t), IndexHead{}); !errors.Is(err, boom) {
		t.Errorf("a failing store: %v", err)
	}
	w, err := NewIndexWriter(io.Discard, newSealer(t, crypt.ClassIndex, 1), newCoder(t), IndexHead{})
	if err != nil {
		t.Fatal(err)
	}
	w.w.reserved = MaxTarget
	if _, err := w.Close(); !errors.Is(err, errs.Usage) {
		t.Errorf("beyond the largest object: %v", err)
	}
}

func TestADamagedIndexObjectIsRefused(t *testing.T) {
	t.Parallel()
	file, _ := writeIndex(t, IndexHead{Level: 1}, entries(2, 3))
	for i := range file {
		b := bytes.Clone(file)
		b[i] ^= 1 << (i % 8)
		if _, _, err := readIndex(t, b); !errors.Is(err, errs.Corrupt) && !errors.Is(err, errs.Unsupported) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	boom := errors.New("enough")
	_, err := ReadIndex(readFrom(file), int64(len(file)), keyOf, newCoder(t), func(IndexEntry) error { return boom })
	if !errors.Is(err, boom) {
		t.Errorf("the caller's failure: %v", err)
	}
	reads := 0
	_, err = ReadIndex(func(p []byte, at int64) error {
		if reads++; reads > 1 {
			return boom
		}
		return readFrom(file)(p, at)
	}, int64(len(file)), keyOf, newCoder(t), nil)
	if !errors.Is(err, boom) {
		t.Errorf("the store's failure: %v", err)
	}
}

// feedAll parses a body that comes in pieces of n bytes.
func feedAll(body []byte, n int, fn func(IndexEntry) error) (IndexHead, error) {
	p := indexParser{domain: testDomain.Scope(), fn: fn}
	for len(body) > 0 {
		k := min(n, len(body))
		if err := p.feed(body[:k]); err != nil {
			return p.head, err
		}
		body = body[k:]
	}
	return p.head, p.end()
}

func TestIndexBodiesAreReadStrictly(t *testing.T) {
	t.Parallel()
	good := entries(2, 1)
	head := []byte{1, 0, 0}
	body := append(good[1].append(good[0].append(bytes.Clone(head))), 0)
	for n := 1; n <= len(body); n++ {
		got := 0
		if _, err := feedAll(body, n, func(IndexEntry) error { got++; return nil }); err != nil || got != 2 {
			t.Fatalf("in pieces of %d bytes: %d entries, %v", n, got, err)
		}
		if n < len(body) {
			if _, err := feedAll(body[:n], n, func(IndexEntry) error { return nil }); !errors.Is(err, errs.Corrupt) {
				t.Fatalf("cut to %d bytes: %v", n, err)
			}
		}
	}
	entry := good[0].append(nil)
	headerAt := 1 + 1 + len(good[0].Path) + 2
	with := func(at int, v byte) []byte {
		e := bytes.Clone(entry)
		e[at] = v
		return append(append(bytes.Clone(head), e...), 0)
	}
	capsule := good[1]
	capsuleBody := append(capsule.append(bytes.Clone(head)), 0)
	hashAt := bytes.Index(capsuleBody, capsule.Capsule[:])
	clear(capsuleBody[hashAt : hashAt+32])
	for name, c := range map[string]struct {
		b    []byte
		kind error
	}{
		"later version":           {[]byte{2, 0, 0, 0}, errs.Unsupported},
		"too many replaced":       {append([]byte{1, 0}, 0x81, 0x80, 0x40), errs.Corrupt},
		"level beyond 32 bits":    {append([]byte{1}, 0x80, 0x80, 0x80, 0x80, 0x10), errs.Corrupt},
		"unknown mark":            {append(bytes.Clone(head), 2), errs.Corrupt},
		"bytes behind the end":    {append(bytes.Clone(body), 0), errs.Corrupt},
		"long path":               {append(bytes.Clone(head), 1, 0x80, 0x02), errs.Corrupt},
		"header's magic":          {with(headerAt, 'X'), errs.Corrupt},
		"header's class":          {with(headerAt+9, 'I'), errs.Corrupt},
		"header's domain":         {with(headerAt+16, 77), errs.Corrupt},
		"header's suite":          {with(headerAt+10, 77), errs.Unsupported},
		"a capsule's hash of 0":   {capsuleBody, errs.Corrupt},
		"a directory of 2^34":     {append(append(bytes.Clone(head), entry[:headerAt+72]...), 0x80, 0x80, 0x80, 0x80, 0x40), errs.Corrupt},
		"a size beyond a pack's":  {append(append(bytes.Clone(head), 1, 1, 'x'), 0x80, 0x80, 0x80, 0x80, 0x40), errs.Corrupt},
		"a longer form of number": {append(bytes.Clone(head), 0x81, 0), errs.Corrupt},
	} {
		if _, err := feedAll(c.b, 1<<20, func(IndexEntry) error { return nil }); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := good[0]
	bad.Body = []byte{1}
	if _, err := bad.Directory(); !errors.Is(err, errs.Corrupt) {
		t.Errorf("a directory that is none: %v", err)
	}
}

// A value that comes in many parts is not moved once for each part: that would be 64 GiB here, and without a bound in an
// object that someone made for it.
func TestALongEntryMayComeInManyParts(t *testing.T) {
	t.Parallel()
	e := entries(1, 1)[0]
	e.Body = make([]byte, 2<<20)
	body := append(e.append([]byte{1, 0, 0}), 0)
	got := 0
	_, err := feedAll(body, 32, func(IndexEntry) error { got++; return nil })
	if err != nil || got != 1 {
		t.Fatalf("%d entries, %v", got, err)
	}
}

func FuzzIndexBody(f *testing.F) {
	body := []byte{1, 3, 1}
	body = append(body, make([]byte, 32)...)
	for _, e := range entries(2, 1) {
		body = e.append(body)
	}
	f.Add(append(body, 0), 7)
	f.Add([]byte{1, 0, 0, 0}, 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		n = max(n, 1, len(b)/64) // a value that comes in many pieces is copied as often
		var again []byte
		h, err := feedAll(b, n, func(e IndexEntry) error {
			again = e.append(again)
			return nil
		})
		if err != nil {
			if !errors.Is(err, errs.Corrupt) && !errors.Is(err, errs.Unsupported) {
				t.Fatalf("failure without a kind: %v", err)
			}
			return
		}
		if !bytes.HasSuffix(b, append(again, 0)) {
			t.Fatal("the entries encode to other bytes")
		}
		if len(h.Replaces)*32 > len(b) {
			t.Fatal("more names than bytes")
		}
	})
}
