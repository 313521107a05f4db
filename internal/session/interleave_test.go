package session

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

// actor is one process whose steps on fates/ wait for their turn. All other steps do not matter to the others.
type actor struct {
	Ops
	turn chan struct{}
	next chan struct{} // it wants a turn; closed when it has finished
	left int           // steps until it crashes; below zero: it does not
	over bool
}

var errCrashed = errors.New("crashed")

// start runs the actor up to its first step.
func start(ops Ops, left int, run func(Ops)) *actor {
	a := &actor{Ops: ops, turn: make(chan struct{}), next: make(chan struct{}), left: left}
	go func() {
		defer close(a.next)
		run(a)
	}()
	a.settle()
	return a
}

// settle waits until the actor wants its next turn or has finished.
func (a *actor) settle() {
	if _, more := <-a.next; !more {
		a.over = true
	}
}

// step lets the actor do one step, and run on to the next one.
func (a *actor) step() {
	a.turn <- struct{}{}
	a.settle()
}

func (a *actor) do(path string, fn func() error) error {
	if a.left == 0 {
		return errCrashed
	}
	if strings.HasPrefix(path, record.Fates) {
		a.next <- struct{}{}
		<-a.turn
		a.left--
	}
	return fn()
}

func (a *actor) Put(ctx context.Context, path string, b []byte) error {
	return a.do(path, func() error { return a.Ops.Put(ctx, path, b) })
}

func (a *actor) Create(ctx context.Context, path string, b []byte) error {
	return a.do(path, func() error { return a.Ops.Create(ctx, path, b) })
}

func (a *actor) Delete(ctx context.Context, path string) error {
	return a.do(path, func() error { return a.Ops.Delete(ctx, path) })
}

func (a *actor) Get(ctx context.Context, path string) (b []byte, err error) {
	err = a.do(path, func() error {
		b, err = a.Ops.Get(ctx, path)
		return err
	})
	return b, err
}

func (a *actor) List(ctx context.Context, prefix string) (all []store.Info, err error) {
	err = a.do(prefix, func() error {
		all, err = a.Ops.List(ctx, prefix)
		return err
	})
	return all, err
}

func (a *actor) Sleep(context.Context, time.Duration) error { return nil }

// schedules calls run with every order of steps. run lets the actor that choose names do a step until all have
// finished.
func schedules(t *testing.T, run func(choose func(alive []int) int)) int {
	t.Helper()
	var path, width []int
	for n := 1; ; n++ {
		depth := 0
		run(func(alive []int) int {
			if depth == len(path) {
				path, width = append(path, 0), append(width, 0)
			}
			width[depth] = len(alive)
			depth++
			return alive[path[depth-1]]
		})
		path, width = path[:depth], width[:depth]
		for len(path) > 0 && path[len(path)-1]+1 == width[len(path)-1] {
			path, width = path[:len(path)-1], width[:len(width)-1]
		}
		if len(path) == 0 || t.Failed() {
			return n
		}
		path[len(path)-1]++
	}
}

// play lets the actors run in the order that choose gives.
func play(all []*actor, choose func(alive []int) int) {
	for {
		var alive []int
		for i, a := range all {
			if !a.over {
				alive = append(alive, i)
			}
		}
		if len(alive) == 0 {
			return
		}
		all[choose(alive)].step()
	}
}

func TestEveryOrderOfCommitAndKillHasOneOutcomeThatAllSee(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, clean *mem.Store) {
		r := newRepo(t, clean)
		pruner := machine(t, clean, 5)
		if _, err := pruner.Writer(t.Context()); err != nil {
			t.Fatal(err)
		}
		first, _ := begin(t, r)
		commit(t, first, "old")
		// Who takes part beside the writer: killers that crash after so many steps (-1: never), and a listing.
		for _, cast := range []struct {
			killers []int
			lister  bool
		}{
			{[]int{-1}, true},
			{[]int{1}, true},
			{[]int{2}, true},
			{[]int{-1, 1}, false},
		} {
			outcomes := map[string]int{}
			n := schedules(t, func(choose func([]int) int) {
				if err := r.SaveState(headsFile, nil); err != nil { // of another order
					t.Fatal(err)
				}
				base := steps(clean.Clone(), r)
				s, st, err := Begin(t.Context(), r, BeginOptions{Process: deadProcess, Ops: base})
				if err != nil {
					t.Fatal(err)
				}
				s.hasty = true // it asks twice and not eight times
				open := st.sessions[s.ID()]
				var werr error
				actors := []*actor{start(base, -1, func(ops Ops) {
					s.ops = ops
					_, werr = s.Commit(t.Context(), snap(r, "new"))
				})}
				for _, left := range cast.killers {
					actors = append(actors, start(base, left, func(ops Ops) {
						if err := Kill(t.Context(), pruner, ops, open, "test"); err != nil && !errors.Is(err, errCrashed) {
							t.Error(err)
						}
					}))
				}
				trusted := false
				if cast.lister {
					actors = append(actors, start(base, -1, func(ops Ops) {
						st, err := ListBy(t.Context(), r, &listsOnly{Ops: ops, base: base})
						if err != nil {
							t.Error(err)
							return
						}
						f, ok := st.Fate(s.ID())
						trusted = ok && f.Committed() && !f.Unconfirmed
					}))
				}
				play(actors, choose)
				end, err := ListBy(t.Context(), r, base)
				if err != nil {
					t.Fatal(err)
				}
				outcomes[judgement(t, end, s.ID(), werr, trusted)]++
			})
			if n < 6 || outcomes["committed"] == 0 || outcomes["killed"] == 0 && cast.killers[0] < 0 {
				t.Errorf("killers %v: %d orders show too little: %v", cast.killers, n, outcomes)
			}
			t.Logf("killers %v, a listing %v: %d orders, %v", cast.killers, cast.lister, n, outcomes)
		}
	})
}

// judgement checks what the actors saw against what is there in the end.
func judgement(t *testing.T, end *State, sid id.Session, werr error, trusted bool) string {
	t.Helper()
	f, ok := end.Fate(sid)
	live := ok && f.Committed()
	if len(end.Unknowns()) > 0 {
		t.Errorf("unknown %v", end.Unknowns())
	}
	if trusted && !live {
		t.Errorf("a listing showed a confirmed fate that was voided after it: %+v", f)
	}
	switch {
	case werr == nil && live:
		return "committed"
	case werr == nil:
		t.Errorf("success was said, and the fate is %+v", f)
	case !errors.Is(werr, ErrKilled):
		t.Errorf("the writer says %v", werr)
	case live: // an announcement that its killer left standing: the work is done again, nothing is lost
		return "committed and done again"
	case ok && f.Kind == record.Killed:
		return "killed"
	default:
		t.Errorf("the writer says %v, and the fate is %+v", werr, f)
	}
	return "wrong"
}

// listsOnly makes steps of listings alone: what is read does not change.
type listsOnly struct {
	Ops
	base Ops
}

func (l *listsOnly) Get(ctx context.Context, path string) ([]byte, error) {
	return l.base.Get(ctx, path)
}
