package blob

import (
	"context"
	"testing"

	"github.com/nacre-backup/nacre/internal/crypt"
)

// BenchmarkPut stores new blobs in one goroutine: naming them, claim, zstd, seal, open and compare, pack, store in memory.
func BenchmarkPut(b *testing.B) {
	for _, bench := range []struct {
		name string
		size int
	}{{"4KiB", 4 << 10}, {"256KiB", 256 << 10}, {"1MiB", 1 << 20}} {
		b.Run(bench.name, func(b *testing.B) {
			ctx := context.Background()
			e := newEnv(b)
			r := e.begin(b)
			k := r.w.Worker()
			data := content(crypt.KindData, 1, bench.size)
			b.SetBytes(int64(bench.size))
			b.ReportAllocs()
			n := uint64(0)
			for b.Loop() {
				n++
				for i := range 8 {
					data[bench.size/2+i] = byte(n >> (8 * i))
				}
				if _, err := k.Put(ctx, crypt.KindData, e.repo.Domain().ID(crypt.KindData, data), data); err != nil {
					b.Fatal(err)
				}
			}
			if err := r.w.Flush(ctx); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkGet reads blobs of 4 KiB in the order in which they were stored, each segment once.
func BenchmarkGet(b *testing.B) {
	ctx := context.Background()
	e := newEnv(b)
	blobs := e.someBlobs(crypt.KindData, 0, 4096, 4<<10)
	e.saved(b, blobs...)
	rd := e.reader(b)
	b.SetBytes(4 << 10)
	var buf []byte
	n := 0
	for b.Loop() {
		x := blobs[n%len(blobs)]
		n++
		var err error
		if buf, err = rd.Get(ctx, x.kind, x.id, buf); err != nil {
			b.Fatal(err)
		}
	}
}
