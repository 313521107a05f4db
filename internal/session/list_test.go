package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

func TestAFateThatDoesNotVerifyIsHealedOrUnknownAndNeverAKill(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		s, _ := begin(t, r)
		p := putPack(t, s, crypt.ClassData, "pack")
		commit(t, s, "one")
		path := record.FatePath(0, s.ID())
		good := ms.Bytes(path)
		check := func(what string, unknown int, healed bool) {
			t.Helper()
			st := listed(t, r)
			f, ok := st.Fate(s.ID())
			if !ok || f.Healed != healed || !st.Usable(p) || len(st.Snapshots()) != 1 || len(st.Unknowns()) != unknown || st.FateUnknown(s.ID()) {
				t.Errorf("%s: fate %+v, unknown %v", what, f, st.Unknowns())
			}
		}
		check("whole", 0, false)
		ms.FlipBit(path, 999)
		check("damaged", 1, true)
		ms.Lose(path)
		check("lost", 1, true)
		ms.Set(path, good)
		ms.Lose(record.DupPath(path))
		check("without a copy", 0, false)
		ms.Corrupt(path, func(b []byte) []byte { return b[:len(b)-1] })
		st := listed(t, r)
		if _, ok := st.Fate(s.ID()); ok || !st.FateUnknown(s.ID()) || st.Usable(p) || len(st.Snapshots()) != 0 || len(st.OpenSessions()) != 0 {
			t.Errorf("a damaged fate counts for something: %v", st.Unknowns())
		}
	})
}

func TestFatesThatOthersNameAreMissed(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	var sids []id.Session
	for i := range 3 {
		s, _ := begin(t, r)
		sids = append(sids, commit(t, s, fmt.Sprint(i)).ID)
	}
	if st := listed(t, r); len(st.Alarms()) != 0 || len(st.Heads()) != 1 || st.Sequence() != 3 {
		t.Fatalf("alarms %v, heads %v, sequence %d", st.Alarms(), st.Heads(), st.Sequence())
	}
	drop := func(s *mem.Store, sid id.Session) []byte {
		b := s.Bytes(record.FatePath(0, sid))
		s.Lose(record.FatePath(0, sid))
		s.Lose(record.DupPath(record.FatePath(0, sid)))
		return b
	}
	// Everybody sees that one is missing which a later one names.
	middle := ms.Clone()
	b := drop(middle, sids[1])
	st := listed(t, machine(t, middle, 7))
	if a := st.Alarms(); len(a) != 1 || a[0].Session != sids[1] || a[0].NamedBy != sids[2].String() {
		t.Errorf("alarms %v", a)
	}
	// Quarantine accounts for it.
	middle.Set(record.Quarantine+record.FatePath(0, sids[1]), b)
	if a := listed(t, machine(t, middle, 7)).Alarms(); len(a) != 0 {
		t.Errorf("alarms %v", a)
	}
	// The newest is missed by who saw it, again and again, until it is there.
	b = drop(ms, sids[2])
	for range 2 {
		if a := listed(t, r).Alarms(); len(a) != 1 || a[0].Session != sids[2] || a[0].NamedBy != Memory {
			t.Errorf("alarms %v", a)
		}
	}
	ms.Set(record.FatePath(0, sids[2]), b)
	if a := listed(t, r).Alarms(); len(a) != 0 {
		t.Errorf("alarms %v", a)
	}
	// A memory that is older, or rubbish, never alarms.
	if err := r.SaveState(headsFile, []byte(sids[0].String()+" zz\nrubbish\n"+"x y\n")); err != nil {
		t.Fatal(err)
	}
	if a := listed(t, r).Alarms(); len(a) != 0 {
		t.Errorf("alarms %v", a)
	}
}

func TestCondemnedAndGonePacksAreNotUsed(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		s, _ := begin(t, r)
		a, b, c := putPack(t, s, crypt.ClassData, "a"), putPack(t, s, crypt.ClassData, "b"), putPack(t, s, crypt.ClassMeta, "c")
		if a.N != 0 || b.N != 1 || c.N != 0 {
			t.Errorf("packs are numbered %d, %d, %d", a.N, b.N, c.N)
		}
		s.AddPack(a)
		s.AddIndex(id.Name{1})
		s.AddIndex(id.Name{2}, id.Name{1})
		commit(t, s, "one")
		condemn(t, r, a)
		prune, _, err := Begin(t.Context(), r, BeginOptions{Use: record.Prune})
		if err != nil {
			t.Fatal(err)
		}
		rescue := prune.newFate(record.Rescue)
		rescue.Gone = []record.Pack{b}
		path := rescue.Path
		place(t, r, crypt.ClassFate, path, func(id.Writer) ([]byte, error) { return rescue.Encode() })
		st := listed(t, r)
		if st.Usable(a) || st.Usable(b) || !st.Usable(c) || st.UsablePack("data/x") || st.Condemned(b) || !st.Condemned(a) {
			t.Errorf("usable: condemned %v, gone %v, the other %v", st.Usable(a), st.Usable(b), st.Usable(c))
		}
		var all []record.Pack
		if err := st.Packs(func(p record.Pack) error { all = append(all, p); return nil }); err != nil || len(all) != 1 || all[0] != c {
			t.Errorf("packs %v, error %v", all, err)
		}
		stop := errors.New("stop")
		if !errors.Is(st.Packs(func(record.Pack) error { return stop }), stop) || !errors.Is(st.Fates(func(*Fate) error { return stop }), stop) {
			t.Error("an error does not end the iteration")
		}
		n := 0
		if err := st.Fates(func(*Fate) error { n++; return nil }); err != nil || n != 2 {
			t.Errorf("%d fates, error %v", n, err)
		}
		if got := st.CommittedIndexes(); !slices.Equal(got, []id.Name{{2}}) {
			t.Errorf("index objects %v", got)
		}
		// A condemn record that does not verify may name any pack.
		ms.Set(record.CondemnedPath(id.Session{9}), []byte("rubbish"))
		if st := listed(t, r); st.Usable(c) || !st.Condemned(c) || len(st.Unknowns()) != 1 {
			t.Errorf("packs are used beside a condemn record that says nobody knows what: %v", st.Unknowns())
		}
	})
}

func TestARecordDroppedWhileItIsReadIsNoError(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		s, _ := begin(t, r)
		p := putPack(t, s, crypt.ClassData, "a")
		commit(t, s, "one")
		path := condemn(t, r, p)
		open, _ := begin(t, r)
		f := fault.New(ms)
		f.SetHook(func(op fault.Op, name string) error {
			if op == fault.Get && (name == path || name == record.SessionPath(0, open.ID())) && ms.Bytes(name) != nil {
				ms.Lose(name)
			}
			return nil
		})
		st, err := ListBy(t.Context(), r, &storeOps{store: f, clock: r.Clock()})
		if err != nil || len(st.Unknowns()) != 0 || len(st.OpenSessions()) != 0 || !st.Usable(p) {
			t.Errorf("error %v, unknown %v", err, st.Unknowns())
		}
	})
}

func TestAWriterEnrolledMeanwhileIsNoStranger(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	m := machine(t, ms, 5)
	s, _ := begin(t, m)
	commit(t, s, "theirs")
	if st := listed(t, r); len(st.Unknowns()) != 0 || len(st.Snapshots()) != 1 {
		t.Errorf("unknown %v, snapshots %q", st.Unknowns(), names(st.Snapshots()))
	}
	if _, ok := r.KnownWriter(); ok {
		t.Error("reading made a writer")
	}
}

func TestARunReadsEachFateOnce(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		for range 3 {
			s, _ := begin(t, r)
			commit(t, s, "x")
		}
		x := machine(t, ms, 9)
		if _, err := x.Writer(t.Context()); err != nil {
			t.Fatal(err)
		}
		listed(t, x)
		f := fault.New(ms)
		s, st, err := Begin(t.Context(), x, BeginOptions{Ops: steps(f, x)})
		if err != nil || len(st.Snapshots()) != 3 || f.Calls(fault.Get) != 1 { // its own session
			t.Errorf("%d snapshots after %d reads, error %v", len(st.Snapshots()), f.Calls(fault.Get), err)
		}
		// One that was cut short since is read again, and List reads all.
		path := st.Snapshots()[0].Fate.Path
		ms.Corrupt(path, func(b []byte) []byte { return b[:len(b)-9] })
		if _, st, err = s.open(t.Context(), nil, id.Session{}); err != nil || len(st.Unknowns()) != 1 || len(st.Snapshots()) != 3 {
			t.Errorf("unknown %v, error %v", st.Unknowns(), err)
		}
		path = st.Snapshots()[1].Fate.Path
		ms.FlipBit(path, 700)
		if st := listed(t, x); len(st.Unknowns()) != 2 {
			t.Errorf("unknown %v", st.Unknowns())
		}
	})
}

func TestAFateCommittedWhileItIsListedIsNotLost(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		s, _ := begin(t, r)
		f := fault.New(ms)
		done := false
		f.SetHook(func(op fault.Op, name string) error {
			if op == fault.List && name == record.DupPath(record.Fates) && !done {
				done = true
				commit(t, s, "in between")
			}
			return nil
		})
		st, err := ListBy(t.Context(), r, steps(f, r))
		if err != nil || len(st.Unknowns()) != 0 || len(st.OpenSessions()) != 0 || len(st.Snapshots()) != 1 {
			t.Errorf("unknown %v, snapshots %q, error %v", st.Unknowns(), names(st.Snapshots()), err)
		}
	})
}

// slowLister leaves a fate out of its listings, as a listing may that began before the fate was there.
type slowLister struct {
	Ops
	without string
}

func (l *slowLister) List(ctx context.Context, prefix string) ([]store.Info, error) {
	all, err := l.Ops.List(ctx, prefix)
	return slices.DeleteFunc(all, func(i store.Info) bool { return strings.HasSuffix(i.Name, l.without) }), err
}

func TestAFateThatASlowListingLeavesOutIsNotMissed(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	first, _ := begin(t, r)
	commit(t, first, "first")
	second, _ := begin(t, r)
	commit(t, second, "second")
	x := machine(t, ms, 4)
	st, err := ListBy(t.Context(), x, &slowLister{steps(ms, x), first.ID().String()})
	if err != nil || len(st.Alarms()) != 0 || len(st.Snapshots()) != 1 {
		t.Errorf("alarms %v, snapshots %q, error %v", st.Alarms(), names(st.Snapshots()), err)
	}
	failing := steps(fault.New(ms, fault.Rule{Op: fault.Stat, Err: errs.New(errs.Unreachable, "x")}), x)
	if _, err := ListBy(t.Context(), x, &slowLister{failing, first.ID().String()}); !errors.Is(err, errs.Unreachable) {
		t.Errorf("error %v", err)
	}
}
