package codec

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/errs"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var levels = map[string]Level{"fastest": Fastest, "default": Default, "best": Best, "none": None}

func mustCoder(tb testing.TB, l Level) *Coder {
	tb.Helper()
	c, err := NewCoder(l)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func noise(n int) []byte {
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(p) // never fails
	return p
}

func text(n int) []byte {
	var b bytes.Buffer
	r := rand.New(rand.NewPCG(1, 1))
	for b.Len() < n {
		fmt.Fprintf(&b, "%d the quick brown fox %x jumps over\n", b.Len(), r.Uint32())
	}
	return b.Bytes()[:n]
}

func TestWhatWasEncodedIsDecoded(t *testing.T) {
	t.Parallel()
	for name, l := range levels {
		c := mustCoder(t, l)
		for _, n := range []int{0, 1, 255, 256, 257, 1023, 1024, 1025, 65535, 65536, 131073, 1 << 20, 1<<20 + 1, 9<<20 + 7} {
			for kind, src := range map[string][]byte{"text": text(n), "noise": noise(n), "zeros": make([]byte, n)} {
				prefix := []byte("before")
				id, enc := c.Encode(bytes.Clone(prefix), src)
				if !bytes.HasPrefix(enc, prefix) {
					t.Fatalf("%s, %d bytes of %s: Encode changed what stood before", name, n, kind)
				}
				payload := enc[len(prefix):]
				if id == Raw && !bytes.Equal(payload, src) {
					t.Fatalf("%s, %d bytes of %s: raw differs", name, n, kind)
				}
				if id == Zstd && (len(payload)*100 > n*97 || l == None) {
					t.Errorf("%s, %d bytes of %s: %d bytes were kept compressed", name, n, kind, len(payload))
				}
				if id == Raw && l != None && kind != "noise" && n >= 257 {
					t.Errorf("%s, %d bytes of %s: stored raw", name, n, kind)
				}
				got, err := c.Decode(bytes.Clone(prefix), id, payload, n)
				if err != nil || !bytes.Equal(got, append(bytes.Clone(prefix), src...)) {
					t.Fatalf("%s, %d bytes of %s: decoded %d bytes, %v", name, n, kind, len(got), err)
				}
			}
		}
	}
}

func TestAnyLevelReadsWhatAnyOtherWrote(t *testing.T) {
	t.Parallel()
	src := text(300_000)
	for from, lf := range levels {
		id, payload := mustCoder(t, lf).Encode(nil, src)
		for to, lt := range levels {
			if got, err := mustCoder(t, lt).Decode(nil, id, payload, len(src)); err != nil || !bytes.Equal(got, src) {
				t.Errorf("written at %s, read at %s: %v", from, to, err)
			}
		}
	}
}

func TestACoderCanBeUsedAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	c := mustCoder(t, Fastest)
	src := text(200_000)
	id, payload := c.Encode(nil, src)
	rapid.Check(t, func(t *rapid.T) {
		bad := bytes.Clone(payload)
		bad[rapid.IntRange(0, len(bad)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		got, err := c.Decode(nil, id, bad, len(src))
		if err == nil && len(got) != len(src) || err != nil && !errors.Is(err, errs.Corrupt) {
			t.Fatalf("damaged payload: %d bytes, %v", len(got), err)
		}
		if got, err = c.Decode(got[:0], id, payload, len(src)); err != nil || !bytes.Equal(got, src) {
			t.Fatalf("after the failure: %d bytes, %v", len(got), err)
		}
	})
}

// frame makes a zstd frame by hand: descriptor, the rest of the header, blocks.
func frame(descriptor byte, parts ...[]byte) []byte {
	return append([]byte{0x28, 0xb5, 0x2f, 0xfd, descriptor}, bytes.Join(parts, nil)...)
}

// rawBlock makes a block that holds p as it is.
func rawBlock(last bool, p string) []byte {
	h := len(p) << 3
	if last {
		h |= 1
	}
	return append([]byte{byte(h), byte(h >> 8), byte(h >> 16)}, p...)
}

func TestFramesThatTheFormatDoesNotAllowAreRefused(t *testing.T) {
	t.Parallel()
	good := frame(0x20, []byte{4}, rawBlock(true, "abcd"))
	rle := frame(0x20, []byte{4}, []byte{4<<3 | 1<<1 | 1, 0, 0, 'x'})
	dec := mustCoder(t, Fastest)
	for name, p := range map[string][]byte{"one block": good, "two blocks": frame(0x20, []byte{4}, rawBlock(false, "ab"), rawBlock(true, "cd")), "a repeated byte": rle} {
		if got, err := dec.Decode(nil, Zstd, p, 4); err != nil || len(got) != 4 {
			t.Errorf("%s is refused: %q, %v", name, got, err)
		}
	}
	for name, tt := range map[string]struct {
		id  ID
		p   []byte
		raw int
	}{
		"nothing":                       {Zstd, nil, 0},
		"nothing for four bytes":        {Zstd, nil, 4},
		"no zstd frame":                 {Zstd, []byte("abcdefgh"), 4},
		"half a header":                 {Zstd, good[:5], 4},
		"half a block header":           {Zstd, good[:8], 4},
		"half a block":                  {Zstd, good[:11], 4},
		"no last block":                 {Zstd, frame(0x20, []byte{4}, rawBlock(false, "abcd")), 4},
		"a reserved block":              {Zstd, frame(0x20, []byte{4}, []byte{4<<3 | 3<<1 | 1, 0, 0}, []byte("abcd")), 4},
		"another content size":          {Zstd, good, 5},
		"a content size that lies":      {Zstd, frame(0x20, []byte{5}, rawBlock(true, "abcd")), 5},
		"a content size below the data": {Zstd, frame(0x20, []byte{3}, rawBlock(true, "abcd")), 3},
		"no content size":               {Zstd, frame(0x00, []byte{0}, rawBlock(true, "abcd")), 4},
		"a checksum":                    {Zstd, append(frame(0x24, []byte{4}, rawBlock(true, "abcd")), 1, 2, 3, 4), 4},
		"a dictionary":                  {Zstd, frame(0x21, []byte{7}, []byte{4}, rawBlock(true, "abcd")), 4},
		"a byte after it":               {Zstd, append(bytes.Clone(good), 0), 4},
		"a second frame":                {Zstd, append(frame(0x20, []byte{4}, rawBlock(true, "ab")), frame(0x20, []byte{2}, rawBlock(true, "cd"))...), 4},
		"an empty second frame":         {Zstd, append(bytes.Clone(good), frame(0x20, []byte{0}, rawBlock(true, ""))...), 4},
		"a skippable frame before":      {Zstd, append([]byte{0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}, good...), 4},
		"a skippable frame after":       {Zstd, append(bytes.Clone(good), 0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0), 4},
		"a window of 16 MiB":            {Zstd, frame(0x80, []byte{14 << 3}, []byte{4, 0, 0, 0}, rawBlock(true, "abcd")), 4},
		"one segment of 9 MiB":          {Zstd, frame(0xa0, []byte{0, 0, 0x90, 0}, rawBlock(true, "abcd")), 9 << 20},
		"a negative length":             {Raw, nil, -1},
		"more than the limit":           {Zstd, good, MaxRaw + 1},
		"raw bytes too few":             {Raw, []byte("abc"), 4},
		"raw bytes too many":            {Raw, []byte("abcde"), 4},
		"an unknown codec":              {2, []byte("abcd"), 4},
	} {
		dst := []byte("kept")
		got, err := dec.Decode(dst, tt.id, tt.p, tt.raw)
		if !errors.Is(err, errs.Corrupt) || string(got) != "kept" {
			t.Errorf("%s: got %q, %v; want a damage", name, got, err)
		}
	}
}

func TestDecodeTakesNoMoreMemoryThanTheLengthAsks(t *testing.T) { // not parallel: it counts what is allocated
	c := mustCoder(t, Best)
	src := bytes.Repeat([]byte("bomb"), 4<<20)
	id, bomb := c.Encode(nil, src)
	if id != Zstd || len(bomb) > 1<<16 {
		t.Fatalf("codec %d, %d bytes", id, len(bomb))
	}
	for name, tt := range map[string]struct{ raw, most int }{
		"the true length":   {len(src), len(src) + 2<<20},
		"a smaller length":  {1000, 1 << 20},
		"a greater length":  {len(src) + 1, 1 << 20},
		"the largest limit": {MaxRaw, 1 << 20},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := c.Decode(nil, id, bomb, tt.raw)
		runtime.ReadMemStats(&after)
		if took := int(after.TotalAlloc - before.TotalAlloc); took > tt.most+slack {
			t.Errorf("%s: %d bytes were allocated", name, took)
		}
		if (err == nil) != (tt.raw == len(src)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNoiseIsToldFromWhatCompresses(t *testing.T) {
	t.Parallel()
	const n = 1 << 20
	tenth := noise(n)
	for i := 0; i < n; i += 10_000 {
		copy(tenth[i:], text(2000))
	}
	islands := noise(n)
	clear(islands[n/2 : n/2+n/6])
	base64 := make([]byte, n)
	for i, b := range noise(n) {
		base64[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[b&63]
	}
	for name, tt := range map[string]struct {
		p    []byte
		want bool
	}{
		"noise":                 {noise(n), true},
		"a little noise":        {noise(minSampled), true},
		"too little to tell":    {noise(minSampled - 1), false},
		"nothing":               {nil, false},
		"text":                  {text(n), false},
		"zeros":                 {make([]byte, n), false},
		"a fifth of text":       {tenth, false},
		"a hole in noise":       {islands, false},
		"noise in base64":       {base64, false},
		"numbers of four bytes": {numbers(n), false},
	} {
		if got := Incompressible(tt.p); got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
	for seed := range 200 { // the line lies five standard deviations above noise
		p := make([]byte, 100_000)
		_, _ = rand.NewChaCha8([32]byte{byte(seed), 7}).Read(p)
		if !Incompressible(p) {
			t.Errorf("noise %d is taken for something else", seed)
		}
	}
}

// numbers is a table of small random numbers of four bytes each.
func numbers(n int) []byte {
	p := noise(n)
	for i := 2; i+1 < n; i += 4 {
		p[i], p[i+1] = 0, 0
	}
	return p
}

func TestOnlyKnownLevelsHaveCoders(t *testing.T) {
	t.Parallel()
	if _, err := NewCoder(None + 1); !errors.Is(err, errs.Usage) {
		t.Errorf("got %v, want a usage error", err)
	}
	if _, err := Get(None + 1); !errors.Is(err, errs.Usage) {
		t.Errorf("got %v, want a usage error", err)
	}
	for name, l := range levels {
		c, err := Get(l)
		if err != nil || c.Level() != l {
			t.Fatalf("%s: %v", name, err)
		}
		Put(c)
	}
}

// TestGoldenPayloads decodes payloads that earlier builds wrote. New ones are added; none is ever changed.
func TestGoldenPayloads(t *testing.T) {
	t.Parallel()
	path := filepath.Join("testdata", "payloads.golden")
	if *update {
		var b strings.Builder
		b.WriteString("# name, codec, length, payload in hexadecimal; the content is text(length)\n")
		for _, name := range []string{"fastest", "default", "best", "none"} {
			for _, n := range []int{0, 100, 256, 3000} {
				id, p := mustCoder(t, levels[name]).Encode(nil, text(n))
				fmt.Fprintf(&b, "%s %d %d %s.\n", name, id, n, hex.EncodeToString(p))
			}
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := mustCoder(t, Fastest)
	for _, line := range strings.Split(strings.TrimSpace(string(golden)), "\n")[1:] {
		var name, digits string
		var id, n int
		if _, err := fmt.Sscanf(line, "%s %d %d %s", &name, &id, &n, &digits); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		p, err := hex.DecodeString(strings.TrimSuffix(digits, "."))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Decode(nil, ID(id), p, n); err != nil || !bytes.Equal(got, text(n)) {
			t.Errorf("%s, %d bytes: %v", name, n, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, l := range levels {
		c := mustCoder(f, l)
		for _, src := range [][]byte{text(2000), make([]byte, 70_000), noise(500)} {
			id, p := c.Encode(nil, src)
			f.Add(byte(id), p, uint32(len(src)))
		}
	}
	w, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(byte(Zstd), w.EncodeAll(text(3000), nil), uint32(3000)) // has a checksum
	f.Add(byte(Zstd), frame(0x20, []byte{4}, rawBlock(true, "abcd")), uint32(4))
	c := mustCoder(f, Fastest)
	reference, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id byte, p []byte, rawLen uint32) {
		n := int(rawLen % (1 << 20))
		got, err := c.Decode([]byte{42}, ID(id), p, n)
		if len(got) == 0 || got[0] != 42 {
			t.Fatal("what stood before is gone")
		}
		if err != nil {
			if !errors.Is(err, errs.Corrupt) || len(got) != 1 {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			return
		}
		if len(got)-1 != n {
			t.Fatalf("%d bytes, want %d", len(got)-1, n)
		}
		if ID(id) == Zstd {
			if want, err := reference.DecodeAll(p, nil); err != nil || !bytes.Equal(want, got[1:]) {
				t.Fatalf("the decoder without limits says %d bytes, %v", len(want), err)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	for name, l := range levels {
		for kind, p := range map[string][]byte{"text": text(512 << 10), "noise": noise(512 << 10)} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				c := mustCoder(b, l)
				var buf []byte
				b.SetBytes(int64(len(p)))
				for b.Loop() {
					_, buf = c.Encode(buf[:0], p)
				}
				b.ReportMetric(float64(len(buf))/float64(len(p)), "ratio")
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	c, p := mustCoder(b, Fastest), text(512<<10)
	id, payload := c.Encode(nil, p)
	var buf []byte
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		var err error
		if buf, err = c.Decode(buf[:0], id, payload, len(p)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIncompressible(b *testing.B) {
	p := noise(1 << 20)
	for b.Loop() {
		if !Incompressible(p) {
			b.Fatal("noise is taken for something else")
		}
	}
}
