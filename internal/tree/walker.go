package tree

import (
	"bytes"
	"context"
	"fmt"

	"github.com/nacre-backup/nacre/internal/errs"
)

// LostError says that a page could not be read or decoded, and so the entries from key From up to, not including, To
// are lost (to the end of the tree if To is nil). A cursor that returns it stands behind the range: go on with Next.
type LostError struct {
	Page Ref
	From Key
	To   *Key
	Err  error
}

func (e *LostError) Error() string {
	to := "the end"
	if e.To != nil {
		to = fmt.Sprintf("%q", clip(JoinPath(nil, e.To.Dir, e.To.Name)))
	}
	return fmt.Sprintf("tree page %s (entries from %q to %s): %v", e.Page.ID, clip(JoinPath(nil, e.From.Dir, e.From.Name)), to, e.Err)
}

func (e *LostError) Unwrap() error { return e.Err }

// frame is an open interior page.
type frame struct {
	page interior
	dir  []byte // the page's common directory
	base int    // its depth
	i    int    // the current child
	cur  path   // that child's first directory
}

type walkState uint8

const (
	atRef   walkState = iota // before a page that is not open yet
	atEntry                  // at an entry of the open leaf
	atEnd
)

// walker steps through a tree node by node. At a page it either opens it or skips it unread. It holds an interior
// page and a path for each level, and one leaf.
type walker struct {
	r    PageReader
	root Ref
	dec  decoder

	state  walkState
	frames []frame // frames[:depth] are open, root first
	depth  int
	node   Ref // at atRef: the page; it aliases the top frame

	leaf *Leaf
	i    int // index of the entry
	run  int // its run
	dir  path
	base int // depth of the leaf's common directory

	last     Key // copy of the last key of the leaf before, if lastSome
	lastSome bool
}

// reset places the walker before the root.
func (w *walker) reset() {
	w.closeLeaf()
	w.depth, w.node, w.state, w.lastSome = 0, w.root, atRef, false
	if w.root.Entries == 0 {
		w.state = atEnd
	}
}

func (w *walker) closeLeaf() {
	if w.leaf != nil {
		w.leaf.Release()
		w.leaf = nil
	}
}

// open opens the page at which the walker stands: it then stands before the page's first child or at its first entry.
// After an error it stands behind the page.
func (w *walker) open(ctx context.Context) error {
	err := w.load(ctx)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	lost := &LostError{Page: w.node.Clone(), From: w.node.First.Clone(), To: w.end(), Err: err}
	w.lastSome = false
	w.next()
	return lost
}

func (w *walker) load(ctx context.Context) error {
	page, err := w.r.Page(ctx, KindTree, w.node.ID)
	if err != nil {
		return err
	}
	if w.lastSome && w.last.Compare(w.node.First) >= 0 {
		return errs.New(errs.Corrupt, "first key %q does not follow the page before", clip(w.node.First.Name))
	}
	if w.node.Level == 0 {
		return w.loadLeaf(page)
	}
	if w.depth == len(w.frames) {
		w.frames = append(w.frames, frame{})
	}
	f := &w.frames[w.depth]
	if err := w.dec.interior(&f.page, page); err != nil {
		return err
	}
	f.dir = append(f.dir[:0], w.node.Dir...)
	f.i, f.base = 0, f.page.start(&f.cur, f.dir)
	if err := f.agrees(&w.node); err != nil {
		return err
	}
	w.depth++
	w.setNode()
	return nil
}

// agrees compares the page with the reference to it.
func (f *frame) agrees(r *Ref) error {
	var sum Totals
	for i := range f.page.totals {
		sum.Add(f.page.totals[i])
	}
	switch {
	case f.page.level != int(r.Level):
		return errs.New(errs.Corrupt, "page of level %d where level %d belongs", f.page.level, r.Level)
	case sum != r.Totals:
		return errs.New(errs.Corrupt, "totals differ from those in the reference")
	case !bytes.Equal(f.cur.buf, r.First.Dir) || !bytes.Equal(f.page.names[0], r.First.Name):
		return errs.New(errs.Corrupt, "first key differs from that in the reference")
	}
	return nil
}

func (w *walker) loadLeaf(page []byte) error {
	l := newLeaf()
	if err := w.dec.leaf(l, page); err != nil {
		l.Release()
		return err
	}
	l.setRef(&w.node)
	w.dir.set(l.ref.Dir)
	w.base = w.dir.depth()
	l.enter(&w.dir, w.base, &l.runs[0])
	if err := l.agrees(&w.dir, w.base); err != nil {
		l.Release()
		return err
	}
	l.tail = true
	for i := range w.frames[:w.depth] {
		if f := &w.frames[i]; f.i+1 < f.page.n {
			l.tail = false
		}
	}
	w.leaf, w.i, w.run, w.state = l, 0, 0, atEntry
	return nil
}

// setRef copies r, whose paths alias a frame.
func (l *Leaf) setRef(r *Ref) {
	old := l.ref
	l.ref = *r
	l.ref.Dir = append(old.Dir[:0], r.Dir...)
	l.ref.First.Dir = append(old.First.Dir[:0], r.First.Dir...)
	l.ref.First.Name = append(old.First.Name[:0], r.First.Name...)
}

// agrees compares the leaf with its reference; first is the directory of its first entry.
func (l *Leaf) agrees(first *path, base int) error {
	switch {
	case l.totals != l.ref.Totals:
		return errs.New(errs.Corrupt, "totals differ from those in the reference")
	case !bytes.Equal(first.buf, l.ref.First.Dir) || !bytes.Equal(l.Name(0), l.ref.First.Name):
		return errs.New(errs.Corrupt, "first key differs from that in the reference")
	case len(l.ref.Dir)+1+l.longest > maxPath || base+l.deepest > maxDepth:
		return errs.New(errs.Corrupt, "path beyond the limit")
	}
	return nil
}

// setNode makes node the current child of the top frame.
func (w *walker) setNode() {
	f := &w.frames[w.depth-1]
	w.node = f.ref()
	w.state = atRef
}

// ref returns the reference to the current child, which aliases the frame.
func (f *frame) ref() Ref {
	r := Ref{
		Level:  uint8(f.page.level - 1),
		Dir:    f.cur.prefix(f.base + f.page.dirs[f.i].common),
		First:  Key{Dir: f.cur.buf, Name: f.page.names[f.i]},
		Totals: f.page.totals[f.i],
	}
	copy(r.ID[:], f.page.ids[f.i*len(r.ID):])
	return r
}

// next moves behind the current page or entry.
func (w *walker) next() {
	if w.state == atEntry {
		if w.i+1 < w.leaf.Len() {
			w.i++
			if w.i == w.leaf.runs[w.run].end {
				w.run++
				w.leaf.enter(&w.dir, w.base, &w.leaf.runs[w.run])
			}
			return
		}
		w.last.Dir = append(w.last.Dir[:0], w.dir.buf...)
		w.last.Name = append(w.last.Name[:0], w.leaf.Name(w.i)...)
		w.lastSome = true
		w.closeLeaf()
	}
	for w.depth > 0 {
		f := &w.frames[w.depth-1]
		if f.i+1 < f.page.n {
			f.i++
			f.page.enter(&f.cur, f.base, f.i)
			w.setNode()
			return
		}
		w.depth--
	}
	w.state = atEnd
}

// end returns the first key behind the page at which the walker stands, nil if it is the last of its level.
func (w *walker) end() *Key {
	for d := w.depth - 1; d >= 0; d-- {
		f := &w.frames[d]
		if f.i+1 < f.page.n {
			p := f.cur.clone()
			f.page.enter(&p, f.base, f.i+1)
			return &Key{Dir: p.buf, Name: bytes.Clone(f.page.names[f.i+1])}
		}
	}
	return nil
}

// key returns the key of the entry, or the first key of the page, at which the walker stands.
func (w *walker) key() Key {
	if w.state == atEntry {
		return Key{Dir: w.dir.buf, Name: w.leaf.Name(w.i)}
	}
	return w.node.First
}

// seek places the walker at the first entry at or after k, opening pages on the way. After an error it stands behind
// the lost page; calling seekOn goes on.
func (w *walker) seek(ctx context.Context, k Key) error {
	w.reset()
	return w.seekOn(ctx, k)
}

// seekOn is seek without going back: it moves forward from where the walker stands.
func (w *walker) seekOn(ctx context.Context, k Key) error {
	for w.state != atEnd {
		if w.state == atEntry {
			if w.key().Compare(k) >= 0 {
				return nil
			}
			w.skipTo(k)
			continue
		}
		if w.depth > 0 {
			w.skipChildren(k)
		}
		if err := w.open(ctx); err != nil {
			return err
		}
	}
	return nil
}

// skipTo moves within the leaf to the first entry at or after k, or behind the leaf.
func (w *walker) skipTo(k Key) {
	l := w.leaf
	for w.state == atEntry && w.leaf == l {
		if c := CompareDir(w.dir.buf, k.Dir); c > 0 || c == 0 && bytes.Compare(l.Name(w.i), k.Name) >= 0 {
			return
		} else if c < 0 {
			w.i = l.runs[w.run].end - 1 // the whole run is before k
		}
		w.next()
	}
}

// skipChildren moves to the last child of the top frame whose first key is not above k, if that is further on.
func (w *walker) skipChildren(k Key) {
	f := &w.frames[w.depth-1]
	p := f.cur.clone()
	best := f.i
	for i := f.i + 1; i < f.page.n; i++ {
		f.page.enter(&p, f.base, i)
		if (Key{Dir: p.buf, Name: f.page.names[i]}).Compare(k) > 0 {
			break
		}
		best = i
	}
	if best > f.i {
		w.lastSome = false
	}
	for f.i < best {
		f.i++
		f.page.enter(&f.cur, f.base, f.i)
	}
	w.setNode()
}

// skipPage moves behind the page at which the walker stands, unread.
func (w *walker) skipPage() {
	w.lastSome = false
	w.next()
}
