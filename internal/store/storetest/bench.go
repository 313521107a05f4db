package storetest

import (
	"fmt"
	"io"
	"testing"

	"github.com/nacre-backup/nacre/internal/store"
)

// packSize is that of a data pack.
const packSize = 32 << 20

// Bench measures the calls that carry a backup's and a restore's load.
func Bench(b *testing.B, open func(b *testing.B) store.Store) {
	data := random(1, packSize)
	b.Run("put pack", func(b *testing.B) {
		s := open(b)
		b.SetBytes(packSize)
		n := 0
		for b.Loop() {
			name := fmt.Sprintf("data/%d", n)
			n++
			if err := s.Put(b.Context(), name, store.Bytes(data)); err != nil {
				b.Fatal(err)
			}
			flushAndDrop(b, s, name)
		}
	})
	b.Run("stream pack", func(b *testing.B) {
		s := open(b)
		var st store.Streamer
		if !store.As(s, &st) {
			b.Skip("the store takes no streams")
		}
		b.SetBytes(packSize)
		n := 0
		for b.Loop() {
			name := fmt.Sprintf("data/%d", n)
			n++
			streamPack(b, st, name, data)
			flushAndDrop(b, s, name)
		}
	})
	b.Run("put small", func(b *testing.B) {
		s := open(b)
		n := 0
		for b.Loop() {
			if err := s.Put(b.Context(), fmt.Sprintf("fates/%d/%d", n>>8, n), store.Bytes(data[:700])); err != nil {
				b.Fatal(err)
			}
			n++
		}
	})
	b.Run("get pack", func(b *testing.B) {
		s := open(b)
		mustPutB(b, s, "data/a", data)
		b.SetBytes(packSize)
		for b.Loop() {
			benchGet(b, s, store.Range{})
		}
	})
	b.Run("get segment", func(b *testing.B) {
		s := open(b)
		mustPutB(b, s, "data/a", data)
		b.SetBytes(256 << 10)
		for b.Loop() {
			benchGet(b, s, store.Range{Offset: 12345678, Length: 256 << 10})
		}
	})
	b.Run("list 10000", func(b *testing.B) {
		s := open(b)
		for i := range 10000 {
			mustPutB(b, s, fmt.Sprintf("data/%d/%d", i/100, i), nil)
		}
		for b.Loop() {
			n := 0
			if err := s.List(b.Context(), "data/", func(store.Info) error { n++; return nil }); err != nil || n != 10000 {
				b.Fatal(n, err)
			}
		}
	})
}

func streamPack(b *testing.B, st store.Streamer, name string, data []byte) {
	w, err := st.Stream(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for off := 0; off < len(data); off += 300_000 {
		if _, err := w.Write(data[off:min(off+300_000, len(data))]); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Commit(b.Context(), name); err != nil {
		b.Fatal(err)
	}
}

func flushAndDrop(b *testing.B, s store.Store, name string) {
	if err := s.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	if err := s.Delete(b.Context(), name); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}

func mustPutB(b *testing.B, s store.Store, name string, data []byte) {
	b.Helper()
	if err := s.Put(b.Context(), name, store.Bytes(data)); err != nil {
		b.Fatal(err)
	}
}

func benchGet(b *testing.B, s store.Store, r store.Range) {
	if err := s.Get(b.Context(), "data/a", r, func(in io.Reader) error {
		_, err := io.Copy(io.Discard, in)
		return err
	}); err != nil {
		b.Fatal(err)
	}
}
