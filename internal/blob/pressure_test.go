package blob

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/segment"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/testkit/vaulttest"
)

// turned is a clock that goes on only when it is turned.
type turned struct {
	hasty
	at *atomic.Int64
}

func (c turned) Now() time.Time { return time.Unix(0, c.at.Load()) }

// slow is a store whose streams take a while for each byte.
type slow struct {
	store.Store
	at      *atomic.Int64
	perByte time.Duration
}

// As implements store.Aser.
func (s *slow) As(target any) bool {
	if t, ok := target.(*store.Streamer); ok {
		*t = s
		return true
	}
	a, ok := s.Store.(store.Aser)
	return ok && a.As(target)
}

// Stream implements store.Streamer.
func (s *slow) Stream(ctx context.Context) (store.Stream, error) {
	var in store.Streamer
	store.As(s.Store, &in)
	w, err := in.Stream(ctx)
	return &slowStream{w, s}, err
}

type slowStream struct {
	store.Stream
	s *slow
}

func (w *slowStream) Write(p []byte) (int, error) {
	w.s.at.Add(int64(len(p)) * int64(w.s.perByte))
	return w.Stream.Write(p)
}

// working is a coder that takes 10 ms for each segment.
type working struct {
	segment.Coder
	at *atomic.Int64
}

func (c working) Encode(dst, src []byte) (codec.ID, []byte) {
	c.at.Add(int64(10 * time.Millisecond))
	return c.Coder.Encode(dst, src)
}

func TestAWriterIsBehindWhileItsWorkersMostlyWaitForTheStore(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEnv(t)
	var at atomic.Int64
	s := &slow{Store: e.mem, at: &at}
	e = &env{mem: e.mem, repo: vaulttest.Open(t, s, turned{at: &at}, nil)}
	ses, st, err := session.Begin(ctx, e.repo, session.BeginOptions{Program: "test"})
	if err != nil {
		t.Fatal(err)
	}
	x, err := index.Open(ctx, e.repo, st, index.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := NewWriter(ctx, e.repo, ses, x, Options{Coder: func() segment.Coder {
		c, err := codec.NewCoder(codec.Fastest)
		if err != nil {
			t.Error(err)
		}
		return working{c, &at}
	}})
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}()
	k, n := w.Worker(), 0
	put := func(blobs int) { // each fills a segment, of which half is noise
		for range blobs {
			k.mustPut(t, e.blob(crypt.KindData, n, 600_000), true)
			n++
		}
	}
	put(40)
	if w.Behind() {
		t.Error("behind a store that takes no time")
	}
	s.perByte = 1000 // 300 ms a segment
	put(40)
	if !w.Behind() {
		t.Error("not behind a store that takes thirty times as long as the work")
	}
	s.perByte = 1
	put(400)
	if w.Behind() {
		t.Error("still behind, long after the store became fast")
	}
}

func TestTooFewSegmentsSayNothing(t *testing.T) {
	t.Parallel()
	var p pressure
	for i := range enough {
		if p.high() {
			t.Fatalf("after %d segments", i)
		}
		p.note(2*time.Second, 3*time.Second)
	}
	if !p.high() {
		t.Error("two to three are not enough")
	}
}
