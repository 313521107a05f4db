package session

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/mem"
	"github.com/nacre-backup/nacre/internal/testkit/chance"
)

// fakeClock never waits.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Microsecond)
	return c.now
}

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
	return ctx.Err()
}

func newClock() clock.Clock { return &fakeClock{now: time.Unix(1_700_000_000, 0)} }

func random(n byte) clock.Rand { return chance.New([32]byte{n}) }

var drawn atomic.Uint64

// fresh is a source of random bytes that no other test shares: no session id comes twice.
func fresh() clock.Rand {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[8:], drawn.Add(1))
	return chance.New(seed)
}

// keyfile is the text of a key that opens the test repositories without the cost of a password.
func keyfile() []byte { return crypt.FormatKeyfile(crypt.Key{1, 2, 3}, id.Repository{}) }

// newRepo makes a repository and returns its store and the machine that made it.
func newRepo(t *testing.T, s store.Store) *repo.Repo {
	t.Helper()
	r, err := repo.Init(t.Context(), repo.InitOptions{
		Store: s, Clock: newClock(), Rand: random(1), Credential: repo.Credential{Keyfile: keyfile()}, Label: "first",
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// machine opens the repository as another machine does.
func machine(t *testing.T, s store.Store, n byte) *repo.Repo {
	t.Helper()
	r, err := repo.Open(t.Context(), repo.OpenOptions{
		Store: s, Clock: newClock(), Rand: random(n), Credential: repo.Credential{Keyfile: keyfile()}, Label: "other",
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var deadProcess = record.Process{Machine: "m", Boot: "b", PID: 1, Start: 1}

func begin(t *testing.T, r *repo.Repo, pins ...id.Session) (*Session, *State) {
	t.Helper()
	s, st, err := Begin(t.Context(), r, BeginOptions{Pins: pins, Program: "test", Process: deadProcess})
	if err != nil {
		t.Fatal(err)
	}
	return s, st
}

// putPack stores a pack of the session.
func putPack(t *testing.T, s *Session, class crypt.Class, body string) record.Pack {
	t.Helper()
	p := record.Pack{
		Class: byte(class), Session: s.ID(), N: s.NextPack(class), Size: int64(len(body)), Name: id.Name(crypt.Sum([]byte(body))),
	}
	if err := s.repo.Store().Put(t.Context(), p.Path(), store.Bytes(body)); err != nil {
		t.Fatal(err)
	}
	s.AddPack(p)
	return p
}

func snap(r *repo.Repo, name string) *record.Snapshot {
	now := r.Clock().Now().UnixNano()
	return &record.Snapshot{Host: "host", Name: name, Root: []byte("root of " + name), Domain: r.Domain().Scope(), Time: now, Start: now}
}

func commit(t *testing.T, s *Session, name string) *Snapshot {
	t.Helper()
	n, err := s.Commit(t.Context(), snap(s.repo, name))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func listed(t *testing.T, r *repo.Repo) *State {
	t.Helper()
	st, err := List(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func names(list []*Snapshot) (out []string) {
	for _, n := range list {
		out = append(out, n.Record.Name)
	}
	return out
}

// stores gives each test both store classes.
func stores(t *testing.T, run func(t *testing.T, s *mem.Store)) {
	t.Helper()
	for name, open := range map[string]func() *mem.Store{"create-if-absent": mem.New, "register": mem.NewRegister} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, open())
		})
	}
}

func TestACommittedSnapshotIsSeenByEverybody(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		s, st := begin(t, r)
		if len(st.Snapshots()) != 0 || len(st.OpenSessions()) != 1 || st.OpenSessions()[0].ID != s.ID() {
			t.Errorf("a new session sees %d snapshots and %d sessions", len(st.Snapshots()), len(st.OpenSessions()))
		}
		p := putPack(t, s, crypt.ClassData, "pack one")
		s.AddIndex(id.Name{7})
		if st.Usable(p) {
			t.Error("a pack is usable before its session is committed")
		}
		commit(t, s, "one")
		for _, m := range []*repo.Repo{r, machine(t, ms, 2)} {
			st := listed(t, m)
			if got := names(st.Snapshots()); !slices.Equal(got, []string{"one"}) {
				t.Errorf("snapshots %q", got)
			}
			if !st.UsablePack(p.Path()) || !slices.Equal(st.CommittedIndexes(), []id.Name{{7}}) {
				t.Error("the pack or the index of the committed session does not count")
			}
			if len(st.OpenSessions()) != 0 || len(st.Unknowns()) != 0 || len(st.Alarms()) != 0 {
				t.Errorf("left over: sessions %v, unknown %v, alarms %v", st.OpenSessions(), st.Unknowns(), st.Alarms())
			}
		}
		if ms.Bytes(record.FatePath(0, s.ID())) == nil || ms.Bytes(record.DupPath(record.FatePath(0, s.ID()))) == nil {
			t.Error("the fate or its second copy is missing")
		}
		if left := ms.Names(record.Sessions); len(left) != 0 {
			t.Errorf("the session's objects are still there: %q", left)
		}
	})
}

func TestASessionThatEndsCountsForNothing(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, ms *mem.Store) {
		r := newRepo(t, ms)
		s, _ := begin(t, r)
		p := putPack(t, s, crypt.ClassData, "pack")
		if err := errors.Join(s.End(t.Context(), "test"), s.End(t.Context(), "again")); err != nil {
			t.Fatal(err)
		}
		st := listed(t, r)
		f, ok := st.Fate(s.ID())
		if !ok || f.Kind != record.Ended || f.Reason != "test" || st.Usable(p) || len(st.Snapshots()) != 0 || len(st.OpenSessions()) != 0 {
			t.Errorf("fate %+v, pack usable %v", f, st.Usable(p))
		}
		if _, err := s.Commit(t.Context(), snap(r, "late")); err == nil || errors.Is(err, errs.Usage) {
			t.Errorf("an ended session commits: %v", err)
		}
	})
}
