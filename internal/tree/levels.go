package tree

import (
	"context"
	"fmt"
	"slices"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// put stores b.page.
func (b *Builder) put(ctx context.Context) (id.ID, error) {
	if len(b.page) > maxPage { // the limits of entries and paths keep pages below 3 MiB
		panic(fmt.Sprintf("tree: page of %d bytes", len(b.page)))
	}
	b.stats.Bytes += int64(len(b.page))
	i, err := b.store.Put(ctx, KindTree, b.page)
	if err != nil {
		return id.ID{}, fmt.Errorf("tree page: %w", err)
	}
	return i, nil
}

// addChild appends a leaf to level 1, and sends finished pages to the store early if too many are held.
func (b *Builder) addChild(ctx context.Context, c *child) error {
	if err := b.attach(1, c); err != nil {
		return err
	}
	for l := 1; b.held > holdLimit && l <= len(b.levels); l++ {
		if err := b.flushLevel(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// attach appends c to level l, which is 1 or more, and ends the level's page where the rule says so.
func (b *Builder) attach(l int, c *child) error {
	if l > maxLevel {
		return errs.New(errs.Unsupported, "tree of more than %d levels", maxLevel)
	}
	if len(b.levels) < l {
		b.levels = append(b.levels, &level{})
	}
	lv := b.levels[l-1]
	if lv.kids == 0 {
		lv.only = c.clone()
	}
	lv.kids++
	lv.open.add(c)
	if b.cut.ends(c.lastHash, l, lv.open.n, lv.open.size) {
		b.endPage(l)
	}
	return nil
}

// endPage finishes the open page of level l and keeps it back.
func (b *Builder) endPage(l int) {
	lv := b.levels[l-1]
	f := finished{page: lv.open.appendTo(nil, l), ref: lv.open.child()}
	b.held += f.held()
	lv.done = append(lv.done, f)
	lv.open.reset()
}

func (f *finished) held() int {
	return len(f.page) + len(f.ref.first.buf) + 8*len(f.ref.first.ends) + 256
}

// flushLevel puts the finished pages of level l and adds them to the level above.
func (b *Builder) flushLevel(ctx context.Context, l int) error {
	lv := b.levels[l-1]
	for i := range lv.done {
		f := &lv.done[i]
		if err := b.putFinished(ctx, f); err != nil {
			return err
		}
		if err := b.attach(l+1, &f.ref); err != nil {
			return err
		}
		b.held -= f.held()
	}
	clear(lv.done)
	lv.done = lv.done[:0]
	return nil
}

func (b *Builder) putFinished(ctx context.Context, f *finished) (err error) {
	b.page = append(b.page[:0], f.page...)
	b.stats.Interior++
	f.ref.id, err = b.put(ctx)
	return err
}

// Finish ends the tree and returns its root: the zero Ref if nothing was added. The builder must not be used again.
func (b *Builder) Finish(ctx context.Context) (Ref, error) {
	if l := b.cand.leaf; l != nil && b.cand.next == l.Len() {
		if err := b.takeOver(ctx); err != nil {
			return Ref{}, err
		}
	}
	if err := b.settle(ctx); err != nil {
		return Ref{}, err
	}
	if b.leaf.n > 0 {
		if err := b.endLeaf(ctx); err != nil {
			return Ref{}, err
		}
	}
	if len(b.levels) == 0 {
		return Ref{}, nil
	}
	for l := 1; ; l++ {
		lv := b.levels[l-1]
		if lv.kids == 1 {
			return lv.only.ref(l - 1).Clone(), nil
		}
		if lv.open.n > 0 {
			b.endPage(l)
		}
		if err := b.flushLevel(ctx, l); err != nil {
			return Ref{}, err
		}
	}
}

// Fork returns an independent builder with the same content so far. A checkpoint forks, adds what it wants and
// finishes the fork; the original goes on.
func (b *Builder) Fork() *Builder {
	c := *b
	c.cut = b.cut.clone()
	c.leaf = b.leaf.clone()
	c.dir, c.scratch, c.name = b.dir.clone(), path{}, slices.Clone(b.name)
	c.page = nil
	if c.cand.leaf != nil {
		c.cand.leaf.Retain()
	}
	c.levels = make([]*level, len(b.levels))
	for i, lv := range b.levels {
		n := &level{open: lv.open.clone(), done: slices.Clone(lv.done), only: lv.only.clone(), kids: lv.kids}
		c.levels[i] = n
	}
	return &c
}
