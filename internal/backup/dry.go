package backup

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/nacre-backup/nacre/internal/blob"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/tree"
)

// dry lists the source and compares it with the parent, and reads no file. Stats.Read is what a backup would read.
func (r *run) dry(ctx context.Context) (*Summary, error) {
	if r.o.Repo != nil {
		if err := r.dryParents(ctx); err != nil {
			r.close()
			return nil, err
		}
	}
	defer r.close()
	r.group, ctx = errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { r.window.stop(context.Cause(ctx)) })
	defer stop()
	r.spawn(func(v *visitor) error { return r.scan(ctx, v, nil) })
	r.spawn(func(*visitor) error { return r.dryBuild(ctx) })
	if err := r.wait(ctx); err != nil && !errors.Is(err, ErrInterrupted) {
		return nil, err
	} else if err != nil {
		return &Summary{}, err
	}
	return &r.sum, nil
}

// dryBuild takes the batches in order, and the place of the workers.
func (r *run) dryBuild(ctx context.Context) error {
	for {
		select {
		case b, ok := <-r.window.order:
			if !ok {
				return nil
			}
			for i := range b.ops {
				r.dryOp(&b.ops[i])
			}
			r.window.leave(b)
		case <-r.window.work:
		case <-r.o.Interrupt:
			return ErrInterrupted
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// dryParents opens what the comparison needs, without a session.
func (r *run) dryParents(ctx context.Context) error {
	r.started = r.o.Repo.Clock().Now()
	st, err := session.List(ctx, r.o.Repo)
	if err != nil {
		return err
	}
	r.state, r.domain = st, r.o.Repo.Domain()
	if r.index, err = index.Open(ctx, r.o.Repo, st, index.Options{CacheDir: r.o.CacheDir}); err != nil {
		return err
	}
	r.reader = blob.NewReader(r.o.Repo, r.index)
	r.pages = blob.NewPages(r.reader, r.o.CacheDir)
	parent, _ := r.choose(st)
	return r.setParents(parent, nil)
}

// dryOp counts an op as place would.
func (r *run) dryOp(o *op) {
	e := &o.entry
	if o.old.Ok() && o.do != addNew && o.do != addLink {
		e = o.old.Entry()
	}
	if o.do == addNew && e.Type == tree.File {
		o.read = int64(e.Size)
	}
	r.tally(o, e)
	o.release(r.src)
}
