package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

// place puts a signed object as a writer of the repository does.
func place(t *testing.T, r *repo.Repo, class crypt.Class, path string, encode func(w id.Writer) ([]byte, error)) {
	t.Helper()
	w, err := r.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	outer, err := encode(w.Writer())
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.SealControl(t.Context(), class, path, outer, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Store().Put(t.Context(), path, store.Bytes(b)); err != nil {
		t.Fatal(err)
	}
}

func forget(t *testing.T, r *repo.Repo, sid id.Session) {
	t.Helper()
	path := record.TombstonePath(sid)
	place(t, r, crypt.ClassTombstone, path, func(w id.Writer) ([]byte, error) {
		return (&record.Tombstone{Path: path, Writer: w, Session: sid}).Encode()
	})
}

func condemn(t *testing.T, r *repo.Repo, packs ...record.Pack) string {
	t.Helper()
	gid := id.Session{0xcc, byte(len(packs))}
	path := record.CondemnedPath(gid)
	place(t, r, crypt.ClassCondemned, path, func(w id.Writer) ([]byte, error) {
		return (&record.Condemned{Path: path, Writer: w, ID: gid, Packs: packs}).Encode()
	})
	return path
}

func TestAPinThatIsLostIsDropped(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		var sids []id.Session
		for _, name := range []string{"kept", "forgotten", "rubbish at its tombstone", "damaged"} {
			s, _ := begin(t, r)
			sids = append(sids, commit(t, s, name).ID)
		}
		ended, _ := begin(t, r)
		if err := ended.End(t.Context(), "test"); err != nil {
			t.Fatal(err)
		}
		forget(t, r, sids[1])
		ms.Set(record.TombstonePath(sids[2]), []byte("rubbish"))
		for _, path := range []string{record.FatePath(0, sids[3]), record.DupPath(record.FatePath(0, sids[3]))} {
			ms.FlipBit(path, 1000)
		}
		s, st := begin(t, r, append(sids, ended.ID(), id.Session{1})...)
		if got := s.Pins(); !slices.Equal(got, sids[:1]) || !s.Pinned(sids[0]) || s.Pinned(sids[1]) {
			t.Errorf("pins %v, want %v", got, sids[:1])
		}
		if open := st.OpenSessions(); len(open) != 1 || open[0].ID != s.ID() || !slices.Equal(open[0].Record.Pins, sids[:1]) {
			t.Errorf("open sessions %+v", open)
		}
		// What is there and does not verify leaves the snapshot alone, but nobody builds on it.
		if got := names(st.Snapshots()); !slices.Equal(got, []string{"kept", "rubbish at its tombstone"}) {
			t.Errorf("snapshots %q", got)
		}
		if n, ok := st.Snapshot(sids[1]); !ok || n.Tombstone == nil {
			t.Errorf("the forgotten snapshot is %+v", n)
		}
		if !st.FateUnknown(sids[3]) || len(st.Unknowns()) != 2 {
			t.Errorf("unknown: %v", st.Unknowns())
		}
	})
}

func TestACheckpointGoesOnInASuccessor(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		parent, _ := begin(t, r)
		first := commit(t, parent, "parent")
		s1, _ := begin(t, r, first.ID)
		p := putPack(t, s1, crypt.ClassData, "of s1")
		if err := s1.Supersede(t.Context(), first.ID); !errors.Is(err, errs.Usage) {
			t.Errorf("checkpoints are forgotten before the commit: %v", err)
		}
		s2, st, cp, err := s1.Checkpoint(t.Context(), snap(r, "checkpoint"))
		if err != nil {
			t.Fatal(err)
		}
		if cp.Kind != record.Checkpoint || cp.ID != s1.ID() || s2.ID() == s1.ID() || !slices.Equal(s2.Pins(), []id.Session{first.ID, s1.ID()}) {
			t.Errorf("checkpoint %+v, pins %v", cp, s2.Pins())
		}
		if !st.Usable(p) || len(st.Snapshots()) != 1 || len(st.Checkpoints()) != 1 || st.Checkpoints()[0].ID != s1.ID() {
			t.Errorf("the successor's state: usable %v, %d snapshots, %d checkpoints", st.Usable(p), len(st.Snapshots()), len(st.Checkpoints()))
		}
		if _, _, _, err := s1.Checkpoint(t.Context(), snap(r, "x")); err == nil {
			t.Error("a committed session makes a checkpoint")
		}
		done := commit(t, s2, "done")
		if !slices.ContainsFunc(done.Fate.Heads, func(h record.Head) bool { return h.Session == s1.ID() }) || done.Fate.Sequence != cp.Fate.Sequence+1 {
			t.Errorf("the commit does not name the checkpoint as a head: %+v, sequence %d after %d", done.Fate.Heads, done.Fate.Sequence, cp.Fate.Sequence)
		}
		if err := s2.Supersede(t.Context(), s1.ID(), first.ID, s2.ID(), id.Session{9}); err != nil {
			t.Fatal(err)
		}
		if err := s2.Supersede(t.Context(), s1.ID()); err != nil {
			t.Fatalf("again: %v", err)
		}
		end := list(t, r)
		if got := names(end.Snapshots()); !slices.Equal(got, []string{"parent", "done"}) || len(end.Checkpoints()) != 0 {
			t.Errorf("snapshots %q, checkpoints %q", got, names(end.Checkpoints()))
		}
		if n, ok := end.Snapshot(s1.ID()); !ok || n.Tombstone == nil || n.Tombstone.Window != 0 || n.Tombstone.Successor != s2.ID() {
			t.Errorf("the checkpoint's tombstone: %+v", n)
		}
		if len(end.Alarms()) != 0 || len(end.Unknowns()) != 0 || len(end.Heads()) != 1 {
			t.Errorf("alarms %v, unknown %v, heads %v", end.Alarms(), end.Unknowns(), end.Heads())
		}
	})
}

func TestTheSuccessorOfACheckpointObeysItsOwnListing(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		old, _ := begin(t, r)
		p := putPack(t, old, crypt.ClassData, "old")
		first := commit(t, old, "parent")
		s1, st1 := begin(t, r, first.ID)
		if !st1.Usable(p) {
			t.Fatal("the pack is not usable at first")
		}
		pruner := machine(t, ms, 5)
		condemn(t, pruner, p)
		forget(t, pruner, first.ID)
		s2, st2, _, err := s1.Checkpoint(t.Context(), snap(r, "checkpoint"))
		if err != nil {
			t.Fatal(err)
		}
		if st2.Usable(p) || !st2.Condemned(p) {
			t.Error("a pack condemned since is still used")
		}
		if !slices.Equal(s2.Pins(), []id.Session{s1.ID()}) {
			t.Errorf("pins %v: the forgotten parent is still pinned", s2.Pins())
		}
		if open := list(t, r).OpenSessions(); len(open) != 1 || open[0].ID != s2.ID() {
			t.Errorf("open sessions %+v", open)
		}
	})
}

func TestAKilledSessionDoesNotCommit(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		s, st := begin(t, r)
		p := putPack(t, s, crypt.ClassData, "lost")
		pruner := machine(t, ms, 5)
		if err := Kill(t.Context(), pruner, nil, st.OpenSessions()[0], "silent for 72 hours"); err != nil {
			t.Fatal(err)
		}
		_, err := s.Commit(t.Context(), snap(r, "late"))
		if !errors.Is(err, ErrKilled) || !strings.Contains(err.Error(), "silent for 72 hours") {
			t.Errorf("error %v", err)
		}
		if _, err := s.Commit(t.Context(), snap(r, "later")); !errors.Is(err, ErrKilled) {
			t.Errorf("the second try: %v", err)
		}
		if err := s.End(t.Context(), "x"); err != nil {
			t.Errorf("end: %v", err)
		}
		end := list(t, r)
		if f, ok := end.Fate(s.ID()); !ok || f.Kind != record.Killed || end.Usable(p) || len(end.Snapshots()) != 0 || len(end.Unknowns()) != 0 {
			t.Errorf("fate %+v, unknown %v", f, end.Unknowns())
		}
		// A kill after the commit changes nothing.
		s, st = begin(t, r)
		commit(t, s, "good")
		if err := Kill(t.Context(), pruner, nil, &Open{ID: s.ID(), Record: st.sessions[s.ID()].Record}, "late"); err != nil {
			t.Fatal(err)
		}
		if got := names(list(t, r).Snapshots()); !slices.Equal(got, []string{"good"}) {
			t.Errorf("snapshots %q", got)
		}
	})
}

func TestACheckpointOfAKilledSessionEndsBoth(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		s, st := begin(t, r)
		if err := Kill(t.Context(), machine(t, ms, 5), nil, st.OpenSessions()[0], "x"); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := s.Checkpoint(t.Context(), snap(r, "checkpoint")); !errors.Is(err, ErrKilled) {
			t.Errorf("error %v", err)
		}
		if end := list(t, r); len(end.OpenSessions()) != 0 || len(end.Checkpoints()) != 0 {
			t.Errorf("open sessions %+v, checkpoints %q", end.OpenSessions(), names(end.Checkpoints()))
		}
	})
}

func TestAForgedFateIsReported(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		s, _ := begin(t, r)
		ms.Set(record.FatePath(0, s.ID()), []byte("rubbish"))
		_, err := s.Commit(t.Context(), snap(r, "x"))
		if !errors.Is(err, ErrForged) || !errors.Is(err, errs.Corrupt) || errs.Hint(err) == "" {
			t.Errorf("error %v", err)
		}
		// Another writer's commit in its place is no kill.
		s, _ = begin(t, r)
		other := machine(t, ms, 6)
		place(t, other, crypt.ClassFate, record.FatePath(0, s.ID()), func(w id.Writer) ([]byte, error) {
			return (&record.Fate{Path: record.FatePath(0, s.ID()), Writer: w, Session: s.ID(), Kind: record.Ended}).Encode()
		})
		if _, err := s.Commit(t.Context(), snap(r, "x")); !errors.Is(err, ErrForged) {
			t.Errorf("error %v", err)
		}
	})
}

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
			st := list(t, r)
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
		st := list(t, r)
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
	if st := list(t, r); len(st.Alarms()) != 0 || len(st.Heads()) != 1 || st.Sequence() != 3 {
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
	st := list(t, machine(t, middle, 7))
	if a := st.Alarms(); len(a) != 1 || a[0].Session != sids[1] || a[0].NamedBy != sids[2].String() {
		t.Errorf("alarms %v", a)
	}
	// Quarantine accounts for it.
	middle.Set(record.Quarantine+record.FatePath(0, sids[1]), b)
	if a := list(t, machine(t, middle, 7)).Alarms(); len(a) != 0 {
		t.Errorf("alarms %v", a)
	}
	// The newest is missed by who saw it, again and again, until it is there.
	b = drop(ms, sids[2])
	for range 2 {
		if a := list(t, r).Alarms(); len(a) != 1 || a[0].Session != sids[2] || a[0].NamedBy != Memory {
			t.Errorf("alarms %v", a)
		}
	}
	ms.Set(record.FatePath(0, sids[2]), b)
	if a := list(t, r).Alarms(); len(a) != 0 {
		t.Errorf("alarms %v", a)
	}
	// A memory that is older, or rubbish, never alarms.
	if err := r.SaveState(headsFile, []byte(sids[0].String()+" zz\nrubbish\n"+"x y\n")); err != nil {
		t.Fatal(err)
	}
	if a := list(t, r).Alarms(); len(a) != 0 {
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
		st := list(t, r)
		if st.Usable(a) || st.Usable(b) || !st.Usable(c) || st.UsablePack("data/x") || st.Condemned(b) || !st.Condemned(a) {
			t.Errorf("usable: condemned %v, gone %v, the other %v", st.Usable(a), st.Usable(b), st.Usable(c))
		}
		var all []record.Pack
		if err := st.Packs(func(p record.Pack) error { all = append(all, p); return nil }); err != nil || len(all) != 1 || all[0] != c {
			t.Errorf("packs %v, error %v", all, err)
		}
		stop := errors.New("stop")
		if st.Packs(func(record.Pack) error { return stop }) != stop || st.Fates(func(*Fate) error { return stop }) != stop {
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
		if st := list(t, r); st.Usable(c) || !st.Condemned(c) || len(st.Unknowns()) != 1 {
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
	if st := list(t, r); len(st.Unknowns()) != 0 || len(st.Snapshots()) != 1 {
		t.Errorf("unknown %v, snapshots %q", st.Unknowns(), names(st.Snapshots()))
	}
	if _, ok := r.KnownWriter(); ok {
		t.Error("reading made a writer")
	}
}

func TestASessionBeginsInTheHighestEra(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	ms.Set("era/00000002", []byte("x"))
	s, st := begin(t, r)
	if st.Era() != 2 || ms.Bytes(record.SessionPath(2, s.ID())) == nil || len(st.OpenSessions()) != 1 {
		t.Errorf("era %d, open sessions %+v", st.Era(), st.OpenSessions())
	}
	commit(t, s, "one")
	if got := names(list(t, r).Snapshots()); !slices.Equal(got, []string{"one"}) || ms.Bytes(record.FatePath(2, s.ID())) == nil {
		t.Errorf("snapshots %q", got)
	}
}

// tickClock sleeps until it is told that the time is over.
type tickClock struct {
	fakeClock
	ticks chan struct{}
}

func (c *tickClock) Sleep(ctx context.Context, _ time.Duration) error {
	select {
	case <-c.ticks:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestHeartbeatsAreWrittenWhileARunLasts(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	c := &tickClock{ticks: make(chan struct{})}
	s, _, err := Begin(t.Context(), r, BeginOptions{Ops: &storeOps{store: ms, clock: c}})
	if err != nil {
		t.Fatal(err)
	}
	tick := func(path string) {
		t.Helper()
		c.ticks <- struct{}{}
		for deadline := time.Now().Add(30 * time.Second); ms.Bytes(path) == nil; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no heartbeat at %s", path)
			}
		}
	}
	stop := errors.New("stop")
	err = s.Keep(t.Context(), func(ctx context.Context) error {
		tick(record.HeartbeatPath(0, s.ID(), 1))
		tick(record.HeartbeatPath(0, s.ID(), 2))
		if o := list(t, r).OpenSessions(); len(o) != 1 || o[0].Beats != 2 {
			t.Errorf("open sessions %+v", o)
		}
		next, _, _, err := s.Checkpoint(ctx, snap(r, "checkpoint"))
		if err != nil {
			return err
		}
		tick(record.HeartbeatPath(0, next.ID(), 1))
		if _, err := next.Commit(ctx, snap(r, "done")); err != nil {
			return err
		}
		c.ticks <- struct{}{} // it writes nothing any more
		c.ticks <- struct{}{}
		return stop
	})
	if err != stop {
		t.Errorf("error %v", err)
	}
	if left := ms.Names(record.Sessions); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

func TestAReadSessionIsDeletedByItsOwner(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	w, _ := begin(t, r)
	n := commit(t, w, "one")
	s, st, err := Begin(t.Context(), r, BeginOptions{Use: record.Read, Pins: []id.Session{n.ID}})
	if err != nil || len(st.OpenSessions()) != 1 || !s.Pinned(n.ID) || s.State() != st {
		t.Fatalf("error %v", err)
	}
	if err := s.End(t.Context(), "done"); err != nil {
		t.Fatal(err)
	}
	if st := list(t, r); len(st.OpenSessions()) != 0 || len(ms.Names(record.Fates)) != 1 {
		t.Errorf("open sessions %+v, fates %q", st.OpenSessions(), ms.Names(record.Fates))
	}
}

func TestJudgesLookAtRights(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	sid := id.Session{1}
	path := record.FatePath(0, sid)
	me, other := id.Writer{1}, id.Writer{2}
	inner, err := snap(r, "x").Encode()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		kind   record.Kind
		rights crypt.Rights
		owner  *id.Writer
		want   bool
	}{
		{"a writer commits its session", record.Commit, crypt.RightWrite, &me, true},
		{"a writer commits a session whose object is gone", record.Commit, crypt.RightWrite, nil, true},
		{"a put-only writer commits", record.Checkpoint, crypt.RightPut, &me, true},
		{"a pruner commits no snapshot", record.Commit, crypt.RightPrune, &me, false},
		{"nobody commits another's session", record.Commit, crypt.RightWrite, &other, false},
		{"a pruner rescues", record.Rescue, crypt.RightPrune, &me, true},
		{"a writer does not rescue", record.Rescue, crypt.RightWrite, &me, false},
		{"a writer compacts", record.Compaction, crypt.RightWrite, &me, true},
		{"a put-only writer does not compact", record.Compaction, crypt.RightPut, &me, false},
		{"its own writer ends a session", record.Ended, crypt.RightPut, &me, true},
		{"nobody ends another's", record.Ended, crypt.RightPrune, &other, false},
		{"its own writer kills a session", record.Killed, crypt.RightPut, &me, true},
		{"a pruner kills another's", record.Killed, crypt.RightPrune, &other, true},
		{"a writer does not kill another's", record.Killed, crypt.RightWrite, &other, false},
	}
	for _, tt := range tests {
		outer, err := (&record.Fate{Path: path, Writer: me, Session: sid, Kind: tt.kind}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		c := &repo.Control{Outer: outer, Ring: crypt.RingWriter{Rights: tt.rights}}
		if tt.kind.Snapshot() {
			c.Inner = inner
		}
		f, err := judge(path, c, tt.owner)
		if (err == nil) != tt.want || err != nil && !errors.Is(err, errs.Corrupt) {
			t.Errorf("%s: fate %+v, error %v", tt.name, f, err)
		}
		c.Ring.Revoked = true
		if f, err := judge(path, c, tt.owner); tt.want && (err != nil || !f.Void || f.Committed()) {
			t.Errorf("%s, revoked: fate %+v, error %v", tt.name, f, err)
		}
		c.Ring.Fates = []id.Session{sid}
		if f, err := judge(path, c, tt.owner); tt.want && (err != nil || f.Void) {
			t.Errorf("%s, revoked and listed: fate %+v, error %v", tt.name, f, err)
		}
	}
	bad := func(what string, f record.Fate, inner []byte) {
		t.Helper()
		outer, err := f.Encode()
		if err != nil {
			t.Fatal(err)
		}
		c := &repo.Control{Outer: outer, Inner: inner, Ring: crypt.RingWriter{Rights: crypt.RightWrite | crypt.RightPrune}}
		if _, err := judge(f.Path, c, nil); !errors.Is(err, errs.Corrupt) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	bad("another session's", record.Fate{Path: path, Session: id.Session{2}, Kind: record.Ended}, nil)
	bad("another era's", record.Fate{Path: path, Session: sid, Era: 1, Kind: record.Ended}, nil)
	bad("a commit without a snapshot", record.Fate{Path: path, Session: sid, Kind: record.Commit}, nil)
	bad("a kill with a snapshot", record.Fate{Path: path, Session: sid, Kind: record.Killed}, inner)
	bad("a snapshot that does not decode", record.Fate{Path: path, Session: sid, Kind: record.Commit}, []byte{1})
	bad("a commit in a kill's place", record.Fate{Path: record.KilledPath(0, sid), Session: sid, Kind: record.Commit}, inner)
	if _, err := judge(path, &repo.Control{Outer: []byte{1}}, nil); !errors.Is(err, errs.Corrupt) {
		t.Errorf("rubbish: error %v", err)
	}
}

func TestWhatAPutOnlyWriterSays(t *testing.T) {
	t.Parallel()
	r := newRepo(t, mem.New())
	p, q := record.Pack{Class: 'D', N: 1}, record.Pack{Class: 'D', N: 2}
	fate := func(sid byte, kind record.Kind, rights crypt.Rights) *Fate {
		return &Fate{Fate: record.Fate{Session: id.Session{sid}, Kind: kind, Writer: id.Writer{sid}}, Rights: rights}
	}
	full, put := fate(1, record.Compaction, crypt.RightWrite), fate(2, record.Compaction, crypt.RightPut)
	full.Packs, full.Indexes = []record.Pack{p}, []id.Name{{1}}
	put.Packs, put.Indexes, put.Gone, put.Replaces = []record.Pack{q}, []id.Name{{2}}, []record.Pack{p}, []id.Name{{1}}
	st := &State{repo: r, fates: map[id.Session]*Fate{{1}: full, {2}: put}}
	st.settle()
	if !st.Usable(p) || st.Usable(q) || !slices.Equal(st.indexes, []id.Name{{1}}) {
		t.Errorf("a put-only writer's packs are used by others (%v), or its word hides theirs (%v, %v)", st.Usable(q), !st.Usable(p), st.indexes)
	}
	put.trusted = true
	if st.settle(); !st.Usable(q) {
		t.Error("a trusted put-only writer's packs are not used")
	}
	cp := &Fate{Fate: record.Fate{Kind: record.Checkpoint, Writer: id.Writer{1}}}
	done := &Fate{Fate: record.Fate{Kind: record.Commit, Writer: id.Writer{1}}}
	for what, tt := range map[string]struct {
		t    tomb
		f    *Fate
		want bool
	}{
		"of a writer":                        {tomb{&record.Tombstone{}, crypt.RingWriter{Rights: crypt.RightWrite}}, done, true},
		"of a pruner":                        {tomb{&record.Tombstone{}, crypt.RingWriter{Rights: crypt.RightPrune}}, done, true},
		"of a revoked writer":                {tomb{&record.Tombstone{}, crypt.RingWriter{Rights: crypt.RightWrite, Revoked: true}}, done, false},
		"of nobody":                          {tomb{}, done, false},
		"of a put-only writer, a checkpoint": {tomb{&record.Tombstone{Writer: id.Writer{1}}, crypt.RingWriter{Rights: crypt.RightPut}}, cp, true},
		"of a put-only writer, a commit":     {tomb{&record.Tombstone{Writer: id.Writer{1}}, crypt.RingWriter{Rights: crypt.RightPut}}, done, false},
		"of a put-only writer, another's":    {tomb{&record.Tombstone{Writer: id.Writer{2}}, crypt.RingWriter{Rights: crypt.RightPut}}, cp, false},
	} {
		if got := tt.t.counts(tt.f); got != tt.want {
			t.Errorf("a tombstone %s counts: %v", what, got)
		}
	}
}

func TestMisplacedObjectsAreUnknown(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	sid := id.Session{1}
	at := func(class crypt.Class, path string, encode func(w id.Writer) ([]byte, error)) {
		place(t, r, class, path, encode)
	}
	path := record.SessionPath(0, sid)
	at(crypt.ClassSession, path, func(w id.Writer) ([]byte, error) {
		return (&record.Session{Path: path, Writer: w, Session: id.Session{2}, Use: record.Write}).Encode()
	})
	tomb := record.TombstonePath(sid)
	at(crypt.ClassTombstone, tomb, func(w id.Writer) ([]byte, error) {
		return (&record.Tombstone{Path: tomb, Writer: w, Session: id.Session{2}}).Encode()
	})
	cond := record.CondemnedPath(sid)
	at(crypt.ClassCondemned, cond, func(w id.Writer) ([]byte, error) {
		return (&record.Condemned{Path: cond, Writer: w, ID: id.Session{2}}).Encode()
	})
	st := list(t, r)
	if len(st.Unknowns()) != 3 || !st.blind || !st.Tombstoned(sid) || len(st.OpenSessions()) != 1 || st.OpenSessions()[0].Record != nil {
		t.Errorf("unknown %v", st.Unknowns())
	}
}
