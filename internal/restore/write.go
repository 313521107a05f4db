package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/nacre-backup/nacre/internal/blob"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
)

// batch is how many items without pieces a worker takes at once.
const batch = 64

// execute carries out a window: workers take units and batches of items by a shared counter, then links are made.
func (r *run) execute(ctx context.Context, w *window) error {
	batches := (len(w.items) + batch - 1) / batch
	var next atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	for range min(r.o.Workers, len(w.units)+batches) {
		g.Go(func() error {
			k := worker{run: r, w: w}
			for gctx.Err() == nil {
				n := int(next.Add(1)) - 1
				var err error
				switch {
				case n < len(w.units):
					err = k.unit(gctx, w.units[n])
				case n < len(w.units)+batches:
					from := (n - len(w.units)) * batch
					err = k.items(gctx, w.items[from:min(from+batch, len(w.items))])
				default:
					return nil
				}
				if err != nil {
					return err
				}
			}
			return gctx.Err()
		})
	}
	err := g.Wait()
	if err == nil {
		err = r.makeLinks(ctx, w)
	}
	if err != nil {
		w.abort()
	}
	return err
}

// abort removes the files that the window leaves half-written, after all workers ended.
func (w *window) abort() {
	give := func(it *item) {
		if it.file != nil {
			// The run ends with an error already; what cannot be removed carries the mark of an unfinished file.
			_ = it.file.Abort()
			it.file = nil
		}
	}
	for _, it := range w.items {
		give(it)
	}
	for i := range w.pieces {
		give(w.pieces[i].it)
	}
}

// worker is one goroutine's means to carry out a window.
type worker struct {
	*run
	w   *window
	buf []byte // of blobs that are read one by one
}

// unit writes the pieces of one unit.
func (k *worker) unit(ctx context.Context, u []piece) error {
	if u[0].pack == lost {
		return k.others(ctx, u, nil)
	}
	var segs []uint32
	for i := range u {
		if u[i].it.stopped() == nil && (len(segs) == 0 || segs[len(segs)-1] != u[i].segment) {
			segs = append(segs, u[i].segment)
		}
	}
	if len(segs) == 0 {
		return k.others(ctx, u, nil)
	}
	rest := u
	err := k.v.Blobs().Segments(ctx, k.w.packs[u[0].pack], segs, func(s *blob.Segment) error {
		// Pieces of segments that were not asked for belong to items that stopped.
		n := 0
		for n < len(rest) && rest[n].segment <= s.N {
			n++
		}
		mine := rest[:n]
		rest = rest[n:]
		return k.segment(ctx, s, mine)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var stop *stopError
	if errors.As(err, &stop) {
		return stop.err
	}
	if err == nil && len(rest) > 0 {
		err = errs.New(errs.Corrupt, "the pack has fewer segments than the index says")
	}
	// What the pack did not yield is looked for in other copies.
	return k.others(ctx, rest, err)
}

// stopError carries an error that ends the run through a callback.
type stopError struct{ err error }

func (e *stopError) Error() string { return e.err.Error() }

// segment writes the pieces of one segment; they are sorted by slot, so a blob that several files want is verified
// once.
func (k *worker) segment(ctx context.Context, s *blob.Segment, u []piece) error {
	for len(u) > 0 {
		n := 1
		for n < len(u) && u[n].segment == u[0].segment && u[n].slot == u[0].slot && u[n].id == u[0].id {
			n++
		}
		var content []byte
		err := s.Err
		if u[0].segment != s.N {
			err = nil // of items that stopped: the content is not looked at
		} else if err == nil {
			content, err = s.Blob(u[0].slot, crypt.KindData, u[0].id)
		}
		if err != nil {
			err = k.others(ctx, u[:n], err)
		} else {
			err = k.deliver(ctx, u[:n], content)
		}
		if err != nil {
			return &stopError{err}
		}
		u = u[n:]
	}
	return nil
}

// others reads the blobs of pieces one by one, from whatever copy is good. first is why the planned one is not.
func (k *worker) others(ctx context.Context, u []piece, first error) error {
	for i := range u {
		p := &u[i]
		var content []byte
		if p.it.stopped() == nil {
			var err error
			if content, err = k.v.Blobs().Get(ctx, crypt.KindData, p.id, k.buf[:0]); err != nil {
				if stop := fatal(ctx, nil); stop != nil {
					return stop
				}
				if first != nil && !errors.Is(err, errs.Corrupt) {
					err = fmt.Errorf("%w (%w)", err, first)
				}
				p.it.stop(fmt.Errorf("read content at offset %d: %w", p.offset, err), true)
			} else {
				k.buf = content
			}
		}
		if err := k.deliver(ctx, u[i:i+1], content); err != nil {
			return err
		}
	}
	return nil
}

// deliver writes verified content to the pieces that want it and ends the items that have all of theirs.
func (k *worker) deliver(ctx context.Context, u []piece, content []byte) error {
	for i := range u {
		p := &u[i]
		if p.it.stopped() == nil {
			if len(content) != int(p.length) {
				p.it.stop(errs.New(errs.Corrupt, "blob %s has %d bytes, and the list of extents says %d", p.id, len(content), p.length), true)
			} else if f := k.open(ctx, p.it); f != nil {
				k.write(p.it, f, content, int64(p.offset))
			}
		}
		if err := k.done(ctx, p.it); err != nil {
			return err
		}
	}
	return nil
}

// open begins the item's file unless that was done, and returns it, or nil if the item stopped.
func (k *worker) open(ctx context.Context, it *item) sink.File {
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.err != nil {
		return nil
	}
	if !it.begun {
		it.begun = true
		f, err := k.to.Begin(ctx, it.dir, it.e)
		if err != nil {
			it.err = err
			return nil
		}
		it.file = f
	}
	return it.file
}

// write writes content to a file; with Sparse, aligned blocks of zeros are left out.
func (k *worker) write(it *item, f sink.File, content []byte, offset int64) {
	k.o.Counters.Bytes.Add(int64(len(content)))
	if !k.o.Sparse {
		if _, err := f.WriteAt(content, offset); err != nil {
			it.stop(err, false)
		}
		return
	}
	for len(content) > 0 {
		skip, n := stretch(content, offset)
		if n > 0 && !skip {
			if _, err := f.WriteAt(content[:n], offset); err != nil {
				it.stop(err, false)
				return
			}
		}
		content, offset = content[n:], offset+int64(n)
	}
}

const block = 4096

var zeros [block]byte

// stretch returns the length of the first stretch of content that is all zero blocks, or has none.
func stretch(content []byte, offset int64) (zero bool, n int) {
	for n < len(content) {
		m := min(block-int((offset+int64(n))%block), len(content)-n)
		z := m == block && bytes.Equal(content[n:n+m], zeros[:])
		if n == 0 {
			zero = z
		} else if z != zero {
			break
		}
		n += m
	}
	return zero, n
}

// items ends the items of a batch: files without pieces, symlinks, and the planner's hold on all others.
func (k *worker) items(ctx context.Context, items []*item) error {
	for _, it := range items {
		if err := k.done(ctx, it); err != nil {
			return err
		}
	}
	return nil
}

// done takes one hold off an item, and ends it with the last one.
func (k *worker) done(ctx context.Context, it *item) error {
	if it.left.Add(-1) > 0 {
		return nil
	}
	f := k.open(ctx, it)
	if f != nil && it.e.Content.Kind == tree.Inline {
		k.write(it, f, it.e.Content.Inline, 0)
	}
	return k.end(ctx, it)
}

// end finishes or aborts an item that nobody else works at any more, and reports it.
func (k *worker) end(ctx context.Context, it *item) error {
	if f := it.file; f != nil {
		it.file = nil
		if it.err != nil {
			if err := f.Abort(); err != nil {
				it.err = errors.Join(it.err, err)
			}
		} else if it.err = f.Finish(ctx); it.err == nil && k.o.Verify {
			it.err = k.verify(ctx, it)
		}
	}
	if it.err != nil && !errors.Is(it.err, sink.ErrSkipped) {
		if err := fatal(ctx, it.err); err != nil {
			return err
		}
	}
	it.settle()
	switch {
	case errors.Is(it.err, sink.ErrSkipped):
		k.skipped(it.from, it.e)
	case it.err != nil:
		k.fail(tree.JoinPath(nil, it.from, it.e.Name), it.err)
	case it.part:
		k.fail(tree.JoinPath(nil, it.from, it.e.Name), errs.New(errs.NotFound,
			"restored up to %d bytes: the backup was interrupted while it was being stored", it.e.Size))
	default:
		k.restored(it.from, it.e, false)
	}
	return nil
}

// single restores one item by itself, outside the parallel part of a window.
func (r *run) single(ctx context.Context, it *item) error {
	w := newWindow(r.o.bounds)
	p := planner{run: r, w: w}
	if r.peek != nil {
		if err := r.peek.Peek(ctx, it.dir, it.e); err != nil {
			it.stop(err, false)
		}
	}
	if it.stopped() == nil {
		if err := unreadable(it.e); err != nil {
			it.stop(err, true)
		}
	}
	it.left.Store(1)
	k := worker{run: r, w: w}
	if hasPieces(it) {
		err := p.pieces(ctx, it, func() error {
			if !w.full() {
				return nil
			}
			return k.drain(ctx)
		})
		if err == nil {
			err = k.drain(ctx)
		}
		if err != nil {
			w.abort()
			return err
		}
	}
	return k.done(ctx, it)
}

// drain carries out what the worker's own window holds.
func (k *worker) drain(ctx context.Context) error {
	k.w.arrange()
	for _, u := range k.w.units {
		if err := k.unit(ctx, u); err != nil {
			return err
		}
	}
	*k.w = *newWindow(k.o.bounds)
	return nil
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
