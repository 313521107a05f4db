package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/process"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
)

// Adopted is what was taken over from a dead session.
type Adopted struct {
	Session id.Session
	Record  *record.Session
	Packs   []record.Pack // there, not condemned, not gone; put on the adopter's fate by AddPack
}

// AdoptDead kills the sessions that this machine's writer opened and whose process is gone, lists again, and returns
// their packs, and those of sessions that were killed or ended before and that nobody adopted. alive tells whether a
// process of this machine lives; nil is process.Alive. The returned State takes the place of the old one.
//
// Only sessions signed by this machine's own key are touched: another machine may have the same host name.
func (s *Session) AdoptDead(ctx context.Context, st *State, alive func(record.Process) bool) ([]Adopted, *State, error) {
	if alive == nil {
		alive = func(p record.Process) bool { return process.Alive(process.ID(p)) }
	}
	var dead []*Open
	for _, o := range st.sessions {
		if s.isDead(st, o, alive) {
			dead = append(dead, o)
		}
	}
	if len(dead) == 0 {
		return nil, st, nil
	}
	slices.SortFunc(dead, func(a, b *Open) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	dead = slices.DeleteFunc(dead, func(o *Open) bool {
		err := s.bury(ctx, st, o)
		if err != nil { // it stays as it is, for the next run or a pruner
			s.repo.Events().Emit(event.Warning{Err: fmt.Errorf("give up the dead session %s: %w", o.ID, err)})
		}
		return err != nil
	})
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	// Again: until its session had a fate nobody condemned its packs, from then on anybody may have.
	var err error
	if st, err = list(ctx, s.repo, s.ops, true); err != nil {
		return nil, nil, err
	}
	var out []Adopted
	for _, o := range dead {
		f, ok := st.Fate(o.ID)
		if !ok || f.Kind.Committed() || o.Record.Use != record.Write {
			continue
		}
		packs, err := s.orphans(ctx, st, o.ID)
		if err != nil {
			return nil, nil, fmt.Errorf("look for the packs of the dead session %s: %w", o.ID, err)
		}
		s.adopted = append(s.adopted, o)
		if len(packs) > 0 {
			out = append(out, Adopted{Session: o.ID, Record: o.Record, Packs: packs})
		}
	}
	s.state = st
	return out, st, nil
}

// isDead says whether the session is this machine's and nobody works in it any more.
func (s *Session) isDead(st *State, o *Open, alive func(record.Process) bool) bool {
	if o.Record == nil || o.ID == s.rec.Session || o.Record.Writer != s.rec.Writer || st.unreadable[o.ID] {
		return false
	}
	f := st.fates[o.ID]
	return f != nil && !f.Kind.Committed() || !alive(o.Record.Process)
}

// bury sees to it that the dead session has a fate. A read session is deleted: nobody waits for it.
func (s *Session) bury(ctx context.Context, st *State, o *Open) error {
	if o.Record.Use == record.Read {
		for k := uint32(1); k <= o.Beats; k++ {
			if err := s.ops.Delete(ctx, record.HeartbeatPath(o.Era, o.ID, k)); err != nil {
				return err
			}
		}
		return s.ops.Delete(ctx, record.SessionPath(o.Era, o.ID))
	}
	if st.fates[o.ID] != nil {
		return nil
	}
	return Kill(ctx, s.repo, s.ops, o, "its process on this machine is gone")
}

// orphans lists the packs of a dead session that may still be used and that no committed fate lists yet: one does if a
// run adopted them and died after its commit.
func (s *Session) orphans(ctx context.Context, st *State, sid id.Session) ([]record.Pack, error) {
	gone := map[packKey]bool{}
	for _, f := range st.fates {
		if f.Committed() && f.Kind == record.Rescue {
			for _, p := range f.Gone {
				gone[keyOf(p)] = true
			}
		}
	}
	var out []record.Pack
	for _, folder := range []string{record.Data, record.Meta} {
		names, err := s.ops.List(ctx, folder+sid.String()+"/")
		if err != nil {
			return nil, err
		}
		for _, i := range names {
			p, err := record.ParsePack(i.Name, i.Size)
			if err != nil || gone[keyOf(p)] || st.Condemned(p) || st.Usable(p) {
				continue
			}
			info, err := s.ops.Stat(ctx, i.Name) // the flush of the commit then makes it durable: the dead one may not have flushed
			if errors.Is(err, errs.NotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			p.Size = info.Size
			out = append(out, p)
		}
	}
	return out, nil
}

// Kill gives a session up for its writer, by a fate of kind killed, unless it has a fate already; that one stands
// then. The session's own writer may, and whoever has the right to prune. ops is nil for the repository's store.
func Kill(ctx context.Context, r *repo.Repo, ops Ops, o *Open, reason string) error {
	if ops == nil {
		ops = opsOf(r)
	}
	w, err := r.Writer(ctx)
	if err != nil {
		return err
	}
	k := &killer{r: r, ops: ops, rec: record.Fate{
		Writer: w.Writer(), Session: o.ID, Era: o.Era, Kind: record.Killed, Ring: r.Ring().Generation,
		Reason: reason, Time: r.Clock().Now().UnixNano(),
	}}
	if _, err := io.ReadFull(r.Rand(), k.rec.Killer[:]); err != nil {
		return fmt.Errorf("draw the killer's id: %w", err)
	}
	if r.RegisterClass() {
		return k.byIntent(ctx)
	}
	return k.byCreation(ctx)
}

// killer gives up one session.
type killer struct {
	r   *repo.Repo
	ops Ops
	rec record.Fate
}

// seal makes the kill for a path.
func (k *killer) seal(ctx context.Context, path string) ([]byte, error) {
	k.rec.Path = path
	outer, err := k.rec.Encode()
	if err != nil {
		return nil, err
	}
	return k.r.SealControl(ctx, crypt.ClassFate, path, outer, nil)
}

// byCreation creates the fate if it is absent: of writer and killer one wins, and both see who.
func (k *killer) byCreation(ctx context.Context) error {
	path := record.FatePath(k.rec.Era, k.rec.Session)
	object, err := k.seal(ctx, path)
	if err != nil {
		return err
	}
	if err := k.ops.Create(ctx, path, object); err != nil {
		got, gerr := k.ops.Get(ctx, path)
		if gerr != nil {
			return errors.Join(err, gerr)
		}
		if !bytes.Equal(got, object) {
			return nil // another fate, which the next listing judges
		}
	}
	if err := k.ops.Flush(ctx); err != nil {
		return err
	}
	return k.copy(ctx, path, object)
}

// byIntent announces the kill, looks for the fate, and kills only if there certainly is none. The announcement of a
// kill stays for ever; it is withdrawn only if the fate was seen, or if nothing can have come of it.
func (k *killer) byIntent(ctx context.Context) error {
	intent := record.IntentPath(k.rec.Era, k.rec.Session, k.rec.Killer)
	object, err := k.seal(ctx, intent)
	if err != nil {
		return err
	}
	if err = k.ops.Put(ctx, intent, object); err == nil {
		err = k.ops.Flush(ctx)
	}
	if err != nil {
		return errors.Join(err, k.ops.Delete(ctx, intent)) // no kill was sent
	}
	_, err = k.ops.Get(ctx, record.FatePath(k.rec.Era, k.rec.Session))
	switch {
	case err == nil:
		return k.ops.Delete(ctx, intent)
	case !errors.Is(err, errs.NotFound):
		return errors.Join(err, k.ops.Delete(ctx, intent)) // no kill was sent
	}
	path := record.KilledPath(k.rec.Era, k.rec.Session)
	if object, err = k.seal(ctx, path); err != nil {
		return err
	}
	if err := k.ops.Put(ctx, path, object); err != nil && !errors.Is(err, errs.Exists) { // another's kill will do
		return err
	}
	if err := k.ops.Flush(ctx); err != nil {
		return err
	}
	return k.copy(ctx, path, object)
}

// copy puts the second copy of a kill. Where another's kill stands the copies may differ; each of them is valid.
func (k *killer) copy(ctx context.Context, path string, object []byte) error {
	if err := k.ops.Put(ctx, record.DupPath(path), object); err != nil && !errors.Is(err, errs.Exists) {
		return err
	}
	return k.ops.Flush(ctx)
}
