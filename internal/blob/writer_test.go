package blob

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/segment"
	"github.com/nacre-backup/nacre/internal/store/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sizes of test blobs: tiny, small, those around the segments' targets, large.
var sizes = []int{1, 130, 3000, 40_000, 255 << 10, 256 << 10, 512<<10 - 1, 512 << 10, 1 << 20, 2<<20 + 1}

func TestWhatManyWorkersStoreReadsBack(t *testing.T) {
	t.Parallel()
	for _, streamed := range []bool{true, false} {
		t.Run(fmt.Sprintf("streamed %v", streamed), func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			if !streamed {
				e = e.through(t, plain{e.mem})
			}
			r := e.begin(t)
			var blobs []testBlob
			for n := range 60 {
				kind := crypt.Kind(1 + n%3)
				size := sizes[n%len(sizes)]
				if kind != crypt.KindData {
					size = min(size, 300<<10)
				}
				blobs = append(blobs, e.blob(kind, n, size))
			}
			var stored atomic.Int64
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					k := r.w.Worker()
					buf := make([]byte, 0, 3<<20)
					for _, b := range blobs {
						buf = append(buf[:0], b.data...)
						ok, err := k.Put(context.Background(), b.kind, b.id, buf)
						if err != nil {
							t.Error(err)
							return
						}
						if ok {
							stored.Add(1)
						}
						clear(buf) // the buffer is the caller's again
					}
				})
			}
			wg.Wait()
			r.commit(t)
			if stored.Load() != int64(len(blobs)) {
				t.Fatalf("%d blobs were stored, want each of %d once", stored.Load(), len(blobs))
			}
			rd := e.reader(t)
			for _, b := range blobs {
				rd.mustGet(t, b)
			}
			s := r.w.Stats()
			if s.Blobs != 60 || s.Known != 120 || s.DataPacks < 1 || s.MetaPacks != 1 || s.Stored <= s.Compressed || s.Compressed >= s.Raw {
				t.Fatalf("stats %+v", s)
			}
			if got := e.mem.Size(record.Data) + e.mem.Size(record.Meta); got != s.Stored {
				t.Fatalf("%d bytes of packs in the store, the stats say %d", got, s.Stored)
			}
		})
	}
}

func TestPacksEndAtTheirTarget(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	r := e.begin(t)
	k := r.w.Worker()
	var blobs []testBlob
	for n := range 36 {
		b := e.blob(crypt.KindData, n, 1<<20)
		_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b.data) // never fails; does not compress
		b.id = e.repo.Domain().ID(b.kind, b.data)
		blobs = append(blobs, b)
		k.mustPut(t, b, true)
	}
	r.commit(t)
	s := r.w.Stats()
	if s.DataPacks < 2 {
		t.Fatalf("%d packs of %d bytes in all", s.DataPacks, s.Stored)
	}
	rd := e.reader(t)
	for _, b := range blobs {
		rd.mustGet(t, b)
	}
}

func TestLargeBlobsDoNotCutTheGroupsOfSmallOnes(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	r := e.begin(t)
	k := r.w.Worker()
	for n := range 20 {
		k.mustPut(t, e.blob(crypt.KindData, n, 2000), true)
		k.mustPut(t, e.blob(crypt.KindData, 100+n, 600<<10), true)
	}
	r.commit(t)
	rd := e.reader(t)
	where := map[uint32]int{}
	for n := range 20 {
		where[rd.Locate(e.blob(crypt.KindData, n, 2000).id)[0].Segment]++
	}
	if len(where) != 1 {
		t.Fatalf("20 small blobs stand in %d segments, want 1", len(where))
	}
}

func TestASecondRunStoresNothing(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	b, m := e.blob(crypt.KindData, 1, 9000), e.blob(crypt.KindTree, 1, 9000)
	r := e.begin(t)
	k := r.w.Worker()
	k.mustPut(t, b, true)
	k.mustPut(t, m, true)
	k.mustPut(t, b, false)
	r.commit(t)
	before := len(e.mem.Names(record.Data)) + len(e.mem.Names(record.Meta)) + len(e.mem.Names(record.Indexes))
	r = e.begin(t)
	k = r.w.Worker()
	k.mustPut(t, b, false)
	k.mustPut(t, m, false)
	r.commit(t)
	after := len(e.mem.Names(record.Data)) + len(e.mem.Names(record.Meta)) + len(e.mem.Names(record.Indexes))
	if before != after {
		t.Fatalf("%d objects before, %d after", before, after)
	}
	if s := r.w.Stats(); s.Blobs != 0 || s.Stored != 0 || s.Known != 2 || s.KnownRaw != 18000 {
		t.Fatalf("stats %+v", s)
	}
}

func TestAWriterGoesOnInASuccessorSession(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEnv(t)
	r := e.begin(t)
	k := r.w.Worker()
	a, b := e.blob(crypt.KindData, 1, 9000), e.blob(crypt.KindData, 2, 9000)
	k.mustPut(t, a, true)
	if err := r.w.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.x.Write(ctx, r.s); err != nil {
		t.Fatal(err)
	}
	next, st, _, err := r.s.Checkpoint(ctx, &record.Snapshot{Host: "h", Domain: e.repo.Domain().Scope()})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.x.Refresh(ctx, st); err != nil {
		t.Fatal(err)
	}
	r.w.Continue(next)
	r.s = next
	k.mustPut(t, a, false)
	k.mustPut(t, b, true)
	r.commit(t)
	if p := e.reader(t).Locate(b.id)[0].Pack; p.Session != next.ID() {
		t.Fatalf("the second pack belongs to %s, want %s", p.Session, next.ID())
	}
	e.reader(t).mustGet(t, a)
}

func TestAfterOneFailureEveryCallFails(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	boom := errs.New(errs.Full, "no room")
	for _, streamed := range []bool{true, false} {
		for _, op := range []fault.Op{fault.Stream, fault.Write, fault.Commit | fault.Put, fault.Put | fault.Commit} {
			if !streamed && op&(fault.Stream|fault.Write) != 0 {
				continue
			}
			t.Run(fmt.Sprintf("%v streamed %v", op, streamed), func(t *testing.T) {
				t.Parallel()
				e := newEnv(t)
				f := fault.New(e.mem)
				if streamed {
					e = e.through(t, f)
				} else {
					e = e.through(t, plain{f})
				}
				r := e.begin(t)
				f.SetRules(fault.Rule{Op: op, Err: boom})
				k := r.w.Worker()
				var err error
				for n := 0; err == nil && n < 3; n++ {
					b := e.blob(crypt.KindData, n, 1<<20)
					_, err = k.Put(ctx, b.kind, b.id, b.data)
				}
				if err == nil {
					err = r.w.Flush(ctx)
				}
				if !errors.Is(err, errs.Full) {
					t.Fatalf("the failure comes as %v", err)
				}
				b := e.blob(crypt.KindData, 1000, 10)
				if _, err := k.Put(ctx, b.kind, b.id, b.data); !errors.Is(err, errs.Full) {
					t.Fatalf("a later Put says %v", err)
				}
				if err := r.w.Flush(ctx); !errors.Is(err, errs.Full) {
					t.Fatalf("a later Flush says %v", err)
				}
				if err := r.w.Close(); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// lying is a coder whose output does not decode to its input, as that of a bad processor.
type lying struct{ segment.Coder }

func (l lying) Encode(dst, src []byte) (codec.ID, []byte) {
	c, out := l.Coder.Encode(dst, src)
	out[len(out)-1] ^= 1
	return c, out
}

func TestABitThatFlipsBeforeSealingFailsTheRun(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEnv(t)
	r := e.begin(t)
	w := NewWriter(ctx, e.repo, r.s, r.x, Options{Coder: func() segment.Coder {
		c, err := codec.NewCoder(codec.Fastest)
		if err != nil {
			t.Fatal(err)
		}
		return lying{c}
	}})
	k := w.Worker()
	k.mustPut(t, e.blob(crypt.KindData, 1, 100_000), true)
	if err := w.Flush(ctx); !errors.Is(err, errs.Corrupt) {
		t.Fatalf("flush says %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(e.mem.Names(record.Data)); n != 0 {
		t.Fatalf("%d packs were stored", n)
	}
}

func TestImpossibleBlobsAreRefusedAndTheRunGoesOn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEnv(t)
	r := e.begin(t)
	k := r.w.Worker()
	if _, err := k.Put(ctx, crypt.KindData, id.ID{1}, make([]byte, segment.MaxBlob+1)); !errors.Is(err, errs.Usage) {
		t.Fatalf("a blob that is too long: %v", err)
	}
	if _, err := k.Put(ctx, 9, id.ID{1}, nil); !errors.Is(err, errs.Usage) {
		t.Fatalf("a blob of no kind: %v", err)
	}
	k.mustPut(t, e.blob(crypt.KindData, 1, segment.MaxBlob), true)
	r.commit(t)
}

func TestACancelledRunStopsAndLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	r := e.begin(t)
	ctx, cancel := context.WithCancel(context.Background())
	w := NewWriter(ctx, e.repo, r.s, r.x, Options{})
	k := w.Worker()
	k.mustPut(t, e.blob(crypt.KindData, 1, 1<<20), true)
	cancel()
	b := e.blob(crypt.KindData, 2, 1<<20)
	if _, err := k.Put(ctx, b.kind, b.id, b.data); !errors.Is(err, context.Canceled) {
		t.Fatalf("put says %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Put(context.Background(), b.kind, b.id, b.data); err == nil {
		t.Fatal("a closed writer takes blobs")
	}
	if n := len(e.mem.Names(record.Data)); n != 0 {
		t.Fatalf("%d packs were stored", n)
	}
}

func TestAWriterDoesNotLeaveASessionWithOpenPacks(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	r := e.begin(t)
	k := r.w.Worker()
	k.mustPut(t, e.blob(crypt.KindData, 1, 1<<20), true)
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	r.w.Continue(r.s)
}
