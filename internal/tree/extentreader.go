package tree

import (
	"context"
	"errors"
	"fmt"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// Extent is a stretch of a file: a data blob, or a hole where ID is zero.
type Extent struct {
	Offset, Length uint64
	ID             id.ID
}

// LostExtentError says that a page of an extent list is damaged and which bytes it described. Length is 0 where that
// is the whole list, whose size only the entry tells.
type LostExtentError struct {
	Page           id.ID
	Offset, Length uint64
	Err            error
}

func (e *LostExtentError) Error() string {
	if e.Length == 0 {
		return fmt.Sprintf("extent list page %s: %v", e.Page, e.Err)
	}
	return fmt.Sprintf("extent list page %s (bytes %d to %d): %v", e.Page, e.Offset, e.Offset+e.Length, e.Err)
}

func (e *LostExtentError) Unwrap() error { return e.Err }

// extentPage is a decoded page of an extent list.
type extentPage struct {
	items []extentItem
	i     int
	level int
	start uint64 // offset in the file of item i
}

type extentItem struct {
	length uint64
	id     id.ID
}

// ExtentReader reads the extent list of a content of kind Extents. One goroutine uses it; it holds one page a level.
type ExtentReader struct {
	r      PageReader
	root   id.ID
	level  int
	pages  []extentPage // pages[:depth] are open, root first
	depth  int
	state  walkState
	cols   columns
	onPage func(i id.ID, level uint8) (bool, error)
}

// NewExtentReader stands before the first extent.
func NewExtentReader(r PageReader, c Content) *ExtentReader {
	x := &ExtentReader{r: r, level: int(c.Level)}
	if c.Kind != Extents || len(c.IDs) != 1 {
		panic(fmt.Sprintf("tree: extent reader of content kind %d", c.Kind))
	}
	x.root = c.IDs[0]
	return x
}

// Seek places the reader before the extent that holds offset off, or at the end.
func (x *ExtentReader) Seek(ctx context.Context, off uint64) error {
	x.depth, x.state = 0, atRef
	for x.state == atRef {
		if err := x.open(ctx); err != nil {
			return err
		}
		p := &x.pages[x.depth-1]
		for p.i < len(p.items) && p.start+p.items[p.i].length <= off {
			p.start += p.items[p.i].length
			p.i++
		}
		if p.i == len(p.items) { // behind the file's end
			x.depth, x.state = 0, atEnd
		}
	}
	return nil
}

// Next returns the next extent; false says that there is none. After a *LostExtentError it may be called again: the
// reader stands behind the lost bytes.
func (x *ExtentReader) Next(ctx context.Context) (Extent, bool, error) {
	for x.state == atRef {
		if err := x.open(ctx); err != nil {
			return Extent{}, false, err
		}
	}
	if x.state == atEnd {
		return Extent{}, false, nil
	}
	p := &x.pages[x.depth-1]
	e := Extent{Offset: p.start, Length: p.items[p.i].length, ID: p.items[p.i].id}
	x.skip()
	return e, true, nil
}

// skip moves behind the current item of the deepest page.
func (x *ExtentReader) skip() {
	for ; x.depth > 0; x.depth-- {
		p := &x.pages[x.depth-1]
		p.start += p.items[p.i].length
		if p.i++; p.i < len(p.items) {
			x.state = atEntry
			if p.level > 0 {
				x.state = atRef
			}
			return
		}
	}
	x.state = atEnd
}

// open opens the page at which the reader stands. After an error it stands behind it.
func (x *ExtentReader) open(ctx context.Context) error {
	want, level, off, length := x.root, x.level, uint64(0), uint64(0)
	if x.depth > 0 {
		p := &x.pages[x.depth-1]
		want, level, off, length = p.items[p.i].id, p.level-1, p.start, p.items[p.i].length
	}
	if x.onPage != nil {
		down, err := x.onPage(want, uint8(level))
		if err != nil {
			return err
		}
		if !down {
			x.skip()
			return nil
		}
	}
	err := x.load(ctx, want, level, off, length)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	x.skip()
	return &LostExtentError{Page: want, Offset: off, Length: length, Err: err}
}

func (x *ExtentReader) load(ctx context.Context, i id.ID, level int, off, length uint64) error {
	b, err := x.r.Page(ctx, KindExtent, i)
	if err != nil {
		return err
	}
	if x.depth == len(x.pages) {
		x.pages = append(x.pages, extentPage{})
	}
	p := &x.pages[x.depth]
	sum, err := decodeExtents(&x.cols, p, b)
	switch {
	case err != nil:
		return err
	case p.level != level:
		return errs.New(errs.Corrupt, "extent list page of level %d where level %d belongs", p.level, level)
	case x.depth > 0 && sum != length:
		return errs.New(errs.Corrupt, "extent list page of %d bytes where %d belong", sum, length)
	}
	p.i, p.start = 0, off
	x.depth++
	x.state = atEntry
	if level > 0 {
		x.state = atRef
	}
	return nil
}

var extentColumns = columnSet(colNames, colIDs)

// decodeExtents decodes a page and returns the sum of its lengths.
//
//nolint:gocyclo // one loop that refuses whatever is not the only way to write the list
func decodeExtents(c *columns, p *extentPage, page []byte) (sum uint64, err error) {
	if err := c.parse(page, 1<<pageExtents|1<<pageExtentsInterior, extentColumns); err != nil {
		return 0, err
	}
	bad := func(what string) (uint64, error) { return 0, errs.New(errs.Corrupt, "extent list page: %s", what) }
	leaf := c.kind == pageExtents
	if leaf != (c.level == 0) || c.level > maxListLevel {
		return bad("level")
	}
	p.level = int(c.level)
	p.items = p.items[:0]
	s, ids := c.get(colNames), c.get(colIDs)
	hole := false
	for range c.n {
		n := s.uv()
		it := extentItem{length: n}
		if leaf {
			if n&1 == 1 && hole {
				return bad("two holes side by side")
			}
			hole = n&1 == 1
			it.length = n >> 1
			if !hole && it.length > maxBlob {
				return bad("length of a blob")
			}
		}
		if !hole {
			copy(it.id[:], ids.bytes(len(it.id)))
			if it.id.IsZero() {
				return bad("ids")
			}
		}
		sum += it.length
		if it.length == 0 || it.length > 1<<62-1 || sum > 1<<62-1 {
			return bad("lengths")
		}
		p.items = append(p.items, it)
	}
	if !s.done() || !ids.done() {
		return bad("lengths or ids")
	}
	return sum, nil
}

// WalkExtentPages calls page with the id and level of each page of an extent list before it is read, and ext with each
// extent; nil functions are left out. If page returns false, what is below is left out. The first damaged page, a
// *LostExtentError, ends it.
func WalkExtentPages(ctx context.Context, r PageReader, c Content, page func(i id.ID, level uint8) (bool, error), ext func(Extent) error) error {
	return VisitExtents(ctx, r, c, ExtentVisitor{Page: page, Extent: ext})
}

// ExtentVisitor is what VisitExtents calls; nil functions are left out.
type ExtentVisitor struct {
	Page   func(i id.ID, level uint8) (bool, error) // as in WalkExtentPages
	Extent func(Extent) error
	Lost   func(*LostExtentError) error // a damaged page; the walk goes on behind it if this returns nil
}

// VisitExtents is WalkExtentPages that can go on behind damaged pages.
func VisitExtents(ctx context.Context, r PageReader, c Content, v ExtentVisitor) error {
	x := NewExtentReader(r, c)
	x.onPage = v.Page
	for {
		e, ok, err := x.Next(ctx)
		var lost *LostExtentError
		switch {
		case errors.As(err, &lost) && v.Lost != nil:
			err = v.Lost(lost)
		case err == nil && !ok:
			return nil
		case err == nil && v.Extent != nil:
			err = v.Extent(e)
		}
		if err != nil {
			return err
		}
	}
}
