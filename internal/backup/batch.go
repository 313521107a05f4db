package backup

import (
	"context"
	"sync"

	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

const (
	// batchOps is how many entries a batch has at most, and batchWork how many bytes of content.
	batchOps  = 256
	batchWork = 512 << 10
	// windowBatches bounds the batches between the scan and the builder: 65,536 entries at most, about 32 MiB.
	windowBatches = 256
	// windowWork bounds the content of those batches that is not yet built into the tree: it is what a crash can
	// cost beside the open packs.
	windowWork = 64 << 20
	// bigFile is the size from which a file is read in stripes by all workers together, alone at the head of the
	// window.
	bigFile = 64 << 20
)

// action says what the builder does with an entry.
type action uint8

const (
	addOld   action = iota // unchanged at its old place
	addMoved               // unchanged under another directory
	addStale               // could not be read: the old entry is kept and flagged
	addNew                 // described, and read if it is a file, by a worker
	addLink                // another hard link of a file met before
	addBare                // as the scan has it: implied ancestors, and what failed before it could be described
)

// op is one entry on its way through the window.
type op struct {
	do      action
	verdict event.Verdict
	dir     []byte       // the entry's directory; shared with its neighbours and never changed
	old     tree.Old     // retained; addOld, addMoved, addStale, and addNew where there was one
	item    *source.Item // retained; addNew and addLink
	entry   tree.Entry   // what goes into the tree; addNew, addLink, addBare
	err     error        // why it could not be read, whole or at all
	class   tree.ErrClass
	link    *linkGroup // the hard-link group, if the entry is the first of one (addNew) or a further one (addLink)
	further bool       // a further hard link of a file that counts already
	resume  bool       // the old entry is a file in progress of a checkpoint: go on behind its content
	known   bool       // the content came from the journal and is stored
	read    int64      // bytes read
	pieces  pieceList  // what an extent list says, for the journal
}

// needsWorker says whether a worker makes the op ready.
func (o *op) needsWorker() bool { return o.do == addNew || o.do == addLink }

// batch is a stretch of the scan: its ops are worked on together and go to the builder together, in key order.
type batch struct {
	seq  uint64
	ops  []op
	work int64         // bytes of content that a worker reads
	big  *progress     // set where the batch is one big file
	done chan struct{} // closed when all ops are ready, or the one at at, which was read again; within the gate, but for big files
	at   int           // ops that are in the tree; the builder's
	redo bool          // the op at at is read again; the builder's
	// A worker sets these within the gate: ops before ready are ready, and part is how far the one at ready is, where it
	// is read chunk by chunk.
	ready int
	part  *progress
}

// inProgress returns the op that is being read and how far it is, if all before it are in the tree; or nil.
func (b *batch) inProgress() (*op, *progress) {
	switch {
	case b == nil:
		return nil, nil
	case b.big != nil:
		return &b.ops[0], b.big
	case b.part != nil && b.at == b.ready && !b.redo:
		return &b.ops[b.ready], b.part
	}
	return nil, nil
}

// drop gives up the ops that are not in the tree.
func (b *batch) drop(src source.Source) {
	for i := range b.ops[b.at:] {
		b.ops[b.at+i].release(src)
	}
}

// release gives up what the op retains.
func (o *op) release(src source.Source) {
	if o.item != nil {
		src.Release(o.item)
	}
	if o.old.Ok() {
		o.old.Release()
	}
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// window carries batches from the scan to the workers and, in order, to the builder.
type window struct {
	order chan *batch // cap windowBatches
	work  chan *batch // cap windowBatches: never blocks before order does

	mu     sync.Mutex
	room   sync.Cond
	inside int64 // bytes of content between the scan and the builder
	cause  error // why nobody may wait any more
}

func newWindow() *window {
	w := &window{order: make(chan *batch, windowBatches), work: make(chan *batch, windowBatches)}
	w.room.L = &w.mu
	return w
}

// send hands a batch on, and reports whether the builder may see it. It waits until the window has room: a batch with
// more content than the window holds waits until it is alone.
func (w *window) send(ctx context.Context, b *batch) (placed bool, err error) {
	w.mu.Lock()
	for w.cause == nil && w.inside > 0 && w.inside+b.work > windowWork {
		w.room.Wait()
	}
	err = w.cause
	w.inside += b.work
	w.mu.Unlock()
	if err != nil {
		return false, err
	}
	needsWorker := b.done == nil
	if needsWorker {
		b.done = make(chan struct{})
	}
	select {
	case w.order <- b:
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	if needsWorker {
		select {
		case w.work <- b:
		case <-ctx.Done():
			return true, context.Cause(ctx)
		}
	}
	return true, nil
}

// leave says that the builder is done with a batch.
func (w *window) leave(b *batch) {
	w.mu.Lock()
	w.inside -= b.work
	w.mu.Unlock()
	w.room.Broadcast()
}

// stop wakes everyone who waits.
func (w *window) stop(cause error) {
	w.mu.Lock()
	if w.cause == nil {
		w.cause = cause
	}
	w.mu.Unlock()
	w.room.Broadcast()
}
