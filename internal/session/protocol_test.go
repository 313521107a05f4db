package session

import (
	"context"
	"errors"
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
		s, st := begin(t, machine(t, ms, 8), append(sids, ended.ID(), id.Session{1})...)
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
		end := listed(t, r)
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
		if open := listed(t, r).OpenSessions(); len(open) != 1 || open[0].ID != s2.ID() {
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
		end := listed(t, r)
		if f, ok := end.Fate(s.ID()); !ok || f.Kind != record.Killed || end.Usable(p) || len(end.Snapshots()) != 0 || len(end.Unknowns()) != 0 {
			t.Errorf("fate %+v, unknown %v", f, end.Unknowns())
		}
		// A kill after the commit changes nothing.
		s, st = begin(t, r)
		commit(t, s, "good")
		if err := Kill(t.Context(), pruner, nil, &Open{ID: s.ID(), Record: st.sessions[s.ID()].Record}, "late"); err != nil {
			t.Fatal(err)
		}
		if got := names(listed(t, r).Snapshots()); !slices.Equal(got, []string{"good"}) {
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
		if end := listed(t, r); len(end.OpenSessions()) != 0 || len(end.Checkpoints()) != 0 {
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
		if o := listed(t, r).OpenSessions(); len(o) != 1 || o[0].Beats != 2 {
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
	if !errors.Is(err, stop) {
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
	if st := listed(t, r); len(st.OpenSessions()) != 0 || len(ms.Names(record.Fates)) != 1 {
		t.Errorf("open sessions %+v, fates %q", st.OpenSessions(), ms.Names(record.Fates))
	}
}

// withoutCreate is a store that has lost its create-if-absent: the same disk, reached another way.
type withoutCreate struct{ *mem.Store }

func (w withoutCreate) As(target any) bool {
	if _, ok := target.(*store.PutIfAbsenter); ok {
		return false
	}
	return w.Store.As(target)
}

func TestAStoreThatLostItsCreateIfAbsentIsRefusedBeforeAnyWork(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	newRepo(t, ms)
	r := machine(t, withoutCreate{ms}, 3)
	before := ms.Names("")
	_, _, err := Begin(t.Context(), r, BeginOptions{})
	if !errors.Is(err, errs.Unsupported) || errs.Hint(err) == "" || !slices.Equal(ms.Names(""), before) {
		t.Errorf("error %v, objects %q", err, ms.Names(""))
	}
	if err := steps(withoutCreate{ms}, r).Create(t.Context(), "x", nil); !errors.Is(err, errs.Unsupported) {
		t.Errorf("error %v", err)
	}
}
