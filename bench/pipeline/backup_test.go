package pipeline

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/nacre-backup/nacre/bench/internal/synth"
	"github.com/nacre-backup/nacre/internal/backup"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/local"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

var stores = []struct {
	name string
	open func(b *testing.B) store.Store
}{
	{"mem", func(*testing.B) store.Store { return mem.New() }},
	{"local", func(b *testing.B) store.Store {
		s, err := local.Open(b.Context(), b.TempDir(), local.Options{})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}},
}

var loads = []struct {
	name        string
	files, size int
	text        []byte
}{
	{"20000x1KiB/text", 20_000, 1 << 10, text(1 << 10)},
	{"500x128KiB/text", 500, 128 << 10, text(128 << 10)},
	{"1x64MiB/text", 1, 64 << 20, text(64 << 20)},
	{"1x64MiB/noise", 1, 64 << 20, noise(64 << 20)},
}

// text is n bytes that compress about to a third.
func text(n int) []byte {
	r := rand.New(rand.NewPCG(1, 1))
	words := make([][]byte, 5000)
	for i := range words {
		words[i] = make([]byte, 2+r.IntN(9))
		for j := range words[i] {
			words[i][j] = byte('a' + r.IntN(20))
		}
	}
	b := make([]byte, 0, n+16)
	for len(b) < n {
		b = append(append(b, words[int(float64(len(words))*r.Float64()*r.Float64()*r.Float64())]...), ' ')
	}
	return b[:n]
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

// vault is a new encrypted repository and its folders.
type vault struct {
	repo         *repo.Repo
	cache, state string
}

func newVault(b *testing.B, s store.Store) *vault {
	b.Helper()
	v := &vault{cache: b.TempDir(), state: b.TempDir()}
	var err error
	v.repo, err = repo.Init(b.Context(), repo.InitOptions{
		Store: s, StateDir: v.state, Label: "bench",
		Credential: repo.Credential{Password: []byte("secret")}, Argon2: crypt.Argon2{Time: 1, Memory: 8 << 10, Threads: 1},
	})
	if err != nil {
		b.Fatal(err)
	}
	return v
}

func (v *vault) backup(b *testing.B, src *synth.Source) *backup.Summary {
	b.Helper()
	sum, err := backup.Run(b.Context(), backup.Options{
		Repo: v.repo, Open: func(context.Context) (source.Source, error) { return src, nil },
		CacheDir: v.cache, StateDir: v.state, Host: "host", Roots: []string{"/"}, Program: "bench",
	})
	if err != nil {
		b.Fatal(err)
	}
	if int(sum.Record.Stats.Files) != src.Files || sum.Incomplete() {
		b.Fatalf("%d of %d files, incomplete: %v", sum.Record.Stats.Files, src.Files, sum.Incomplete())
	}
	return sum
}

// BenchmarkFirst backs up into new repositories; law 6 (decode and compare) is part of it.
func BenchmarkFirst(b *testing.B) {
	for _, s := range stores {
		for _, l := range loads {
			b.Run(s.name+"/"+l.name, func(b *testing.B) {
				src := &synth.Source{Files: l.files, Size: l.size, Text: l.text}
				b.SetBytes(int64(l.files) * int64(l.size))
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					v := newVault(b, s.open(b))
					b.StartTimer()
					v.backup(b, src)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(l.files), "ns/file")
			})
		}
	}
}

// BenchmarkAgain backs up what has not changed.
func BenchmarkAgain(b *testing.B) {
	for _, s := range stores {
		b.Run(s.name, func(b *testing.B) {
			const files = 100_000
			src := &synth.Source{Files: files}
			v := newVault(b, s.open(b))
			v.backup(b, src)
			b.ReportAllocs()
			for b.Loop() {
				v.backup(b, src)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/files, "ns/file")
		})
	}
}
