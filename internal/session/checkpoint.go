package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
)

// Checkpoint commits what there is as a checkpoint and goes on in a successor, which pins it beside the pins that are
// still good. The successor's State is as of after its opening and takes the place of the old one in every decision:
// packs may have been condemned since. A pin that was lost is not in Pins() of the successor: its pages and blobs
// must not be reused any more without looking them up.
//
// After ErrKilled, ErrForged and ErrOutcomeUnknown both sessions are done with. After any other error the session is
// still open and nothing was committed.
func (s *Session) Checkpoint(ctx context.Context, snap *record.Snapshot) (*Session, *State, *Snapshot, error) {
	if s.outcome != undecided {
		return nil, nil, nil, fmt.Errorf("checkpoint session %s: it is decided already", s.rec.Session)
	}
	next, st, err := s.open(ctx, append(slices.Clone(s.rec.Pins), s.rec.Session), s.rec.Session)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("open the session after a checkpoint: %w", err)
	}
	made, err := s.commit(ctx, record.Checkpoint, snap)
	if err != nil {
		return nil, nil, nil, errors.Join(err, next.abandon(ctx, "the checkpoint before it was not committed"))
	}
	st.add(s.fate)
	s.chain.pass(s, next)
	return next, st, made, nil
}

// add puts a fate that was committed after the listing into the state. Its packs were condemned by nobody before
// that: pruners leave the packs of a session without a fate alone.
func (s *State) add(f *Fate) {
	s.fates[f.Session] = f
	delete(s.unreadable, f.Session)
	s.settle()
}

// Supersede forgets checkpoints, at once and for ever, that the session's committed snapshot makes needless. It is
// refused before the commit. What is no live checkpoint is left alone.
func (s *Session) Supersede(ctx context.Context, checkpoints ...id.Session) error {
	if s.outcome != committed {
		return errs.New(errs.Usage, "forget checkpoints: session %s is not committed", s.rec.Session)
	}
	for _, sid := range checkpoints {
		n, ok := s.state.Snapshot(sid)
		if !ok || n.Kind != record.Checkpoint || n.Tombstone != nil || sid == s.rec.Session {
			continue
		}
		if err := s.entomb(ctx, &record.Tombstone{
			Session: sid, Successor: s.rec.Session, Reason: "a later snapshot of the same run or paths is complete",
		}); err != nil {
			return fmt.Errorf("forget checkpoint %s: %w", sid, err)
		}
	}
	return s.ops.Flush(ctx)
}

// entomb writes a tombstone. One that is there already will do.
func (s *Session) entomb(ctx context.Context, t *record.Tombstone) error {
	t.Path, t.Writer, t.Time = record.TombstonePath(t.Session), s.rec.Writer, s.repo.Clock().Now().UnixNano()
	outer, err := t.Encode()
	if err != nil {
		return err
	}
	object, err := s.repo.SealControl(ctx, crypt.ClassTombstone, t.Path, outer, nil)
	if err != nil {
		return err
	}
	if err := s.ops.Put(ctx, t.Path, object); err != nil && !errors.Is(err, errs.Exists) {
		return err
	}
	return nil
}
