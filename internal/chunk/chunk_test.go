package chunk

import (
	"bytes"
	"encoding/binary"
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

// confirmed returns 64 bytes that end in a candidate whose hash is in [from, to), and hold no other candidate when
// they stand between zeros.
func confirmed(t *testing.T, c *Chunker, from, to uint64) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	padded := make([]byte, 3*confirmWindow)
	w := padded[confirmWindow : 2*confirmWindow]
	for range 50_000_000 {
		// Zeros but for the last 8 bytes: fewer other candidates.
		binary.LittleEndian.PutUint64(w[confirmWindow-window:], r.Uint64())
		if !c.scan.is(binary.LittleEndian.Uint64(w[confirmWindow-window:])) {
			continue
		}
		if h := c.seeds.hash(w); h < from || h >= to {
			continue
		}
		others := 0
		for i := range len(padded) - window {
			if c.scan.portableIs(padded[i:]) {
				others++
			}
		}
		if others == 1 {
			return w
		}
	}
	t.Fatal("no such bytes were found")
	return nil
}

func TestTheThresholdsHoldFromTheirVeryLength(t *testing.T) {
	t.Parallel()
	c := mustNew(t, testKey(1), MinAverage)
	strong, weak := confirmed(t, c, 0, c.low), confirmed(t, c, c.low, c.high)
	never := confirmed(t, c, c.high, math.MaxUint64)
	for name, tt := range map[string]struct {
		w   []byte
		end int
		cut bool
	}{
		"a strong cut at the shortest length":         {strong, c.min, true},
		"a strong cut one byte before":                {strong, c.min - 1, false},
		"a weak cut at the normal point":              {weak, c.normal, true},
		"a weak cut one byte before":                  {weak, c.normal - 1, false},
		"a weak cut one byte before the longest":      {weak, c.max - 1, true},
		"a candidate that is no cut, at the shortest": {never, c.min, false},
		"a candidate that is no cut, later":           {never, c.normal, false},
	} {
		p := make([]byte, c.max)
		copy(p[tt.end-confirmWindow:], tt.w)
		want := c.max
		if tt.cut {
			want = tt.end
		}
		for kernel, ch := range map[string]*Chunker{"wide": c, "portable": narrow(c)} {
			if got := ch.Cut(p, true); got != want {
				t.Errorf("%s, %s: cut at %d, want %d", name, kernel, got, want)
			}
			if got := ch.Cut(p[:tt.end], false); tt.cut && got != tt.end || !tt.cut && got != 0 {
				t.Errorf("%s, %s: cut at %d while nothing follows", name, kernel, got)
			}
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
