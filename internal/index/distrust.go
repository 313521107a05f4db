package index

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/repo"
)

// distrustState is this machine's memory of blobs that check found damaged or missing: their short ids, one after the
// other. Beyond maxRemembered, which the size of a state file sets, nothing is remembered: the rest is stored again by
// the run after the next check.
const (
	distrustState = "damaged"
	maxRemembered = 50_000
)

// distrusted are the blobs whose stored copies were found damaged: Claim does not count on them.
type distrusted struct {
	any   atomic.Bool // so that the usual case costs one load
	mu    sync.Mutex
	set   map[id.Short]struct{}
	again map[id.Short]struct{} // those of them that this run stored again
}

func (d *distrusted) has(s id.Short) bool {
	if !d.any.Load() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.set[s]
	return ok
}

// stored notes that the run stores a blob again, if it is distrusted.
func (d *distrusted) stored(s id.Short) {
	if !d.has(s) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.again == nil {
		d.again = map[id.Short]struct{}{}
	}
	d.again[s] = struct{}{}
}

// Distrust says that the known copies of a blob are damaged: the next Claim of it is told to store it again, so that a
// snapshot made from now on does not rest on the damage. Reading still finds all copies. It takes about 50 bytes of
// memory a blob.
func (x *Index) Distrust(s id.Short) {
	d := &x.distrusted
	d.mu.Lock()
	if d.set == nil {
		d.set = map[id.Short]struct{}{}
	}
	d.set[s] = struct{}{}
	d.any.Store(true)
	d.mu.Unlock()
}

// Doubts reports whether any blob is distrusted.
func (x *Index) Doubts() bool { return x.distrusted.any.Load() }

// Doubted reports whether a blob is distrusted.
func (x *Index) Doubted(s id.Short) bool { return x.distrusted.has(s) }

// Remember makes this machine distrust the blobs from now on: each Index that is opened later does. They are added to
// those remembered before, or take their place (only). It is a hint that keeps later snapshots off the damage.
func Remember(r *repo.Repo, blobs []id.Short, only bool) error {
	all := map[id.Short]struct{}{}
	if !only {
		old, err := remembered(r)
		if err != nil {
			return err
		}
		for _, s := range old {
			all[s] = struct{}{}
		}
	}
	for _, s := range blobs {
		all[s] = struct{}{}
	}
	var b []byte
	for i, s := range slices.SortedFunc(maps.Keys(all), func(a, b id.Short) int { return slices.Compare(a[:], b[:]) }) {
		if i == maxRemembered {
			break
		}
		b = append(b, s[:]...)
	}
	if old, err := r.LoadState(distrustState); len(b) == 0 && len(old) == 0 && err == nil {
		return nil
	}
	return r.SaveState(distrustState, b)
}

// remembered reads what Remember wrote. A file that is damaged says nothing.
func remembered(r *repo.Repo) ([]id.Short, error) {
	b, err := r.LoadState(distrustState)
	if errors.Is(err, errs.Corrupt) || len(b)%len(id.Short{}) != 0 {
		return nil, nil
	}
	var out []id.Short
	for p := range slices.Chunk(b, len(id.Short{})) {
		out = append(out, id.Short(p))
	}
	return out, err
}

// recall distrusts what is remembered.
func (x *Index) recall() {
	blobs, err := remembered(x.repo)
	if err != nil {
		x.cacheProblem(err)
	}
	for _, s := range blobs {
		x.Distrust(s)
	}
}

// Forgive forgets the remembered blobs that this run stored again. Call it when its snapshot is committed.
func (x *Index) Forgive() error {
	x.distrusted.mu.Lock()
	again := maps.Clone(x.distrusted.again)
	x.distrusted.mu.Unlock()
	if len(again) == 0 {
		return nil
	}
	old, err := remembered(x.repo)
	if err != nil || len(old) == 0 {
		return err
	}
	return Remember(x.repo, slices.DeleteFunc(old, func(s id.Short) bool { _, ok := again[s]; return ok }), true)
}
