package index

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/session"
)

// Location says where one copy of a blob is.
type Location struct {
	Pack    record.Pack
	Segment uint32
	Slot    uint16 // its number in the segment
	RawLen  uint32 // bytes of the blob
}

// Options says how an index is opened.
type Options struct {
	// CacheDir is this machine's cache folder for the repository; runs are kept in its subfolder "index". Empty: runs
	// are kept in memory, 33 bytes a blob, and made anew each time.
	CacheDir string
}

// Index knows where blobs are. It is safe for concurrent use. Its memory is 1.3 bytes a blob of the repository (mapped
// from the cache), 1 byte a pack, and 100 MiB or so for the blobs of the running session.
type Index struct {
	distrusted distrusted
	repo       *repo.Repo
	cache      cache

	views    atomic.Pointer[[]view]        // what is looked up beside the session's own blobs
	shards   [shardCount]shard             // the session's own blobs
	ownPacks atomic.Pointer[[]record.Pack] // that the shards' places count in
	moved    atomic.Uint64                 // how often own blobs moved from the shards into a run

	mu      sync.Mutex                 // guards what follows, and every change of views and ownPacks
	own     map[record.Pack]id.Session // packs that no fate names yet, and on whose list they are
	fresh   table                      // the session's packs that are in no run yet
	waiting []Pack                     // the session's packs that are in no index object yet
	bodies  int                        // bytes of their directories
	gap     gap                        // what the index objects in the store do not tell of, as of the last sync
	mapped  []*run                     // every run that was ever opened: lookups may still use a replaced one

	pmu      sync.Mutex
	problems []error
}

// Open reads what the repository's index objects say and the cache does not know yet, and the directories of usable
// packs of which no readable object tells. Damage is no error: Problems tells of it. A store that does not answer is.
func Open(ctx context.Context, r *repo.Repo, st *session.State, o Options) (*Index, error) {
	x := &Index{repo: r, own: map[record.Pack]id.Session{}}
	x.cache = cache{repo: r.ID(), report: x.cacheProblem}
	if o.CacheDir != "" {
		x.cache.dir = filepath.Join(o.CacheDir, "index")
	}
	x.mapped = x.cache.load()
	views := make([]view, len(x.mapped))
	for i, r := range x.mapped {
		views[i] = view{run: r}
	}
	x.views.Store(&views)
	if err := x.Refresh(ctx, st); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	x.recall()
	return x, nil
}

// Refresh takes a newer state and reads what is new, for readers that missed a pack and for writers that go on in a
// successor session. A writer calls it when nothing is claimed and not yet added, which is after blob.Writer.Flush.
func (x *Index) Refresh(ctx context.Context, st *session.State) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.spillOwnLocked(); err != nil {
		return err
	}
	err := guard(func() error { return x.syncLocked(ctx, st) })
	if errors.Is(err, errFault) {
		// The tables of some run cannot be read, and nothing says which. All are made anew.
		x.cacheProblem(err)
		for _, v := range *x.views.Load() {
			v.bad.Store(true)
		}
		err = guard(func() error { return x.syncLocked(ctx, st) })
	}
	return err
}

// Add tells of a pack that the session stored or adopted, and puts it on the list of the session's fate. Every 8 MiB of
// directories an index object is put.
func (x *Index) Add(ctx context.Context, s *session.Session, p Pack) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.own[p.Ref] = s.ID()
	s.AddPack(p.Ref)
	x.fresh.add(id.Name{}, p)
	x.publish(&p)
	x.waiting = append(x.waiting, Pack{Ref: p.Ref, Header: p.Header, Body: p.Body})
	x.bodies += len(p.Body)
	if x.bodies >= objectBytes {
		if err := x.writeLocked(ctx, s); err != nil {
			return err
		}
	}
	if x.fresh.full() {
		return x.spillOwnLocked()
	}
	return nil
}

// AddPacks reads the directories of packs that the session adopts and adds them. A pack that cannot be read is left out
// and reported by Problems: it is not on the fate's list either.
func (x *Index) AddPacks(ctx context.Context, s *session.Session, packs []record.Pack) error {
	return x.readPacks(ctx, packs, func(p Pack) error { return x.Add(ctx, s, p) })
}

// spillOwnLocked turns the session's blobs into a run of the cache.
func (x *Index) spillOwnLocked() error {
	if x.fresh.empty() {
		return nil
	}
	r, err := x.writeTable(&x.fresh)
	if err != nil {
		return err
	}
	v := view{run: r, states: slices.Repeat([]packState{stateUsable | stateClaims}, len(x.fresh.packs))}
	views := append(slices.Clone(*x.views.Load()), v)
	if views, err = x.compact(views); err != nil {
		return err
	}
	x.views.Store(&views)
	x.unpublish(x.fresh.rows)
	x.fresh.reset()
	return nil
}

// compact merges the smaller runs when there are more than maxRuns, so that each stays at least twice as large as all
// smaller ones together, more or less, and those of which most packs are good for nothing any more. States move along
// with the packs. A run that turns out damaged is left as it is and noticed by the next Refresh.
func (x *Index) compact(views []view) ([]view, error) {
	slices.SortFunc(views, func(a, b view) int { return int(int64(b.rows) - int64(a.rows)) }) // largest first
	n := len(views)
	for i := range views {
		if views[i].wasteful() {
			n = i // and all that are smaller
			break
		}
	}
	if len(views) > maxRuns {
		n = min(n, len(views)-2)
		var sum uint64
		for _, v := range views[n:] {
			sum += v.rows
		}
		for n > 0 && (n >= maxRuns || views[n-1].rows < 2*sum) {
			n--
			sum += views[n].rows
		}
	}
	if n == len(views) {
		return views, nil
	}
	old := views[n:]
	r, err := x.cache.write(func(f runFile) error { return merge(f, x.repo.ID(), old) })
	if errors.Is(err, errs.Corrupt) {
		x.cacheProblem(fmt.Errorf("index cache: merge runs: %w", err))
		return views, nil // the damaged one is noticed again when it is used
	}
	if err != nil {
		return nil, fmt.Errorf("index cache: merge runs: %w", err)
	}
	x.mapped = append(x.mapped, r)
	merged := view{run: r, states: make([]packState, 0, r.packs)}
	for _, v := range old {
		for _, s := range v.states {
			if s&stateIgnored == 0 {
				merged.states = append(merged.states, s)
			}
		}
		if v.path != r.path {
			x.cache.remove(v.path)
		}
	}
	return append(slices.Clone(views[:n]), merged), nil
}

// problem notes damage in the repository that was found on the way and warns of it, once: a later Refresh finds the same
// again.
func (x *Index) problem(err error) {
	if x.note(err) {
		x.repo.Events().Emit(event.Warning{Err: errs.WithHint(err, "nacre check tells what it means")})
	}
}

// cacheProblem notes trouble with the cache, which costs time only.
func (x *Index) cacheProblem(err error) {
	if x.note(err) {
		x.repo.Events().Emit(event.Note{Text: err.Error()})
	}
}

// note keeps an error for Problems and reports whether it is new.
func (x *Index) note(err error) bool {
	x.pmu.Lock()
	defer x.pmu.Unlock()
	if slices.ContainsFunc(x.problems, func(e error) bool { return e.Error() == err.Error() }) {
		return false
	}
	x.problems = append(x.problems, err)
	return true
}

// Problems lists what was found damaged or missing so far: index objects, packs' directories, files of the cache.
func (x *Index) Problems() []error {
	x.pmu.Lock()
	defer x.pmu.Unlock()
	return slices.Clone(x.problems)
}

// Stats counts what an index knows.
type Stats struct {
	Blobs int64 // rows, copies included
	Packs int64
	Runs  int
	Own   int64 // blobs of the running session that are in no run
}

// Stats returns the present figures.
func (x *Index) Stats() Stats {
	var s Stats
	views := *x.views.Load()
	s.Runs = len(views)
	for _, v := range views {
		s.Blobs += int64(v.rows)
		s.Packs += int64(v.packs)
	}
	for i := range x.shards {
		sh := &x.shards[i]
		sh.mu.Lock()
		s.Own += int64(len(sh.m))
		sh.mu.Unlock()
	}
	return s
}

// Close gives up the mappings. What the session added stays in the cache. No other method may be called any more, but
// Close again.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	err := x.spillOwnLocked()
	for _, r := range x.mapped {
		err = errors.Join(err, r.close())
	}
	x.mapped = nil
	x.views.Store(&[]view{})
	return err
}
