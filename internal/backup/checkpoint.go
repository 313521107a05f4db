package backup

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/tree"
)

// makeCheckpoint commits what is ready, with the file in progress at the head, and goes on in a new session. With last the
// run ends. A checkpoint without anything new in it is left out.
//
// Batches behind the one at the head, and stripes of a big file that are not in its list yet, are not in the checkpoint: a
// batch or a buffer for each worker as a rule. The journal knows the batches.
func (r *run) makeCheckpoint(ctx context.Context, last bool) error {
	return r.gate.alone(func() error {
		if err := r.catchUp(ctx); err != nil {
			return err
		}
		r.fresh.Store(0)
		if err := r.writer.Flush(ctx); err != nil {
			return err
		}
		ws := r.writer.Stats()
		if ws.DataPacks+ws.MetaPacks == r.donePacks && (r.sum.Adopted == 0 || r.donePacks > 0) {
			r.stand(last)
			return nil
		}
		upto, root, err := r.fork(ctx)
		if err != nil {
			return err
		}
		if upto == nil {
			r.stand(last)
			return nil
		}
		if err := r.writer.Flush(ctx); err != nil {
			return err
		}
		if err := r.index.Write(ctx, r.sess); err != nil {
			return err
		}
		snap := r.snapshot(root)
		snap.Upto = upto
		r.committing, r.ending = snap, last
		next, st, cp, err := r.sess.Checkpoint(ctx, snap)
		if err != nil {
			return err
		}
		return r.hand(ctx, next, st, cp, last)
	})
}

// stand tells in the summary of a run that ends here from which checkpoint the next one goes on: the last one that this
// run made, or the one that it came from. There may be none.
func (r *run) stand(last bool) {
	cp := r.latest
	if cp == nil {
		cp = r.checkpoint
	}
	if !last || cp == nil {
		return
	}
	r.sum.Snapshot, r.sum.Checkpoint, r.sum.Record = cp.ID, true, *cp.Record
}

// fork finishes a copy of the tree as it is now. Upto is nil where there is nothing to commit.
func (r *run) fork(ctx context.Context) (*record.Upto, tree.Ref, error) {
	f := r.builder.Fork()
	if o, s := r.head.inProgress(); s != nil && s.at > 0 {
		e := s.entry
		if s.extents != nil { // else it is whole
			content, err := s.extents.Fork().Finish(ctx)
			if err != nil {
				return nil, tree.Ref{}, fmt.Errorf("store an extent list: %w", err)
			}
			e.Content, e.Size, e.Flags = content, uint64(s.at), e.Flags|tree.Partial
		}
		if err := f.Add(ctx, o.dir, &e); err != nil {
			return nil, tree.Ref{}, fmt.Errorf("add the file in progress to the checkpoint: %w", err)
		}
	}
	k, ok := f.Last()
	if !ok {
		return nil, tree.Ref{}, nil
	}
	// The checkpoint stands for the keys below Upto: the last one included.
	upto := &record.Upto{Dir: bytes.Clone(k.Dir), Name: append(bytes.Clone(k.Name), 0)}
	root, err := f.Finish(ctx)
	if err != nil {
		return nil, tree.Ref{}, fmt.Errorf("finish the checkpoint's tree: %w", err)
	}
	return upto, root, nil
}

// hand goes on in the successor of a checkpointed session.
func (r *run) hand(ctx context.Context, next *session.Session, st *session.State, cp *session.Snapshot, last bool) error {
	old, seen := r.sess, r.state
	r.sess, r.state = next, st
	r.past = append(r.past, cp.ID)
	ws := r.writer.Stats()
	r.donePacks = ws.DataPacks + ws.MetaPacks
	r.latest = cp
	if last {
		r.stand(last)
		return nil
	}
	for _, p := range old.Pins() {
		if !next.Pinned(p) && p != cp.ID {
			// The tree in the making holds ids that only this pin kept alive.
			return fmt.Errorf("%w: snapshot %s was forgotten while this run built on it", session.ErrKilled, p)
		}
	}
	if !next.Pinned(cp.ID) {
		return fmt.Errorf("%w: the checkpoint %s was forgotten at once", session.ErrKilled, cp.ID)
	}
	// What is ready or in work and not in the checkpoint holds ids of blobs in packs of the old listing. A pruner that
	// condemned one of them meanwhile waits for the old session only, whose tree does not have those ids.
	err := seen.Packs(func(p record.Pack) error {
		if !st.Usable(p) {
			return fmt.Errorf("%w: pack %s was given up while this run built on it", session.ErrKilled, p.Path())
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.index.Refresh(ctx, st); err != nil {
		return err
	}
	r.writer.Continue(next)
	r.o.Events.Emit(event.Note{Text: fmt.Sprintf("checkpoint %s", cp.ID)})
	return nil
}

// snapshot makes the record for what is built so far.
func (r *run) snapshot(root tree.Ref) *record.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sum.Record
	s.Errors = append([]record.Error(nil), s.Errors...)
	s.Host, s.User, s.Tags, s.Name = r.o.Host, r.o.User, r.o.Tags, r.o.Name
	for _, p := range r.o.Roots {
		s.Paths = append(s.Paths, []byte(p))
	}
	s.Start, s.End = r.started.UnixNano(), r.o.Repo.Clock().Now().UnixNano()
	s.Time = s.Start
	if !r.o.Time.IsZero() {
		s.Time = r.o.Time.UnixNano()
	}
	s.Root = tree.AppendRef(nil, root)
	s.Domain = r.domain.Scope()
	s.Excludes, s.Program, s.Source = r.o.Excludes, r.o.Program, r.o.Kind
	ws := r.writer.Stats()
	s.Stats.Original, s.Stats.Compressed, s.Stats.Stored = uint64(ws.Raw), uint64(ws.Compressed), uint64(ws.Stored)
	return &s
}

// commit ends a run whose whole source is in the builder.
func (r *run) commit(ctx context.Context) error {
	r.o.Events.Emit(event.Phase{Name: "commit"})
	root, err := r.builder.Finish(ctx)
	if err != nil {
		return fmt.Errorf("finish the tree: %w", err)
	}
	if err := r.writer.Flush(ctx); err != nil {
		return err
	}
	snap := r.snapshot(root)
	if r.o.SkipIfUnchanged && bytes.Equal(snap.Root, r.parentRoot) && snap.Stats.Failed == 0 {
		r.sum.Record, r.sum.Skipped = *snap, true
		if err := r.sess.End(ctx, "unchanged"); err != nil {
			return err
		}
		r.journal.drop()
		return nil
	}
	if err := r.index.Write(ctx, r.sess); err != nil {
		return err
	}
	if err := r.index.Mend(ctx, r.sess); err != nil {
		r.warn(fmt.Errorf("%w; the next backup does it", err))
	}
	snap = r.snapshot(root) // with the index object's bytes
	r.committing = snap
	if _, err := r.sess.Commit(ctx, snap); err != nil {
		return err
	}
	r.finish(ctx, snap)
	return nil
}

// finish is what is left to do once the snapshot is committed.
func (r *run) finish(ctx context.Context, snap *record.Snapshot) {
	r.mu.Lock()
	r.sum.Snapshot, r.sum.Record = r.sess.ID(), *snap
	ws := r.writer.Stats()
	r.sum.NewBlobs = r.dataBlobs.Load()
	r.sum.NewPages = ws.Blobs - r.sum.NewBlobs
	r.sum.DataPacks, r.sum.MetaPacks, r.sum.Known = ws.DataPacks, ws.MetaPacks, ws.KnownRaw
	r.mu.Unlock()
	r.journal.drop()
	if err := r.index.Forgive(); err != nil {
		r.warn(fmt.Errorf("remember that damaged blobs were stored again: %w", err))
	}
	if err := r.sess.Supersede(ctx, r.past...); err != nil {
		r.warn(fmt.Errorf("forget the checkpoints of this run (the next backup does it): %w", err))
	}
}

// stamp is a time for people.
func stamp(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339) }
