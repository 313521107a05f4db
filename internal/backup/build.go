package backup

import (
	"context"
	"fmt"

	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/tree"
)

// build takes the batches in key order and makes the tree.
func (r *run) build(ctx context.Context) error {
	for {
		ready, err := r.next(ctx)
		if err != nil || !ready {
			return err
		}
		if err := r.placeHead(ctx); err != nil {
			return err
		}
	}
}

// placeHead adds the batch at the head, which is ready: all of it, or what comes before a further hard link whose
// content is not that of the first. That one a worker reads, and the batch is not ready until then.
func (r *run) placeHead(ctx context.Context) error {
	b := r.head
	b.redo = false
	for ; b.at < len(b.ops); b.at++ {
		o := &b.ops[b.at]
		if !o.resolved() {
			o.do, o.further = addNew, false
			b.done, b.redo = make(chan struct{}), true
			r.again <- b
			return nil
		}
		if err := r.place(ctx, o); err != nil {
			return err
		}
	}
	r.head = nil
	r.window.leave(b)
	return nil
}

// placeReady adds what is ready of the batch at the head, which is not ready as a whole. No worker holds the gate.
func (r *run) placeReady(ctx context.Context) error {
	b := r.head
	if b.redo {
		return nil
	}
	for ; b.at < b.ready && b.ops[b.at].resolved(); b.at++ {
		if err := r.place(ctx, &b.ops[b.at]); err != nil {
			return err
		}
	}
	return nil
}

// catchUp adds everything that is ready and has nothing unready before it. No worker holds the gate.
func (r *run) catchUp(ctx context.Context) error {
	for {
		if r.head == nil {
			select {
			case b, ok := <-r.window.order:
				if !ok {
					return nil
				}
				r.head = b
			default:
				return nil
			}
		}
		select {
		case <-r.head.done:
			if err := r.placeHead(ctx); err != nil {
				return err
			}
		default:
			return r.placeReady(ctx)
		}
	}
}

// next waits for the batch at the head to be ready, and makes checkpoints meanwhile. False says that there are no more.
func (r *run) next(ctx context.Context) (bool, error) {
	for {
		select {
		case <-r.o.Interrupt:
			if err := r.makeCheckpoint(ctx, true); err != nil {
				return false, err
			}
			return false, ErrInterrupted
		default:
		}
		order, done := r.window.order, chan struct{}(nil)
		if r.head != nil {
			order, done = nil, r.head.done
		}
		select {
		case b, ok := <-order:
			if !ok {
				return false, nil
			}
			r.head = b
		case <-done:
			return true, nil
		case <-r.due:
			if err := r.makeCheckpoint(ctx, false); err != nil {
				return false, err
			}
		case <-r.o.Interrupt:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// place adds a ready op to the tree and counts it.
func (r *run) place(ctx context.Context, o *op) error {
	e := &o.entry
	var err error
	switch o.do {
	case addOld:
		st := o.old.Stat() // making the entries of a leaf that stays as it is would cost more than all else
		e.Name, e.Type, e.Size = o.old.Leaf.Name(o.old.Index), st.Type, st.Size
		err = r.builder.AddOld(ctx, o.old)
	case addMoved:
		e = o.old.Entry()
		err = r.builder.Add(ctx, o.dir, e)
	case addStale:
		o.entry = *r.kept(ctx, o)
		e.Flags |= tree.Stale
		e.ErrClass = o.class
		if o.err != nil {
			e.ErrText = clip(o.err.Error())
		}
		err = r.builder.Add(ctx, o.dir, e)
	default:
		if e.Type != 0 { // else even its type could not be read: it stands in the record alone
			err = r.builder.Add(ctx, o.dir, e)
		}
	}
	if err != nil {
		return fmt.Errorf("add %s to the tree: %w", printable(tree.JoinPath(nil, o.dir, e.Name)), err)
	}
	if o.link != nil && !o.further {
		o.link.fill(e, o.err == nil)
	}
	r.tally(o, e)
	o.release(r.src)
	return nil
}

// resolved gives a further hard link the content of the first. False says that this is not its content: it is to be read.
func (o *op) resolved() bool {
	if o.do != addLink || o.verdict == event.Failed {
		return true
	}
	if !o.link.fits(&o.entry) {
		return false
	}
	o.entry.Content = o.link.entry.Content
	return true
}

// tally counts an entry that is in the tree.
func (r *run) tally(o *op, e *tree.Entry) {
	name := e.Name
	if o.err != nil {
		r.fail(o.dir, name, o.class, o.err)
	} else if r.o.Verbose {
		r.o.Events.Emit(event.Entry{Path: tree.JoinPath(nil, o.dir, name), Verdict: o.verdict, Bytes: o.read})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.sum.Record.Stats
	switch e.Type {
	case tree.Dir:
		s.Dirs++
	case tree.File:
		s.Files++
		if !o.further {
			s.Bytes += e.Size
		}
	default:
		s.Others++
	}
	switch o.verdict {
	case event.New:
		s.New++
	case event.Changed:
		s.Changed++
	case event.Moved:
		s.Moved++
	case event.Unchanged:
		s.Unchanged++
	}
	if o.do == addStale && o.err == nil {
		s.Failed++ // its directory has the error
	}
	if o.known {
		r.sum.Journal++
	}
	s.Read += uint64(o.read)
	r.o.Counters.Entries.Add(1)
}
