package backup

import (
	"bytes"
	"context"
	"fmt"

	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/tree"
)

// choose finds the newest snapshot of the same host and roots, and the newest checkpoint behind it.
func (r *run) choose(st *session.State) (parent, check *session.Snapshot) {
	if r.o.Force || r.o.Stream {
		return nil, nil
	}
	for _, s := range st.Snapshots() {
		if r.sameJob(s.Record) && (parent == nil || s.Record.Start >= parent.Record.Start) {
			parent = s
		}
	}
	for _, s := range st.Checkpoints() {
		if !r.sameJob(s.Record) || s.Record.Upto == nil {
			continue
		}
		if parent != nil && s.Record.Start <= parent.Record.Start {
			r.past = append(r.past, s.ID) // of a run that died before the parent was made
			continue
		}
		r.past = append(r.past, s.ID)
		if check == nil || more(s, check) {
			check = s
		}
	}
	return parent, check
}

// more says whether checkpoint a has more than b: it comes to a later key, or further in the same file, which the order
// of their fates tells.
func more(a, b *session.Snapshot) bool {
	if c := uptoOf(a).Compare(uptoOf(b)); c != 0 {
		return c > 0
	}
	return a.Fate.Sequence > b.Fate.Sequence
}

func uptoOf(s *session.Snapshot) tree.Key {
	return tree.Key{Dir: s.Record.Upto.Dir, Name: s.Record.Upto.Name}
}

// pinned says whether the session, if there is one, pins the snapshot.
func (r *run) pinned(s *session.Snapshot) bool {
	return s != nil && (r.sess == nil || r.sess.Pinned(s.ID))
}

// sameJob says whether a snapshot is of the same host and roots.
func (r *run) sameJob(s *record.Snapshot) bool {
	if s.Host != r.o.Host || len(s.Paths) != len(r.o.Roots) || s.Domain != r.o.Repo.Domain().Scope() {
		return false
	}
	for i, p := range s.Paths {
		if !bytes.Equal(p, []byte(r.o.Roots[i])) {
			return false
		}
	}
	return true
}

// setParents makes the trees to join with, of the parents that the session pins.
func (r *run) setParents(parent, check *session.Snapshot) error {
	add := func(s *session.Snapshot, upto tree.Key) error {
		ref, err := tree.ParseRef(s.Record.Root)
		if err != nil {
			return fmt.Errorf("snapshot %s: %w: %w", s.ID, errNoParent, err)
		}
		t := tree.Tree{Root: ref, Pages: r.pages, Lost: r.lostPage}
		r.parents = append(r.parents, tree.Parent{Tree: t, Upto: upto})
		return nil
	}
	if r.pinned(check) {
		if err := add(check, uptoOf(check)); err != nil {
			return err
		}
		r.checkpoint, r.sum.ResumedFrom = check, check.ID
		r.note("resumed from checkpoint %s of the run that began at %s", check.ID, stamp(check.Record.Start))
	}
	if r.pinned(parent) {
		if err := add(parent, tree.Key{}); err != nil {
			return err
		}
		r.complete, r.completeStart, r.parentRoot = parent.ID, parent.Record.Start, parent.Record.Root
		r.sum.Record.Parent = parent.ID
		r.o.Counters.TotalEntries.Store(int64(parent.Record.Stats.Files + parent.Record.Stats.Dirs + parent.Record.Stats.Others))
	} else if len(r.parents) > 0 {
		r.parents = append(r.parents, tree.Parent{Tree: tree.Tree{Pages: r.pages}})
	}
	return nil
}

// lostPage goes on behind a damaged page of a parent: what it told of is read anew, and the page is not counted on
// any more.
func (r *run) lostPage(l *tree.LostError) error {
	r.damaged.Store(true)
	r.index.Distrust(l.Page.ID.Short())
	r.warn(fmt.Errorf("the parent snapshot is damaged, so files are read that may be unchanged (run nacre check): %w", l))
	return nil
}

// trust says up to which key the checkpoint stands for the parents, and before which moment a change is believed for
// the entries below it and above it.
func (r *run) trust() (upto tree.Key, since [2]tree.Time) {
	if r.checkpoint != nil {
		upto = uptoOf(r.checkpoint)
		since[0] = before(r.checkpoint.Record.Start)
	}
	if !r.complete.IsZero() {
		since[1] = before(r.completeStart)
	}
	return upto, since
}

// before is the settling time before a moment in nanoseconds.
func before(ns int64) tree.Time {
	ns -= int64(settle)
	t := tree.Time{Sec: ns / 1e9}
	if ns %= 1e9; ns < 0 {
		t.Sec--
		ns += 1e9
	}
	t.Nsec = uint32(ns)
	return t
}

// stored says whether a blob need not be stored again, without claiming it.
func (r *run) stored(i id.ID) bool { return r.index.Known(i.Short()) }

// extents calls fn for each stretch of an entry's content that is stored in blobs.
func (r *run) extents(ctx context.Context, e *tree.Entry, fn func(tree.Extent) error) error {
	switch e.Content.Kind {
	case tree.Direct:
		var off uint64
		for _, i := range e.Content.IDs {
			l, ok := r.index.Lookup(i.Short())
			if !ok {
				return fmt.Errorf("blob %s is not in the index", i)
			}
			if err := fn(tree.Extent{Offset: off, Length: uint64(l.RawLen), ID: i}); err != nil {
				return err
			}
			off += uint64(l.RawLen)
		}
	case tree.Extents:
		x := tree.NewExtentReader(r.pages, e.Content)
		for {
			ext, ok, err := x.Next(ctx)
			if err != nil || !ok {
				return err
			}
			if err := fn(ext); err != nil {
				return err
			}
		}
	}
	return nil
}
