package chunk

import (
	"fmt"
	"hash/maphash"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkEdits measures what docs/adr/0003 decides: for several normal points and pairs of thresholds the mean
// length of a chunk, its spread, and the bytes stored again per edit beside the inserted ones, for edits of a few
// bytes and for edits of up to 200 kB. Run it with
//
//	go test -run '^$' -bench Edits -benchtime 1x ./internal/chunk
func BenchmarkEdits(b *testing.B) {
	seed := maphash.MakeSeed()
	for _, data := range []string{"random", "source"} {
		p := xorshift(128 << 20)
		if data == "source" {
			p = goSource(b, 128<<20)
		}
		for _, v := range []struct{ normal, low, high int }{
			{32, 0, 0}, {21, 1, 1}, {25, 2, 2}, {26, 1, 2}, {28, 2, 3}, {29, 3, 3}, {30, 2, 4},
		} {
			c := mustNew(b, testKey(4), MaxAverage)
			perCandidate := 8
			c.normal = MaxAverage / 32 * v.normal
			c.low, c.high = 1<<(64-perCandidate-v.low), 1<<(64-perCandidate+v.high)
			b.Run(fmt.Sprintf("%s/normal=%d÷32/low=÷%d/high=×%d", data, v.normal, 1<<v.low, 1<<v.high), func(b *testing.B) {
				known := map[uint64]bool{}
				var n, sum, squares float64
				for q := p; len(q) > 0; n++ {
					k := c.Cut(q, true)
					known[maphash.Bytes(seed, q[:k])] = true
					sum, squares = sum+float64(k), squares+float64(k)*float64(k)
					q = q[k:]
				}
				mean := sum / n
				b.ReportMetric(mean/1024, "KiB/chunk")
				b.ReportMetric(math.Sqrt(squares/n-mean*mean)/1024, "KiB-spread")
				for name, longest := range map[string]int{"small": 10, "large": 200_000} {
					const edits = 100
					q, inserted := edit(p, edits, longest)
					again := -inserted
					for len(q) > 0 {
						k := c.Cut(q, true)
						if !known[maphash.Bytes(seed, q[:k])] {
							again += k
						}
						q = q[k:]
					}
					b.ReportMetric(float64(again)/edits/1024, "KiB/"+name+"-edit")
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// edit returns p with n edits spread over it, by turns an insertion and a deletion, and the bytes inserted.
func edit(p []byte, n, longest int) (q []byte, inserted int) {
	r := rand.New(rand.NewPCG(7, 7))
	last := 0
	for i := range n {
		at := len(p)/n*i + r.IntN(len(p)/n/3)
		q, last = append(q, p[last:at]...), at
		size := 1 + r.IntN(longest)
		if i%2 == 1 {
			last += size
			continue
		}
		inserted += size
		for range size {
			q = append(q, byte(r.Uint32()))
		}
	}
	return append(q, p[last:]...), inserted
}

// goSource joins the files of Go's source tree up to n bytes.
func goSource(b *testing.B, n int) (p []byte) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.Skipf("needs the go command: %v", err)
	}
	err = filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || len(p) >= n {
			return err
		}
		f, err := os.ReadFile(path)
		p = append(p, f...)
		return err
	})
	if err != nil || len(p) == 0 {
		b.Skipf("needs Go's source tree: %v", err)
	}
	return p[:min(n, len(p))]
}
