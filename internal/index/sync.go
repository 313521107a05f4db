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
	stateUsable  packState = 1 << iota // in a committed fate, not gone, not condemned: good for reading first
	stateClaims                        // usable, and told of by the pack itself or a committed index object
	stateIgnored                       // gone, or never committed, or another entry tells of the pack at least as well
)

// known is what a state of the repository says of packs, in the form that thousands of packs are looked up in: about
// 150 bytes a pack, for as long as a sync takes.
type known struct {
	state   *session.State
	seed    maphash.Seed
	packs   map[uint64]*listing
	trusted map[id.Name]bool // index objects that serve claims; the zero name stands for packs' own directories
}

// listing is a pack that a committed fate lists or calls gone.
type listing struct {
	ref     record.Pack
	usable  bool
	gone    bool
	covered uint8 // coveredRead, coveredClaims, coveredObject
}

const (
	coveredRead   = 1 << iota // something tells of the pack
	coveredClaims             // something trusted tells of it
	coveredObject             // an index object that is there and trusted tells of it (mend.go)
)

// hash stands for a pack in tables. A collision needs knowledge of the seed, which is made anew each time.
func (k *known) hash(p record.Pack) uint64 { return maphash.Comparable(k.seed, p) }

func newKnown(st *session.State) (*known, error) {
	k := &known{state: st, seed: maphash.MakeSeed(), packs: map[uint64]*listing{}, trusted: map[id.Name]bool{{}: true}}
	for _, n := range st.CommittedIndexes() {
		k.trusted[n] = true
	}
	err := st.Fates(func(f *session.Fate) error {
		if !f.Committed() {
			return nil
		}
		for _, p := range f.Packs {
			k.list(p)
		}
		if f.Kind == record.Rescue {
			for _, p := range f.Gone {
				k.list(p).gone = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return k, st.Packs(func(p record.Pack) error {
		k.list(p).usable = true
		return nil
	})
}

func (k *known) list(p record.Pack) *listing {
	h := k.hash(p)
	l := k.packs[h]
	if l == nil {
		l = &listing{ref: p}
		k.packs[h] = l
	}
	return l
}

// cover notes which packs the runs tell of.
func (k *known) cover(runs []*run) {
	for _, r := range runs {
		for i := range uint32(r.packs) {
			p := r.pack(i)
			k.coverPack(p.ref, r.source(p.source))
		}
	}
}

// coverPack notes that a source tells of a pack and reports whether that is news.
func (k *known) coverPack(p record.Pack, source id.Name) (news bool) {
	bits := uint8(coveredRead)
	if k.trusted[source] {
		bits |= coveredClaims
	}
	l := k.packs[k.hash(p)]
	if l == nil {
		// No committed fate lists it yet. If one does later, its source tells whether to trust what was read.
		return true
	}
	news = bits&^l.covered != 0 && !l.gone
	l.covered |= bits
	return news
}

// views gives each pack of each run its state. own are the packs of the running session, which no fate names yet. Of
// several entries for one pack the best counts and the others are ignored.
func (k *known) views(runs []*run, own map[record.Pack]id.Session) []view {
	best := map[uint64]*packState{}
	views := make([]view, len(runs))
	for i, r := range runs {
		v := view{run: r, states: make([]packState, r.packs)}
		for j := range v.states {
			p := r.pack(uint32(j))
			s := &v.states[j]
			if *s = k.stateOf(p.ref, own); *s == stateIgnored {
				continue
			}
			if *s&stateUsable != 0 && k.trusted[r.source(p.source)] {
				*s |= stateClaims
			}
			h := k.hash(p.ref)
			switch other := best[h]; {
			case other == nil:
				best[h] = s
			case *other >= *s:
				*s = stateIgnored
			default:
				*other = stateIgnored
				best[h] = s
			}
		}
		views[i] = v
	}
	return views
}

func (k *known) stateOf(p record.Pack, own map[record.Pack]id.Session) packState {
	l := k.packs[k.hash(p)]
	_, mine := own[p]
	switch {
	case mine, l != nil && l.usable:
		return stateUsable
	case l != nil && l.gone:
		return stateIgnored
	case l != nil:
		return 0 // condemned, or of a writer that serves no claims: good for reading
	}
	if _, decided := k.state.Fate(p.Session); decided {
		return stateIgnored // of a session that came to nothing
	}
	return 0
}

// syncer reads what the cache does not know yet.
type syncer struct {
	x    *Index
	k    *known
	runs []*run

	mu      sync.Mutex // guards what follows, and k.packs while readers run
	t       table
	present map[id.Name]bool // index objects that are there; false for those that are damaged
	untold  []record.Pack    // usable ones whose own directories had to be read
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
	k.cover(runs)
	s := &syncer{x: x, k: k, runs: runs, present: map[id.Name]bool{}}
	if err := s.readObjects(ctx); err != nil {
		return err
	}
	if err := s.readDirectories(ctx); err != nil {
		return err
	}
	if err := s.spill(); err != nil {
		return err
	}
	if x.gap, err = s.findGap(); err != nil {
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
			x.cacheProblem(errs.New(errs.Corrupt, "index cache: %s is damaged and is made anew", v.path))
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
		if err != nil {
			return nil // what has no index object's name is not ours
		}
		s.present[name] = true
		if !read[name] {
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
			name, err := id.ParseName(strings.TrimPrefix(info.Name, record.Indexes))
			if err != nil {
				return err
			}
			packs, err := s.x.readObject(gctx, info)
			if err != nil {
				s.damaged(name, err)
				return s.x.tolerate(gctx, fmt.Errorf("read index object %s: %w", info.Name, err))
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
		if s.k.coverPack(p.Ref, source) {
			s.t.add(source, p)
		}
		s.told(p.Ref, source)
	}
	if s.t.full() {
		return s.spill()
	}
	return nil
}

// readDirectories reads the directories of committed packs that nothing tells of, and of usable ones that nothing trusted
// tells of.
func (s *syncer) readDirectories(ctx context.Context) error {
	var list []record.Pack
	for _, l := range s.k.packs {
		need := uint8(coveredRead)
		if l.usable {
			need = coveredClaims
		}
		if !l.gone && l.covered&need == 0 {
			list = append(list, l.ref)
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
