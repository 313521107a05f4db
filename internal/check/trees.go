package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/tree"
)

// live are the snapshots whose trees must be whole: those without a tombstone, checkpoints too.
func live(st *session.State) []*session.Snapshot {
	return append(st.Snapshots(), st.Checkpoints()...)
}

// trees walks the trees of all live snapshots. Where something is lost, it looks whether a pruner has moved it since the
// packs were listed, and then begins anew.
func (c *checker) trees(ctx context.Context) error {
	for {
		if c.stale {
			c.stale = false
			if _, err := c.moved(ctx); err != nil {
				return err
			}
			if err := c.relist(ctx); err != nil {
				return err
			}
		}
		if err := c.walkTrees(ctx); err != nil {
			return err
		}
		if !c.lost {
			return nil
		}
		moved, err := c.moved(ctx)
		if err != nil || !moved {
			return err
		}
		c.lost, c.missed, c.distinct = false, nil, 0
		if err := c.relist(ctx); err != nil {
			return err
		}
	}
}

// relist lists the packs again, and leaves out those that were found broken before.
func (c *checker) relist(ctx context.Context) error {
	if err := c.packs(ctx); err != nil {
		return err
	}
	for p := range c.broke {
		delete(c.sound, p)
	}
	return nil
}

// walkTrees walks the trees, each page once, and looks for every blob.
func (c *checker) walkTrees(ctx context.Context) error {
	w := &walk{c: c, pages: map[id.ID]bool{}, extents: map[id.ID]bool{}, bad: map[id.ID]bool{}}
	c.walk = w
	c.report.Snapshots = 0
	for _, s := range live(c.state) {
		c.report.Snapshots++
		t, err := c.tree(s)
		if err != nil {
			c.add(s.Fate.Path, err)
			continue
		}
		if err := w.snapshot(ctx, t); err != nil {
			return fmt.Errorf("snapshot %s: %w", s.ID, err)
		}
	}
	return nil
}

// tree opens a snapshot's tree over pages of the repository itself.
func (c *checker) tree(s *session.Snapshot) (tree.Tree, error) {
	t, err := c.view.Tree(s)
	if err != nil {
		return t, errs.As(errs.Corrupt, err)
	}
	t.Pages = c.pages
	return t, nil
}

// walk is what the first pass over the trees knows.
type walk struct {
	c     *checker
	pages map[id.ID]bool // seen; used by the goroutine that walks

	// Under c.mu:
	extents map[id.ID]bool // extent lists by their root page: true if nothing is lost in it
	bad     map[id.ID]bool // leaves that cannot be read, or with an entry that has lost something
}

func (w *walk) snapshot(ctx context.Context, t tree.Tree) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(w.c.o.Workers)
	t.Lost = func(l *tree.LostError) error { return w.lostPage(ctx, l) }
	err := t.WalkPages(ctx, func(r *tree.Ref) (bool, error) {
		if w.pages[r.ID] {
			return false, nil
		}
		w.pages[r.ID] = true
		w.c.pagesRead.Add(1)
		if r.Level > 0 {
			return true, nil
		}
		leaf := r.Clone()
		g.Go(func() error { return w.leaf(ctx, leaf) })
		return true, nil
	})
	if gerr := g.Wait(); gerr != nil { // the first error cancelled the others
		return gerr
	}
	return err
}

// lostPage notes a page that cannot be read.
func (w *walk) lostPage(ctx context.Context, l *tree.LostError) error {
	if passing(ctx, l.Err) {
		return l.Err
	}
	w.c.blamePage(l.Page.ID, l.Err)
	w.c.mu.Lock()
	w.bad[l.Page.ID] = true
	w.c.mu.Unlock()
	return nil
}

// leaf checks the entries of one leaf.
func (w *walk) leaf(ctx context.Context, r tree.Ref) error {
	lost := func(l *tree.LostError) error { return w.lostPage(ctx, l) }
	return w.c.readLeaf(ctx, r, lost, func(cur *tree.Cursor) error {
		w.c.entries.Add(1)
		w.c.o.Counters.Entries.Add(1)
		blobs, err := w.lostBlobs(ctx, cur.Entry())
		if err != nil || len(blobs) == 0 {
			return err
		}
		w.c.mu.Lock()
		w.bad[r.ID] = true
		w.c.missLocked(blobs...)
		w.c.mu.Unlock()
		return nil
	})
}

// readLeaf calls fn at each entry of a leaf, or lost if the leaf cannot be read.
func (c *checker) readLeaf(ctx context.Context, r tree.Ref, lost func(*tree.LostError) error, fn func(*tree.Cursor) error) error {
	cur := tree.Tree{Root: r, Pages: c.pages}.Cursor()
	defer cur.Close()
	for {
		more, err := cur.Next(ctx)
		var l *tree.LostError
		switch {
		case errors.As(err, &l):
			return lost(l)
		case err != nil || !more:
			return err
		}
		if err := fn(cur); err != nil {
			return err
		}
	}
}

// lostBlobs returns the blobs that an entry refers to and that have no good copy, pages of its extent list included.
func (w *walk) lostBlobs(ctx context.Context, e *tree.Entry) (lost []id.Short, err error) {
	look := func(i id.ID) error {
		if !w.c.have(i.Short()) {
			lost = append(lost, i.Short())
		}
		return nil
	}
	if err := e.DataBlobs(look); err != nil {
		return nil, err
	}
	if e.Content.Kind != tree.Extents {
		return lost, nil
	}
	root := e.Content.IDs[0]
	w.c.mu.Lock()
	good := w.extents[root]
	w.c.mu.Unlock()
	if good {
		return lost, nil
	}
	before := len(lost)
	err = tree.VisitExtents(ctx, w.c.pages, e.Content, tree.ExtentVisitor{
		Extent: func(x tree.Extent) error {
			if x.ID.IsZero() {
				return nil
			}
			return look(x.ID)
		},
		Lost: func(l *tree.LostExtentError) error {
			if passing(ctx, l.Err) {
				return l.Err
			}
			w.c.blamePage(l.Page, l.Err)
			lost = append(lost, l.Page.Short())
			return nil
		},
	})
	if err == nil && len(lost) == before {
		w.c.mu.Lock()
		w.extents[root] = true
		w.c.mu.Unlock()
	}
	return lost, err
}

// have tells whether a good copy of a blob is there. Nothing changes the maps while trees are walked.
func (c *checker) have(s id.Short) bool {
	if l, ok := c.view.Index().Lookup(s); ok && c.good(l) {
		return true
	}
	for _, l := range c.view.Index().Copies(nil, s) {
		if c.good(l) {
			return true
		}
	}
	return false
}

func (c *checker) good(l index.Location) bool {
	return c.sound[l.Pack] && !c.bad[place{l.Pack, l.Segment, -1}] && !c.bad[place{l.Pack, l.Segment, int32(l.Slot)}]
}

// blamePage puts a page that cannot be read down to the packs that hold it.
func (c *checker) blamePage(page id.ID, err error) {
	if errors.Is(err, errs.Corrupt) {
		for _, l := range c.view.Index().Copies(nil, page.Short()) {
			if c.good(l) {
				c.add(l.Pack.Path(), err)
			}
		}
	}
	c.mu.Lock()
	c.missLocked(page.Short())
	c.mu.Unlock()
}

// missLocked notes blobs and pages that a live snapshot has lost, each of them twice at most for long.
func (c *checker) missLocked(blobs ...id.Short) {
	c.lost = true
	c.missed = append(c.missed, blobs...)
	if len(c.missed) > 2*c.distinct+1<<16 {
		slices.SortFunc(c.missed, func(a, b id.Short) int { return bytes.Compare(a[:], b[:]) })
		c.missed = slices.Compact(c.missed)
		c.distinct = len(c.missed)
	}
}

// remember makes this machine's backups store again what is lost, also what no live snapshot needs any more: nothing new
// shall rest on the damage.
func (c *checker) remember(ctx context.Context) error {
	lost := c.missed
	for at := range c.bad {
		r, err := c.view.Blobs().Pack(ctx, at.pack)
		if err != nil {
			continue // the whole pack is broken
		}
		for slot, b := range r.Directory().In(at.seg) {
			if at.slot < 0 || int(at.slot) == slot {
				lost = append(lost, b.ID)
			}
		}
	}
	for p := range c.counted {
		if c.sound[p] {
			continue
		}
		r, err := c.view.Index().Directory(ctx, p)
		if err != nil {
			continue // nothing tells what it held, so nothing claims it
		}
		for _, b := range r.Directory().Blobs {
			lost = append(lost, b.ID)
		}
	}
	lost = slices.DeleteFunc(lost, c.have)
	all := c.o.ReadData && c.o.Subset == (Subset{})
	if err := index.Remember(c.repo, lost, all); err != nil {
		c.note("what is damaged could not be remembered on this machine, so that its next backup does not store it again: %v", err)
	}
	return nil
}

// blame finds the damaged objects that held a lost blob.
func (c *checker) blame(s id.Short) (all []*Damage) {
	for _, l := range c.view.Index().Copies(nil, s) {
		c.mu.Lock()
		d := c.damage[l.Pack.Path()]
		c.mu.Unlock()
		if d != nil {
			all = append(all, d)
		}
	}
	if len(all) == 0 {
		all = append(all, c.unheld(s))
	}
	for _, d := range all {
		d.Healed = false
	}
	return all
}

// maxBlobs is how many blobs that no pack is known to hold are named; the others are one.
const maxBlobs = 1000

// otherBlobs is the object that stands for the blobs beyond.
const otherBlobs = "other blobs"

// unheld is the damage of a blob that no pack is known to hold.
func (c *checker) unheld(s id.Short) *Damage {
	object := "blob " + s.String()
	c.mu.Lock()
	if c.damage[object] == nil {
		if c.unheldBlobs++; c.unheldBlobs > maxBlobs {
			object = otherBlobs
		}
	}
	c.mu.Unlock()
	return c.add(object, errs.New(errs.NotFound, "no pack is known to hold it"))
}

// attribute walks all trees again, if something is lost, and names what each snapshot has lost with which object.
func (c *checker) attribute(ctx context.Context) error {
	if !c.lost {
		return nil
	}
	for _, s := range live(c.state) {
		t, err := c.tree(s)
		if err != nil {
			continue // said before
		}
		a := &attribution{c: c, s: s}
		t.Lost = func(l *tree.LostError) error { return a.page(ctx, l) }
		if err := t.WalkPages(ctx, func(r *tree.Ref) (bool, error) {
			if r.Level == 0 && c.walk.bad[r.ID] {
				return false, a.leaf(ctx, r.Clone())
			}
			return true, nil
		}); err != nil {
			return fmt.Errorf("snapshot %s: %w", s.ID, err)
		}
	}
	return nil
}

// attribution names what one snapshot has lost.
type attribution struct {
	c *checker
	s *session.Snapshot
}

func (a *attribution) page(ctx context.Context, l *tree.LostError) error {
	if passing(ctx, l.Err) {
		return l.Err
	}
	text := "from " + name(l.From)
	if l.To != nil {
		text += " to " + name(*l.To)
	}
	for _, d := range a.c.blame(l.Page.ID.Short()) {
		n := d.need(a.s.ID, a.s.Record.Time)
		n.Ranges = append(n.Ranges, text)
	}
	return nil
}

func name(k tree.Key) string {
	path := tree.JoinPath(nil, k.Dir, k.Name)
	if len(path) == 0 {
		return "the top"
	}
	return fmt.Sprintf("%q", path)
}

func (a *attribution) leaf(ctx context.Context, r tree.Ref) error {
	lost := func(l *tree.LostError) error { return a.page(ctx, l) }
	return a.c.readLeaf(ctx, r, lost, func(cur *tree.Cursor) error {
		blobs, err := a.c.walk.lostBlobs(ctx, cur.Entry())
		if err != nil {
			return err
		}
		path := tree.JoinPath(nil, cur.Dir(), cur.Entry().Name)
		for _, s := range blobs {
			for _, d := range a.c.blame(s) {
				d.need(a.s.ID, a.s.Record.Time).file(path)
			}
		}
		return nil
	})
}
