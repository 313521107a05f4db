package tree

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/nacre-backup/nacre/internal/errs"
)

// Tree is an existing tree. Lost, if set, is told of each damaged page, and the method goes on behind it; else, or if
// Lost returns an error, the method ends with it. Methods may be called by several goroutines at once.
type Tree struct {
	Root  Ref
	Pages PageReader
	Lost  func(*LostError) error
}

// SkipDir, returned by the function given to Walk for a directory, leaves out what is in and below it.
//
//lint:ignore ST1012 it is no failure, and it is named as fs.SkipDir is
var SkipDir = errors.New("skip this directory")

// lost decides what becomes of an error of a walker: nil says go on.
func (t *Tree) lost(err error) error {
	var l *LostError
	if err != nil && t.Lost != nil && errors.As(err, &l) {
		return t.Lost(l)
	}
	return err
}

// Lookup returns a copy of the entry at a path ("" is the top). The error is of kind errs.NotFound if there is none. A
// damaged page on the way is an error whether Lost is set or not.
func (t Tree) Lookup(ctx context.Context, path []byte) (*Entry, error) {
	dir, name := splitPath(path)
	c := t.Cursor()
	defer c.Close()
	k := Key{Dir: dir, Name: name}
	if err := c.Seek(ctx, k); err != nil {
		return nil, err
	}
	ok, err := c.Next(ctx)
	if err != nil {
		return nil, err
	}
	if !ok || c.Key().Compare(k) != 0 {
		return nil, errs.New(errs.NotFound, "%q is not in the snapshot", path)
	}
	return c.Entry().Clone(), nil
}

// List calls fn for each entry directly in dir, in name order. The top's own entry is not one of them. Entries are
// valid during the call.
func (t Tree) List(ctx context.Context, dir []byte, fn func(e *Entry) error) error {
	return t.scan(ctx, Key{Dir: dir}, func(c *Cursor) (bool, error) {
		if !bytes.Equal(c.Dir(), dir) {
			return false, nil
		}
		if len(c.Entry().Name) == 0 {
			return true, nil
		}
		return true, fn(c.Entry())
	})
}

// Walk calls fn for the entry at path and for all below it, in key order. Dir and entry are valid during the call.
func (t Tree) Walk(ctx context.Context, path []byte, fn func(dir []byte, e *Entry) error) error {
	if len(path) > 0 {
		e, err := t.Lookup(ctx, path)
		if err != nil && t.lost(err) != nil {
			return err
		}
		if e != nil {
			dir, _ := splitPath(path)
			if err := fn(dir, e); errors.Is(err, SkipDir) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	var skip [][]byte // directories to leave out, in the order in which they come
	return t.scan(ctx, Key{Dir: path}, func(c *Cursor) (bool, error) {
		dir := c.Dir()
		if !Below(dir, path) {
			return false, nil
		}
		for len(skip) > 0 && CompareDir(dir, skip[0]) >= 0 {
			at := skip[0]
			skip = skip[1:]
			if Below(dir, at) {
				return true, c.SkipBelow(ctx, at)
			}
		}
		err := fn(dir, c.Entry())
		if errors.Is(err, SkipDir) {
			if len(dir) == 0 && len(c.Entry().Name) == 0 {
				return false, nil
			}
			at := JoinPath(nil, dir, c.Entry().Name)
			i, _ := slices.BinarySearchFunc(skip, at, CompareDir)
			skip = slices.Insert(skip, i, at)
			err = nil
		}
		return true, err
	})
}

// scan calls fn with the cursor at each entry from k on until it returns false or an error.
func (t *Tree) scan(ctx context.Context, k Key, fn func(c *Cursor) (bool, error)) error {
	c := t.Cursor()
	defer c.Close()
	if err := t.lost(c.Seek(ctx, k)); err != nil {
		return err
	}
	for {
		ok, err := c.Next(ctx)
		if err != nil {
			if err = t.lost(err); err != nil {
				return err
			}
			continue
		}
		if !ok {
			return nil
		}
		more, err := fn(c)
		if err = t.lost(err); err != nil || !more {
			return err
		}
	}
}

// Du returns the totals of the entry at path and of all below it, reading O(log n) pages. What Lost pages on the edge
// of the range held is missing from the result.
func (t Tree) Du(ctx context.Context, path []byte) (Totals, error) {
	if len(path) == 0 {
		return t.Root.Totals, nil
	}
	var sum Totals
	e, err := t.Lookup(ctx, path)
	if err != nil && t.lost(err) != nil {
		return sum, err
	}
	if e != nil {
		sum.addEntry(e)
	}
	w := walker{r: t.Pages, root: t.Root}
	w.reset()
	defer w.closeLeaf()
	from, to := Key{Dir: path}, EndOf(path)
	for w.state != atEnd {
		k := w.key()
		if k.Compare(to) >= 0 {
			break
		}
		if w.state == atEntry {
			if k.Compare(from) >= 0 {
				sum.addEntry(w.leaf.Entry(w.i))
			}
			w.next()
			continue
		}
		end := w.end()
		switch {
		case end != nil && end.Compare(from) <= 0:
			w.skipPage()
		case end != nil && end.Compare(to) <= 0 && k.Compare(from) >= 0:
			sum.Add(w.node.Totals)
			w.skipPage()
		default:
			if err := t.lost(w.open(ctx)); err != nil {
				return sum, err
			}
		}
	}
	return sum, nil
}

// WalkPages calls fn for each page reference, a page before those below it, left to right, reading interior pages only.
// If fn returns false, what is below is left out.
func (t Tree) WalkPages(ctx context.Context, fn func(r *Ref) (bool, error)) error {
	w := walker{r: t.Pages, root: t.Root}
	w.reset()
	for w.state != atEnd {
		down, err := fn(&w.node)
		if err != nil {
			return err
		}
		if !down || w.node.Level == 0 {
			w.skipPage()
			continue
		}
		if err := t.lost(w.open(ctx)); err != nil {
			return err
		}
	}
	return nil
}
