package session

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/process"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
)

// Reading runs fn under a read session that pins snapshots of the state st, so that no pruner deletes meanwhile what
// they need, and returns fn's error. The session is deleted in the end, whatever came of fn. Read sessions of this
// writer whose processes are gone are deleted too.
//
// The session only protects what could be read without it. Where it cannot be had (a store that is read-only or full, a
// keyring that this machine's writer is not in) fn runs without one; nobody is enrolled for its sake. Any other failure
// is a warning. o.Use is not looked at.
func Reading(ctx context.Context, r *repo.Repo, st *State, o BeginOptions, fn func(ctx context.Context) error) error {
	s, err := openReader(ctx, r, st, o)
	if err != nil && ctx.Err() == nil {
		r.Events().Emit(event.Warning{Err: fmt.Errorf("read without a read session, so that a prune at the same time could delete what is needed: %w", err)})
	}
	if s == nil {
		return fn(ctx)
	}
	defer func() {
		_ = s.End(ctx, "") // it deletes the session, and what it cannot delete is left to a pruner
	}()
	return s.Keep(ctx, fn)
}

// openReader puts a read session. It is nil where there can be none.
func openReader(ctx context.Context, r *repo.Repo, st *State, o BeginOptions) (*Session, error) {
	w, ok := r.KnownWriter()
	pins := slices.DeleteFunc(slices.Clone(o.Pins), func(p id.Session) bool { return st.mayPin(p) != "" })
	if !ok || r.Rights(w) == 0 || r.ReadOnly() || len(pins) == 0 {
		return nil, nil
	}
	if o.Ops == nil {
		o.Ops = opsOf(r)
	}
	if o.Process == (record.Process{}) {
		o.Process = record.Process(process.Self())
	}
	first := &Session{
		repo: r, ops: o.Ops, chain: &chain{},
		rec: record.Session{Writer: w, Use: record.Read, Process: o.Process, Program: o.Program},
	}
	s, err := first.put(ctx, st.era, pins)
	if errors.Is(err, errs.Denied) || errors.Is(err, errs.Full) || errors.Is(err, errs.Unsupported) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.state = st
	s.chain.pass(nil, s)
	alive := func(p record.Process) bool { return process.Alive(process.ID(p)) }
	for _, other := range st.sessions {
		if other.Record != nil && other.Record.Use == record.Read && s.isDead(st, other, alive) {
			_ = s.bury(ctx, st, other) // what cannot be deleted is left to a pruner
		}
	}
	return s, nil
}
