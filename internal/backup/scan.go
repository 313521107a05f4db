package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

// settle is how much older than the parent's start a change must be for an unchanged file to be believed: the
// granularity of the coarsest file systems (law 7).
const settle = 2 * time.Second

// scanner joins the source with the parents and fills the window. One goroutine uses it.
type scanner struct {
	run     *run
	visitor *visitor
	join    *tree.Joiner
	mounts  mounts
	moves   moves
	links   linkTable
	past    pastJournals // what dead runs finished behind their last checkpoints
	cur     *batch
	seq     uint64
	dir     []byte // the directory of the latest op, shared by all ops of that directory
	upto    tree.Key
	since   [2]tree.Time // a change before it is believed: below upto, above it
}

// scan lists the whole source.
func (s *scanner) scan(ctx context.Context) error {
	s.visitor.leave() // each step of the listing is a visit
	for it, err := range s.run.src.Entries(ctx) {
		if !s.visitor.back() {
			return errLeft
		}
		if err != nil {
			return fmt.Errorf("list the source: %w", err)
		}
		if err := s.take(ctx, it); err != nil {
			return err
		}
		s.visitor.leave()
	}
	if !s.visitor.back() {
		return errLeft
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mounts.next(nil, false)
	if err := s.join.Finish(ctx); err != nil {
		return fmt.Errorf("read the parent snapshot: %w", err)
	}
	return s.flush(ctx)
}

// take does one step of the listing.
func (s *scanner) take(ctx context.Context, it *source.Item) error {
	if it.Entry == nil {
		s.join.Keep(it.Dir)
		s.run.fail(it.Dir, nil, s.run.src.ErrClass(it.Err), it.Err)
		return nil
	}
	s.mounts.next(it.Dir, true)
	old, err := s.join.Match(ctx, it.Dir, it.Entry.Name)
	if err != nil {
		return fmt.Errorf("read the parent snapshot: %w", err)
	}
	if it.Entry.Type == tree.Dir {
		s.enterDir(ctx, it, old)
	}
	o := s.judge(ctx, it, old)
	return s.add(ctx, it.Dir, o, it)
}

// enterDir looks at a directory before its entries come: has it moved, has a file system gone from it?
func (s *scanner) enterDir(ctx context.Context, it *source.Item, old tree.Old) {
	e := it.Entry
	path := tree.JoinPath(nil, it.Dir, e.Name)
	if old.Ok() {
		if old.Stat().FS != e.FS {
			s.mounts.dir(path, e, old.Entry())
		}
		return
	}
	if from, ok := s.moves.find(ctx, s.run, e); ok {
		s.join.Move(path, from)
	}
}

// judge decides what becomes of an entry.
func (s *scanner) judge(ctx context.Context, it *source.Item, old tree.Old) op {
	e := it.Entry
	switch {
	case e.ErrClass != tree.ErrNone:
		return s.unread(it, old)
	case old.Ok() && s.unchanged(it, old) && !s.doubted(ctx, old):
		o := op{do: addOld, verdict: event.Unchanged, old: old.Retain()}
		if old.Moved {
			o.do, o.verdict = addMoved, event.Moved
		} else if s.run.index.Doubted(old.Leaf.Ref().ID.Short()) {
			o.do = addMoved // entry by entry, so that the page is stored again
		}
		if it.LinkID != "" && e.Type == tree.File {
			g, first := s.links.meet(it.LinkID)
			if o.further = !first; first {
				g.fill(old.Entry(), true)
			}
		}
		return o
	case e.Flags&tree.Implied != 0:
		return op{do: addBare, verdict: verdictOf(old), entry: *e.Clone()}
	}
	return s.fresh(ctx, it, old)
}

func verdictOf(old tree.Old) event.Verdict {
	switch {
	case !old.Ok():
		return event.New
	case old.Moved:
		return event.Moved
	}
	return event.Changed
}

// fresh makes the work for an entry that is new or changed.
func (s *scanner) fresh(ctx context.Context, it *source.Item, old tree.Old) op {
	o := op{do: addNew, verdict: verdictOf(old), item: s.run.src.Retain(it)}
	if o.verdict == event.Moved {
		o.verdict = event.Changed
	}
	o.entry = *o.item.Entry
	if o.entry.Nlink > 1 && o.entry.Type != tree.Dir {
		o.entry.Link = s.run.linkOf(it)
	}
	if old.Ok() {
		o.old = old.Retain()
		o.resume = resumable(it.Entry, old.Stat()) && lastChange(it.Entry).Less(s.believed(it))
	}
	if it.Entry.Type != tree.File {
		return o
	}
	if it.LinkID != "" {
		g, first := s.links.meet(it.LinkID)
		o.link = g
		if !first {
			o.do, o.further = addLink, true
			return o
		}
	}
	if f := s.past.find(ctx, it.Dir, it.Entry); f != nil {
		o.entry.Content, o.pieces, o.known = f.entry.Content, f.pieces, true
	}
	return o
}

// resumable says that old is the first part of the same file, as a checkpoint left it.
func resumable(e *tree.Entry, old *tree.Stat) bool {
	return old.Flags&tree.Partial != 0 && old.Type == tree.File && e.Type == tree.File && old.Size > 0 &&
		old.Size < e.Size && old.ErrClass == tree.ErrNone && sameStat(e, old)
}

// sameStat compares what tells that a file was not touched, but for its size.
func sameStat(e *tree.Entry, old *tree.Stat) bool {
	return e.ModTime == old.ModTime && e.ChangeTime == old.ChangeTime && e.Inode == old.Inode && e.FS == old.FS
}

// unchanged is law 7.
//
//nolint:gocyclo // the conditions of law 7, which are read as one list
func (s *scanner) unchanged(it *source.Item, o tree.Old) bool {
	e, old := it.Entry, o.Stat()
	if e.Type != old.Type || old.Flags&^tree.Implied != 0 || e.Flags != old.Flags || old.ErrClass != tree.ErrNone {
		return false
	}
	if e.Flags&tree.Implied != 0 {
		return e.Mode == old.Mode && e.UID == old.UID && e.GID == old.GID
	}
	if len(e.Token) > 0 || len(old.Token) > 0 {
		return bytes.Equal(e.Token, old.Token)
	}
	if e.Type == tree.File && e.Size != old.Size || !sameStat(e, old) {
		return false
	}
	if e.Mode != old.Mode || e.UID != old.UID || e.GID != old.GID {
		return false
	}
	last := lastChange(e)
	if o.Moved { // it is the complete parent's, whatever the key
		return last.Less(s.since[1])
	}
	return last.Less(s.believed(it))
}

// lastChange is when an entry was changed last, as far as its file system tells.
func lastChange(e *tree.Entry) tree.Time {
	if e.ChangeTime.IsZero() {
		return e.ModTime
	}
	return e.ChangeTime
}

// doubted reports whether a check found a blob of the entry damaged or missing: then it is read again, whatever its times
// say, and stored where it is whole. As long as nothing is doubted it costs one load.
func (s *scanner) doubted(ctx context.Context, old tree.Old) bool {
	x := s.run.index
	if !x.Doubts() {
		return false
	}
	look := func(i id.ID) error {
		if x.Doubted(i.Short()) {
			return errDoubted
		}
		return nil
	}
	e := old.Entry()
	err := e.DataBlobs(look)
	if err == nil && e.Content.Kind == tree.Extents {
		err = tree.WalkExtentPages(ctx, s.run.pages, e.Content, func(i id.ID, _ uint8) (bool, error) { return true, look(i) },
			func(t tree.Extent) error { return look(t.ID) })
	}
	return err != nil
}

// errDoubted ends a walk over an entry's blobs.
var errDoubted = errors.New("doubted")

// believed is the moment before which the last change of an unchanged entry must lie.
func (s *scanner) believed(it *source.Item) tree.Time {
	k := tree.Key{Dir: it.Dir, Name: it.Entry.Name}
	if k.Compare(s.upto) < 0 {
		return s.since[0]
	}
	return s.since[1]
}

// unread keeps what the parent has of an entry whose metadata could not be read.
func (s *scanner) unread(it *source.Item, old tree.Old) op {
	e := it.Entry
	o := op{do: addBare, verdict: event.Failed, err: errors.New(e.ErrText), class: e.ErrClass}
	o.entry = *e.Clone()
	nothingOf(&o.entry)
	if old.Ok() {
		o.do, o.old = addStale, old.Retain()
	}
	return o
}

// add puts an op into the current batch.
func (s *scanner) add(ctx context.Context, dir []byte, o op, it *source.Item) error {
	if !bytes.Equal(dir, s.dir) || s.dir == nil {
		s.dir = append([]byte{}, dir...)
	}
	o.dir = s.dir
	size := s.content(&o, it)
	if size >= s.run.o.big || size < 0 || o.resume && !o.known && o.do == addNew { // what is left of a big file may be small
		if err := s.flush(ctx); err != nil {
			return err
		}
		s.cur = &batch{work: windowWork, big: &progress{}}
	}
	if s.cur == nil {
		s.cur = &batch{ops: make([]op, 0, batchOps)}
	}
	b := s.cur
	b.ops = append(b.ops, o)
	if b.big == nil {
		b.work += size
	}
	if b.big != nil || len(b.ops) >= batchOps || b.work >= batchWork {
		return s.flush(ctx)
	}
	return nil
}

// content is how many bytes a worker will read for the op; -1 says that nobody knows before the end.
func (s *scanner) content(o *op, it *source.Item) int64 {
	if o.do != addNew || o.known || o.entry.Type != tree.File || it == nil {
		return 0
	}
	if s.run.o.Stream {
		return -1
	}
	size := int64(o.entry.Size)
	if o.resume {
		size -= int64(o.old.Entry().Size)
	}
	return size
}

// flush sends the current batch on.
func (s *scanner) flush(ctx context.Context) error {
	b := s.cur
	if b == nil {
		return nil
	}
	s.cur = nil
	b.seq = s.seq
	s.seq++
	work := b.big != nil
	for i := range b.ops {
		work = work || b.ops[i].needsWorker()
	}
	if !work {
		b.done = closed
	}
	placed, err := s.run.window.send(ctx, b)
	if !placed {
		b.drop(s.run.src)
	}
	return err
}

// gone is told of what the parent has and the scan has not: deleted, or lost with its file system.
func (s *scanner) gone(ctx context.Context, dir []byte, old tree.Old) error {
	if err := s.mounts.lost(dir, old.Entry()); err != nil {
		if s.mounts.fresh {
			s.run.fail(dir, nil, tree.ErrMount, err)
		}
		return s.add(ctx, dir, op{do: addStale, verdict: event.Failed, old: old.Retain(), class: tree.ErrMount}, nil)
	}
	s.run.removed(dir, old.Entry())
	return nil
}

// kept is told of what the parent has in a directory that could not be listed.
func (s *scanner) kept(ctx context.Context, dir []byte, old tree.Old) error {
	return s.add(ctx, dir, op{do: addStale, verdict: event.Failed, old: old.Retain(), class: tree.ErrOther}, nil)
}
