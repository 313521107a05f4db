package tree

import (
	"sync"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/id"
)

// Leaf is a decoded leaf page. Cursors and joiners own the leaves they hand out; who needs one for longer than the
// next step calls Retain. A forgotten Release costs memory until the garbage collector finds it, nothing else.
//
// A leaf takes about 150 bytes an entry, 450 more once Entry was called, at most 512 entries, and the page.
type Leaf struct {
	holds atomic.Int32
	ref   Ref
	tail  bool // the last leaf of its tree: it need not end where the rule says

	stats   []Stat
	runs    []run
	comps   [][]byte // components of all runs; they alias the page
	names   []byte
	nameEnd []uint32 // where each entry's name ends in names
	rows    []attrs
	totals  Totals
	birth   []Time  // empty where the column is absent
	codes   []uint8 // of the content column; empty where it is absent
	ids     []byte  // the column of ids, in the page
	inline  []byte  // the column of inline bytes, in the page
	sets    [][]Xattr
	xattrs  []Xattr
	deepest int  // components of the deepest directory, below the common one
	longest int  // bytes of the longest
	dir     path // scratch of the decoder

	// Entries are made when the first is asked for: a leaf whose entries are all unchanged needs none.
	filling sync.Mutex
	filled  atomic.Bool
	entries []Entry
	idArray []id.ID
}

// run is a run of entries of one directory: [start, end), with comps[from:to] after kept components of the run before.
type run struct {
	start, end int
	kept       int
	from, to   int
}

var leafPool = sync.Pool{New: func() any { return new(Leaf) }}

func newLeaf() *Leaf {
	l := leafPool.Get().(*Leaf)
	l.holds.Store(1)
	return l
}

// Ref returns the reference by which the leaf was found. It is valid until the leaf is released.
func (l *Leaf) Ref() *Ref { return &l.ref }

// Len returns the number of entries.
func (l *Leaf) Len() int { return len(l.stats) }

// Stat returns what tells whether entry i is unchanged, valid until the leaf is released. It costs nothing.
func (l *Leaf) Stat(i int) *Stat { return &l.stats[i] }

// Name returns the name of entry i, valid until the leaf is released. It costs nothing.
func (l *Leaf) Name(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = l.nameEnd[i-1]
	}
	return l.names[from:l.nameEnd[i]:l.nameEnd[i]]
}

// Entry returns entry i, valid until the leaf is released. The first call makes all entries of the leaf. It may be
// called by several goroutines at once.
func (l *Leaf) Entry(i int) *Entry {
	if !l.filled.Load() {
		l.fill()
	}
	return &l.entries[i]
}

// AppendDir appends the directory of entry i to dst.
func (l *Leaf) AppendDir(dst []byte, i int) []byte {
	var p path
	l.dirOf(&p, i)
	return append(dst, p.buf...)
}

// dirOf makes p the directory of entry i.
func (l *Leaf) dirOf(p *path, i int) {
	p.set(l.ref.Dir)
	base := p.depth()
	for k := range l.runs {
		r := &l.runs[k]
		l.enter(p, base, r)
		if i < r.end {
			return
		}
	}
}

// enter changes p from the directory of the run before r to that of r.
func (l *Leaf) enter(p *path, base int, r *run) {
	p.truncate(base + r.kept)
	for _, c := range l.comps[r.from:r.to] {
		p.push(c)
	}
}

// Retain keeps the leaf until a matching Release. It may be called by any goroutine that holds the leaf.
func (l *Leaf) Retain() { l.holds.Add(1) }

// Release gives up one hold.
func (l *Leaf) Release() {
	switch n := l.holds.Add(-1); {
	case n == 0:
		leafPool.Put(l)
	case n < 0:
		panic("tree: leaf released more often than retained")
	}
}

// Old is an entry where it stands in an existing tree. The zero Old is none.
type Old struct {
	Leaf  *Leaf
	Index int
	Moved bool // found through Joiner.Move: it stands under another directory there
}

// Ok reports whether o is an entry.
func (o Old) Ok() bool { return o.Leaf != nil }

// Entry returns the entry, valid until the leaf is released.
func (o Old) Entry() *Entry { return o.Leaf.Entry(o.Index) }

// Stat returns what tells whether the entry is unchanged, valid until the leaf is released. It is cheaper than Entry.
func (o Old) Stat() *Stat { return o.Leaf.Stat(o.Index) }

// Retain keeps o's leaf until Release and returns o.
func (o Old) Retain() Old {
	if o.Leaf != nil {
		o.Leaf.Retain()
	}
	return o
}

// Release ends Retain.
func (o Old) Release() {
	if o.Leaf != nil {
		o.Leaf.Release()
	}
}
