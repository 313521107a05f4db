package session

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

// A history costs hundreds of signatures, so that there are fewer than usual; -rapid.checks=1000 on the command line
// asks for more.
func init() {
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err)
	}
}

// running is a session of the model, with what it would commit.
type running struct {
	*Session
	machine int
	packs   map[record.Pack]bool
	killed  bool
	dead    bool // its process is gone
}

// history is a repository and what the model says it holds.
type history struct {
	ms       *mem.Store
	machines []*repo.Repo
	open     []*running
	live     map[id.Session]record.Kind
	usable   map[record.Pack]bool
	orphans  map[int]map[record.Pack]bool // by machine: of sessions without a snapshot, for the next run to adopt
}

func (h *history) pick(t *rapid.T, which func(*running) bool) *running {
	var some []*running
	for _, r := range h.open {
		if which(r) {
			some = append(some, r)
		}
	}
	if len(some) == 0 {
		t.Skip("no such session")
	}
	return rapid.SampledFrom(some).Draw(t, "session")
}

func alive(r *running) bool { return !r.dead }

func (h *history) close(r *running) {
	h.open = slices.DeleteFunc(h.open, func(o *running) bool { return o == r })
}

func (h *history) begin(t *rapid.T) {
	m := rapid.IntRange(0, len(h.machines)-1).Draw(t, "machine")
	var pins []id.Session
	for sid := range h.live {
		pins = append(pins, sid)
	}
	slices.SortFunc(pins, func(a, b id.Session) int { return slices.Compare(a[:], b[:]) })
	pins = pins[:min(len(pins), 2)]
	s, _, err := Begin(t.Context(), h.machines[m], BeginOptions{Pins: append(pins, id.Session{1}), Process: deadProcess})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Pins(), pins) {
		t.Fatalf("pins %v, want %v", s.Pins(), pins)
	}
	h.open = append(h.open, &running{Session: s, machine: m, packs: map[record.Pack]bool{}})
}

func (h *history) store(t *rapid.T) {
	r := h.pick(t, alive)
	body := []byte(fmt.Sprint(r.ID(), r.next[crypt.ClassData]))
	p := record.Pack{Class: 'D', Session: r.ID(), N: r.NextPack(crypt.ClassData), Size: int64(len(body)), Name: id.Name(crypt.Sum(body))}
	if err := h.ms.Put(t.Context(), p.Path(), store.Bytes(body)); err != nil {
		t.Fatal(err)
	}
	r.AddPack(p)
	r.packs[p] = true
}

// done takes a decided session's outcome into the model.
func (h *history) done(t *rapid.T, r *running, kind record.Kind, err error) {
	switch {
	case r.killed && errors.Is(err, ErrKilled):
	case !r.killed && err == nil:
		h.live[r.ID()] = kind
		maps.Copy(h.usable, r.packs)
		for p := range r.packs {
			delete(h.orphans[r.machine], p)
		}
	default:
		t.Fatalf("killed %v, error %v", r.killed, err)
	}
	h.close(r)
}

func (h *history) commit(t *rapid.T) {
	r := h.pick(t, alive)
	_, err := r.Commit(t.Context(), snap(r.repo, "commit"))
	h.done(t, r, record.Commit, err)
}

func (h *history) checkpoint(t *rapid.T) {
	r := h.pick(t, alive)
	next, st, _, err := r.Checkpoint(t.Context(), snap(r.repo, "checkpoint"))
	h.done(t, r, record.Checkpoint, err)
	if err != nil {
		return
	}
	for p := range r.packs {
		if !st.Usable(p) {
			t.Fatalf("the successor does not use pack %s of the checkpoint", p.Path())
		}
	}
	h.open = append(h.open, &running{Session: next, machine: r.machine, packs: map[record.Pack]bool{}})
}

func (h *history) end(t *rapid.T) {
	r := h.pick(t, alive)
	if err := r.End(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	h.close(r)
	h.bequeath(r)
}

// bequeath leaves the session's own packs to the next run of the machine.
func (h *history) bequeath(r *running) {
	for p := range r.packs {
		if p.Session == r.ID() && !h.usable[p] {
			h.orphans[r.machine][p] = true
		}
	}
}

func (h *history) crash(t *rapid.T) { h.pick(t, alive).dead = true }

func (h *history) kill(t *rapid.T) {
	r := h.pick(t, func(*running) bool { return true })
	pruner := h.machines[rapid.IntRange(0, len(h.machines)-1).Draw(t, "pruner")]
	if err := Kill(t.Context(), pruner, nil, &Open{ID: r.ID(), Record: &r.rec}, "test"); err != nil {
		t.Fatal(err)
	}
	r.killed = true
	if r.dead {
		h.close(r)
		h.bequeath(r)
	}
}

func (h *history) adopt(t *rapid.T) {
	r := h.pick(t, alive)
	// All sessions of the model have one process; it is alive if any session of the machine is, but this one.
	for _, o := range h.open {
		if o != r && o.machine == r.machine && !o.dead {
			t.Skip("the machine's process lives")
		}
	}
	got, st, err := r.AdoptDead(t.Context(), listedBy(t, r.repo), nobody)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range slices.Clone(h.open) {
		if o.machine == r.machine && o.dead {
			h.close(o)
			h.bequeath(o)
		}
	}
	have := map[record.Pack]bool{}
	for _, a := range got {
		if f, ok := st.Fate(a.Session); !ok || f.Committed() {
			t.Fatalf("adopted from session %s with fate %+v", a.Session, f)
		}
		for _, p := range a.Packs {
			r.AddPack(p)
			have[p], r.packs[p] = true, true
		}
	}
	for p := range h.orphans[r.machine] {
		if !have[p] {
			t.Fatalf("pack %s of a dead session is not adopted", p.Path())
		}
	}
}

func (h *history) forget(t *rapid.T) {
	sids := slices.SortedFunc(maps.Keys(h.live), func(a, b id.Session) int { return slices.Compare(a[:], b[:]) })
	if len(sids) == 0 {
		t.Skip("no snapshot")
	}
	sid := rapid.SampledFrom(sids).Draw(t, "snapshot")
	r := h.pick(t, alive)
	if err := r.entomb(t.Context(), &record.Tombstone{Session: sid}); err != nil {
		t.Fatal(err)
	}
	delete(h.live, sid)
}

// check compares the repository with the model, as a machine sees it that has just come.
func (h *history) check(t *rapid.T) {
	st := listedBy(t, h.machines[rapid.IntRange(0, len(h.machines)-1).Draw(t, "watcher")])
	if len(st.Unknowns()) > 0 || len(st.Alarms()) > 0 {
		t.Fatalf("unknown %v, alarms %v", st.Unknowns(), st.Alarms())
	}
	got := map[id.Session]record.Kind{}
	for _, n := range slices.Concat(st.Snapshots(), st.Checkpoints()) {
		got[n.ID] = n.Kind
	}
	if !maps.Equal(got, h.live) {
		t.Fatalf("snapshots %v, want %v", got, h.live)
	}
	n := 0
	if err := st.Packs(func(p record.Pack) error {
		n++
		if !h.usable[p] {
			return fmt.Errorf("pack %s is usable", p.Path())
		}
		return nil
	}); err != nil || n != len(h.usable) {
		t.Fatalf("%d usable packs, want %d: %v", n, len(h.usable), err)
	}
	open := 0
	for _, r := range h.open {
		if !r.killed {
			open++
		}
	}
	if len(st.OpenSessions()) != open {
		t.Fatalf("%d open sessions, want %d", len(st.OpenSessions()), open)
	}
}

func listedBy(t *rapid.T, r *repo.Repo) *State {
	st, err := List(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestRandomHistoriesAreSeenAsTheyWere(t *testing.T) {
	t.Parallel()
	stores(t, func(t *testing.T, clean *mem.Store) {
		newRepo(t, clean)
		rapid.Check(t, func(rt *rapid.T) {
			h := &history{
				ms: clean.Clone(), live: map[id.Session]record.Kind{}, usable: map[record.Pack]bool{},
				orphans: map[int]map[record.Pack]bool{0: {}, 1: {}},
			}
			for n := range 2 {
				r, err := repo.Open(rt.Context(), repo.OpenOptions{
					Store: h.ms, Clock: newClock(), Rand: random(byte(20 + n)), Credential: repo.Credential{Keyfile: keyfile()},
				})
				if err != nil {
					rt.Fatal(err)
				}
				h.machines = append(h.machines, r)
			}
			rt.Repeat(map[string]func(*rapid.T){
				"look": h.check, "begin": h.begin, "store": h.store, "store more": h.store, "commit": h.commit,
				"checkpoint": h.checkpoint, "end": h.end, "crash": h.crash, "kill": h.kill, "adopt": h.adopt, "forget": h.forget,
			})
			h.check(rt)
		})
	})
}
