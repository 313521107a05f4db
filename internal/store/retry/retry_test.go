package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
	"github.com/nacre-backup/nacre/internal/store/retry"
	"github.com/nacre-backup/nacre/internal/store/storetest"
)

// still is a clock that notes what it was asked to wait and does not wait.
type still struct{ waits []time.Duration }

func (c *still) Now() time.Time { return time.Unix(0, 0) }

func (c *still) Sleep(ctx context.Context, d time.Duration) error {
	c.waits = append(c.waits, d)
	return ctx.Err()
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return retry.New(mem.New(), retry.Options{Clock: skip{}}) })
}

// skip is a clock that does not wait and may be used by several goroutines.
type skip struct{}

func (skip) Now() time.Time                                   { return time.Unix(0, 0) }
func (skip) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// firstFails makes the first call of each kind on each name fail.
func firstFails(ops fault.Op, err error) *fault.Store {
	f := fault.New(mem.New())
	var mu sync.Mutex
	seen := map[string]bool{}
	f.SetHook(func(op fault.Op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		key := fmt.Sprint(op, name)
		if op&ops == 0 || seen[key] {
			return nil
		}
		seen[key] = true
		return err
	})
	return f
}

func TestConformanceWhereTheFirstAttemptOfEachCallFails(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store {
		calls := fault.Any &^ (fault.Stream | fault.Write | fault.Commit)
		return retry.New(firstFails(calls, errs.Unreachable), retry.Options{Clock: skip{}})
	})
}

func TestWaitsDoubleUpToTheLongest(t *testing.T) {
	t.Parallel()
	c := &still{}
	f := fault.New(mem.New(), fault.Rule{Lasting: true, Err: errs.Temporary})
	told := 0
	s := retry.New(f, retry.Options{
		Clock: c, Attempts: 6, First: time.Second, Longest: 5 * time.Second,
		OnRetry: func(string, error, time.Duration) { told++ },
	})
	err := s.Flush(t.Context())
	if !errors.Is(err, errs.Temporary) || f.Calls(fault.Flush) != 6 || told != 5 {
		t.Errorf("%v after %d calls and %d reports", err, f.Calls(fault.Flush), told)
	}
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second}
	if !slices.Equal(c.waits, want) {
		t.Errorf("waits %v, want %v", c.waits, want)
	}
}

func TestChanceTakesAtMostHalfOfAWait(t *testing.T) {
	t.Parallel()
	c := &still{}
	f := fault.New(mem.New(), fault.Rule{Lasting: true, Err: errs.Temporary})
	s := retry.New(f, retry.Options{Clock: c, Rand: rand.NewChaCha8([32]byte{1}), Attempts: 200, First: time.Second, Longest: time.Second})
	if err := s.Flush(t.Context()); err == nil {
		t.Fatal("it succeeded")
	}
	if lo, hi := slices.Min(c.waits), slices.Max(c.waits); lo <= time.Second/2 || hi > time.Second || lo == hi {
		t.Errorf("waits from %v to %v", lo, hi)
	}
}

func TestOtherFailuresAreNotRepeated(t *testing.T) {
	t.Parallel()
	for _, kind := range []error{errs.NotFound, errs.Denied, errs.Full, errs.Corrupt, errs.Exists, errs.Unsupported, fault.Err, context.Canceled} {
		f := fault.New(mem.New(), fault.Rule{Lasting: true, Err: kind})
		s := retry.New(f, retry.Options{Clock: &still{}})
		if err := s.Put(t.Context(), "a", store.Bytes("a")); !errors.Is(err, kind) || f.Calls(fault.Put) != 1 {
			t.Errorf("%v: %v after %d calls", kind, err, f.Calls(fault.Put))
		}
	}
}

func TestAnEndedContextEndsTheWaiting(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	f := fault.New(mem.New())
	f.SetHook(func(fault.Op, string) error { cancel(); return errs.Unreachable })
	err := retry.New(f, retry.Options{First: time.Hour, Longest: time.Hour}).Flush(ctx)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, errs.Unreachable) || f.Calls(fault.Flush) != 1 {
		t.Errorf("%v after %d calls", err, f.Calls(fault.Flush))
	}
}

func TestALostAnswerOfCreateIfAbsentIsNotGuessed(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"own", "other"} {
		m := mem.New()
		f := fault.New(m, fault.Rule{Op: fault.PutIfAbsent, When: fault.After, Err: errs.Unreachable})
		if first == "other" {
			m.Set("fates/a", []byte("theirs"))
			f.SetRules(fault.Rule{Op: fault.PutIfAbsent, Err: errs.Unreachable})
		}
		var p store.PutIfAbsenter
		if !store.As(store.Store(retry.New(f, retry.Options{Clock: &still{}})), &p) {
			t.Fatal("the extra is not offered")
		}
		err := p.PutIfAbsent(t.Context(), "fates/a", store.Bytes("mine"))
		if !errors.Is(err, errs.Exists) || !errors.Is(err, retry.ErrUnclear) {
			t.Errorf("%s object first: %v", first, err)
		}
		if err := p.PutIfAbsent(t.Context(), "fates/a", store.Bytes("mine")); !errors.Is(err, errs.Exists) || errors.Is(err, retry.ErrUnclear) {
			t.Errorf("without a lost answer: %v", err)
		}
	}
	var p store.PutIfAbsenter
	if store.As(store.Store(retry.New(mem.NewRegister(), retry.Options{})), &p) {
		t.Error("it is offered over a store of the register class")
	}
}

func TestTheCallersOwnFailuresAreNotRepeated(t *testing.T) {
	t.Parallel()
	m := mem.New()
	m.Set("data/a", []byte("abc"))
	f := fault.New(m)
	s := retry.New(f, retry.Options{Clock: &still{}})
	own := errs.New(errs.Temporary, "the caller's own")
	if err := s.Get(t.Context(), "data/a", store.Range{}, func(io.Reader) error { return own }); err != own { //nolint:errorlint // as it is
		t.Errorf("get = %v", err)
	}
	if err := s.List(t.Context(), "", func(store.Info) error { return own }); err != own { //nolint:errorlint // as it is
		t.Errorf("list = %v", err)
	}
	bad := badContent{own}
	if err := s.Put(t.Context(), "data/b", bad); !errors.Is(err, own) {
		t.Errorf("put = %v", err)
	}
	if f.Calls(fault.Get) != 1 || f.Calls(fault.List) != 1 || f.Calls(fault.Put) != 1 {
		t.Errorf("%d gets, %d listings, %d puts; want one of each", f.Calls(fault.Get), f.Calls(fault.List), f.Calls(fault.Put))
	}
}

type badContent struct{ err error }

func (badContent) Size() int64                    { return 5 }
func (b badContent) Open() (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(b.err)), nil }

func TestATornReadBeginsAnew(t *testing.T) {
	t.Parallel()
	m := mem.New()
	m.Set("data/a", []byte("abcdef"))
	f := fault.New(m, fault.Rule{Op: fault.Get, When: fault.Torn, Keep: 2, Err: errs.Unreachable})
	got, err := store.ReadAll(t.Context(), retry.New(f, retry.Options{Clock: &still{}}), "data/a", 100)
	if err != nil || string(got) != "abcdef" || f.Calls(fault.Get) != 2 {
		t.Errorf("%q, %v after %d calls", got, err, f.Calls(fault.Get))
	}
}

func TestATornListingYieldsEachNameOnce(t *testing.T) {
	t.Parallel()
	m := mem.New()
	for i := range 10 {
		m.Set(fmt.Sprintf("data/%d", i), nil)
	}
	f := fault.New(m, fault.Rule{Op: fault.List, When: fault.Torn, Keep: 6, Err: errs.Temporary})
	var got []string
	err := retry.New(f, retry.Options{Clock: &still{}}).List(t.Context(), "data/", func(i store.Info) error {
		got = append(got, i.Name)
		return nil
	})
	if err != nil || !slices.Equal(got, m.Names("")) || f.Calls(fault.List) != 2 {
		t.Errorf("%q, %v after %d calls", got, err, f.Calls(fault.List))
	}
}

func TestALongListingFlowsAndThenFailsForGood(t *testing.T) {
	t.Parallel()
	m := mem.New()
	for i := range 70000 {
		m.Set(fmt.Sprintf("data/%05d", i), nil)
	}
	f := fault.New(m, fault.Rule{Op: fault.List, When: fault.Torn, Keep: 69000, Err: errs.Temporary})
	n := 0
	err := retry.New(f, retry.Options{Clock: &still{}}).List(t.Context(), "", func(store.Info) error { n++; return nil })
	if !errors.Is(err, errs.Temporary) || n != 69000 || f.Calls(fault.List) != 1 {
		t.Errorf("%d names, %v after %d calls", n, err, f.Calls(fault.List))
	}
}
