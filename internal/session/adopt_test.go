package session

import (
	"errors"
	"slices"
	"testing"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

// nobody says of every process that it is gone.
func nobody(record.Process) bool { return false }

func adopt(t *testing.T, s *Session, st *State) ([]Adopted, *State) {
	t.Helper()
	got, st, err := s.AdoptDead(t.Context(), st, nobody)
	if err != nil {
		t.Fatal(err)
	}
	return got, st
}

func packsOf(list []Adopted) (out []record.Pack) {
	for _, a := range list {
		out = append(out, a.Packs...)
	}
	slices.SortFunc(out, func(a, b record.Pack) int { return int(a.N) - int(b.N) })
	return out
}

func TestTheNextRunAdoptsWhatADeadOneStored(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		dead, _ := begin(t, r)
		a, b := putPack(t, dead, crypt.ClassData, "a"), putPack(t, dead, crypt.ClassData, "b")
		c := putPack(t, dead, crypt.ClassMeta, "cc")
		ms.Set("data/"+dead.ID().String()+"/rubbish", []byte("x"))
		if err := dead.beat(t.Context()); err != nil {
			t.Fatal(err)
		}
		reader, _, err := Begin(t.Context(), r, BeginOptions{Use: record.Read, Process: deadProcess})
		if err != nil {
			t.Fatal(err)
		}
		if err := reader.beat(t.Context()); err != nil {
			t.Fatal(err)
		}
		condemnAfterTheKill := fault.New(ms)
		s, st, err := Begin(t.Context(), r, BeginOptions{Ops: &storeOps{store: condemnAfterTheKill, clock: r.Clock()}})
		if err != nil {
			t.Fatal(err)
		}
		// A pruner condemns one of the packs as soon as their session has a fate.
		done := false
		condemnAfterTheKill.SetHook(func(op fault.Op, name string) error {
			if op == fault.List && name == record.Condemns && !done {
				done = true
				condemn(t, r, b)
			}
			return nil
		})
		got, st := adopt(t, s, st)
		if len(got) != 1 || got[0].Session != dead.ID() || got[0].Record.Program != "test" || len(packsOf(got)) != 2 {
			t.Fatalf("adopted %+v", got)
		}
		for _, p := range got[0].Packs {
			s.AddPack(p)
		}
		if f, ok := st.Fate(dead.ID()); !ok || f.Kind != record.Killed {
			t.Errorf("the dead session's fate: %+v", f)
		}
		if open := st.OpenSessions(); len(open) != 1 || open[0].ID != s.ID() {
			t.Errorf("open sessions %+v", open)
		}
		commit(t, s, "done")
		end := listed(t, r)
		if !end.Usable(a) || end.Usable(b) || !end.Usable(c) {
			t.Errorf("usable: %v, condemned %v, metadata %v", end.Usable(a), end.Usable(b), end.Usable(c))
		}
		if left := ms.Names(record.Sessions); len(left) != 0 {
			t.Errorf("left: %q", left)
		}
		if _, err := dead.Commit(t.Context(), snap(r, "undead")); !errors.Is(err, ErrKilled) {
			t.Errorf("the dead session commits: %v", err)
		}
	})
}

func TestADeadAdoptersPacksAreAdoptedToo(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		first, _ := begin(t, r)
		a := putPack(t, first, crypt.ClassData, "a")
		second, st := begin(t, r)
		got, _ := adopt(t, second, st) // and dies
		if len(got) != 1 {
			t.Fatalf("adopted %+v", got)
		}
		third, _ := begin(t, r)
		b := putPack(t, third, crypt.ClassData, "b")
		if err := third.End(t.Context(), "disk full"); err != nil { // it ends in an error, its packs stay
			t.Fatal(err)
		}
		fourth, st := begin(t, r)
		got, _ = adopt(t, fourth, st)
		if packs := packsOf(got); len(packs) != 2 || !slices.Contains(packs, a) || !slices.Contains(packs, b) {
			t.Errorf("adopted %+v", got)
		}
		for _, p := range packsOf(got) {
			fourth.AddPack(p)
		}
		commit(t, fourth, "done")
		fifth, st := begin(t, r)
		if got, same := adopt(t, fifth, st); len(got) != 0 || same != st {
			t.Errorf("adopted again: %+v", got)
		}
	})
}

func TestNobodyTouchesTheSessionsOfOthers(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		other := machine(t, ms, 5) // of the same name, it may be, with the same process numbers
		theirs, _ := begin(t, other)
		putPack(t, theirs, crypt.ClassData, "theirs")
		alive, _ := begin(t, r)
		s, st := begin(t, r)
		got, st, err := s.AdoptDead(t.Context(), st, func(record.Process) bool { return true })
		if err != nil || len(got) != 0 || len(st.OpenSessions()) != 3 {
			t.Errorf("adopted %+v, %d open sessions, error %v", got, len(st.OpenSessions()), err)
		}
		got, st = adopt(t, s, st)
		if len(got) != 0 || len(st.OpenSessions()) != 2 {
			t.Errorf("adopted %+v, %d open sessions", got, len(st.OpenSessions()))
		}
		commit(t, theirs, "theirs")
		if _, err := alive.Commit(t.Context(), snap(r, "x")); !errors.Is(err, ErrKilled) {
			t.Errorf("error %v", err)
		}
		if _, _, err := s.AdoptDead(t.Context(), st, nil); err != nil { // this process lives
			t.Error(err)
		}
	})
}

func TestADeadSessionThatHadCommittedIsNoOrphan(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		dead, _ := begin(t, r)
		putPack(t, dead, crypt.ClassData, "a")
		s, st := begin(t, r)
		commit(t, dead, "in the last moment")
		got, st := adopt(t, s, st)
		if len(got) != 0 || len(st.Snapshots()) != 1 {
			t.Errorf("adopted %+v, snapshots %q", got, names(st.Snapshots()))
		}
	})
}

func TestAPackThatIsGoneIsNotAdopted(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	dead, _ := begin(t, r)
	a, b := putPack(t, dead, crypt.ClassData, "a"), putPack(t, dead, crypt.ClassData, "b")
	f := fault.New(ms)
	s, st, err := Begin(t.Context(), r, BeginOptions{Ops: &storeOps{store: f, clock: r.Clock()}})
	if err != nil {
		t.Fatal(err)
	}
	f.SetHook(func(op fault.Op, name string) error {
		if op == fault.Stat && name == a.Path() {
			ms.Lose(name)
		}
		return nil
	})
	if got, _ := adopt(t, s, st); len(got) != 1 || !slices.Equal(got[0].Packs, []record.Pack{b}) {
		t.Errorf("adopted %+v", got)
	}
}

func TestAdoptionSurvivesEveryFailure(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		keep, _ := begin(t, r)
		commit(t, keep, "kept")
		dead, _ := begin(t, r)
		p := putPack(t, dead, crypt.ClassData, "a")
		everyFailure(t, ms, func(inner *mem.Store, f *fault.Store) {
			x := reopen(t, inner, r)
			s, st, err := Begin(t.Context(), x, BeginOptions{Process: deadProcess})
			if err != nil {
				t.Fatal(err)
			}
			s.ops = &storeOps{store: f, clock: x.Clock()}
			_, _, err = s.AdoptDead(t.Context(), st, nobody)
			if f.Fired() > 0 && err == nil && inner.Bytes(record.SessionPath(0, dead.ID())) == nil {
				t.Error("the dead session's object is gone before anybody committed its packs")
			}
			// The next run finds the same.
			y := reopen(t, inner, r)
			s, st = begin(t, y)
			got, _ := adopt(t, s, st)
			if !slices.Equal(packsOf(got), []record.Pack{p}) {
				t.Errorf("after %v the next run adopts %+v", err, got)
			}
			s.AddPack(p)
			commit(t, s, "next")
			if got := names(listed(t, y).Snapshots()); !slices.Equal(got, []string{"kept", "next"}) {
				t.Errorf("snapshots %q", got)
			}
		})
	})
}

func TestAKillWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		if _, err := r.Writer(t.Context()); err != nil {
			t.Fatal(err)
		}
		for n := 1; ; n++ {
			s, st := begin(t, r)
			open := st.OpenSessions()[slices.IndexFunc(st.OpenSessions(), func(o *Open) bool { return o.ID == s.ID() })]
			f := fault.New(ms, fault.Rule{N: n, When: fault.After, Err: errs.New(errs.Temporary, "lost")})
			err := Kill(t.Context(), r, &storeOps{store: f, clock: r.Clock()}, open, "x")
			if f.Fired() == 0 {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			end := listed(t, r)
			if fate, ok := end.Fate(s.ID()); err == nil && (!ok || fate.Kind != record.Killed) || len(end.Unknowns()) != 0 {
				t.Errorf("call %d: fate %+v, unknown %v, error %v", n, fate, end.Unknowns(), err)
			}
			if err := Kill(t.Context(), r, nil, open, "again"); err != nil {
				t.Errorf("call %d: again: %v", n, err)
			}
			if fate, ok := listed(t, r).Fate(s.ID()); !ok || fate.Kind != record.Killed {
				t.Errorf("call %d: fate %+v", n, fate)
			}
		}
	})
}
