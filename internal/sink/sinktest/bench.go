package sinktest

import (
	"fmt"
	"testing"

	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
)

// Benchmark measures a sink: files of 2 KiB, a hundred in a directory. open begins a run into an empty target.
func Benchmark(b *testing.B, open func(b *testing.B) sink.Sink) {
	b.Run("small files", func(b *testing.B) {
		const each = 100
		content := make([]byte, 2048)
		s := open(b)
		b.ReportAllocs()
		b.ResetTimer()
		dir := ""
		for i := 0; i < b.N; i++ {
			if i%each == 0 {
				e := Entry(fmt.Sprint(i), tree.Dir)
				if err := TryPut(s, "", e, ""); err != nil {
					b.Fatal(err)
				}
				dir = string(e.Name)
			}
			if err := putBytes(s, dir, Entry(fmt.Sprint(i%each), tree.File), content); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		if err := s.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	})
}
