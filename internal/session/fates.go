package session

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
)

// fates lists and reads what became of sessions.
//
// In the register class it lists twice. A killer announces itself before it looks for the fate, so a fate that the
// first listing shows and that a killer has not seen has its announcement in the second one, which began later. Who
// sees a fate and no announcement may build on it: no killer will void it. One listing would not do, since a listing
// may show what came after it began and leave out what came before that.
func (l *lister) fates(ctx context.Context) error {
	fates, err := l.listFates(ctx)
	if err != nil {
		return err
	}
	kills, announced, err := l.listKills(ctx)
	if err != nil {
		return err
	}
	lost, lostKills, err := l.lost(ctx, fates, kills)
	if err != nil {
		return err
	}
	kills = append(kills, lostKills...)
	for _, group := range [][]string{append(fates, lost...), kills} { // a kill comes before the fate: it is taken last
		objects, err := l.read(ctx, crypt.ClassFate, group, true)
		if err != nil {
			return err
		}
		for _, o := range objects {
			l.takeFate(o, slices.Contains(lost, o.path) || slices.Contains(lostKills, o.path))
		}
	}
	for sid := range announced {
		if f := l.s.fates[sid]; f != nil && f.Committed() {
			f.Unconfirmed = true
		}
	}
	return nil
}

// listFates lists the fates.
func (l *lister) listFates(ctx context.Context) (fates []string, err error) {
	names, err := l.ops.List(ctx, record.Fates)
	if err != nil {
		return nil, err
	}
	for _, i := range names {
		if record.ParsePlace(i.Name).Kind == record.FateObject {
			l.sizes[i.Name] = i.Size
			fates = append(fates, i.Name)
		}
	}
	return fates, nil
}

// listKills lists, in the register class, the kills and the sessions that somebody intends to kill. It comes after
// listFates: see the package comment.
func (l *lister) listKills(ctx context.Context) (kills []string, announced map[id.Session]bool, err error) {
	if !l.r.RegisterClass() {
		return nil, nil, nil
	}
	names, err := l.ops.List(ctx, record.Fates)
	if err != nil {
		return nil, nil, err
	}
	announced = map[id.Session]bool{}
	for _, i := range names {
		switch p := record.ParsePlace(i.Name); p.Kind {
		case record.IntentObject:
			announced[p.Session] = true
		case record.KilledObject:
			l.sizes[i.Name] = i.Size
			kills = append(kills, i.Name)
		}
	}
	return kills, announced, nil
}

// lost lists the fates and, in the register class, the kills that only their second copies tell of. A copy is written
// after its original, so that a lost original does not undo what was decided. Some of them are not lost but were
// committed between the two listings; reading tells.
func (l *lister) lost(ctx context.Context, fates, kills []string) (lostFates, lostKills []string, err error) {
	names, err := l.ops.List(ctx, record.DupPath(record.Fates))
	if err != nil {
		return nil, nil, err
	}
	there := make(map[string]bool, len(fates)+len(kills))
	for _, p := range fates {
		there[p] = true
	}
	for _, p := range kills {
		there[p] = true
	}
	for _, i := range names {
		path := strings.TrimPrefix(i.Name, record.Duplicates)
		switch kind := record.ParsePlace(path).Kind; {
		case there[path]:
		case kind == record.FateObject:
			lostFates = append(lostFates, path)
		case kind == record.KilledObject && l.r.RegisterClass():
			lostKills = append(lostKills, path)
		}
	}
	return lostFates, lostKills, nil
}

// takeFate adds a fate to the state, or notes that it is not known.
func (l *lister) takeFate(o object, lost bool) {
	sid := record.ParsePlace(o.path).Session
	f, err := l.fateOf(o)
	if err != nil {
		l.doubt(o.path, err)
		l.s.unreadable[sid] = true
		delete(l.s.fates, sid)
		return
	}
	delete(l.s.unreadable, sid)
	l.s.fates[sid] = f
	switch {
	case lost && f.Healed:
		l.doubt(o.path, errs.New(errs.NotFound, "%s is gone; its second copy is used", o.path))
	case f.Healed:
		l.doubt(o.path, errs.New(errs.Corrupt, "%s is damaged; its second copy is used", o.path))
	}
}

func (l *lister) fateOf(o object) (*Fate, error) {
	if o.err != nil {
		return nil, o.err
	}
	var owner *id.Writer
	if s := l.s.sessions[record.ParsePlace(o.path).Session]; s != nil && s.Record != nil {
		owner = &s.Record.Writer
	}
	return judge(o.path, o.control, owner)
}

// judge makes a Fate of a control object whose signature holds, if its writer may say what it says. owner signed the
// session; it is nil where the session's object is gone.
func judge(path string, c *repo.Control, owner *id.Writer) (*Fate, error) {
	rec, err := record.DecodeFate(c.Outer)
	if err != nil {
		return nil, err
	}
	place := record.ParsePlace(path)
	if rec.Session != place.Session || rec.Era != place.Era {
		return nil, errs.New(errs.Corrupt, "%s holds the fate of session %s of era %d", path, rec.Session, rec.Era)
	}
	f := &Fate{Fate: *rec, Hash: c.Hash, Rights: c.Ring.Rights, Healed: c.Healed, trusted: c.Ring.Trusted, inner: c.Inner}
	if place.Kind != record.FateObject && f.Kind != record.Killed {
		return nil, errs.New(errs.Corrupt, "%s holds a fate of kind %s", path, f.Kind)
	}
	if !allowed(f, owner) {
		return nil, errs.New(errs.Corrupt, "%s: its writer %s has no right to a fate of kind %s", path, f.Writer, f.Kind)
	}
	if c.Ring.Revoked && !slices.Contains(c.Ring.Fates, f.Session) {
		f.Void = true
		return f, nil
	}
	if f.Kind.Snapshot() != (c.Inner != nil) {
		return nil, errs.New(errs.Corrupt, "%s: a fate of kind %s with or without a snapshot", path, f.Kind)
	}
	if c.Inner != nil {
		if _, err := record.DecodeSnapshot(c.Inner); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// allowed says whether the writer's rights reach for the kind of fate.
func allowed(f *Fate, owner *id.Writer) bool {
	has := func(r crypt.Rights) bool { return f.Rights&r != 0 }
	own := owner == nil || *owner == f.Writer
	switch f.Kind {
	case record.Commit, record.Checkpoint:
		return own && has(crypt.RightWrite|crypt.RightPut)
	case record.Compaction:
		return own && has(crypt.RightWrite|crypt.RightPrune)
	case record.Rescue:
		return own && has(crypt.RightPrune)
	case record.Ended:
		return own
	case record.Killed:
		return own || has(crypt.RightPrune)
	}
	return false
}

// readFate reads the fate of one session, as Commit and its like do after an answer that was not clear. It is
// errs.NotFound where there certainly is none.
func readFate(ctx context.Context, ops Ops, r *repo.Repo, path string, owner *id.Writer) (*Fate, []byte, error) {
	b, err := ops.Get(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	c, err := r.OpenControl(crypt.ClassFate, path, b)
	if errors.Is(err, repo.ErrStranger) {
		if rerr := r.Reload(ctx); rerr != nil {
			return nil, nil, rerr
		}
		c, err = r.OpenControl(crypt.ClassFate, path, b)
	}
	if err != nil {
		return nil, b, err
	}
	f, err := judge(path, c, owner)
	return f, b, err
}
