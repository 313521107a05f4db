package tree

import (
	"bytes"
	"context"
	"fmt"

	"github.com/nacre-backup/nacre/internal/errs"
)

// Builder makes a tree from entries in key order, and takes over whole unchanged leaves of an old one. The same map
// gives the same tree, byte for byte, whichever of its entries came by Add and which by AddOld.
//
// Leaves go to the store as they fill, interior pages together at the end, level by level, the root last. A Builder
// is used by one goroutine. It holds at most one leaf (4 MiB), one decoded old leaf, 512 references a level and 16 MiB
// of finished interior pages with the paths of their first keys; pages beyond that go to the store early.
type Builder struct {
	store PageStore
	cut   *cutter

	leaf     leafEnc
	lastHash uint64 // of the last entry in leaf

	dir     path // directory of the last entry
	name    []byte
	some    bool // there is a last entry
	scratch path

	levels []*level // levels[0] is level 1
	held   int      // bytes held by finished pages of all levels

	cand candidate

	page  []byte // scratch: the page being made
	stats BuildStats
}

// level is a level above the leaves.
type level struct {
	open interiorEnc
	done []finished // pages that are not in the store yet
	only child      // the last child added: the root, if it stays the only one below
	kids int        // children added
}

// finished is a finished interior page; its child has no id yet.
type finished struct {
	page []byte
	ref  child
}

// holdLimit bounds the finished interior pages that a Builder keeps back.
const holdLimit = 16 << 20

// candidate is an old leaf of which the first next entries were added by AddOld, and nothing else since the last
// boundary. It is taken over if all are; else its entries are replayed.
type candidate struct {
	leaf *Leaf
	next int
}

// BuildStats counts the pages of a build.
type BuildStats struct {
	Leaves   int   // leaves put
	Reused   int   // leaves taken over by id
	Interior int   // interior pages put
	Bytes    int64 // bytes of the pages put
}

// NewBuilder returns a builder that cuts by the given key (FORMAT.md section 6, `tree-split`).
func NewBuilder(split [32]byte, s PageStore) *Builder {
	return &Builder{store: s, cut: newCutter(split)}
}

// Add appends an entry. It copies what it needs. The key must be above all before, and dir must be the directory of
// the entry before, directly below it, or one of its ancestors, or directly below one: a tree is closed. After an
// error the builder is of no more use.
func (b *Builder) Add(ctx context.Context, dir []byte, e *Entry) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	if err := e.Validate(); err != nil {
		return fmt.Errorf("entry %q: %w", clip(JoinPath(nil, dir, e.Name)), err)
	}
	return b.add(ctx, dir, e)
}

// AddOld appends an unchanged entry of an old tree of the same domain at its old place; o must not be Moved. Where all
// entries of an old leaf come one after another and the leaf begins and ends where the new tree is cut, the leaf is
// taken over by its id: it is neither encoded nor hashed nor put.
func (b *Builder) AddOld(ctx context.Context, o Old) error {
	if o.Moved {
		panic("tree: AddOld of a moved entry")
	}
	if b.cand.leaf == o.Leaf && b.cand.next == o.Index && o.Index > 0 {
		return b.extend(ctx)
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	if o.Index == 0 && b.leaf.n == 0 {
		if err := b.step(o.Leaf.ref.First.Dir, o.Entry().Name); err != nil {
			return err
		}
		o.Leaf.Retain()
		b.cand = candidate{leaf: o.Leaf}
		return b.extend(ctx)
	}
	o.Leaf.dirOf(&b.scratch, o.Index)
	return b.add(ctx, b.scratch.buf, o.Entry())
}

// extend counts one more entry of the candidate and takes the leaf over when it is complete. The last leaf of a tree
// waits for what follows: it may have ended only because the tree did.
func (b *Builder) extend(ctx context.Context) error {
	b.cand.next++
	if b.cand.next < b.cand.leaf.Len() || b.cand.leaf.tail {
		return nil
	}
	return b.takeOver(ctx)
}

// takeOver puts the candidate, whose entries are complete, into the level above by its id.
func (b *Builder) takeOver(ctx context.Context) error {
	l := b.cand.leaf
	b.cand = candidate{}
	last := l.Len() - 1
	l.dirOf(&b.dir, last)
	b.name = append(b.name[:0], l.Name(last)...)
	c := child{id: l.ref.ID, common: depthOf(l.ref.Dir), name: l.ref.First.Name, totals: l.ref.Totals}
	c.first.set(l.ref.First.Dir)
	c.lastHash = b.cut.hash(b.dir.last(), b.name)
	b.stats.Reused++
	err := b.addChild(ctx, &c)
	l.Release()
	return err
}

// settle replays the entries of an incomplete candidate: the new tree is not cut as the old one.
func (b *Builder) settle(ctx context.Context) error {
	l, n := b.cand.leaf, b.cand.next
	if l == nil {
		return nil
	}
	b.cand = candidate{}
	defer l.Release()
	var dir path
	dir.set(l.ref.Dir)
	base := dir.depth()
	for k := range l.runs {
		r := &l.runs[k]
		l.enter(&dir, base, r)
		for i := r.start; i < min(r.end, n); i++ {
			first := k == 0 && i == 0 // whose place was found good when the candidate began
			if err := b.addAt(ctx, dir.buf, l.Entry(i), first); err != nil {
				return err
			}
		}
		if r.end >= n {
			break
		}
	}
	return nil
}

// step moves the last key to (dir, name) and proves that the order is kept and the tree is closed.
func (b *Builder) step(dir, name []byte) error {
	_, _, err := b.advance(dir, name)
	return err
}

// advance is step; it tells whether the directory is another one, and how many components it shares with the last.
func (b *Builder) advance(dir, name []byte) (newDir bool, kept int, err error) {
	newDir = !b.some || !bytes.Equal(dir, b.dir.buf)
	kept = b.dir.depth()
	if newDir {
		if kept, err = b.enter(dir); err != nil {
			return false, 0, err
		}
	} else if bytes.Compare(name, b.name) <= 0 {
		return false, 0, errs.New(errs.Usage, "name %q does not follow %q in directory %q", clip(name), clip(b.name), clip(dir))
	}
	if len(name) == 0 && b.dir.depth() > 0 {
		return false, 0, errs.New(errs.Usage, "empty name in directory %q", clip(dir))
	}
	if len(dir)+1+len(name) > maxPath || b.dir.depth() >= maxDepth {
		return false, 0, errs.New(errs.Usage, "path of %d bytes, %d components, is beyond the limit", len(dir)+1+len(name), b.dir.depth()+1)
	}
	b.name = append(b.name[:0], name...)
	b.some = true
	return newDir, kept, nil
}

// enter changes the last directory to dir, which must be directly below it or below one of its ancestors: the tree is
// closed. It returns how many components they share. Its work is one comparison of the path, however deep.
func (b *Builder) enter(dir []byte) (kept int, err error) {
	if !b.some && len(dir) == 0 {
		return 0, nil
	}
	parent, last := splitPath(dir)
	k, ok := b.dir.depthAt(len(parent))
	if !b.some || !ok || !bytes.Equal(parent, b.dir.buf[:len(parent)]) || k < b.dir.depth() && bytes.Compare(b.dir.component(k), last) >= 0 {
		return 0, errs.New(errs.Usage, "directory %q does not follow %q", clip(dir), clip(b.dir.buf))
	}
	if !goodName(last) {
		return 0, errs.New(errs.Usage, "directory %q: component %q", clip(dir), clip(last))
	}
	b.dir.truncate(k)
	b.dir.push(last)
	return k, nil
}

// add appends an entry to the open leaf.
func (b *Builder) add(ctx context.Context, dir []byte, e *Entry) error {
	return b.addAt(ctx, dir, e, false)
}

// addAt is add; there says that the last key stands at the entry already.
func (b *Builder) addAt(ctx context.Context, dir []byte, e *Entry, there bool) error {
	newDir, kept := true, 0
	if !there {
		var err error
		if newDir, kept, err = b.advance(dir, e.Name); err != nil {
			return err
		}
	}
	b.leaf.add(&b.dir, newDir, kept, e)
	b.lastHash = b.cut.hash(b.dir.last(), e.Name)
	if b.cut.ends(b.lastHash, 0, b.leaf.n, b.leaf.size) {
		return b.endLeaf(ctx)
	}
	return nil
}

// endLeaf puts the open leaf.
func (b *Builder) endLeaf(ctx context.Context) error {
	l := &b.leaf
	b.page = l.appendTo(b.page[:0])
	i, err := b.put(ctx)
	if err != nil {
		return err
	}
	b.stats.Leaves++
	c := child{id: i, first: l.first, common: l.lcp, name: l.firstName, totals: l.totals, lastHash: b.lastHash}
	err = b.addChild(ctx, &c)
	l.reset()
	return err
}

// Last returns the key of the last entry added, valid until the next call, and false if there is none.
func (b *Builder) Last() (Key, bool) {
	if l := b.cand.leaf; l != nil {
		return Key{Dir: l.AppendDir(nil, b.cand.next-1), Name: l.Name(b.cand.next - 1)}, true
	}
	return Key{Dir: b.dir.buf, Name: b.name}, b.some
}

// Stats returns what the builder has done so far.
func (b *Builder) Stats() BuildStats { return b.stats }
