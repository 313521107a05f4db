package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/pack"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/fault"
)

// saved commits the blobs in a session of their own, whatever is there already, and returns the pack of the first.
func (e *env) saved(t testing.TB, blobs ...testBlob) record.Pack {
	t.Helper()
	r := e.begin(t)
	k := r.w.Worker()
	for _, b := range blobs {
		r.x.Distrust(b.id.Short())
		k.mustPut(t, b, true)
	}
	r.commit(t)
	p := e.reader(t).Locate(blobs[0].id)
	for _, l := range p {
		if l.Pack.Session == r.s.ID() {
			return l.Pack
		}
	}
	t.Fatalf("the pack of session %s is not found", r.s.ID())
	return record.Pack{}
}

func (e *env) someBlobs(kind crypt.Kind, from, n, size int) []testBlob {
	var list []testBlob
	for i := range n {
		list = append(list, e.blob(kind, from+i, size))
	}
	return list
}

func TestADamagedCopyGivesWayToTheNext(t *testing.T) {
	t.Parallel()
	damage := map[string]func(e *env, p record.Pack){
		"a bit in a segment": func(e *env, p record.Pack) { e.mem.FlipBit(p.Path(), 8*200) },
		"a bit in the directory": func(e *env, p record.Pack) {
			e.mem.FlipBit(p.Path(), -8*40)
		},
		"a bit in the header": func(e *env, p record.Pack) { e.mem.FlipBit(p.Path(), 8*50) },
		"cut short":           func(e *env, p record.Pack) { e.mem.Corrupt(p.Path(), func(b []byte) []byte { return b[:100] }) },
		"gone":                func(e *env, p record.Pack) { _ = e.mem.Delete(context.Background(), p.Path()) },
	}
	for name, fn := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			blobs := e.someBlobs(crypt.KindData, 0, 5, 9000)
			a, b := e.saved(t, blobs...), e.saved(t, blobs...)
			for _, p := range []record.Pack{a, b} { // whichever comes first
				whole := e.mem.Bytes(p.Path())
				fn(e, p)
				rd := e.reader(t)
				for _, x := range blobs {
					rd.mustGet(t, x)
				}
				e.mem.Set(p.Path(), whole)
			}
			fn(e, a)
			fn(e, b)
			_, err := e.reader(t).Get(context.Background(), crypt.KindData, blobs[0].id, nil)
			if name == "a bit in the directory" || name == "a bit in the header" {
				if err != nil { // the index object has a copy of both
					t.Fatalf("get says %v", err)
				}
				return
			}
			if !errors.Is(err, errs.Corrupt) && !errors.Is(err, errs.NotFound) {
				t.Fatalf("with all copies damaged: %v", err)
			}
			if !strings.Contains(err.Error(), a.Path()) || !strings.Contains(err.Error(), b.Path()) {
				t.Fatalf("%q does not name both packs", err)
			}
		})
	}
}

func TestABlobThatAPrunerMovedIsFoundAgain(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	blobs := e.someBlobs(crypt.KindTree, 0, 5, 9000)
	a := e.saved(t, blobs...)
	rd := e.reader(t)
	e.saved(t, blobs...)
	if err := e.mem.Delete(context.Background(), a.Path()); err != nil {
		t.Fatal(err)
	}
	for _, b := range blobs {
		rd.mustGet(t, b)
	}
	if rd.generation != 1 {
		t.Fatalf("the repository was listed %d times, want once", rd.generation)
	}
}

func TestLostBlobsDoNotListTheRepositoryAgainAndAgain(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.saved(t, e.blob(crypt.KindData, 1, 100))
	rd := e.reader(t)
	for n := range 1000 {
		if _, err := rd.Get(context.Background(), crypt.KindData, id.ID{byte(n), byte(n >> 8)}, nil); !errors.Is(err, errs.NotFound) {
			t.Fatalf("a blob that never was: %v", err)
		}
	}
	if rd.generation > 12 {
		t.Fatalf("the repository was listed %d times", rd.generation)
	}
	rd.mustGet(t, e.blob(crypt.KindData, 1, 100))
}

func TestAStoreThatDoesNotAnswerIsNoLoss(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	b := e.blob(crypt.KindData, 1, 100)
	e.saved(t, b)
	f := fault.New(e.mem)
	rd := e.through(t, f).reader(t)
	f.SetRules(fault.Rule{Op: fault.Get, Lasting: true, Err: errs.New(errs.Unreachable, "no answer")})
	_, err := rd.Get(context.Background(), b.kind, b.id, nil)
	if !errors.Is(err, errs.Unreachable) || errors.Is(err, errs.NotFound) || errors.Is(err, errs.Corrupt) {
		t.Fatalf("get says %v", err)
	}
	f.SetRules()
	rd.mustGet(t, b)
}

func TestACancelledReadEnds(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	b := e.blob(crypt.KindData, 1, 100)
	e.saved(t, b)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.reader(t).Get(ctx, b.kind, b.id, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("get says %v", err)
	}
}

// counting counts the reads of packs.
type counting struct {
	*fault.Store
	mu    sync.Mutex
	reads []store.Range
}

func (c *counting) Get(ctx context.Context, name string, r store.Range, fn func(io.Reader) error) error {
	if strings.HasPrefix(name, record.Data) {
		c.mu.Lock()
		c.reads = append(c.reads, r)
		c.mu.Unlock()
	}
	return c.Store.Get(ctx, name, r, fn)
}

func TestSegmentsJoinsRangesAndReadsEachByteOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEnv(t)
	blobs := e.someBlobs(crypt.KindData, 0, 30, 600<<10) // a segment each
	p := e.saved(t, blobs...)
	c := &counting{Store: fault.New(e.mem)}
	rd := e.through(t, c).reader(t)
	if _, err := rd.Pack(ctx, p); err != nil {
		t.Fatal(err)
	}
	c.reads = nil
	var segs []uint32
	for n := range uint32(30) {
		segs = append(segs, n)
	}
	var got []uint32
	err := rd.Segments(ctx, p, segs, func(s *Segment) error {
		if s.Err != nil {
			return s.Err
		}
		if err := s.Verify(); err != nil {
			return err
		}
		b := blobs[s.N]
		for range 2 {
			data, err := s.Blob(0, b.kind, b.id)
			if err != nil || !bytes.Equal(data, b.data) {
				t.Fatalf("segment %d: blob: %v", s.N, err)
			}
		}
		if _, err := s.Blob(1, b.kind, b.id); !errors.Is(err, errs.Corrupt) {
			t.Fatalf("a slot that is not there: %v", err)
		}
		if _, err := s.Blob(0, crypt.KindTree, b.id); !errors.Is(err, errs.Corrupt) {
			t.Fatalf("a blob under another kind: %v", err)
		}
		got = append(got, s.N)
		return nil
	})
	if err != nil || !slices.Equal(got, segs) {
		t.Fatalf("segments %v, %v", got, err)
	}
	var sum, end int64
	for _, r := range c.reads {
		if r.Offset%alignment != 0 || r.Length > maxRange {
			t.Fatalf("range %+v", r)
		}
		sum += r.Length
		end = max(end, r.Offset+r.Length)
	}
	if len(c.reads) > 4 || sum > end+int64(len(c.reads))*alignment {
		t.Fatalf("ranges %v", c.reads)
	}
	c.reads = nil
	if err := rd.Segments(ctx, p, []uint32{0, 29}, func(s *Segment) error { return s.Err }); err != nil || len(c.reads) != 2 {
		t.Fatalf("two segments far apart: %d reads, %v", len(c.reads), err)
	}
}

func TestADamagedSegmentIsNamedAndTheOthersComeThrough(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEnv(t)
	blobs := e.someBlobs(crypt.KindData, 0, 5, 600<<10)
	p := e.saved(t, blobs...)
	opened, err := e.reader(t).Pack(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	at := opened.Directory().Segments[2].Offset + 1000
	whole := e.mem.Bytes(p.Path())
	all := []uint32{0, 1, 2, 3, 4}
	look := func(rd *Reader, want map[uint32]bool) {
		t.Helper()
		bad := map[uint32]bool{}
		if err := rd.Segments(ctx, p, all, func(s *Segment) error {
			if s.Err != nil || s.Verify() != nil {
				bad[s.N] = true
				if _, err := s.Blob(0, crypt.KindData, blobs[s.N].id); err == nil {
					t.Fatal("a damaged segment yields a blob")
				}
				if err := s.Verify(); !errors.Is(err, errs.Corrupt) || !strings.Contains(err.Error(), p.Path()) {
					t.Fatalf("verify says %v", err)
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(bad) != len(want) {
			t.Fatalf("damaged segments %v, want %v", bad, want)
		}
		for n := range want {
			if !bad[n] {
				t.Fatalf("damaged segments %v, want %v", bad, want)
			}
		}
	}
	e.mem.FlipBit(p.Path(), int(8*at))
	look(e.reader(t), map[uint32]bool{2: true})
	// A pack that is cut short keeps the segments before the cut, and the index object tells where they are.
	e.mem.Set(p.Path(), whole[:at])
	look(e.reader(t), map[uint32]bool{2: true, 3: true, 4: true})
	e.mem.Set(p.Path(), whole)
	if err := e.mem.Delete(ctx, p.Path()); err != nil {
		t.Fatal(err)
	}
	err = e.reader(t).Segments(ctx, p, all, func(*Segment) error { return nil })
	if !errors.Is(err, errs.NotFound) || !strings.Contains(err.Error(), p.Path()) {
		t.Fatalf("a pack that is gone: %v", err)
	}
}

func TestSegmentsRefusesWhatIsNotThereAndPassesErrorsOn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEnv(t)
	p := e.saved(t, e.blob(crypt.KindData, 1, 1000))
	rd := e.reader(t)
	none := func(*Segment) error { return nil }
	if err := rd.Segments(ctx, p, []uint32{1}, none); !errors.Is(err, errs.Corrupt) {
		t.Errorf("a segment that is not there: %v", err)
	}
	if err := rd.Segments(ctx, p, []uint32{0, 0}, none); !errors.Is(err, errs.Usage) {
		t.Errorf("a segment twice: %v", err)
	}
	stop := errors.New("stop")
	if err := rd.Segments(ctx, p, []uint32{0}, func(*Segment) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the caller's error: %v", err)
	}
	if err := rd.Segments(ctx, p, nil, none); err != nil {
		t.Errorf("no segments: %v", err)
	}
}

func TestPlannedRangesHoldTheirSegments(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var d pack.Directory
		at := int64(crypt.HeaderSize)
		for range rapid.IntRange(1, 200).Draw(t, "segments") {
			n := uint32(rapid.SampledFrom([]int{33, 5000, 130_000, 900_000, 17 << 20}).Draw(t, "len"))
			d.Segments = append(d.Segments, pack.Segment{Offset: at, Len: n})
			at += int64(n)
		}
		ref := record.Pack{Class: 'D', Size: at + 100}
		var want []uint32
		for n := range d.Segments {
			if rapid.Bool().Draw(t, "take") {
				want = append(want, uint32(n))
			}
		}
		plan, err := plan(&d, ref, want)
		if err != nil {
			t.Fatal(err)
		}
		var got []uint32
		for i, s := range plan {
			if s.from < 0 || s.to > ref.Size || s.from%alignment != 0 || s.to-s.from > maxRange && len(s.segs) > 1 {
				t.Fatalf("range %+v", s)
			}
			if i > 0 && s.from < plan[i-1].to-alignment {
				t.Fatalf("ranges %+v and %+v overlap", plan[i-1], s)
			}
			for _, n := range s.segs {
				if x := d.Segments[n]; x.Offset < s.from || x.Offset+int64(x.Len) > s.to {
					t.Fatalf("segment %d lies outside its range", n)
				}
			}
			got = append(got, s.segs...)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("segments %v, want %v", got, want)
		}
	})
}

func TestManyReadersDecodeASegmentOnce(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	blobs := e.someBlobs(crypt.KindData, 0, 50, 5000)
	e.saved(t, blobs...)
	c := &counting{Store: fault.New(e.mem)}
	rd := e.through(t, c).reader(t)
	rd.mustGet(t, blobs[0])
	c.reads = nil
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, b := range blobs {
				rd.mustGet(t, b)
			}
		})
	}
	wg.Wait()
	if len(c.reads) != 0 {
		t.Fatalf("%d reads, want none", len(c.reads))
	}
}

func TestTheCacheKeepsToItsLimit(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := newLRU[int](100, func(b []byte) int64 { return int64(len(b)) })
	loads := 0
	get := func(k, n int) {
		t.Helper()
		b, err := c.get(ctx, k, func() ([]byte, error) {
			loads++
			return make([]byte, n), nil
		})
		if err != nil || len(b) != n {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
	}
	get(1, 60)
	get(2, 30)
	get(1, 60)
	if loads != 2 {
		t.Fatalf("%d loads, want 2", loads)
	}
	get(3, 30) // drops 2, the least recently used
	get(1, 60)
	if loads != 3 || c.used != 90 || len(c.items) != 2 {
		t.Fatalf("%d loads, %d bytes, %d items", loads, c.used, len(c.items))
	}
	get(4, 500) // more than the limit: kept alone
	if c.used != 500 || len(c.items) != 1 {
		t.Fatalf("%d bytes, %d items", c.used, len(c.items))
	}
	boom := errors.New("boom")
	if _, err := c.get(ctx, 5, func() ([]byte, error) { return nil, boom }); !errors.Is(err, boom) {
		t.Fatalf("a failed load: %v", err)
	}
	get(5, 1)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	c.find(6)
	it, _, _ := c.find(6)
	it.turn <- struct{}{}
	if _, err := c.get(cancelled, 6, func() ([]byte, error) { return nil, nil }); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled wait: %v", err)
	}
}
