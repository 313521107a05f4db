package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
)

// List reads the repository's state, each object of it.
func List(ctx context.Context, r *repo.Repo) (*State, error) {
	return ListBy(ctx, r, opsOf(r))
}

// ListBy is List by the steps of ops.
func ListBy(ctx context.Context, r *repo.Repo, ops Ops) (*State, error) {
	return list(ctx, r, ops, false)
}

// list is List. With recall it lists all and does not read again the fates that this process has verified before.
func list(ctx context.Context, r *repo.Repo, ops Ops, recall bool) (*State, error) {
	l := &lister{r: r, ops: ops, recall: recall, sizes: map[string]int64{}, s: &State{
		repo: r, condemned: map[packKey]bool{}, tombs: map[id.Session]*tomb{}, sessions: map[id.Session]*Open{},
		fates: map[id.Session]*Fate{}, unreadable: map[id.Session]bool{},
	}}
	// The order is the law; see the package comment. Condemn records are also read before the fates are listed: a
	// record that is dropped meanwhile has its packs in the list "gone" of a fate that is listed later.
	for _, step := range []func(context.Context) error{l.eras, l.condemns, l.tombstones, l.sessions, l.fates} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("read the repository's state: %w", err)
		}
	}
	l.s.settle()
	if err := l.s.checkGraph(ctx, ops); err != nil {
		return nil, err
	}
	return l.s, nil
}

// lister makes one State.
type lister struct {
	r        *repo.Repo
	ops      Ops
	s        *State
	reloaded bool // the keyring was read again in this pass
	recall   bool
	sizes    map[string]int64 // of the fates
}

// object is a control object that was read.
type object struct {
	path    string // where it belongs, also when dup/ was read
	control *repo.Control
	err     error // it does not verify
	gone    bool  // it is not there any more
}

// readers is how many objects are read at once.
const readers = 8

// read reads and verifies objects, with their second copies where copies says that there are some. An error of the
// store that leaves an object's state open ends it.
func (l *lister) read(ctx context.Context, class crypt.Class, paths []string, copies bool) ([]object, error) {
	out := make([]object, len(paths))
	again := false
	var mu sync.Mutex
	pass := func(only func(*object) bool) error {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(readers)
		for i, path := range paths {
			if !only(&out[i]) {
				continue
			}
			g.Go(func() error {
				o, err := l.readOne(ctx, class, path, copies)
				out[i] = o
				if errors.Is(o.err, repo.ErrStranger) {
					mu.Lock()
					again = true
					mu.Unlock()
				}
				return err
			})
		}
		return g.Wait()
	}
	if err := pass(func(*object) bool { return true }); err != nil {
		return nil, err
	}
	if again && !l.reloaded {
		// Another client has enrolled a writer since the keyring was read.
		l.reloaded = true
		if err := l.r.Reload(ctx); err != nil {
			return nil, err
		}
		if err := pass(func(o *object) bool { return errors.Is(o.err, repo.ErrStranger) }); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (l *lister) readOne(ctx context.Context, class crypt.Class, path string, copies bool) (object, error) {
	o := object{path: path}
	size, sized := l.sizes[path]
	if l.recall && sized {
		if o.control = l.r.Recall(path, size); o.control != nil {
			return o, nil
		}
	}
	o.control, o.err = l.openAt(ctx, class, path, path)
	if o.err == nil && sized {
		l.r.Retain(o.control, size)
	}
	if !copies || o.err == nil {
		return o.sorted()
	}
	if !damaged(o.err) && !errors.Is(o.err, errs.NotFound) {
		return o.sorted()
	}
	c, err := l.openAt(ctx, class, record.DupPath(path), path)
	switch {
	case err == nil:
		c.Healed = true
		o.control, o.err = c, nil
	case !damaged(err) && !errors.Is(err, errs.NotFound):
		o.err = err
	}
	return o.sorted()
}

// sorted tells an object that does not verify or is gone from one whose state is not known.
func (o object) sorted() (object, error) {
	switch {
	case o.err == nil:
	case errors.Is(o.err, errs.NotFound):
		o.gone = true
	case !damaged(o.err):
		return o, o.err
	}
	return o, nil
}

// damaged says that the bytes are there and do not verify.
func damaged(err error) bool {
	return errors.Is(err, errs.Corrupt) || errors.Is(err, errs.Unsupported) || errors.Is(err, repo.ErrStranger)
}

func (l *lister) openAt(ctx context.Context, class crypt.Class, from, path string) (*repo.Control, error) {
	b, err := l.ops.Get(ctx, from)
	if err != nil {
		return nil, err
	}
	return l.r.OpenControl(class, path, b)
}

// doubt notes an object whose meaning is not known.
func (l *lister) doubt(path string, err error) {
	l.s.unknown = append(l.s.unknown, Unknown{Path: path, Err: err})
}

func (l *lister) condemns(ctx context.Context) error {
	names, err := l.ops.List(ctx, record.Condemns)
	if err != nil {
		return err
	}
	var paths []string
	for _, i := range names {
		if _, err := id.ParseSession(strings.TrimPrefix(i.Name, record.Condemns)); err == nil {
			paths = append(paths, i.Name)
		}
	}
	objects, err := l.read(ctx, crypt.ClassCondemned, paths, false)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if o.gone {
			continue
		}
		c, err := condemnOf(o)
		if err != nil {
			l.s.blind = true
			l.doubt(o.path, err)
			continue
		}
		for _, p := range c.Packs {
			l.s.condemned[keyOf(p)] = true
		}
	}
	return nil
}

func condemnOf(o object) (*record.Condemned, error) {
	if o.err != nil {
		return nil, o.err
	}
	c, err := record.DecodeCondemned(o.control.Outer)
	if err == nil && record.CondemnedPath(c.ID) != o.path {
		err = errs.New(errs.Corrupt, "%s holds the record of %s", o.path, c.ID)
	}
	if err == nil && (o.control.Ring.Rights&crypt.RightPrune == 0 || o.control.Ring.Revoked) {
		err = errs.New(errs.Corrupt, "%s: its writer %s may not condemn", o.path, c.Writer)
	}
	return c, err
}

func (l *lister) tombstones(ctx context.Context) error {
	names, err := l.ops.List(ctx, record.Tombstones)
	if err != nil {
		return err
	}
	var paths []string
	for _, i := range names {
		if sid, err := id.ParseSession(strings.TrimPrefix(i.Name, record.Tombstones)); err == nil {
			l.s.tombs[sid] = &tomb{}
			paths = append(paths, i.Name)
		}
	}
	objects, err := l.read(ctx, crypt.ClassTombstone, paths, false)
	if err != nil {
		return err
	}
	for _, o := range objects {
		err := o.err
		var t *record.Tombstone
		if err == nil {
			t, err = record.DecodeTombstone(o.control.Outer)
		}
		if err == nil && record.TombstonePath(t.Session) != o.path {
			err = errs.New(errs.Corrupt, "%s holds the tombstone of %s", o.path, t.Session)
		}
		if err != nil {
			l.doubt(o.path, err)
			continue
		}
		l.s.tombs[t.Session] = &tomb{record: t, row: o.control.Ring}
	}
	return nil
}

func (l *lister) sessions(ctx context.Context) error {
	names, err := l.ops.List(ctx, record.Sessions)
	if err != nil {
		return err
	}
	var paths []string
	beats := map[id.Session]uint32{}
	for _, i := range names {
		switch p := record.ParsePlace(i.Name); p.Kind {
		case record.SessionObject:
			l.s.sessions[p.Session] = &Open{ID: p.Session, Era: p.Era}
			paths = append(paths, i.Name)
		case record.Heartbeat:
			beats[p.Session] = max(beats[p.Session], p.Count)
		}
	}
	objects, err := l.read(ctx, crypt.ClassSession, paths, false)
	if err != nil {
		return err
	}
	for _, o := range objects {
		p := record.ParsePlace(o.path)
		open := l.s.sessions[p.Session]
		open.Beats = beats[p.Session]
		if o.gone { // its owner has deleted it, having a fate
			delete(l.s.sessions, p.Session)
			continue
		}
		err := o.err
		var rec *record.Session
		if err == nil {
			rec, err = record.DecodeSession(o.control.Outer)
		}
		if err == nil && (rec.Session != p.Session || rec.Era != p.Era) {
			err = errs.New(errs.Corrupt, "%s holds session %s of era %d", o.path, rec.Session, rec.Era)
		}
		if err != nil {
			l.doubt(o.path, err)
			continue
		}
		open.Record = rec
	}
	return nil
}
