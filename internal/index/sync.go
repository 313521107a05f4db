package index

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store"
)

const (
	// fetchers is how many objects are read at once. Each holds one index object's rows (8 MiB from this program) or
	// one pack's directory.
	fetchers = 8
	// maxRuns is how many runs there may be before the smaller ones are merged.
	maxRuns = 8
	// wholeObject is the size up to which an object is read in one request.
	wholeObject = 16 << 20
)

// packState says what a pack of a run is good for.
type packState uint8

const (
	stateUsable packState = 1 << iota // in a committed fate, not gone, not condemned
	stateClaims                       // usable, and told of by the pack itself or a committed index object
	stateShadow                       // another entry tells of the same pack at least as well
)

// known is what a state of the repository says, in the form that thousands of packs are looked up in.
type known struct {
	seed    maphash.Seed
	usable  map[uint64]record.Pack
	trusted map[id.Name]bool // index objects that serve claims; the zero name stands for packs' own directories
}

// hash stands for a pack in tables. A collision needs knowledge of the seed, which is made anew each time.
func (k *known) hash(p record.Pack) uint64 { return maphash.Comparable(k.seed, p) }

func newKnown(st *session.State) (*known, error) {
	k := &known{seed: maphash.MakeSeed(), usable: map[uint64]record.Pack{}, trusted: map[id.Name]bool{{}: true}}
	for _, n := range st.CommittedIndexes() {
		k.trusted[n] = true
	}
	err := st.Packs(func(p record.Pack) error {
		k.usable[k.hash(p)] = p
		return nil
	})
	return k, err
}

// covered is the set of packs of which something trusted tells.
func (k *known) covered(runs []*run) map[uint64]bool {
	m := map[uint64]bool{}
	for _, r := range runs {
		for i := range uint32(r.packs) {
			if p := r.pack(i); k.trusted[r.source(p.source)] {
				m[k.hash(p.ref)] = true
			}
		}
	}
	return m
}

// views gives each pack of each run its state. own are the packs of the running session, which no fate names yet. Of
// several entries for one pack the best counts and the others are shadows.
func (k *known) views(runs []*run, own map[record.Pack]id.Session) []view {
	best := map[uint64]*packState{}
	views := make([]view, len(runs))
	for i, r := range runs {
		v := view{run: r, states: make([]packState, r.packs)}
		for j := range v.states {
			p := r.pack(uint32(j))
			h := k.hash(p.ref)
			s := &v.states[j]
			_, usable := k.usable[h]
			_, mine := own[p.ref]
			if usable || mine {
				*s = stateUsable
				if k.trusted[r.source(p.source)] {
					*s |= stateClaims
				}
			}
			switch other := best[h]; {
			case other == nil:
				best[h] = s
			case *other >= *s:
				*s |= stateShadow
			default:
				*other |= stateShadow
				best[h] = s
			}
		}
		views[i] = v
	}
	return views
}

// syncer reads what the cache does not know yet.
type syncer struct {
	x    *Index
	k    *known
	runs []*run

	mu      sync.Mutex // guards what follows
	t       table
	covered map[uint64]bool
}

// syncLocked brings the runs up to date with st: it reads index objects that no run covers, then the directories of
// usable packs that nothing trusted tells of, and publishes the runs with the states of their packs.
func (x *Index) syncLocked(ctx context.Context, st *session.State) error {
	k, err := newKnown(st)
	if err != nil {
		return err
	}
	for p, sid := range x.own {
		if _, decided := st.Fate(sid); decided {
			delete(x.own, p) // from now on the state says what the pack is good for
		}
	}
	runs := x.intact()
	s := &syncer{x: x, k: k, runs: runs, covered: k.covered(runs)}
	if err := s.readObjects(ctx); err != nil {
		return err
	}
	if err := s.readDirectories(ctx); err != nil {
		return err
	}
	if err := s.spill(); err != nil {
		return err
	}
	views, err := x.compact(k.views(s.runs, x.own))
	if err != nil {
		return err
	}
	x.views.Store(&views)
	return nil
}

// intact lists the runs that are published and not damaged.
func (x *Index) intact() []*run {
	var runs []*run
	for _, v := range *x.views.Load() {
		if v.bad.Load() {
			x.problem(errs.New(errs.Corrupt, "index cache: %s is damaged and is made anew", v.path))
			x.cache.remove(v.path)
			continue
		}
		runs = append(runs, v.run)
	}
	return runs
}

// unread lists the index objects that are in the store and in no run.
func (s *syncer) unread(ctx context.Context) ([]store.Info, error) {
	read := map[id.Name]bool{}
	for _, r := range s.runs {
		for i := range uint32(r.sources) {
			read[r.source(i)] = true
		}
	}
	var list []store.Info
	err := s.x.repo.Store().List(ctx, record.Indexes, func(i store.Info) error {
		name, err := id.ParseName(strings.TrimPrefix(i.Name, record.Indexes))
		if err == nil && !read[name] { // what has no index object's name is not ours
			list = append(list, i)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list index objects: %w", err)
	}
	slices.SortFunc(list, func(a, b store.Info) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// readObjects reads the index objects that no run covers. Damaged ones, and those that another client has just deleted,
// are reported.
func (s *syncer) readObjects(ctx context.Context) error {
	list, err := s.unread(ctx)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(fetchers)
	for _, info := range list {
		g.Go(func() error {
			packs, err := s.x.readObject(gctx, info)
			if err != nil {
				return s.x.tolerate(gctx, fmt.Errorf("read index object %s: %w", info.Name, err))
			}
			name, err := id.ParseName(strings.TrimPrefix(info.Name, record.Indexes))
			if err != nil {
				return err
			}
			return s.add(name, packs)
		})
	}
	return g.Wait()
}

// add takes over the packs that the source tells of and that nothing trusted told of before.
func (s *syncer) add(source id.Name, packs []Pack) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t.source(source) // an object whose packs are all known is read once, too
	for _, p := range packs {
		h := s.k.hash(p.Ref)
		if s.covered[h] {
			continue
		}
		s.covered[h] = s.k.trusted[source]
		s.t.add(source, p)
	}
	if s.t.full() {
		return s.spill()
	}
	return nil
}

// readDirectories reads the directories of usable packs that nothing trusted tells of.
func (s *syncer) readDirectories(ctx context.Context) error {
	var list []record.Pack
	for h, p := range s.k.usable {
		if !s.covered[h] {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, comparePacks)
	return s.x.readPacks(ctx, list, func(p Pack) error { return s.add(id.Name{}, []Pack{p}) })
}

// spill writes what was read so far as a run.
func (s *syncer) spill() error {
	if s.t.empty() {
		return nil
	}
	r, err := s.x.writeTable(&s.t)
	if err != nil {
		return err
	}
	s.t.reset()
	s.runs = append(s.runs, r)
	return nil
}

// comparePacks orders packs by session, class and number.
func comparePacks(a, b record.Pack) int {
	if c := slices.Compare(a.Session[:], b.Session[:]); c != 0 {
		return c
	}
	if a.Class != b.Class {
		return int(a.Class) - int(b.Class)
	}
	return int(int64(a.N) - int64(b.N))
}

// readPacks reads the directories of packs and calls fn for each, one at a time, in no promised order. Packs that are
// gone or damaged are reported and left out.
func (x *Index) readPacks(ctx context.Context, list []record.Pack, fn func(Pack) error) error {
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(fetchers)
	for _, ref := range list {
		g.Go(func() error {
			r, err := ReadPack(gctx, x.repo, ref)
			if err != nil {
				return x.tolerate(gctx, err)
			}
			mu.Lock()
			defer mu.Unlock()
			return fn(Pack{Ref: ref, Header: r.Header(), Dir: r.Directory(), Body: r.Directory().Encode()})
		})
	}
	return g.Wait()
}

// tolerate reports damage and absence and passes every other error on: a store that does not answer is no empty result.
func (x *Index) tolerate(ctx context.Context, err error) error {
	if ctx.Err() == nil && (errors.Is(err, errs.Corrupt) || errors.Is(err, errs.NotFound) || errors.Is(err, errs.Unsupported)) {
		x.problem(err)
		return nil
	}
	return err
}

// writeTable writes t as a run.
func (x *Index) writeTable(t *table) (*run, error) {
	r, err := x.cache.write(func(f runFile) error { return t.write(f, x.repo.ID()) })
	if err != nil {
		return nil, fmt.Errorf("index cache: write a run: %w", err)
	}
	x.mapped = append(x.mapped, r)
	return r, nil
}
