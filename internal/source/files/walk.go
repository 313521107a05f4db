package files

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

const (
	batchSize = 1024    // names looked up in one piece of work
	maxAhead  = 1 << 14 // entries looked up and not yet emitted; 130 bytes each
	nodeCost  = 16      // what a directory counts for in maxAhead beside its entries
	maxDepth  = 4096    // components of a path, as in the format
	maxPath   = 1 << 20 // bytes of a path, as in the format
)

// walk is the state of one walk. The goroutine that iterates emits; walkers work ahead of it.
type walk struct {
	s     *Source
	top   *node
	group sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond // something was finished: the emitter looks again
	offered sync.Cond // there is work, or room for it: walkers look again
	open    []*node   // directories with work to take, the first in the order of the emission at the end
	ahead   int       // what is looked up and not yet emitted
	ended   bool
	failed  error // the source is broken

	spareRecs  [][]rec
	spareCap   int // of all of them together
	spareNames []*names
	temps      []*tempFile // closed at the end, whatever happens
}

// work is a piece of work: a directory to list (b is nil), or a batch of it to look up.
type work struct {
	n *node
	b *batch
}

func newWalk(s *Source) *walk {
	w := &walk{s: s}
	w.changed.L, w.offered.L = &w.mu, &w.mu
	w.top = &node{name: make([]byte, 0, 1), root: s.roots}
	if !s.roots.root {
		w.top.flags = recImplied
	}
	return w
}

// start lets walkers run until stop.
func (w *walk) start(ctx context.Context) (stop func()) {
	release := context.AfterFunc(ctx, w.end)
	for range w.s.walkers {
		w.group.Go(w.walker)
	}
	return func() {
		release()
		w.end()
		w.join(ctx)
		for _, t := range w.temps {
			t.close()
		}
	}
}

// hungAfter is how long a walker may take to end once the context has ended.
const hungAfter = time.Second / 2

// join waits for the walkers. When the context has ended it does not wait for one that a file system keeps in a system
// call: such a walker ends by itself when the call returns, and touches nothing but memory of its own.
func (w *walk) join(ctx context.Context) {
	if ctx.Err() == nil {
		w.group.Wait()
		return
	}
	done := make(chan struct{})
	go func() {
		w.group.Wait()
		close(done)
	}()
	patience := time.NewTimer(hungAfter)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
	}
}

// tempFile makes a file that lasts until the end of the walk.
func (w *walk) tempFile() (*tempFile, error) {
	t, err := newTempFile(w.s.opts.TempDir)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.temps = append(w.temps, t)
	return t, nil
}

func (w *walk) end() {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	w.changed.Broadcast()
	w.offered.Broadcast()
}

func (w *walk) walker() {
	k := newWorker(w)
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.ended {
		job, ok := w.takeLocked()
		if !ok {
			w.offered.Wait()
			continue
		}
		w.doLocked(k, job)
	}
}

// takeLocked takes the first piece of work in the order of the emission, if there is room for what it yields.
func (w *walk) takeLocked() (work, bool) {
	for len(w.open) > 0 && w.ahead < maxAhead && w.failed == nil {
		n := w.open[len(w.open)-1]
		switch {
		case n.listed && n.err == nil && n.supply != nil:
			return w.takeBatchLocked(n), true
		case n.hasSubLocked():
			k, err := n.takeSubLocked()
			if err != nil {
				w.failed = err
				return work{}, false
			}
			if k.listed { // it could not even be looked up
				continue
			}
			return work{n: k}, true
		}
		w.open = w.open[:len(w.open)-1]
		n.open = false
	}
	return work{}, false
}

func (w *walk) takeBatchLocked(n *node) work {
	b, last, err := n.supply.next()
	if err != nil {
		b, last = &batch{err: err}, true
	}
	if last {
		n.supply.close()
		n.supply = nil
	}
	b.part = len(n.parts)
	n.parts, n.partNames = append(n.parts, nil), append(n.partNames, b.names)
	n.batches = append(n.batches, b)
	n.busy++
	return work{n, b}
}

// doLocked does a piece of work, unlocked meanwhile, and offers what it makes known.
func (w *walk) doLocked(k *worker, job work) {
	w.mu.Unlock()
	n, b := job.n, job.b
	var found []sub
	var l listing
	if b == nil {
		l = k.list(n)
		found = l.subs
	} else if b.err == nil {
		found = k.lookupBatch(n, b)
	}
	w.mu.Lock()
	if b == nil {
		n.listed, n.counted = true, true
		n.err, n.supply = l.err, l.supply
		w.ahead += nodeCost
		if b = l.first; b != nil {
			n.batches = append(n.batches, b)
			n.parts, n.partNames, n.spool = append(n.parts, nil), append(n.partNames, b.names), l.spool
			n.foundLocked(0, found)
		}
	} else {
		n.busy--
		n.foundLocked(b.part, found)
	}
	if b != nil {
		b.done = true
		w.ahead += len(b.recs)
	}
	w.offerLocked(n)
	w.changed.Signal()
}

// offerLocked puts a directory with work into the list of open ones.
func (w *walk) offerLocked(n *node) {
	if n.open || !n.hasWorkLocked() {
		return
	}
	i := len(w.open)
	for i > 0 && !n.before(w.open[i-1]) {
		i--
	}
	w.open = slices.Insert(w.open, i, n)
	n.open = true
	w.offered.Signal()
}

// emitter yields the entries in order.
type emitter struct {
	w     *walk
	k     *worker
	ctx   context.Context //nolint:containedctx // the emitter lives no longer than the run whose context it is
	yield func(*source.Item, error) bool
	path  []byte // of the directory being emitted
	item  source.Item
	entry tree.Entry
	ref   ref
}

// run walks everything. It returns when the consumer stops, the context ends or everything was emitted.
func (w *walk) run(ctx context.Context, yield func(*source.Item, error) bool) {
	defer w.start(ctx)()
	e := &emitter{w: w, k: newWorker(w), ctx: ctx, yield: yield}
	if !e.emitTop() {
		return
	}
	w.mu.Lock()
	w.doLocked(e.k, work{n: w.top})
	w.mu.Unlock()
	stack := []*node{w.top}
	if !e.emitDir(w.top) {
		return
	}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		kid, err := e.nextKid(n)
		if err != nil {
			yield(nil, err)
			return
		}
		if kid == nil {
			w.retire(n)
			stack[len(stack)-1] = nil
			stack = stack[:len(stack)-1]
			e.path = e.path[:max(0, len(e.path)-len(n.name)-1)]
			continue
		}
		if len(e.path) > 0 {
			e.path = append(e.path, '/')
		}
		e.path = append(e.path, kid.name...)
		stack = append(stack, kid)
		if !e.emitDir(kid) {
			return
		}
	}
}

// nextKid returns the next subdirectory of n, taken long ago or taken now, or nil.
func (e *emitter) nextKid(n *node) (*node, error) {
	w := e.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(n.kids) == 0 {
		if w.failed != nil || !n.hasSubLocked() {
			return nil, w.failed
		}
		k, err := n.takeSubLocked()
		if err != nil {
			return nil, err
		}
		if !k.listed {
			w.doLocked(e.k, work{n: k})
		}
	}
	k := n.kids[0]
	n.kids[0] = nil
	n.kids = n.kids[1:]
	return k, nil
}

// emitDir emits the entries of a directory, and reports whether to go on.
func (e *emitter) emitDir(n *node) bool {
	for {
		b, more := e.nextBatch(n)
		switch {
		case e.ctx.Err() != nil:
			e.yield(nil, e.ctx.Err())
			return false
		case !more && n.err != nil:
			e.item = source.Item{Dir: e.path, Err: n.err}
			return e.yield(&e.item, nil)
		case !more:
			return true
		case b.err != nil:
			e.yield(nil, b.err)
			return false
		}
		for i := range b.recs {
			if b.recs[i].flags&recSkip == 0 && !e.emit(n, b, i) {
				return false
			}
		}
		e.finish(b)
	}
}

// nextBatch waits for the next batch of n, or looks it up when nobody has taken it. more is false when all were
// emitted, when n could not be listed, and when the walk has ended.
func (e *emitter) nextBatch(n *node) (b *batch, more bool) {
	w := e.w
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.ended {
		switch {
		case len(n.batches) > 0 && n.batches[0].done:
			b = n.batches[0]
			n.batches[0] = nil
			n.batches = n.batches[1:]
			return b, true
		case n.listed && len(n.batches) == 0 && n.supply != nil:
			w.doLocked(e.k, w.takeBatchLocked(n))
		case n.listed && len(n.batches) == 0:
			if n.counted {
				w.giveBackLocked(nodeCost)
			}
			return nil, false
		default:
			w.changed.Wait()
		}
	}
	return nil, false
}

// finish gives the room of a batch back.
func (e *emitter) finish(b *batch) {
	w := e.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.giveBackLocked(len(b.recs))
	if w.spareCap+cap(b.recs) <= maxAhead {
		w.spareRecs, w.spareCap = append(w.spareRecs, b.recs[:0]), w.spareCap+cap(b.recs)
	}
	b.recs = nil
}

// giveBackLocked makes room for more work ahead.
func (w *walk) giveBackLocked(n int) {
	full := w.ahead >= maxAhead
	w.ahead -= n
	if full && w.ahead < maxAhead {
		w.offered.Broadcast()
	}
}

// retire takes back the names of a directory that is done with.
func (w *walk) retire(n *node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n.list != nil && len(w.spareNames) < 64 && cap(n.list.ents) <= batchSize {
		w.spareNames = append(w.spareNames, n.list)
	}
	n.list = nil
}

func (w *walk) takeNames() *names {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := len(w.spareNames)
	if k == 0 {
		return &names{}
	}
	list := w.spareNames[k-1]
	w.spareNames = w.spareNames[:k-1]
	list.reset()
	return list
}

func (w *walk) takeRecs(n int) []rec {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k := len(w.spareRecs); k > 0 && cap(w.spareRecs[k-1]) >= n {
		r := w.spareRecs[k-1]
		w.spareRecs, w.spareCap = w.spareRecs[:k-1], w.spareCap-cap(r)
		return r[:n]
	}
	return make([]rec, n, min(n+n/4, batchSize))
}
