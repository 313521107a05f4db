package tree

import "context"

// Diff calls fn for each key whose entry is not the same in a and b, in key order: with a nil old or a nil new where
// one of them has none. Equal pages are skipped without being read, so that the work is that of the changes times the
// height. Arguments are valid during the call. A damaged page goes to the Lost function of its tree; the entries of
// the other tree in its range are then reported as if the lost ones had never been.
func Diff(ctx context.Context, a, b Tree, fn func(dir []byte, old, new *Entry) error) error {
	d := differ{ctx: ctx, a: side{t: a}, b: side{t: b}, fn: fn}
	for _, s := range []*side{&d.a, &d.b} {
		s.w = walker{r: s.t.Pages, root: s.t.Root}
		s.w.reset()
		defer s.w.closeLeaf()
	}
	for d.a.w.state != atEnd || d.b.w.state != atEnd {
		if err := d.step(); err != nil {
			return err
		}
	}
	return nil
}

type side struct {
	t Tree
	w walker
}

func (s *side) open(ctx context.Context) error { return s.t.lost(s.w.open(ctx)) }

type differ struct {
	ctx  context.Context //nolint:containedctx // lives for one call of Diff
	a, b side
	fn   func(dir []byte, old, new *Entry) error
}

// step moves one or both sides on. Of two pages, the higher is opened first, then the one that begins first; equal
// ones are passed over. A page beside an entry is opened only when the entry is not before it.
func (d *differ) step() error {
	a, b := &d.a.w, &d.b.w
	switch {
	case a.state == atRef && b.state == atRef:
		return d.pages()
	case a.state == atEnd:
		return d.alone(&d.b, false)
	case b.state == atEnd:
		return d.alone(&d.a, true)
	}
	c := a.key().Compare(b.key())
	switch {
	case a.state == atEntry && b.state == atEntry:
		return d.entries(c)
	case a.state == atEntry && c < 0:
		return d.alone(&d.a, true)
	case b.state == atEntry && c > 0:
		return d.alone(&d.b, false)
	case a.state == atRef:
		return d.a.open(d.ctx)
	}
	return d.b.open(d.ctx)
}

// pages decides about two unopened pages.
func (d *differ) pages() error {
	a, b := &d.a.w, &d.b.w
	if a.node.same(&b.node) {
		a.skipPage()
		b.skipPage()
		return nil
	}
	if a.node.Level != b.node.Level {
		if a.node.Level > b.node.Level {
			return d.a.open(d.ctx)
		}
		return d.b.open(d.ctx)
	}
	if a.node.First.Compare(b.node.First) <= 0 {
		return d.a.open(d.ctx)
	}
	return d.b.open(d.ctx)
}

func (d *differ) entries(c int) error {
	a, b := &d.a.w, &d.b.w
	switch {
	case c < 0:
		return d.alone(&d.a, true)
	case c > 0:
		return d.alone(&d.b, false)
	}
	x, y := a.leaf.Entry(a.i), b.leaf.Entry(b.i)
	if !x.Equal(y) {
		if err := d.fn(a.dir.buf, x, y); err != nil {
			return err
		}
	}
	a.next()
	b.next()
	return nil
}

// alone reports what only one side has, and opens its page first if need be.
func (d *differ) alone(s *side, old bool) error {
	w := &s.w
	if w.state == atRef {
		return s.open(d.ctx)
	}
	var err error
	if e := w.leaf.Entry(w.i); old {
		err = d.fn(w.dir.buf, e, nil)
	} else {
		err = d.fn(w.dir.buf, nil, e)
	}
	w.next()
	return err
}
