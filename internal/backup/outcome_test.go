package backup

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

// hastyClock does not wait for the pauses between the tries of a commit.
type hastyClock struct{ clock.System }

func (c hastyClock) Sleep(ctx context.Context, d time.Duration) error {
	if d > time.Minute {
		return c.System.Sleep(ctx, d)
	}
	return ctx.Err()
}

// loseAnswers makes the store give no answer about the next fate, until a session's commit has given up asking. With
// arrives the fate is there.
func loseAnswers(f *fault.Store, arrives bool) {
	const tries = 8 // of package session
	when, lasting := fault.Before, true
	if arrives {
		when, lasting = fault.After, false
	}
	f.SetRules(fault.Rule{Op: fault.Creates, Prefix: "fates/", When: when, Lasting: lasting, Err: errs.Unreachable})
	var asked atomic.Int64
	f.SetHook(func(op fault.Op, name string) error {
		if op&fault.Get != 0 && strings.HasPrefix(name, "fates/") && f.Fired() > 0 && asked.Load() < tries {
			if asked.Add(1) == tries {
				f.SetRules()
			}
			return errs.Unreachable
		}
		return nil
	})
}

func faultyBench(t *testing.T) (*bench, *fault.Store) {
	f := fault.New(mem.New())
	b := newBenchOn(t, hastyClock{}, f)
	for i := range 600 {
		b.src.write("a/f"+string(rune('a'+i/26))+string(rune('a'+i%26)), noise(uint64(i), 3000))
	}
	return b, f
}

func TestCommitWhoseAnswerWasLostIsASuccess(t *testing.T) {
	t.Parallel()
	b, f := faultyBench(t)
	loseAnswers(f, true)
	sum := b.backup()
	b.same()
	if got := b.snapshots(); len(got) != 1 || got[0].ID != sum.Snapshot || sum.Record.Stats.Files != 600 {
		t.Errorf("the run names snapshot %s, the repository has %d", sum.Snapshot, len(got))
	}
	b.allEnded()
}

func TestCommitThatDidNotArriveIsNoUnknownOutcome(t *testing.T) {
	t.Parallel()
	b, f := faultyBench(t)
	loseAnswers(f, false)
	_, err := Run(context.Background(), b.options())
	if !errors.Is(err, errs.Unreachable) || errors.Is(err, session.ErrOutcomeUnknown) || !strings.Contains(err.Error(), "nothing was committed") {
		t.Errorf("the run gave %v", err)
	}
	if n := len(b.snapshots()); n != 0 {
		t.Errorf("%d snapshots", n)
	}
	b.allEnded()
	b.backup()
	b.same()
}

func TestCheckpointWhoseAnswerWasLostIsNamed(t *testing.T) {
	t.Parallel()
	t.Run("at an interruption", func(t *testing.T) {
		t.Parallel()
		b, f := faultyBench(t)
		loseAnswers(f, true)
		sum := b.interruptAfter(300)
		b.allEnded()
		if next := b.backup(); next.ResumedFrom != sum.Snapshot {
			t.Errorf("resumed from %s, want %s", next.ResumedFrom, sum.Snapshot)
		}
		b.same()
	})
	t.Run("while the run goes on", func(t *testing.T) {
		t.Parallel()
		b, f := faultyBench(t)
		loseAnswers(f, true)
		o := b.options()
		o.CheckpointBytes = 500_000
		_, err := Run(context.Background(), o)
		if !errors.Is(err, errs.Unreachable) || errors.Is(err, session.ErrOutcomeUnknown) || !strings.Contains(errs.Hint(err), "goes on from it") {
			t.Errorf("the run gave %v (%s)", err, errs.Hint(err))
		}
		b.allEnded()
		if next := b.backup(); next.ResumedFrom.IsZero() {
			t.Error("the next run did not go on from the checkpoint")
		}
		b.same()
	})
}
