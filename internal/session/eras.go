package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
)

// eras finds the highest era that is open. It is the highest whose opening verifies: anybody who can write to the store
// can make a name, and a name alone must not send every writer into an era that nobody opened and that none can follow.
//
// An opening above it that does not verify has an unknown meaning. Readers go on: they read the fates of all eras. A
// writer must neither believe it nor pass over it. If it is real and damaged, a pruner may have closed the era below,
// and what is committed there no longer counts for anybody; so it writes nothing.
func (l *lister) eras(ctx context.Context) error {
	names, err := l.ops.List(ctx, record.Eras)
	if err != nil {
		return err
	}
	var all []uint32
	for _, i := range names {
		if e, ok := record.ParseEra(i.Name); ok {
			all = append(all, e)
		}
	}
	slices.Sort(all)
	for _, e := range slices.Backward(all) { // one is read, where none is damaged
		objects, err := l.read(ctx, crypt.ClassEra, []string{record.EraPath(e)}, false)
		if err != nil {
			return err
		}
		o := objects[0]
		if o.gone {
			continue
		}
		if err := checkEra(o, e); err != nil {
			l.doubt(o.path, err)
			if l.s.shut == nil {
				l.s.shut = errEra(o.path, err)
			}
			continue
		}
		l.s.era = e
		break
	}
	return nil
}

// checkEra returns an error unless the object is the opening of that era by a writer who may prune. That one was revoked
// later does not matter: to go on in a higher era loses nothing, and to go on in a closed one would.
func checkEra(o object, number uint32) error {
	if o.err != nil {
		return o.err
	}
	e, err := record.DecodeEra(o.control.Outer)
	switch {
	case err != nil:
		return err
	case e.Number != number:
		return errs.New(errs.Corrupt, "%s holds the opening of era %d", o.path, e.Number)
	case o.control.Ring.Rights&crypt.RightPrune == 0:
		return errs.New(errs.Corrupt, "%s: its writer %s may not open an era", o.path, e.Writer)
	}
	return nil
}

// errEra is the error of a writer that does not know which era is open.
func errEra(path string, why error) error {
	err := fmt.Errorf("which era is open is not known, so that nothing is written: %w", why)
	if !errors.Is(err, errs.Corrupt) {
		err = errs.As(errs.Corrupt, err)
	}
	return errs.WithHint(err, "bring %s back from a copy of the repository; if nobody ever pruned it, the object is rubbish: delete it", path)
}

// firstEra looks for the era in which a session is to be opened, so that most are opened once.
func firstEra(ctx context.Context, r *repo.Repo, ops Ops) (*State, error) {
	l := &lister{r: r, ops: ops, s: &State{repo: r}}
	if err := l.eras(ctx); err != nil {
		return nil, fmt.Errorf("look for the open era: %w", err)
	}
	return l.s, nil
}
