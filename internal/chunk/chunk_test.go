package chunk

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zeebo/blake3"
	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/errs"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// testKey returns the key whose 32 bytes are all n.
func testKey(n byte) (k [32]byte) {
	copy(k[:], bytes.Repeat([]byte{n}, 32))
	return k
}

func mustNew(tb testing.TB, key [32]byte, avg int) *Chunker {
	tb.Helper()
	c, err := New(key, avg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// narrow returns c without the AVX2 kernel.
func narrow(c *Chunker) *Chunker {
	n := *c
	n.wide = false
	return &n
}

// failer is what a test and a property have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// split cuts p, the whole rest of a stream, and checks the bounds on the way.
func split(tb failer, c *Chunker, p []byte) (cuts []int) {
	tb.Helper()
	for len(p) > 0 {
		k := c.Cut(p, true)
		if k <= 0 || k > c.Max() || k > len(p) {
			tb.Fatalf("cut of %d bytes from %d, longest chunk %d", k, len(p), c.Max())
		}
		if k < c.min && k != len(p) {
			tb.Fatalf("chunk of %d bytes is not the last and shorter than %d", k, c.min)
		}
		cuts = append(cuts, k)
		p = p[k:]
	}
	return cuts
}

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

func TestNewRefusesAveragesThatTheFormatLacks(t *testing.T) {
	t.Parallel()
	for _, avg := range []int{-1, 0, 1, 8 << 10, 48 << 10, 512 << 10, 256<<10 + 1} {
		if _, err := New(testKey(1), avg); !errors.Is(err, errs.Usage) {
			t.Errorf("average %d: got %v, want a usage error", avg, err)
		}
	}
}

func TestLimitsFollowFromTheAverage(t *testing.T) {
	t.Parallel()
	for avg := MinAverage; avg <= MaxAverage; avg *= 2 {
		c := mustNew(t, testKey(1), avg)
		if c.Max() != 4*avg || c.Whole() != 2*avg || c.min != avg/2 || c.normal != avg/16*13 {
			t.Errorf("average %d: max %d whole %d min %d normal %d", avg, c.Max(), c.Whole(), c.min, c.normal)
		}
		if c.high != 8*c.low || c.low != uint64(1)<<63/uint64(avg/1024) {
			t.Errorf("average %d: thresholds %#x and %#x", avg, c.low, c.high)
		}
	}
}

func TestNoRunOfOneByteIsACandidate(t *testing.T) {
	t.Parallel()
	redrawn := 0
	for n := range 200 {
		k := testKey(byte(n))
		c := mustNew(t, k, MaxAverage)
		for v := range 256 {
			if run := bytes.Repeat([]byte{byte(v)}, window); c.scan.portableIs(run) {
				t.Fatalf("key %d: a run of %#x is a candidate", n, v)
			}
		}
		d := derive(&k, "nacre/1 chunk scan", MaxAverage, 0)
		if first := (scanKey{le32(d[0:]) | 1, le32(d[4:]) | 1}); first != c.scan {
			redrawn++
		}
	}
	if redrawn == 0 || redrawn > 100 {
		t.Errorf("%d of 200 keys were redrawn, want about 44", redrawn)
	}
}

func le32(p []byte) uint32 {
	return uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 | uint32(p[3])<<24
}

func TestCandidatesComeOnceInAThousandBytes(t *testing.T) {
	t.Parallel()
	p := xorshift(8 << 20)
	c := mustNew(t, testKey(3), MaxAverage)
	n := 0
	for at, limit := 0, len(p)-window; at <= limit; {
		first, mask := c.scan.portable(p, at, limit)
		for ; mask != 0; mask &= mask - 1 {
			n++
		}
		at = first + block
	}
	if want := len(p) / 1024; n < want*9/10 || n > want*11/10 {
		t.Errorf("%d candidates in 8 MiB, want about %d", n, want)
	}
}

func TestAVX2AndPortableAndTheTextOfTheFormatAgree(t *testing.T) {
	t.Parallel()
	for _, avg := range []int{MinAverage, 64 << 10, MaxAverage} {
		c := mustNew(t, testKey(byte(avg>>14)), avg)
		for name, p := range inputs(c, 3*c.Max()+12345) {
			want := slowSplit(c, p)
			if got := split(t, narrow(c), p); !cmp.Equal(got, want) {
				t.Errorf("%s, average %d, portable: %s", name, avg, cmp.Diff(want, got))
			}
			if !haveWide {
				continue
			}
			if got := split(t, c, p); !cmp.Equal(got, want) {
				t.Errorf("%s, average %d, AVX2: %s", name, avg, cmp.Diff(want, got))
			}
		}
	}
	if !haveWide {
		t.Log("this machine has no AVX2: the portable code was compared alone")
	}
}

// slowSplit is the text of docs/format/chunker.md, word by word.
func slowSplit(c *Chunker, p []byte) (cuts []int) {
	for len(p) > 0 {
		n := min(len(p), c.max)
		for e := c.min; e <= n; e++ {
			threshold := c.low
			if e >= c.normal {
				threshold = c.high
			}
			if c.scan.portableIs(p[e-8:]) && c.seeds.hash(p[e-64:e]) < threshold {
				n = e
				break
			}
		}
		cuts = append(cuts, n)
		p = p[n:]
	}
	return cuts
}

func TestTheCutsDoNotDependOnHowTheStreamArrives(t *testing.T) {
	t.Parallel()
	p := append(xorshift(1<<20), text(1<<20)...)
	c := mustNew(t, testKey(9), MinAverage)
	want := split(t, c, p)
	rapid.Check(t, func(t *rapid.T) {
		var got []int
		have, used := 0, 0
		for used < len(p) {
			k := c.Cut(p[used:have], have == len(p))
			if k == 0 {
				if have-used >= c.Max() || have == len(p) {
					t.Fatalf("no cut in %d bytes, end of stream %v", have-used, have == len(p))
				}
				have = min(len(p), have+rapid.IntRange(1, 100_000).Draw(t, "more"))
				continue
			}
			got = append(got, k)
			used += k
		}
		if !cmp.Equal(got, want) {
			t.Fatal(cmp.Diff(want, got))
		}
	})
}

func TestCutAsksForMoreBytesOnlyWhereItMay(t *testing.T) {
	t.Parallel()
	c := mustNew(t, testKey(1), MinAverage)
	for name, tt := range map[string]struct {
		n    int
		eof  bool
		want int
	}{
		"nothing yet":                      {0, false, 0},
		"nothing at the end":               {0, true, 0},
		"one byte short of the longest":    {c.Max() - 1, false, 0},
		"one byte short and the end":       {c.Max() - 1, true, c.Max() - 1},
		"the longest":                      {c.Max(), false, c.Max()},
		"more than the longest":            {c.Max() + 1, false, c.Max()},
		"more than the longest at the end": {2 * c.Max(), true, c.Max()},
		"one byte at the end":              {1, true, 1},
	} {
		if got := c.Cut(make([]byte, tt.n), tt.eof); got != tt.want {
			t.Errorf("%s: got %d, want %d", name, got, tt.want)
		}
	}
}

func TestAnInsertedByteMovesFewCuts(t *testing.T) {
	t.Parallel()
	p := xorshift(4 << 20)
	c := mustNew(t, testKey(5), MinAverage)
	before := ends(split(t, c, p), len(p))
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(p)).Draw(t, "at")
		ins := rapid.SliceOfN(rapid.Byte(), 1, 5000).Draw(t, "inserted")
		q := append(append(append(make([]byte, 0, len(p)+len(ins)), p[:at]...), ins...), p[at:]...)
		lost := 0
		after := ends(split(t, c, q), len(q))
		for e := range before { // counted from the end of the stream, so that an insertion does not move them
			if !after[e] && len(p)-e > at {
				lost++
			}
		}
		if lost > 40 { // 300 or so chunks; the mean is under 3
			t.Fatalf("inserting %d bytes at %d moved %d cuts", len(ins), at, lost)
		}
		for e := range before {
			if len(p)-e < at && !after[e+len(ins)] {
				t.Fatalf("inserting at %d moved the cut at %d before it", at, len(p)-e)
			}
		}
	})
}

// ends returns where chunks end, counted from the end of the stream.
func ends(cuts []int, n int) map[int]bool {
	m := map[int]bool{}
	for _, k := range cuts {
		n -= k
		m[n] = true
	}
	return m
}

func TestTheMeanIsTheAverage(t *testing.T) {
	t.Parallel()
	p := xorshift(32 << 20)
	for _, avg := range []int{MinAverage, 64 << 10} {
		c := mustNew(t, testKey(2), avg)
		cuts := split(t, c, p)
		var sum, squares float64
		for _, k := range cuts {
			sum += float64(k)
			squares += float64(k) * float64(k)
		}
		mean := sum / float64(len(cuts))
		spread := math.Sqrt(squares/float64(len(cuts)) - mean*mean)
		if math.Abs(mean/float64(avg)-1) > 0.08 || spread/float64(avg) > 0.33 {
			t.Errorf("average %d: mean %.0f, spread %.0f", avg, mean, spread)
		}
	}
}

func TestOtherKeysAndAveragesCutElsewhere(t *testing.T) {
	t.Parallel()
	p := xorshift(8 << 20)
	a := ends(split(t, mustNew(t, testKey(1), 64<<10), p), len(p))
	b := ends(split(t, mustNew(t, testKey(2), 64<<10), p), len(p))
	c := ends(split(t, mustNew(t, testKey(1), MinAverage), p), len(p))
	for name, other := range map[string]map[int]bool{"key": b, "average": c} {
		same := 0
		for e := range other {
			if a[e] {
				same++
			}
		}
		if same > 3 { // the end of the stream, and chance
			t.Errorf("another %s: %d cuts of %d in common", name, same, len(a))
		}
	}
}

func TestGoldenCutLists(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("# key byte, average, input of 8 MiB: constants, cuts (one line each); see docs/format/chunker.md\n")
	for _, n := range []byte{0, 1, 2} {
		for _, avg := range []int{MinAverage, 64 << 10, MaxAverage} {
			c := mustNew(t, testKey(n), avg)
			fmt.Fprintf(&b, "key %02x average %d c1 %08x c2 %08x low %016x high %016x\nseeds", n, avg, c.scan.c1,
				c.scan.c2, c.low, c.high)
			for _, s := range c.seeds {
				fmt.Fprintf(&b, " %016x", s)
			}
			fmt.Fprintf(&b, "\nhash of bytes 0 to 63: %016x\n", c.seeds.hash(ascending()))
			for _, name := range []string{"xorshift", "zeros"} {
				p := xorshift(8 << 20)
				if name == "zeros" {
					clear(p)
				}
				cuts := split(t, c, p)
				if other := split(t, narrow(c), p); !cmp.Equal(cuts, other) {
					t.Fatalf("the kernels differ: %s", cmp.Diff(cuts, other))
				}
				fmt.Fprintf(&b, "%s: %s\n", name, short(cuts))
			}
		}
	}
	path := filepath.Join("testdata", "cuts.golden")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != string(want) {
		t.Error(cmp.Diff(string(want), got))
	}
}

// short prints a list of cuts: of a long one the first twelve and a hash of all.
func short(cuts []int) string {
	list := strings.Trim(fmt.Sprint(cuts), "[]")
	if len(cuts) <= 50 {
		return list
	}
	return fmt.Sprintf("%s ... %d in all, B3 of the list in decimal with single spaces %x",
		strings.Trim(fmt.Sprint(cuts[:12]), "[]"), len(cuts), blake3.Sum256([]byte(list)))
}

func ascending() []byte {
	p := make([]byte, 64)
	for i := range p {
		p[i] = byte(i)
	}
	return p
}

func FuzzKernelsAgree(f *testing.F) {
	f.Add([]byte("seed"), byte(0), uint16(1000))
	f.Add(bytes.Repeat([]byte{0}, 64), byte(1), uint16(600))
	f.Add(xorshift(4096), byte(2), uint16(40))
	f.Fuzz(func(t *testing.T, unit []byte, key byte, repeat uint16) {
		if len(unit) == 0 {
			return
		}
		p := bytes.Repeat(unit, int(repeat)+1)
		p = p[:min(len(p), 300_000)]
		c := mustNew(t, testKey(key), MinAverage)
		cuts := split(t, c, p)
		if other := split(t, narrow(c), p); !cmp.Equal(cuts, other) {
			t.Fatalf("the kernels differ: %s", cmp.Diff(cuts, other))
		}
		sum := 0
		for _, k := range cuts {
			sum += k
		}
		if sum != len(p) {
			t.Fatalf("chunks of %d bytes from %d", sum, len(p))
		}
	})
}

func BenchmarkCut(b *testing.B) {
	c := mustNew(b, testKey(1), MaxAverage)
	for name, p := range map[string][]byte{"random": xorshift(16 << 20), "text": text(16 << 20), "zeros": make([]byte, 16<<20)} {
		for kernel, ch := range map[string]*Chunker{"wide": c, "portable": narrow(c)} {
			b.Run(name+"/"+kernel, func(b *testing.B) {
				b.SetBytes(int64(len(p)))
				for b.Loop() {
					for q := p; len(q) > 0; {
						q = q[ch.Cut(q, true):]
					}
				}
			})
		}
	}
}
