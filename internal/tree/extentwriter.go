package tree

import (
	"context"
	"fmt"
	"slices"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// extentMin is the least number of items after which an extent page may end by its last item's id.
const extentMin = 64

// ExtentWriter gathers the content of one regular file: chunks and holes in the order of the file. Pages go to the
// store as they fill, if the content turns out to need an extent list. It holds at most 512 items a level.
type ExtentWriter struct {
	store  PageStore
	levels []*extentLevel // [0] holds extents, the others pages
	hole   uint64         // bytes of hole that are not in a page yet
	size   uint64
	holes  bool
	data   int
	page   []byte
}

// extentLevel is the open page of a level.
type extentLevel struct {
	n       int
	lengths []byte
	ids     []byte
	sum     uint64
	total   int // items of the level so far
	last    id.ID
}

// NewExtentWriter returns a writer whose pages go to s.
func NewExtentWriter(s PageStore) *ExtentWriter {
	return &ExtentWriter{store: s, levels: []*extentLevel{{}}}
}

// Data appends the data blob i of n bytes.
func (w *ExtentWriter) Data(ctx context.Context, i id.ID, n uint64) error {
	if n == 0 || n > maxBlob || i.IsZero() {
		return errs.New(errs.Usage, "data extent %s of %d bytes", i, n)
	}
	if err := w.grow(n); err != nil {
		return err
	}
	if err := w.flushHole(ctx); err != nil {
		return err
	}
	w.data++
	return w.add(ctx, 0, n, i)
}

// Hole appends n bytes of hole; neighbouring holes become one.
func (w *ExtentWriter) Hole(_ context.Context, n uint64) error {
	if n == 0 {
		return nil
	}
	w.hole += n
	w.holes = true
	return w.grow(n)
}

func (w *ExtentWriter) grow(n uint64) error {
	if n > 1<<62-1 || w.size+n > 1<<62-1 {
		return errs.New(errs.Usage, "file of more than 2^62 bytes")
	}
	w.size += n
	return nil
}

func (w *ExtentWriter) flushHole(ctx context.Context) error {
	n := w.hole
	if n == 0 {
		return nil
	}
	w.hole = 0
	return w.add(ctx, 0, n, id.ID{})
}

// add appends an item to a level: an extent, a hole where i is zero, or a page of the level below.
func (w *ExtentWriter) add(ctx context.Context, level int, n uint64, i id.ID) error {
	if level > maxListLevel {
		return errs.New(errs.Unsupported, "extent list of more than %d levels", maxListLevel)
	}
	if level == len(w.levels) {
		w.levels = append(w.levels, &extentLevel{})
	}
	l := w.levels[level]
	switch {
	case level > 0:
		l.lengths = appendUv(l.lengths, n)
	case i.IsZero():
		l.lengths = appendUv(l.lengths, n<<1|1)
	default:
		l.lengths = appendUv(l.lengths, n<<1)
	}
	if !i.IsZero() {
		l.ids = append(l.ids, i[:]...)
	}
	l.n++
	l.total++
	l.sum += n
	l.last = i
	if l.n == maxItems || l.n >= extentMin && !i.IsZero() && i[0] == 0 {
		return w.end(ctx, level)
	}
	return nil
}

// end puts the open page of a level and adds it to the level above.
func (w *ExtentWriter) end(ctx context.Context, level int) error {
	l := w.levels[level]
	kind := byte(pageExtents)
	if level > 0 {
		kind = pageExtentsInterior
	}
	w.page = appendPage(w.page[:0], kind, byte(level), l.n, []column{
		{id: colNames, parts: [3][]byte{l.lengths}},
		{id: colIDs, parts: [3][]byte{l.ids}},
	})
	i, err := w.store.Put(ctx, KindExtent, w.page)
	if err != nil {
		return fmt.Errorf("extent list page: %w", err)
	}
	sum := l.sum
	*l = extentLevel{lengths: l.lengths[:0], ids: l.ids[:0], total: l.total}
	return w.add(ctx, level+1, sum, i)
}

// Size returns the bytes so far, holes included.
func (w *ExtentWriter) Size() uint64 { return w.size }

// Finish returns the content: Empty, Direct if there are no holes and at most 4 blobs, else Extents.
func (w *ExtentWriter) Finish(ctx context.Context) (Content, error) {
	if w.size == 0 {
		return Content{}, nil
	}
	if l := w.levels[0]; !w.holes && w.data <= maxIDs {
		c := Content{Kind: Direct, IDs: make([]id.ID, w.data)}
		for k := range c.IDs {
			c.IDs[k] = id.ID(l.ids[k*len(id.ID{}):])
		}
		return c, nil
	}
	if err := w.flushHole(ctx); err != nil {
		return Content{}, err
	}
	for level := 0; ; level++ {
		l := w.levels[level]
		if level > 0 && l.total == 1 {
			return Content{Kind: Extents, IDs: []id.ID{l.last}, Level: uint8(level - 1)}, nil
		}
		if l.n > 0 {
			if err := w.end(ctx, level); err != nil {
				return Content{}, err
			}
		}
	}
}

// Fork returns an independent writer with the same content so far, for a checkpoint within the file.
func (w *ExtentWriter) Fork() *ExtentWriter {
	c := *w
	c.page = nil
	c.levels = make([]*extentLevel, len(w.levels))
	for i, l := range w.levels {
		n := *l
		n.lengths, n.ids = slices.Clone(l.lengths), slices.Clone(l.ids)
		c.levels[i] = &n
	}
	return &c
}
