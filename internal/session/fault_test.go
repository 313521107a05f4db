package session

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

// everyFailure runs a test on copies of a store with its n-th call failing, n = 1, 2, ..., once and for good, before
// the call was done and after it.
func everyFailure(t *testing.T, clean *mem.Store, run func(inner *mem.Store, f *fault.Store)) {
	t.Helper()
	for _, when := range []fault.When{fault.Before, fault.After} {
		for _, lasting := range []bool{false, true} {
			for _, kind := range []error{errs.Temporary, errs.Denied} {
				if errors.Is(kind, errs.Denied) && when == fault.After {
					continue // a store that says "denied" has not done it
				}
				for n := 1; ; n++ {
					inner := clean.Clone()
					f := fault.New(inner, fault.Rule{N: n, When: when, Lasting: lasting, Err: errs.New(kind, "injected")})
					run(inner, f)
					if t.Failed() {
						t.Fatalf("call %d, when %d, lasting %v, %v", n, when, lasting, kind)
					}
					if f.Fired() == 0 {
						break
					}
				}
			}
		}
	}
}

// reopen opens the store of a test anew with the memory of r, as the next process on the same machine does.
func reopen(t *testing.T, s store.Store, r *repo.Repo) *repo.Repo {
	t.Helper()
	n, err := repo.Open(t.Context(), repo.OpenOptions{
		Store: s, Clock: r.Clock(), Rand: fresh(), Credential: repo.Credential{Keyfile: keyfile()}, StateDir: r.StateDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.StateDir() == "" {
		b, err := r.LoadState("writer.key")
		if err != nil {
			t.Fatal(err)
		}
		if err := n.SaveState("writer.key", b); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// steps are the calls of f.
func steps(f store.Store, r *repo.Repo) Ops { return &storeOps{store: f, clock: r.Clock()} }

// decided checks what a commit said against what the store holds now, and after a power cut.
func decided(t *testing.T, r *repo.Repo, inner *mem.Store, s *Session, p record.Pack, err error, before ...string) {
	t.Helper()
	for what, ms := range map[string]*mem.Store{"now": inner, "after a power cut": inner.AfterPowerCut()} {
		st := listed(t, reopen(t, ms, r))
		got := names(slices.Concat(st.Snapshots(), st.Checkpoints()))
		there := slices.Contains(got, "new")
		for _, n := range before {
			if !slices.Contains(got, n) {
				t.Errorf("%s: snapshot %q is lost", what, n)
			}
		}
		switch {
		case err == nil:
			if !there || !st.Usable(p) {
				t.Errorf("%s: success was said, and the snapshot or its pack is not there", what)
			}
		case errors.Is(err, ErrOutcomeUnknown), errors.Is(err, ErrKilled):
		case there:
			t.Errorf("%s: %v was said, and the snapshot is there", what, err)
		}
		if len(st.Unknowns()) > 0 || len(st.Alarms()) > 0 {
			t.Errorf("%s: unknown %v, alarms %v", what, st.Unknowns(), st.Alarms())
		}
	}
	if err == nil != s.Committed() {
		t.Errorf("error %v, committed %v", err, s.Committed())
	}
}

func TestACommitIsNeverLostNorToldWrongWhateverFails(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		first, _ := begin(t, r)
		commit(t, first, "old")
		unknown := 0
		everyFailure(t, ms, func(inner *mem.Store, f *fault.Store) {
			x := reopen(t, inner, r)
			s, _ := begin(t, x)
			p := putPack(t, s, crypt.ClassData, "pack")
			s.ops = steps(f, x)
			_, err := s.Commit(t.Context(), snap(x, "new"))
			decided(t, r, inner, s, p, err, "old")
			// End settles what is open, once the store answers again.
			s.ops = steps(inner, x)
			if errors.Is(err, ErrOutcomeUnknown) {
				unknown++
				if errs.Hint(err) == "" {
					t.Errorf("no hint: %v", err)
				}
			}
			if eerr := s.End(t.Context(), "test"); eerr != nil {
				t.Errorf("end: %v", eerr)
			}
			st := listed(t, x)
			there := slices.Contains(names(st.Snapshots()), "new")
			if len(st.OpenSessions()) != 0 || there != s.Committed() {
				t.Errorf("after %v and End: open %v, snapshot there %v, committed %v", err, st.OpenSessions(), there, s.Committed())
			}
		})
		if unknown == 0 {
			t.Error("no failure left the outcome unknown: the test shows nothing")
		}
	})
}

func TestACheckpointIsNeverLostNorToldWrongWhateverFails(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		first, _ := begin(t, r)
		commit(t, first, "old")
		everyFailure(t, ms, func(inner *mem.Store, f *fault.Store) {
			x := reopen(t, inner, r)
			s, _ := begin(t, x, first.ID())
			p := putPack(t, s, crypt.ClassData, "pack")
			s.ops = steps(f, x)
			next, st, _, err := s.Checkpoint(t.Context(), snap(x, "new"))
			decided(t, r, inner, s, p, err, "old")
			switch {
			case err == nil:
				if !next.Pinned(s.ID()) || !next.Pinned(first.ID()) || !st.Usable(p) {
					t.Errorf("the successor pins %v, the pack is usable %v", next.Pins(), st.Usable(p))
				}
				next.ops = steps(inner, x)
				commit(t, next, "then")
			case s.outcome == undecided:
				s.ops = steps(inner, x)
				if _, err := s.Commit(t.Context(), snap(x, "then")); err != nil {
					t.Errorf("a checkpoint failed for sure, and the session does not go on: %v", err)
				}
			}
			// Whatever became of it, the next run cleans up and goes on.
			y := reopen(t, inner, r)
			n, st := begin(t, y)
			adopt(t, n, st)
			commit(t, n, "next")
			end := listed(t, y)
			if open := end.OpenSessions(); len(open) != 0 || !slices.Contains(names(end.Snapshots()), "next") {
				t.Errorf("open sessions %+v, snapshots %q", open, names(end.Snapshots()))
			}
		})
	})
}

func TestABeginningThatFailsLeavesNothingThatLasts(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		first, _ := begin(t, r)
		commit(t, first, "old")
		lost, _ := begin(t, r)
		forgotten := commit(t, lost, "forgotten").ID
		forget(t, r, forgotten)
		everyFailure(t, ms, func(inner *mem.Store, f *fault.Store) {
			x := reopen(t, inner, r)
			if _, err := x.Writer(t.Context()); err != nil {
				t.Fatal(err)
			}
			s, st, err := Begin(t.Context(), x, BeginOptions{Pins: []id.Session{first.ID(), forgotten}, Process: deadProcess, Ops: steps(f, x)})
			if err == nil && (!s.Pinned(first.ID()) || s.Pinned(forgotten) || len(st.Snapshots()) != 1) {
				t.Errorf("pins %v, snapshots %q", s.Pins(), names(st.Snapshots()))
			}
			y := reopen(t, inner, r)
			n, st := begin(t, y)
			_, st = adopt(t, n, st)
			if open := st.OpenSessions(); len(open) != 1 {
				t.Errorf("after %v there are open sessions %+v", err, open)
			}
			commit(t, n, "next")
			if got := names(listed(t, y).Snapshots()); !slices.Equal(got, []string{"old", "next"}) {
				t.Errorf("snapshots %q", got)
			}
		})
	})
}

func TestForgettingCheckpointsSurvivesEveryFailure(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	s1, _ := begin(t, r)
	s2, _, _, err := s1.Checkpoint(t.Context(), snap(r, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s2, "done")
	everyFailure(t, ms, func(inner *mem.Store, f *fault.Store) {
		s2.ops = steps(f, r)
		err := s2.Supersede(t.Context(), s1.ID())
		st := listed(t, reopen(t, inner, r))
		if got := names(st.Snapshots()); !slices.Equal(got, []string{"done"}) || err == nil && len(st.Checkpoints()) != 0 {
			t.Errorf("after %v: snapshots %q, checkpoints %q", err, got, names(st.Checkpoints()))
		}
	})
}

func TestTheSecondCopyThatFailsIsAWarning(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	var warned []string
	x, err := repo.Open(t.Context(), repo.OpenOptions{
		Store: ms, Clock: newClock(), Rand: random(5), Credential: repo.Credential{Keyfile: keyfile()},
		Events: func(e event.Event) {
			if w, ok := e.(event.Warning); ok {
				warned = append(warned, w.Err.Error())
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, _ := begin(t, x)
	s.ops = steps(fault.New(ms, fault.Rule{Op: fault.Put, Prefix: "dup/"}), r)
	commit(t, s, "one")
	if len(warned) != 1 {
		t.Errorf("warnings %q", warned)
	}
}

func TestACommitGoesOnWhenItsContextEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		for n := 1; ; n++ {
			s, _ := begin(t, r)
			ctx, cancel := context.WithCancel(t.Context())
			f := fault.New(ms)
			calls := 0
			f.SetHook(func(fault.Op, string) error {
				if calls++; calls == n {
					cancel()
				}
				return nil
			})
			s.ops = steps(f, r)
			_, err := s.Commit(ctx, snap(r, "x"))
			cancel()
			_, there := listed(t, r).Snapshot(s.ID())
			if (err == nil) != there || err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled at call %d: error %v, snapshot there %v", n, err, there)
			}
			if calls < n {
				break
			}
		}
	})
}

func TestListingFailsRatherThanShowLess(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		s, _ := begin(t, r)
		n := commit(t, s, "one")
		cond := condemn(t, r, record.Pack{Class: 'D'})
		open, _ := begin(t, r)
		second, _ := begin(t, r)
		forget(t, r, commit(t, second, "two").ID)
		everyFailure(t, ms, func(inner *mem.Store, f *fault.Store) {
			st, err := ListBy(t.Context(), r, steps(f, r))
			if f.Fired() > 0 && err == nil {
				t.Errorf("a call failed, and the state is %d snapshots", len(st.Snapshots()))
			}
			if err == nil && (len(st.Snapshots()) != 1 || st.Snapshots()[0].ID != n.ID || len(st.OpenSessions()) != 1) {
				t.Errorf("snapshots %q", names(st.Snapshots()))
			}
		})
		_, _ = open, cond
	})
}
