package session

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/process"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

// quiet are steps that write no heartbeat.
type quiet struct{ Ops }

func (quiet) Sleep(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// shelf is a repository with one snapshot, on a store that fails on command.
type shelf struct {
	mem   *mem.Store
	fault *fault.Store
	repo  *repo.Repo
	snap  *Snapshot

	mu       sync.Mutex
	warnings []error
}

func newShelf(t *testing.T, ms *mem.Store) *shelf {
	t.Helper()
	s := &shelf{mem: ms, fault: fault.New(ms)}
	var err error
	s.repo, err = repo.Init(t.Context(), repo.InitOptions{
		Store: s.fault, Clock: newClock(), Rand: fresh(), Credential: repo.Credential{Keyfile: keyfile()}, Label: "first",
		Events: func(e event.Event) {
			if w, ok := e.(event.Warning); ok {
				s.mu.Lock()
				s.warnings = append(s.warnings, w.Err)
				s.mu.Unlock()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w, _ := begin(t, s.repo)
	s.snap = commit(t, w, "one")
	return s
}

// reading runs fn as a reader of the snapshot.
func (s *shelf) reading(ctx context.Context, r *repo.Repo, st *State, fn func(context.Context) error) error {
	o := BeginOptions{Pins: []id.Session{s.snap.ID}, Program: "reader", Ops: quiet{opsOf(r)}}
	return Reading(ctx, r, st, o, fn)
}

func TestAReaderPinsWhatItReadsAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		s := newShelf(t, ms)
		before := ms.Names("")
		stop := errors.New("stop")
		for _, end := range []string{"well", "by an error", "by a signal"} {
			ctx, cancel := context.WithCancel(t.Context())
			err := s.reading(ctx, s.repo, listed(t, s.repo), func(ctx context.Context) error {
				open := listed(t, s.repo).OpenSessions()
				if len(open) != 1 || open[0].Record == nil {
					t.Fatalf("open sessions %+v", open)
				}
				rec := open[0].Record
				if rec.Use != record.Read || !slices.Equal(rec.Pins, []id.Session{s.snap.ID}) || rec.Program != "reader" || rec.Process.PID == 0 {
					t.Errorf("the session says %+v", rec)
				}
				switch end {
				case "by an error":
					return stop
				case "by a signal":
					cancel()
					return ctx.Err()
				}
				return nil
			})
			cancel()
			if want := map[string]error{"by an error": stop, "by a signal": context.Canceled}[end]; !errors.Is(err, want) {
				t.Errorf("it ends %s: error %v, want %v", end, err, want)
			}
			if after := ms.Names(""); !slices.Equal(after, before) {
				t.Errorf("it ends %s, and %q are there, before %q", end, after, before)
			}
		}
		if len(s.warnings) > 0 {
			t.Errorf("warnings %v", s.warnings)
		}
	})
}

func TestAReaderThatMayNotWriteReadsAllTheSame(t *testing.T) {
	t.Parallel()
	read := func(t *testing.T, s *shelf, r *repo.Repo, st *State, warned bool) {
		t.Helper()
		before, ran := s.mem.Names(""), false
		err := s.reading(t.Context(), r, st, func(context.Context) error {
			ran = true
			if after := s.mem.Names(""); !slices.Equal(after, before) {
				t.Errorf("there are %q, before %q", after, before)
			}
			return nil
		})
		if err != nil || !ran || len(s.warnings) > 0 != warned {
			t.Errorf("error %v, read: %v, warnings %v", err, ran, s.warnings)
		}
		if after := s.mem.Names(""); !slices.Equal(after, before) {
			t.Errorf("afterwards there are %q, before %q", after, before)
		}
	}
	for name, kind := range map[string]error{"denied": errs.Denied, "full": errs.Full, "a lost answer": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t, mem.New())
			st := listed(t, s.repo)
			rule := fault.Rule{Op: fault.Put, Lasting: true, Err: kind}
			if kind == nil {
				rule.When = fault.After
			}
			s.fault.SetRules(rule)
			read(t, s, s.repo, st, kind == nil)
		})
	}
	t.Run("a machine without a writer", func(t *testing.T) {
		t.Parallel()
		s := newShelf(t, mem.New())
		r := machine(t, s.mem, 5)
		read(t, s, r, listed(t, r), false)
		if _, ok := r.KnownWriter(); ok {
			t.Error("reading made a writer")
		}
	})
	t.Run("a snapshot that was forgotten", func(t *testing.T) {
		t.Parallel()
		s := newShelf(t, mem.New())
		s.mem.Set(record.TombstonePath(s.snap.ID), []byte("rubbish"))
		read(t, s, s.repo, listed(t, s.repo), false)
	})
}

func TestAReaderClearsAwayTheDeadReadersOfItsMachine(t *testing.T) {
	t.Parallel()
	s := newShelf(t, mem.New())
	gone := record.Process(process.Self())
	gone.Boot = "an earlier start of the system"
	if gone.Machine == "" {
		t.Skip("needs a system that tells which machine it is")
	}
	other := machine(t, s.mem, 6)
	var left []string
	for _, x := range []struct {
		r    *repo.Repo
		use  record.Use
		p    record.Process
		stay bool
	}{
		{s.repo, record.Read, gone, false},
		{s.repo, record.Read, record.Process(process.Self()), true},
		{s.repo, record.Write, gone, true}, // a writer's packs are for the next backup
		{other, record.Read, gone, true},
	} {
		n, _, err := Begin(t.Context(), x.r, BeginOptions{Use: x.use, Process: x.p, Pins: []id.Session{s.snap.ID}})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.beat(t.Context()); err != nil {
			t.Fatal(err)
		}
		if x.stay {
			left = append(left, record.SessionPath(0, n.ID()), record.HeartbeatPath(0, n.ID(), 1))
		}
	}
	slices.Sort(left)
	if err := s.reading(t.Context(), s.repo, listed(t, s.repo), func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if got := s.mem.Names(record.Sessions); !slices.Equal(got, left) {
		t.Errorf("left %q, want %q", got, left)
	}
}
