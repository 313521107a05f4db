package backup

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/session"
)

// hung is a call of the source that does not return until it is let go.
type hung struct {
	call    string
	once    sync.Once
	entered chan struct{} // closed when the call has begun
	gone    chan struct{}
}

// hang makes the first such call for a path hang. When the test ends it is let go.
func (b *bench) hang(path, call string) *hung {
	h := &hung{call: call, entered: make(chan struct{}), gone: make(chan struct{})}
	b.src.nodes[path].held = func(call string) {
		if call == h.call {
			h.once.Do(func() { close(h.entered); <-h.gone })
		}
	}
	return h
}

func (h *hung) letGo() { close(h.gone) }

// hangs are the calls that may hang, each with a file for which it is made.
var hangs = map[string]struct{ path, call string }{
	"listing a directory":      {"y", "list"},
	"describing a file":        {"y/small", "describe"},
	"opening a file":           {"y/small", "open"},
	"reading a file":           {"y/small", "read"},
	"looking for data":         {"y/middle", "data"},
	"looking at a file again":  {"y/small", "stat"},
	"closing a file":           {"y/small", "close"},
	"opening a big file":       {"y/big", "open"},
	"reading a big file":       {"y/big", "read"},
	"looking at a big file":    {"y/big", "stat"},
	"describing a big file":    {"y/big", "describe"},
	"closing a big file":       {"y/big", "close"},
	"reading a file in pieces": {"y/middle", "read"},
	// Its link count and inode are those of x/first, its content is not.
	"reading a hard link that does not fit its group": {"y/other", "read"},
}

// eachHang runs a test for each of the hangs, with a source that does.
func eachHang(t *testing.T, fn func(t *testing.T, b *bench, h *hung)) {
	t.Parallel()
	for name, c := range hangs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := hungBench(t, clock.System{})
			fn(t, b, b.hang(c.path, c.call))
		})
	}
}

func hungBench(t *testing.T, c clock.Clock) *bench {
	b := newBenchWith(t, c)
	for i := range 600 {
		b.src.write("a/f"+string(rune('a'+i/26))+string(rune('a'+i%26)), noise(uint64(i), 3000))
	}
	b.src.write("y/big", noise(1, testBig+1))
	b.src.write("y/middle", noise(2, 3<<20))
	b.src.write("y/small", noise(3, 3000))
	b.src.write("z/behind", noise(4, 3000))
	for i, p := range []string{"x/first", "y/other"} {
		n := b.src.write(p, noise(uint64(5+i), 3000+i))
		n.link, n.entry.Nlink = "group", 2
	}
	return b
}

// A file system that hangs, or gives a byte a minute, keeps neither an interruption nor a checkpoint waiting.
func TestInterruptionDoesNotWaitForTheSource(t *testing.T) {
	eachHang(t, func(t *testing.T, b *bench, h *hung) {
		stop := make(chan struct{})
		o := b.options()
		o.Interrupt, o.Counters = stop, &event.Counters{}
		go func() {
			for <-h.entered; o.Counters.Entries.Load() < 256; { // there is something to make a checkpoint of
				time.Sleep(time.Millisecond)
			}
			close(stop)
		}()
		sum, err := Run(context.Background(), o) // the call is let go only after it has returned
		if !errors.Is(err, ErrInterrupted) || !sum.Checkpoint {
			t.Fatalf("the run gave %+v, %v", sum, err)
		}
		h.letGo()
		b.allEnded()
		if sum := b.backup(); sum.ResumedFrom.IsZero() {
			t.Error("the next run did not resume")
		}
		b.same()
	})
}

func TestCancelledRunDoesNotWaitForTheSource(t *testing.T) {
	eachHang(t, func(t *testing.T, b *bench, h *hung) {
		ctx, cancel := context.WithCancel(context.Background())
		go func() { <-h.entered; cancel() }()
		if _, err := Run(ctx, b.options()); !errors.Is(err, context.Canceled) {
			t.Fatalf("the run gave %v", err)
		}
		h.letGo()
		b.allEnded()
		b.backup()
		b.same()
	})
}

func TestCheckpointDoesNotWaitForTheSource(t *testing.T) {
	t.Parallel()
	for name, c := range hangs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := &hungClock{}
			b := hungBench(t, clk)
			h := b.hang(c.path, c.call)
			clk.entered = h.entered
			var once sync.Once
			b.backup(func(o *Options) {
				o.CheckpointInterval = hungInterval
				o.Events = func(e event.Event) {
					if n, ok := e.(event.Note); ok && strings.HasPrefix(n.Text, "checkpoint") {
						once.Do(h.letGo) // the call hangs until a checkpoint was made
					}
				}
			})
			b.same()
		})
	}
}

func TestDryRunEndsWhenItIsInterrupted(t *testing.T) {
	t.Parallel()
	b := hungBench(t, clock.System{})
	h := b.hang("y", "list")
	stop := make(chan struct{})
	go func() { <-h.entered; close(stop) }()
	o := b.options()
	o.DryRun, o.Interrupt = true, stop
	sum, err := Run(context.Background(), o)
	if !errors.Is(err, ErrInterrupted) || sum == nil || sum.Checkpoint {
		t.Errorf("the run gave %+v, %v", sum, err)
	}
	h.letGo()
}

// hungClock lets the checkpoint interval end as soon as a call hangs.
type hungClock struct {
	clock.System
	entered chan struct{}
}

const hungInterval = 42 * time.Hour

func (c *hungClock) Sleep(ctx context.Context, d time.Duration) error {
	if d != hungInterval {
		return c.System.Sleep(ctx, d)
	}
	select {
	case <-c.entered:
		return c.System.Sleep(ctx, time.Millisecond)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// allEnded looks that no session stays open.
func (b *bench) allEnded() {
	b.t.Helper()
	st, err := session.List(context.Background(), b.repo)
	if err != nil {
		b.t.Fatal(err)
	}
	if n := len(st.OpenSessions()); n != 0 {
		b.t.Errorf("%d sessions stay open", n)
	}
}
