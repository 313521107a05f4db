package tree

import "context"

// Cursor walks a tree in key order. One goroutine uses it. It holds one leaf and, for each level above, one page and
// one path.
type Cursor struct {
	w       walker
	started bool // w stands at the current entry, not before it
}

// Cursor returns a cursor that stands before the first entry. It does not use t.Lost: it returns *LostError.
func (t Tree) Cursor() *Cursor {
	c := &Cursor{w: walker{r: t.Pages, root: t.Root}}
	c.w.reset()
	return c
}

// Seek places the cursor before the first entry at or after k. After a *LostError it stands behind the lost range, and
// Next goes on from there.
func (c *Cursor) Seek(ctx context.Context, k Key) error {
	c.started = false
	if c.w.state == atEntry && c.w.key().Compare(k) <= 0 {
		// Within the leaf there is no need to begin at the root.
		l := c.w.leaf
		c.w.skipTo(k)
		if c.w.state == atEntry && c.w.leaf == l {
			return nil
		}
	}
	return c.w.seek(ctx, k)
}

// Next moves to the next entry; false says that there is none. After a *LostError it may be called again.
func (c *Cursor) Next(ctx context.Context) (bool, error) {
	if c.started {
		c.w.next()
		c.started = false
	}
	for c.w.state == atRef {
		if err := c.w.open(ctx); err != nil {
			return false, err
		}
	}
	c.started = c.w.state == atEntry
	return c.started, nil
}

// Dir returns the directory of the current entry, valid until the next step.
func (c *Cursor) Dir() []byte { return c.w.dir.buf }

// Entry returns the current entry, valid until the next step.
func (c *Cursor) Entry() *Entry { return c.w.leaf.Entry(c.w.i) }

// Stat returns what tells whether the current entry is unchanged, valid until the next step. It is cheaper than Entry.
func (c *Cursor) Stat() *Stat { return c.w.leaf.Stat(c.w.i) }

// Key returns the current entry's key, valid until the next step.
func (c *Cursor) Key() Key { return c.w.key() }

// Old returns the current entry and its leaf.
func (c *Cursor) Old() Old { return Old{Leaf: c.w.leaf, Index: c.w.i} }

// SkipBelow moves the cursor before the first entry behind everything in and below directory dir, which must not be
// the top.
func (c *Cursor) SkipBelow(ctx context.Context, dir []byte) error {
	return c.Seek(ctx, EndOf(dir))
}

// Close gives up the cursor's leaf. It may be called twice.
func (c *Cursor) Close() {
	c.w.closeLeaf()
	c.w.state = atEnd
	c.started = false
}
