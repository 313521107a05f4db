package restore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
	"github.com/nacre-backup/nacre/internal/view"
)

// run is one restore.
type run struct {
	o      Options
	v      *view.View
	tree   tree.Tree
	domain *crypt.Domain
	to     sink.Sink // nil in a dry run into a folder that is not there
	peek   sink.Peeker
	read   sink.Reader

	unlinked atomic.Int64 // hard links that became files of their own

	mu  sync.Mutex // guards sum
	sum Summary
}

// Run restores the snapshot into the sink and closes the sink. The error is that of the whole run: it was cancelled,
// the target is full, the snapshot cannot be read at all, or the path is not in it. What concerns single entries is in
// the Summary, which is never nil.
//
// In a dry run the sink may be nil, which stands for an empty target.
func Run(ctx context.Context, v *view.View, snap *session.Snapshot, to sink.Sink, o Options) (*Summary, error) {
	r := &run{o: o, v: v, to: to}
	err := r.prepare(snap)
	switch {
	case err != nil:
	case o.DryRun:
		err = r.work(ctx)
	default:
		err = session.Reading(ctx, v.Repo(), v.State(), session.BeginOptions{
			Pins: []id.Session{snap.ID}, Program: o.Program,
		}, r.work)
	}
	if to != nil {
		err = errors.Join(err, r.close(ctx))
	}
	return &r.sum, err
}

func (r *run) prepare(snap *session.Snapshot) error {
	var err error
	if r.tree, err = r.v.Tree(snap); err != nil {
		return fmt.Errorf("open tree of snapshot %s: %w", snap.ID, err)
	}
	if r.domain, err = r.v.Repo().DomainOf(snap.Record.Domain); err != nil {
		return fmt.Errorf("open domain of snapshot %s: %w", snap.ID, err)
	}
	if p, ok := r.to.(sink.Peeker); ok {
		r.peek = p
	}
	if p, ok := r.to.(sink.Reader); ok {
		r.read = p
	}
	if r.o.Verify && !r.o.DryRun && r.read == nil {
		return errs.New(errs.Unsupported, "what this target holds cannot be read back")
	}
	if r.o.Workers <= 0 {
		r.o.Workers = runtime.GOMAXPROCS(0)
	}
	if r.o.bounds == (bounds{}) {
		r.o.bounds = defaults
	}
	if r.o.Counters == nil {
		r.o.Counters = &event.Counters{}
	}
	return nil
}

// work plans and carries out windows side by side.
func (r *run) work(ctx context.Context) error {
	r.o.Events.Emit(event.Phase{Name: "restore"})
	g, ctx := errgroup.WithContext(ctx)
	windows := make(chan *window) // no buffer: one window is being planned while one is carried out
	p := planner{run: r, windows: windows}
	g.Go(func() error {
		defer close(windows)
		return p.plan(ctx)
	})
	g.Go(func() error {
		for w := range windows {
			err := r.execute(ctx, w)
			w.release()
			if err != nil {
				return err
			}
		}
		return nil
	})
	err := g.Wait()
	if it := p.current; err != nil && it != nil && it.file != nil {
		// It was begun in a window that is done and would have gone on in one that was never carried out.
		_ = it.file.Abort() // what cannot be removed carries the mark of an unfinished file
	}
	return err
}

// close ends the sink. Errors of single directories are entries' errors, not the run's.
func (r *run) close(ctx context.Context) error {
	r.o.Events.Emit(event.Phase{Name: "directories"})
	err := r.to.Close(ctx)
	r.unlinkedNote()
	if l, ok := r.to.(sink.Loser); ok {
		r.sum.Losses = l.Losses()
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, errs.Full) && !r.o.DryRun {
		r.fail(nil, fmt.Errorf("finish restore: %w", err))
		return nil
	}
	return err
}

// fail records that a path could not be restored.
func (r *run) fail(path []byte, err error) {
	r.mu.Lock()
	r.sum.Failed++
	if len(r.sum.Failures) < MaxFailures {
		r.sum.Failures = append(r.sum.Failures, Failure{Path: path, Err: err})
	}
	r.mu.Unlock()
	r.o.Counters.Errors.Add(1)
	r.o.Events.Emit(event.Entry{Path: path, Verdict: event.Failed, Err: err})
}

// skipped records that a path was left alone.
func (r *run) skipped(dir []byte, e *tree.Entry) {
	r.mu.Lock()
	r.sum.Skipped++
	r.mu.Unlock()
	if e.Type == tree.File {
		r.o.Counters.Bytes.Add(int64(e.Size))
	}
	r.progress(dir, e, event.Skipped)
}

// restored records an entry that is in the target now.
func (r *run) restored(dir []byte, e *tree.Entry, link bool) {
	r.mu.Lock()
	switch e.Type {
	case tree.Dir:
		r.sum.Dirs++
	case tree.File:
		r.sum.Files++
		if !link {
			r.sum.Bytes += int64(e.Size)
		}
	case tree.Symlink:
		r.sum.Symlinks++
	default:
		r.sum.Others++
	}
	if link {
		r.sum.Links++
	}
	if e.Flags&tree.Stale != 0 {
		r.sum.Stale++
	}
	r.mu.Unlock()
	r.progress(dir, e, event.Restored)
}

func (r *run) progress(dir []byte, e *tree.Entry, verdict event.Verdict) {
	c := r.o.Counters
	c.Entries.Add(1)
	if r.o.Events == nil {
		return
	}
	var size int64
	if e.Type == tree.File {
		size = int64(e.Size)
	}
	r.o.Events.Emit(event.Entry{Path: tree.JoinPath(nil, dir, e.Name), Verdict: verdict, Bytes: size})
}

// fatal reports whether an entry's error ends the run: every further entry would meet it too.
func fatal(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, errs.Full) {
		return errs.WithHint(fmt.Errorf("restore stopped: %w", err),
			"make room in the target and run the same restore again: with --overwrite if-changed it goes on where it stopped")
	}
	return nil
}
