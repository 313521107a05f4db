package files

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// benchTree makes directories of 100 files each.
func benchTree(b *testing.B, dirs int) string {
	b.Helper()
	root := b.TempDir()
	for i := range dirs {
		d := filepath.Join(root, fmt.Sprint("d", i/100), fmt.Sprint("e", i%100))
		if err := os.MkdirAll(d, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 100 {
			if err := os.WriteFile(filepath.Join(d, fmt.Sprintf("file%d.txt", j)), nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	return root
}

func walkCount(b *testing.B, o Options) int {
	b.Helper()
	s, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for it, err := range s.Entries(context.Background()) {
		if err != nil || it.Err != nil {
			b.Fatal(err, it)
		}
		n++
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return n
}

// BenchmarkWalk walks NACRE_BENCH_TREE, or a small tree of its own; its figure is the time for each entry.
func BenchmarkWalk(b *testing.B) {
	root := os.Getenv("NACRE_BENCH_TREE")
	if root == "" {
		root = benchTree(b, 300)
	}
	for _, walkers := range []int{-1, 1, 2, 4} {
		b.Run(fmt.Sprint("walkers=", walkers), func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n += walkCount(b, Options{Roots: []string{root}, Walkers: walkers})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/entry")
		})
	}
}
