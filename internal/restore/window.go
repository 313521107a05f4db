package restore

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
	"github.com/nacre-backup/nacre/internal/view"
)

// bounds are how much a window holds at most.
type bounds struct {
	items  int
	pieces int
	open   int // files of more than one piece: they stay open from their first piece to their last
	loaded int // bytes of attributes and targets that stand out of line
}

var defaults = bounds{items: 32 << 10, pieces: 128 << 10, open: 512, loaded: 16 << 20}

// unitBytes is about how much content a worker takes at once.
const unitBytes = 8 << 20

// item is an entry to be restored that is not a directory.
type item struct {
	from  []byte // its directory in the snapshot
	dir   []byte // its directory in the target
	e     *tree.Entry
	group *group // its hard links, nil if it has none
	link  bool   // another member of the group comes first
	part  bool   // the snapshot holds the beginning of the content only

	left atomic.Int64 // pieces still to be written, and the planner's hold

	mu      sync.Mutex
	begun   bool
	file    sink.File
	err     error // the first failure, or ErrSkipped
	content bool  // err is that of the content, so that a hard link would meet it too
}

// stop notes the item's first failure.
func (it *item) stop(err error, content bool) {
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.err == nil {
		it.err, it.content = err, content
	}
}

func (it *item) stopped() error {
	it.mu.Lock()
	defer it.mu.Unlock()
	return it.err
}

// piece is a stretch of a file's content and where it is to be had.
type piece struct {
	it      *item
	id      id.ID
	offset  uint64
	length  uint32
	pack    int32 // number in the window; lost if the index knows no copy
	segment uint32
	slot    uint16
}

// lost is the pack of a piece of which no copy is known.
const lost = -1

// window is a part of the restore.
type window struct {
	max    bounds
	items  []*item // those without pieces, and those with pieces in earlier windows; the others are reached by their pieces
	links  []*item
	pieces []piece
	packs  []record.Pack
	number map[id.Name]int32
	units  [][]piece
	count  int // of items, links included
	open   int // items of more than one piece
	loaded int // bytes of out-of-line values that its items hold
	leaves []tree.Old
	last   *tree.Leaf
}

func newWindow(max bounds) *window { return &window{max: max, number: make(map[id.Name]int32)} }

// keep holds on to the leaf of an entry until the window is done.
func (w *window) keep(o tree.Old) {
	if o.Leaf != w.last {
		w.leaves = append(w.leaves, o.Retain())
		w.last = o.Leaf
	}
}

func (w *window) release() {
	for _, o := range w.leaves {
		o.Release()
	}
	w.leaves = nil
}

func (w *window) full() bool {
	return w.count >= w.max.items || len(w.pieces) >= w.max.pieces || w.open >= w.max.open ||
		w.loaded >= w.max.loaded
}

// add adds a piece of an item; the copies of its blob are at locs, the best first.
func (w *window) add(it *item, x *view.Extent, locs []index.Location) {
	p := piece{it: it, id: x.ID, offset: x.Offset, length: uint32(x.Length), pack: lost}
	if len(locs) > 0 {
		l := &locs[0]
		n, ok := w.number[l.Pack.Name]
		if !ok {
			n = int32(len(w.packs))
			w.number[l.Pack.Name] = n
			w.packs = append(w.packs, l.Pack)
		}
		p.pack, p.segment, p.slot = n, l.Segment, l.Slot
	}
	w.pieces = append(w.pieces, p)
}

// arrange sorts the pieces and cuts them into units.
func (w *window) arrange() {
	slices.SortFunc(w.pieces, func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.pack, b.pack), cmp.Compare(a.segment, b.segment), cmp.Compare(a.slot, b.slot),
			cmp.Compare(a.offset, b.offset))
	})
	start, size := 0, 0
	for i := range w.pieces {
		p := &w.pieces[i]
		if i > start {
			before := &w.pieces[i-1]
			if p.pack != before.pack || p.segment != before.segment && size >= unitBytes {
				w.units = append(w.units, w.pieces[start:i])
				start, size = i, 0
			}
		}
		size += int(p.length)
	}
	if start < len(w.pieces) {
		w.units = append(w.units, w.pieces[start:])
	}
}
