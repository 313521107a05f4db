package backup

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nacre-backup/nacre/internal/blob"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

const (
	// bufferSize is how much a worker reads at a time, and what it has as a buffer.
	bufferSize = 4 << 20
	// maxInline is the longest content, and maxValue the longest attribute value and link target, that stand in the
	// entry itself (FORMAT.md section 15).
	maxInline = 128
	maxValue  = 256
	// holeSize is the size from which a file is asked for holes.
	holeSize = 64 << 10
	// tries is how often a file is read that changes meanwhile.
	tries = 3
)

// errTorn says that a file never held still.
var errTorn = errors.New("changed while it was read")

// worker does everything for one entry after the other.
type worker struct {
	run     *run
	visitor *visitor
	store   *blob.Worker
	pages   tree.PageStore // within the gate
	gated   tree.PageStore // enters the gate
	buf     []byte
	batch   *batch // whose op is at hand; nil where it is one that is read again
}

func (r *run) newWorker(v *visitor) *worker {
	k := r.writer.Worker()
	w := &worker{run: r, visitor: v, store: k, pages: &carefulPages{r.pages.Store(k), r}, buf: make([]byte, bufferSize)}
	w.gated = gatedPages{w}
	return w
}

// gatedPages is the page store of a worker that is not within the gate.
type gatedPages struct{ w *worker }

// Put implements tree.PageStore.
func (p gatedPages) Put(ctx context.Context, kind tree.Kind, page []byte) (i id.ID, err error) {
	err = p.w.locked(func() error { i, err = p.w.pages.Put(ctx, kind, page); return err })
	return i, err
}

// carefulPages stores pages anew that are known already, once nothing is certain any more: the user asked to read
// everything, or a page of the parent was found damaged. Behind a damaged interior page and in extent lists may be
// more that nobody looked at.
type carefulPages struct {
	tree.PageStore
	run *run
}

// Put implements tree.PageStore.
func (p *carefulPages) Put(ctx context.Context, kind tree.Kind, page []byte) (id.ID, error) {
	if r := p.run; r.o.Force || r.damaged.Load() {
		r.index.Distrust(r.domain.ID(crypt.Kind(kind), page).Short())
	}
	return p.PageStore.Put(ctx, kind, page)
}

// work takes stripes of big files and batches until there are no more.
func (w *worker) work(ctx context.Context) error {
	batches := w.run.window.work
	for {
		select { // stripes first: their file is at the head of the window
		case s := <-w.run.stripes:
			if err := w.stripe(ctx, s); err != nil {
				return err
			}
			continue
		default:
		}
		select {
		case s := <-w.run.stripes:
			if err := w.stripe(ctx, s); err != nil {
				return err
			}
		case b, ok := <-batches:
			if !ok {
				batches = nil // the scan is over; others may still have stripes
				continue
			}
			if err := w.all(ctx, b); err != nil {
				return err
			}
		case b := <-w.run.again:
			if err := w.again(ctx, b); err != nil {
				return err
			}
		case <-w.run.over:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// all makes all entries of a batch ready.
func (w *worker) all(ctx context.Context, b *batch) error {
	if b.big != nil {
		if err := w.big(ctx, b); err != nil {
			return err
		}
		close(b.done)
		return nil
	}
	for i := range b.ops {
		o := &b.ops[i]
		if !o.needsWorker() {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w.begin(b, i)
		if err := w.entry(ctx, o); err != nil {
			return err
		}
	}
	return w.locked(func() error {
		w.run.journal.add(b)
		close(b.done)
		return nil
	})
}

// begin notes that the ops before i are ready.
func (w *worker) begin(b *batch, i int) {
	w.batch = b
	w.run.gate.enter()
	defer w.run.gate.leave()
	b.ready, b.part = i, nil
}

// setPart notes how far the op at hand is, within the gate.
func (w *worker) setPart(p *progress) {
	if w.batch != nil {
		w.batch.part = p
	}
}

// again reads a further hard link after all, whose content is not that of the first.
func (w *worker) again(ctx context.Context, b *batch) error {
	w.batch = nil
	if err := w.readFile(ctx, &b.ops[b.at]); err != nil {
		return err
	}
	close(b.done)
	return nil
}

// locked runs fn within the gate.
func (w *worker) locked(fn func() error) error {
	w.run.gate.enter()
	defer w.run.gate.leave()
	return fn()
}

// entry makes one entry ready. Its error is one of the repository or of the context; what the source fails at stands
// in the op.
func (w *worker) entry(ctx context.Context, o *op) error {
	if err := w.describe(ctx, o); err != nil || o.err != nil && o.do != addNew {
		return err
	}
	if o.entry.Type != tree.File || o.do == addLink {
		return nil
	}
	if o.known {
		return w.relist(ctx, o)
	}
	return w.readFile(ctx, o)
}

// describe fills in what the listing did not have, and stores what is too long to stand in the entry.
func (w *worker) describe(ctx context.Context, o *op) error {
	current := string(tree.JoinPath(nil, o.dir, o.entry.Name))
	w.run.o.Counters.Current.Store(&current)
	link, content := o.entry.Link, o.entry.Content
	if err := w.visitor.visit(func() error { return w.run.src.Describe(ctx, o.item) }); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w.run.lose(ctx, o, err)
		return nil
	}
	o.entry = *o.item.Entry
	o.entry.Link, o.entry.Content = link, content
	e := &o.entry
	if e.ErrClass != tree.ErrNone {
		o.err, o.class = errors.New(e.ErrText), e.ErrClass // an attribute could not be read; the rest is good
	}
	for i := range e.Xattrs {
		x := &e.Xattrs[i]
		x.Size = uint64(len(x.Value))
		if len(x.Value) <= maxValue {
			continue
		}
		var err error
		if x.Blob, err = w.put(ctx, x.Value); err != nil {
			return err
		}
		x.Value = nil
	}
	if len(e.Target) > maxValue {
		var err error
		if e.TargetBlob, err = w.put(ctx, e.Target); err != nil {
			return err
		}
		e.Target = nil
	}
	return nil
}

// put names content, claims it and stores it if it is new.
func (w *worker) put(ctx context.Context, content []byte) (i id.ID, err error) {
	err = w.locked(func() error { i, err = w.putLocked(ctx, content); return err })
	return i, err
}

// putLocked is put within the gate.
func (w *worker) putLocked(ctx context.Context, content []byte) (id.ID, error) {
	i := w.run.domain.ID(crypt.KindData, content)
	stored, err := w.store.Put(ctx, crypt.KindData, i, content)
	if err != nil {
		return id.ID{}, fmt.Errorf("store content: %w", err)
	}
	if stored {
		w.run.dataBlobs.Add(1)
	}
	return i, nil
}

// readFile stores the content of a file, again if it changes meanwhile.
func (w *worker) readFile(ctx context.Context, o *op) error {
	for try := 1; ; try++ {
		changed, err := w.readOnce(ctx, o)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case isFatal(err):
			return err
		case err != nil:
			w.run.lose(ctx, o, err)
			return nil
		case !changed:
			return nil
		case try == tries:
			tear(o)
			return nil
		}
		o.renew()
	}
}

// renew makes an entry what its file was after it was read, as settled left it.
func (o *op) renew() {
	now := o.item.Entry
	o.entry.Size, o.entry.ModTime, o.entry.ChangeTime = now.Size, now.ModTime, now.ChangeTime
}

// tear flags an entry whose content is of more than one moment.
func tear(o *op) {
	o.entry.Flags |= tree.Torn
	o.entry.ErrClass, o.entry.ErrText = tree.ErrChanged, errTorn.Error()
	o.err, o.class = errTorn, tree.ErrChanged
}

// fatalError marks the errors of the repository among those of the source.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

// fatal marks an error of the repository.
func fatal(err error) error {
	if err == nil {
		return nil
	}
	return &fatalError{err}
}

func isFatal(err error) bool {
	var f *fatalError
	return errors.As(err, &f)
}

// readOnce reads and stores a file once. It reports whether the file changed meanwhile: the entry then has the new
// size and times, and the content that was read.
func (w *worker) readOnce(ctx context.Context, o *op) (changed bool, err error) {
	if o.entry.Size == 0 {
		o.entry.Content = tree.Content{}
		return false, nil
	}
	f, err := w.open(ctx, o)
	if err != nil {
		return false, err
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = cerr
		}
	}()
	size := int64(o.entry.Size)
	var got int64
	if size <= int64(w.run.chunker.Whole()) && !w.holes(f, size) {
		got, err = w.readWhole(ctx, o, f, size)
	} else {
		got, err = w.readPieces(ctx, o, f, size)
	}
	if err != nil {
		return false, err
	}
	after := o.entry
	if err := f.Stat(&after); err != nil {
		return false, err
	}
	return settled(o, &after, got), nil
}

// settled compares a file with what it was before it was read, and sets the entry to what was read.
func settled(o *op, after *tree.Entry, got int64) (changed bool) {
	changed = got != int64(o.entry.Size) || after.Size != o.entry.Size || !sameStat(after, o.entry.Stat())
	o.entry.ModTime, o.entry.ChangeTime = after.ModTime, after.ChangeTime
	o.entry.Size = uint64(got)
	if changed {
		o.item.Entry.Size, o.item.Entry.ModTime, o.item.Entry.ChangeTime = after.Size, after.ModTime, after.ChangeTime
	}
	return changed
}

// holes asks whether a file of the size has a hole.
func (w *worker) holes(f source.File, size int64) bool {
	if size < holeSize {
		return false
	}
	start, end, err := f.NextData(0, size)
	return err == nil && (start > 0 || end < size)
}

// readWhole stores a file that is one chunk.
func (w *worker) readWhole(ctx context.Context, o *op, f source.File, size int64) (int64, error) {
	n, err := readAt(f, w.buf[:min(size+1, int64(len(w.buf)))], 0)
	if err != nil {
		return 0, err
	}
	w.run.count(o, n)
	p := w.buf[:n]
	switch {
	case n == 0:
		o.entry.Content = tree.Content{}
	case n <= maxInline:
		o.entry.Content = tree.Content{Kind: tree.Inline, Inline: append([]byte(nil), p...)}
	default:
		i, err := w.put(ctx, p)
		if err != nil {
			return 0, fatal(err)
		}
		o.entry.Content = tree.Content{Kind: tree.Direct, IDs: []id.ID{i}}
	}
	return int64(n), nil
}

// readPieces stores a file chunk by chunk.
func (w *worker) readPieces(ctx context.Context, o *op, f source.File, size int64) (int64, error) {
	s := &progress{extents: tree.NewExtentWriter(w.pages), entry: o.entry}
	o.pieces = pieceList{}
	if err := w.locked(func() error { w.setPart(s); return nil }); err != nil {
		return 0, err
	}
	p := pieces{
		chunker: w.run.chunker,
		buffer:  func() []byte { return w.buf },
		data: func(buf []byte, cuts []int) error {
			for _, n := range cuts {
				i, err := w.put(ctx, buf[:n])
				if err != nil {
					return fatal(err)
				}
				err = w.locked(func() error {
					s.at += int64(n)
					return s.extents.Data(ctx, i, uint64(n))
				})
				if err != nil {
					return fatal(err)
				}
				o.pieces.add(uint64(n), i)
				buf = buf[n:]
			}
			return ctx.Err()
		},
		hole: func(n int64) error {
			o.pieces.add(uint64(n), id.ID{})
			return fatal(w.locked(func() error {
				s.at += n
				return s.extents.Hole(ctx, uint64(n))
			}))
		},
		read: func(n int) { w.run.count(o, n) },
	}
	if err := p.file(f, 0, size); err != nil {
		return 0, err
	}
	err := w.locked(func() (err error) {
		w.setPart(nil)
		o.entry.Content, err = s.extents.Finish(ctx)
		return err
	})
	if err != nil {
		return 0, fatal(fmt.Errorf("store an extent list: %w", err))
	}
	return s.at, nil
}

// relist stores the extent list of a file anew whose pieces the journal knows, as far as its pages are not stored.
func (w *worker) relist(ctx context.Context, o *op) error {
	if len(o.pieces.list) == 0 {
		return nil
	}
	ew := tree.NewExtentWriter(w.gated)
	for i := range o.pieces.list {
		p := &o.pieces.list[i]
		var err error
		if p.id.IsZero() {
			err = ew.Hole(ctx, p.n)
		} else {
			err = ew.Data(ctx, p.id, p.n)
		}
		if err != nil {
			return fmt.Errorf("store an extent list: %w", err)
		}
	}
	content, err := ew.Finish(ctx)
	if err != nil {
		return fmt.Errorf("store an extent list: %w", err)
	}
	o.entry.Content = content
	return nil
}

// readAt fills p from offset off as far as the file goes.
func readAt(f io.ReaderAt, p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		k, err := f.ReadAt(p[n:], off+int64(n))
		n += k
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if k == 0 {
			return n, io.ErrNoProgress
		}
	}
	return n, nil
}

// lose gives up an entry: it keeps what the parent has, or stands in the tree with its error alone.
func (r *run) lose(ctx context.Context, o *op, err error) {
	o.err, o.class, o.verdict = err, r.src.ErrClass(err), event.Failed
	if o.class == tree.ErrNone {
		o.class = tree.ErrOther
	}
	nothingOf(&o.entry)
	if e := r.lastGood(ctx, o); e != nil {
		o.entry = *e
		o.entry.Flags |= tree.Stale
	}
	o.entry.ErrClass, o.entry.ErrText = o.class, clip(err.Error())
	o.do = addBare
}

// nothingOf makes an entry one that could not be read: a file has no content, which is not all of it.
func nothingOf(e *tree.Entry) {
	e.Content, e.Size = tree.Content{}, 0
	if e.Type == tree.File {
		e.Flags |= tree.Partial
	}
}

// lastGood returns what the parents have for an entry that could not be read, or nil. The part of a file that a
// checkpoint has does not take the place of the whole that the last snapshot has.
func (r *run) lastGood(ctx context.Context, o *op) *tree.Entry {
	if !o.old.Ok() || o.old.Entry().Type != o.entry.Type {
		return nil
	}
	if old := o.old.Entry(); old.Flags&tree.Partial == 0 {
		return old.Clone()
	}
	return r.whole(ctx, o)
}

// kept returns what stays of an entry that the parents have and the source does not show: the whole of a file rather
// than the part that a checkpoint has.
func (r *run) kept(ctx context.Context, o *op) *tree.Entry {
	old := o.old.Entry()
	if old.Flags&tree.Partial != 0 {
		if e := r.whole(ctx, o); e != nil {
			return e
		}
	}
	return old
}

// whole returns what the last complete snapshot has of a file, of which the parents' entry at hand is a part; nil if it
// has nothing of it either.
func (r *run) whole(ctx context.Context, o *op) *tree.Entry {
	if r.complete.IsZero() {
		return nil
	}
	old := o.old.Entry()
	e, err := r.parents[len(r.parents)-1].Tree.Lookup(ctx, tree.JoinPath(nil, o.dir, old.Name))
	if err != nil || e.Type != old.Type || e.NeverStored() {
		return nil
	}
	return e
}

// clip shortens an error's text to what an entry holds.
func clip(s string) string {
	const most = 255
	if len(s) > most {
		s = s[:most]
	}
	return s
}
