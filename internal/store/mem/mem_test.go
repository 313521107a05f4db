package mem_test

import (
	"slices"
	"testing"

	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/mem"
	"github.com/nacre-backup/nacre/internal/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return mem.New() })
}

func TestConformanceOfTheRegisterClass(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return mem.NewRegister() })
}

func TestARegisterOffersNoCreateIfAbsent(t *testing.T) {
	t.Parallel()
	var p store.PutIfAbsenter
	if store.As(store.Store(mem.NewRegister()), &p) {
		t.Error("a store of the register class offers create-if-absent")
	}
	if store.As(store.Store(mem.NewRegister().Clone()), &p) {
		t.Error("its clone does")
	}
	if !store.As(store.Store(mem.New()), &p) {
		t.Error("the other class does not")
	}
}

func TestAPowerCutTakesWhatWasNotFlushed(t *testing.T) {
	t.Parallel()
	s := mem.New()
	put := func(name string) {
		if err := s.Put(t.Context(), name, store.Bytes(name)); err != nil {
			t.Fatal(err)
		}
	}
	put("a")
	put("b")
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	put("c")
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if got := s.AfterPowerCut().Names(""); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("after a power cut there are %q", got)
	}
	if got := s.Names(""); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("without one there are %q", got)
	}
}

func TestACloneIsIndependentAndDamageIsSeen(t *testing.T) {
	t.Parallel()
	s := mem.New()
	s.Set("x/a", []byte("abc"))
	c := s.Clone()
	c.FlipBit("x/a", -1)
	if string(s.Bytes("x/a")) != "abc" || string(c.Bytes("x/a")) != "ab\xe3" {
		t.Errorf("original %q, damaged clone %q", s.Bytes("x/a"), c.Bytes("x/a"))
	}
	c.Lose("x/a")
	if c.Bytes("x/a") != nil || s.Size("x/") != 3 || c.Size("") != 0 {
		t.Error("a lost object is there, or the original is not")
	}
}

func BenchmarkMem(b *testing.B) {
	storetest.Bench(b, func(*testing.B) store.Store { return mem.New() })
}
