package backup

import (
	"context"
	"fmt"
	"io"

	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

// stripe is a buffer of whole chunks of a big file, on its way to any worker; or a hole, ready at once.
type stripe struct {
	buf  []byte
	cuts []int
	ids  []id.ID
	hole int64
	done chan struct{}
}

// progress is how far a file is. It is changed within the gate only, so a checkpoint, which holds the gate alone,
// sees it at rest.
type progress struct {
	extents *tree.ExtentWriter // nil before it is begun, and when the file is whole
	at      int64              // bytes so far
	entry   tree.Entry         // as it was before the file was read; when the file is whole, as it goes into the tree
}

// bigReader reads one big file and hands its stripes out.
type bigReader struct {
	w     *worker
	batch *batch
	o     *op
	state *progress
	queue []*stripe // in the order of the file
	free  [][]byte  // buffers of stripes that are done
	try   int       // how often the file is read
	most  int       // stripes under way: one for each worker and one being read; with their buffers 4 MiB each
}

// bigTries is how often a big file is read that changes meanwhile: a disk image in use never holds still, and reading it
// takes long. What did not change is stored already.
const bigTries = 2

// big stores a big file or a stream: this worker reads and cuts, all of them store.
func (w *worker) big(ctx context.Context, b *batch) error {
	o := &b.ops[0]
	if err := w.describe(ctx, o); err != nil || o.do != addNew {
		return err
	}
	r := &bigReader{w: w, batch: b, o: o, state: b.big, most: w.run.o.Workers + 1}
	for {
		again, err := r.run(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case isFatal(err):
			return err
		case err != nil && w.run.o.Stream:
			return err // half a stream is no backup of it
		case err != nil:
			w.run.lose(ctx, o, err)
			return nil
		case !again:
			return nil
		}
		o.renew()
		o.resume = false // the part that a checkpoint has may have changed, too
	}
}

// run reads the file. It reports whether it is to be read again.
func (r *bigReader) run(ctx context.Context) (again bool, err error) {
	r.try++
	f, err := r.w.open(ctx, r.o)
	if err != nil {
		return false, err
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = cerr
		}
	}()
	if err := r.w.locked(func() error { return r.begin(ctx) }); err != nil {
		return false, err
	}
	if err := r.read(ctx, f); err != nil {
		if ctx.Err() == nil { // The stripes under way are waited for: their buffers are in use.
			if derr := r.drain(ctx, 0); derr != nil {
				return false, derr
			}
		}
		return false, err
	}
	if err := r.drain(ctx, 0); err != nil {
		return false, err
	}
	after := r.o.entry
	if !r.w.run.o.Stream {
		if err := f.Stat(&after); err != nil {
			return false, err
		}
	}
	err = r.w.locked(func() error { again, err = r.finish(ctx, &after); return err })
	return again, err
}

// begin makes the extent writer; a file in progress goes on behind what a checkpoint has of it.
func (r *bigReader) begin(ctx context.Context) error {
	s := r.state
	s.extents, s.at = tree.NewExtentWriter(r.w.pages), 0
	s.entry, r.o.pieces = r.o.entry, pieceList{}
	if !r.o.resume {
		return nil
	}
	err := r.w.run.extents(ctx, r.o.old.Entry(), func(e tree.Extent) error {
		s.at += int64(e.Length)
		r.o.pieces.add(e.Length, e.ID)
		if e.ID.IsZero() {
			return s.extents.Hole(ctx, e.Length)
		}
		return s.extents.Data(ctx, e.ID, e.Length)
	})
	if err != nil { // the checkpoint's list is damaged: read all of it
		r.w.run.warn(fmt.Errorf("go on with %s: %w", printable(tree.JoinPath(nil, r.o.dir, r.o.entry.Name)), err))
		s.extents, s.at = tree.NewExtentWriter(r.w.pages), 0
		r.o.pieces = pieceList{}
	}
	return nil
}

// read cuts the file into stripes.
func (r *bigReader) read(ctx context.Context, f source.File) error {
	p := pieces{
		chunker: r.w.run.chunker,
		buffer:  r.buffer,
		data: func(buf []byte, cuts []int) error {
			return r.send(ctx, &stripe{buf: buf, cuts: cuts, done: make(chan struct{})})
		},
		hole: func(n int64) error { return r.send(ctx, &stripe{hole: n, done: closed}) },
		read: func(n int) { r.w.run.count(r.o, n) },
	}
	if r.w.run.o.Stream {
		s, ok := f.(source.Streamed)
		if !ok {
			return fmt.Errorf("the source is no stream")
		}
		_, err := p.stretch(io.Reader(s), -1, true)
		return err
	}
	return p.file(f, r.state.at, int64(r.o.entry.Size))
}

// buffer returns a buffer that no stripe uses.
func (r *bigReader) buffer() []byte {
	if n := len(r.free); n > 0 {
		b := r.free[n-1]
		r.free = r.free[:n-1]
		return b
	}
	return make([]byte, bufferSize)
}

// send hands a stripe to whoever is free, or does it itself, and takes in what is done.
func (r *bigReader) send(ctx context.Context, s *stripe) error {
	r.queue = append(r.queue, s)
	if s.buf != nil {
		select {
		case r.w.run.stripes <- s:
		default:
			if err := r.w.stripe(ctx, s); err != nil {
				return fatal(err)
			}
		}
	}
	return r.drain(ctx, r.most)
}

// drain takes in the stripes that are done, in order, and waits until at most n are under way. It helps meanwhile.
func (r *bigReader) drain(ctx context.Context, n int) error {
	for len(r.queue) > 0 {
		s := r.queue[0]
		select {
		case <-s.done:
		default:
			if len(r.queue) <= n {
				return nil
			}
			select {
			case <-s.done:
			case other := <-r.w.run.stripes:
				if err := r.w.stripe(ctx, other); err != nil {
					return fatal(err)
				}
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		r.queue = r.queue[1:]
		if err := r.w.locked(func() error { return r.take(ctx, s) }); err != nil {
			return fatal(err)
		}
		if s.buf != nil {
			r.free = append(r.free, s.buf)
		}
	}
	return nil
}

// take appends a finished stripe to the extent list.
func (r *bigReader) take(ctx context.Context, s *stripe) error {
	if s.buf == nil {
		r.state.at += s.hole
		r.o.pieces.add(uint64(s.hole), id.ID{})
		return r.state.extents.Hole(ctx, uint64(s.hole))
	}
	for i, n := range s.cuts {
		if err := r.state.extents.Data(ctx, s.ids[i], uint64(n)); err != nil {
			return err
		}
		r.o.pieces.add(uint64(n), s.ids[i])
		r.state.at += int64(n)
	}
	return nil
}

// finish ends the extent list and compares the file with what it was. It reports whether it is to be read again.
func (r *bigReader) finish(ctx context.Context, after *tree.Entry) (again bool, err error) {
	content, err := r.state.extents.Finish(ctx)
	if err != nil {
		return false, fatal(fmt.Errorf("store an extent list: %w", err))
	}
	got := r.state.at
	r.o.entry.Content = content
	if r.w.run.o.Stream {
		r.o.entry.Size = uint64(got)
	} else if settled(r.o, after, got) {
		if r.try < bigTries {
			r.state.extents, r.state.at = nil, 0
			return true, nil
		}
		tear(r.o)
	}
	if r.o.pieces.full {
		r.w.run.wantCheckpoint() // the journal cannot tell of it
	}
	r.state.entry, r.state.extents = r.o.entry, nil
	r.w.run.journal.add(r.batch) // no checkpoint comes between the file's end and this
	return false, nil
}

// stripe stores the chunks of a stripe.
func (w *worker) stripe(ctx context.Context, s *stripe) error {
	return w.locked(func() error {
		buf := s.buf
		s.ids = make([]id.ID, len(s.cuts))
		for i, n := range s.cuts {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			var err error
			if s.ids[i], err = w.putLocked(ctx, buf[:n]); err != nil {
				return err
			}
			buf = buf[n:]
		}
		close(s.done)
		return nil
	})
}
