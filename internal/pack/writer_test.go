package pack

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/segment"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares text with a file of testdata, or writes it there with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Fatalf("%s: the bytes of the format have changed\n%s", path, cmp.Diff(string(want), got))
	}
}

// TestGoldenPacks pins the bytes of packs whose blobs are too short to be compressed.
func TestGoldenPacks(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	fmt.Fprintf(&b, "# ikm = 090807 and zeros; domain 010203 and zeros with root 040506 and zeros; blobs are the ASCII texts one, two, three\n")
	for _, target := range []int64{80, TargetData} {
		file, res := build(t, crypt.ClassData, target, crypt.KindData, []byte("one"), []byte("two"), []byte("three"))
		fmt.Fprintf(&b, "target %d name %s body %x\npack %s\n", target, res.Name, res.Body, hex.EncodeToString(file))
	}
	golden(t, "packs.golden", b.String())
}

// padmeOK reports whether n is a Padmé length: its low e-s bits are zero.
func padmeOK(n int64) bool {
	e := bits.Len64(uint64(n)) - 1
	s := bits.Len64(uint64(e))
	return e < s || n&(1<<(e-s)-1) == 0
}

func TestShortPacksHavePadmeLengths(t *testing.T) {
	t.Parallel()
	for want, in := range map[int64]int64{0: 0, 1: 1, 8: 8, 10: 9, 12: 11, 1024: 1000, 1088: 1025, 1 << 20: 1<<20 - 1, 33 << 20: 32<<20 + 1} {
		if got := padme(in); got != want {
			t.Errorf("padme(%d) = %d, want %d", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		at, n := rapid.Int64Range(crypt.HeaderSize, 1<<30).Draw(t, "at"), rapid.IntRange(3, 1<<24).Draw(t, "body")
		pad := padding(at, n)
		raw := n + uvLen(pad) + pad
		total := at + int64(crypt.SealedLen(raw, raw)) + trailerSize
		if !padmeOK(total) {
			t.Fatalf("length %d", total)
		}
		if least := at + int64(crypt.SealedLen(n+1, n+1)) + trailerSize; float64(total) > 1.12*float64(least)+300 {
			t.Fatalf("%d bytes were padded to %d", least, total)
		}
	})
	blob := noise(1, 100_000)
	for n := range 200 {
		file, _ := build(t, crypt.ClassData, TargetData, crypt.KindData, blob[:90_000+37*n])
		if !padmeOK(int64(len(file))) {
			t.Fatalf("a pack of a blob of %d bytes has %d bytes", 90_000+37*n, len(file))
		}
	}
	full, res := build(t, crypt.ClassData, 50_000, crypt.KindData, blob)
	if want := res.Dir.Segments[0].Offset + int64(res.Dir.Segments[0].Len) + int64(crypt.SealedLen(len(res.Body)+1, len(res.Body)+1)) + trailerSize; int64(len(full)) != want {
		t.Errorf("a full pack has %d bytes, without padding it would be %d", len(full), want)
	}
}

func TestWorkersShareAPackWithoutWaitingForEachOther(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	w, err := NewWriter(&buf, newSealer(t, crypt.ClassData, 1), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	const workers = 6
	type job struct {
		ticket Ticket
		b      *segment.Builder
	}
	var mu sync.Mutex
	put := map[string]bool{}
	var wg sync.WaitGroup
	for n := range workers {
		wg.Go(func() {
			coder := newCoder(t)
			for i := 0; ; i++ {
				var jobs []job
				for k := range 2 { // two tickets each, handed in the wrong way round
					p := noise(byte(n), 3000+100*i+k)
					b := segment.NewBuilder(crypt.ClassData, coder)
					if err := b.Add(crypt.KindData, testDomain.ID(crypt.KindData, p), p); err != nil {
						t.Error(err)
						return
					}
					ticket, ok := w.Reserve(b.Compress(), 1)
					if !ok {
						break
					}
					jobs = append(jobs, job{ticket, b})
					mu.Lock()
					put[string(p)] = true
					mu.Unlock()
				}
				for k := len(jobs) - 1; k >= 0; k-- {
					j := jobs[k]
					sealed, err := j.b.Seal(j.ticket.Sealer(), j.ticket.Segno())
					if err == nil {
						err = j.ticket.Put(sealed, j.b.Blobs())
					}
					if err != nil {
						t.Error(err)
						return
					}
					clear(sealed) // it is the worker's again
				}
				if len(jobs) < 2 {
					return
				}
			}
		})
	}
	wg.Wait()
	size := w.Size()
	res, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if size < 1<<20 || res.Size < size || int64(buf.Len()) != res.Size {
		t.Errorf("reserved %d, size %d, written %d", size, res.Size, buf.Len())
	}
	r, err := Open(readFrom(buf.Bytes()), res.Size, crypt.ClassData, keyOf)
	if err != nil {
		t.Fatal(err)
	}
	c := newCoder(t)
	for i := range r.Directory().Segments {
		s := r.Directory().Segments[i]
		raw, err := r.Decode(nil, uint32(i), buf.Bytes()[s.Offset:s.Offset+int64(s.Len)], c)
		if err != nil {
			t.Fatal(err)
		}
		if !put[string(raw)] {
			t.Fatalf("segment %d holds something else", i)
		}
		delete(put, string(raw))
	}
	if len(put) > 0 {
		t.Errorf("%d segments are missing", len(put))
	}
}

// sealOne makes a sealed segment for a ticket.
func sealOne(t *testing.T, w *Writer, p []byte) (Ticket, []byte, []segment.Blob) {
	t.Helper()
	b := segment.NewBuilder(crypt.ClassData, newCoder(t))
	if err := b.Add(crypt.KindData, testDomain.ID(crypt.KindData, p), p); err != nil {
		t.Fatal(err)
	}
	ticket, ok := w.Reserve(b.Compress(), 1)
	if !ok {
		t.Fatal("full")
	}
	sealed, err := b.Seal(ticket.Sealer(), ticket.Segno())
	if err != nil {
		t.Fatal(err)
	}
	return ticket, sealed, b.Blobs()
}

func TestTicketsAreUsedOnceAndAsReserved(t *testing.T) {
	t.Parallel()
	for name, misuse := range map[string]func(w *Writer) error{
		"never put": func(w *Writer) error { sealOne(t, w, []byte("x")); return nil },
		"put twice": func(w *Writer) error {
			tk, s, b := sealOne(t, w, []byte("x"))
			return errors.Join(tk.Put(s, b), tk.Put(s, b))
		},
		"put twice too early": func(w *Writer) error {
			sealOne(t, w, []byte("x"))
			tk, s, b := sealOne(t, w, []byte("y"))
			return errors.Join(tk.Put(s, b), tk.Put(s, b))
		},
		"of another length": func(w *Writer) error { tk, s, b := sealOne(t, w, []byte("x")); return tk.Put(s[1:], b) },
		"of other blobs":    func(w *Writer) error { tk, s, _ := sealOne(t, w, []byte("x")); return tk.Put(s, nil) },
	} {
		w, err := NewWriter(io.Discard, newSealer(t, crypt.ClassData, 1), TargetData)
		if err != nil {
			t.Fatal(err)
		}
		err = misuse(w)
		res, end := w.Close()
		if !errors.Is(end, errs.Usage) || res != nil || err != nil && !errors.Is(err, errs.Usage) {
			t.Errorf("%s: %v, then %v", name, err, end)
		}
	}
	w, err := NewWriter(io.Discard, newSealer(t, crypt.ClassData, 1), TargetData)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatalf("an empty pack: %v", err)
	}
	if _, ok := w.Reserve(10, 1); ok {
		t.Error("a closed pack gives tickets")
	}
	if _, err := w.Close(); !errors.Is(err, errs.Usage) {
		t.Errorf("closed twice: %v", err)
	}
}

func TestAPackIsFullAtItsTargetOrWithVeryManyBlobs(t *testing.T) {
	t.Parallel()
	w, err := NewWriter(io.Discard, newSealer(t, crypt.ClassData, 1), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := w.Reserve(1000-crypt.HeaderSize-1, 1); !ok {
		t.Error("full too early")
	}
	if _, ok := w.Reserve(50, 1); !ok {
		t.Error("full a byte before the target")
	}
	if _, ok := w.Reserve(50, 1); ok {
		t.Error("not full behind the target")
	}
	if w, err = NewWriter(io.Discard, newSealer(t, crypt.ClassData, 1), TargetData); err != nil {
		t.Fatal(err)
	}
	for range maxBlobs / 65535 {
		if _, ok := w.Reserve(50, 65535); !ok {
			t.Error("full too early")
		}
	}
	if _, ok := w.Reserve(50, 65535); !ok {
		t.Error("full before the last blob")
	}
	if _, ok := w.Reserve(50, 1); ok {
		t.Error("there is no end to the blobs of a pack")
	}
	w.blobs, w.given = 0, maxSegments
	if _, ok := w.Reserve(50, 1); ok {
		t.Error("there is no end to the segments of a pack")
	}
}

// failing writes so many bytes and then fails, or says less than it should.
type failing struct {
	left int
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, f.err
	}
	return len(p), nil
}

func TestAFailedWriteIsThePacksFailureForGood(t *testing.T) {
	t.Parallel()
	boom := errors.New("disk on fire")
	file, _ := build(t, crypt.ClassData, TargetData, crypt.KindData, []byte("x"))
	for _, want := range []error{boom, io.ErrShortWrite} {
		cause := want
		if errors.Is(want, io.ErrShortWrite) {
			cause = nil
		}
		for left := range len(file) {
			w, err := NewWriter(&failing{left: left, err: cause}, newSealer(t, crypt.ClassData, 1), TargetData)
			if err == nil {
				tk, s, b := sealOne(t, w, []byte("x"))
				if err = tk.Put(s, b); err != nil {
					if again := tk.Put(s, b); !errors.Is(again, want) {
						t.Fatalf("then %v", again)
					}
				}
				if _, end := w.Close(); err != nil && !errors.Is(end, want) {
					t.Fatalf("then %v", end)
				} else if err == nil {
					err = end
				}
			}
			if !errors.Is(err, want) {
				t.Fatalf("failure after %d of %d bytes: %v", left, len(file), err)
			}
		}
	}
}

func TestPacksThatCannotBeAreNotBegun(t *testing.T) {
	t.Parallel()
	h, err := crypt.NewHeader(bytes.NewReader(make([]byte, 32)), crypt.ClassFate, crypt.SuiteAES, [16]byte{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := crypt.NewSealer(h, testKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewWriter(io.Discard, s, TargetData); !errors.Is(err, errs.Usage) {
		t.Errorf("a pack of class F: %v", err)
	}
	for _, target := range []int64{-1, 0, MaxTarget + 1} {
		if _, err := NewWriter(io.Discard, newSealer(t, crypt.ClassData, 1), target); !errors.Is(err, errs.Usage) {
			t.Errorf("a pack of %d bytes: %v", target, err)
		}
	}
}
