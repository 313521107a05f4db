package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
	"github.com/nacre-backup/nacre/internal/store/storetest"
)

func TestConformanceWithoutRules(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return fault.New(mem.New()) })
}

func TestExtrasAreThoseOfTheWrappedStore(t *testing.T) {
	t.Parallel()
	var p store.PutIfAbsenter
	if store.As(store.Store(fault.New(mem.NewRegister())), &p) {
		t.Error("it offers create-if-absent over a store of the register class")
	}
	var m *mem.Store
	if !store.As(store.Store(fault.New(mem.New())), &m) {
		t.Error("the wrapped store is not found")
	}
}

// script makes one call of each kind.
func script(ctx context.Context, s store.Store) error {
	var p store.PutIfAbsenter
	var st store.Streamer
	if !store.As(s, &p) || !store.As(s, &st) {
		return errors.New("extras are missing")
	}
	for _, step := range []func() error{
		func() error { return s.Put(ctx, "data/a", store.Bytes("aaaa")) },
		func() error { return p.PutIfAbsent(ctx, "fates/b", store.Bytes("bbbb")) },
		func() error {
			w, err := st.Stream(ctx)
			if err != nil {
				return err
			}
			if _, err := w.Write([]byte("cccc")); err != nil {
				return errors.Join(err, w.Abort())
			}
			return w.Commit(ctx, "data/c")
		},
		func() error { return s.Flush(ctx) },
		func() error { _, err := store.ReadAll(ctx, s, "data/a", 100); return err },
		func() error { _, err := s.Stat(ctx, "data/a"); return err },
		func() error { return s.List(ctx, "data/", func(store.Info) error { return nil }) },
		func() error { return s.Delete(ctx, "data/a") },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func TestEachCallFailsOnceInTurn(t *testing.T) {
	t.Parallel()
	n := 1
	for ; ; n++ {
		f := fault.New(mem.New(), fault.Rule{N: n, Err: errs.Temporary})
		err := script(t.Context(), f)
		if f.Fired() == 0 {
			if err != nil {
				t.Fatalf("without a fault: %v", err)
			}
			break
		}
		if f.Fired() != 1 || !errors.Is(err, errs.Temporary) {
			t.Fatalf("n = %d: %d faults, error %v", n, f.Fired(), err)
		}
	}
	if n != 11 {
		t.Errorf("%d calls can fail, want 10", n-1)
	}
}

func TestWhatIsLeftOfAFailedPut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		when fault.When
		want string
	}{{fault.Before, ""}, {fault.After, "abcd"}, {fault.Torn, "abc"}} {
		for _, op := range []fault.Op{fault.Put, fault.PutIfAbsent} {
			m := mem.New()
			f := fault.New(m, fault.Rule{Op: op, Prefix: "fates/", When: c.when, Keep: 3})
			var p store.PutIfAbsenter
			store.As(store.Store(f), &p)
			put := map[fault.Op]func(string) error{
				fault.Put:         func(n string) error { return f.Put(t.Context(), n, store.Bytes("abcd")) },
				fault.PutIfAbsent: func(n string) error { return p.PutIfAbsent(t.Context(), n, store.Bytes("abcd")) },
			}[op]
			if err := put("data/a"); err != nil {
				t.Fatalf("another name: %v", err)
			}
			if err := put("fates/a"); !errors.Is(err, fault.Err) {
				t.Fatalf("when %d: %v", c.when, err)
			}
			if got := string(m.Bytes("fates/a")); got != c.want {
				t.Errorf("when %d: %q is left, want %q", c.when, got, c.want)
			}
			if err := put("fates/b"); err != nil {
				t.Errorf("the next call: %v", err)
			}
		}
	}
}

func TestALastingFaultStays(t *testing.T) {
	t.Parallel()
	f := fault.New(mem.New(), fault.Rule{Op: fault.Changes, N: 2, Lasting: true})
	var got []bool
	for i := range 4 {
		got = append(got, f.Put(t.Context(), fmt.Sprint(i), store.Bytes("x")) == nil)
		if err := f.List(t.Context(), "", func(store.Info) error { return nil }); err != nil {
			t.Error("a read failed")
		}
	}
	if !slices.Equal(got, []bool{true, false, false, false}) || f.Fired() != 3 || f.Calls(fault.Put) != 4 || f.Calls(fault.Any) != 8 {
		t.Errorf("puts %v, %d faults, %d puts of %d calls", got, f.Fired(), f.Calls(fault.Put), f.Calls(fault.Any))
	}
}

func TestReadsCanBeTornAndDamaged(t *testing.T) {
	t.Parallel()
	m := mem.New()
	m.Set("data/a", []byte("abcdef"))
	m.Set("data/b", []byte("x"))
	f := fault.New(m, fault.Rule{Op: fault.Get, When: fault.Torn, Keep: 2})
	read := func(r store.Range) (got []byte, err error) {
		err = f.Get(t.Context(), "data/a", r, func(in io.Reader) error {
			got, err = io.ReadAll(in)
			return err
		})
		return got, err
	}
	if got, err := read(store.Range{}); string(got) != "ab" || !errors.Is(err, fault.Err) {
		t.Errorf("torn read = %q, %v", got, err)
	}
	f.FlipBit("data/a", 8*3)
	for r, want := range map[store.Range]string{{}: "abceef", {Offset: 2, Length: 3}: "cee", {Offset: 4, Length: 1}: "e"} {
		if got, err := read(r); string(got) != want || err != nil {
			t.Errorf("read %+v = %q, %v; want %q", r, got, err, want)
		}
	}
	if string(m.Bytes("data/a")) != "abcdef" {
		t.Error("the damage reached the wrapped store")
	}
	f.SetRules(fault.Rule{Op: fault.List, When: fault.Torn, Keep: 1})
	n := 0
	if err := f.List(t.Context(), "data/", func(store.Info) error { n++; return nil }); n != 1 || !errors.Is(err, fault.Err) {
		t.Errorf("torn listing: %d names, %v", n, err)
	}
}

func TestAHookSeesEachCall(t *testing.T) {
	t.Parallel()
	f := fault.New(mem.New())
	var ops fault.Op
	f.SetHook(func(op fault.Op, _ string) error { ops |= op; return nil })
	if err := script(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if ops != fault.Any {
		t.Errorf("the hook saw %b, want %b", ops, fault.Any)
	}
	own := errors.New("own")
	f.SetHook(func(fault.Op, string) error { return own })
	if err := f.Flush(t.Context()); !errors.Is(err, own) {
		t.Errorf("flush = %v, want the hook's error", err)
	}
}
