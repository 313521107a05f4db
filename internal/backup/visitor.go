package backup

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

// patience is how long a run that has ended waits for calls of the source.
const patience = 500 * time.Millisecond

// errLeft is what a goroutine learns that was left behind. The context has ended by then.
var errLeft = errors.New("the run did not wait for a call of the source")

// visitor is a goroutine of the run. A call of the source may last for ever, where a file system hangs, and nothing
// ends it: when the run has ended, a visitor that is out in such a call is left behind. It ends by itself when the
// call returns, and touches nothing of the run after that. Every call of the source goes through visit, and none is
// made within the gate.
type visitor struct{ state atomic.Int32 }

// The states of a visitor.
const (
	home  int32 = iota // it does the run's work
	out                // it is in a call of the source
	left               // it was left behind
	ended              // it has returned
)

// visit makes a call of the source.
func (v *visitor) visit(call func() error) error {
	if !v.leave() {
		return errLeft
	}
	err := call()
	if !v.back() {
		return errLeft
	}
	return err
}

// leave begins a call of the source, back ends it. False says that the visitor was left behind.
func (v *visitor) leave() bool { return v.state.CompareAndSwap(home, out) }
func (v *visitor) back() bool  { return v.state.CompareAndSwap(out, home) }

// abandon reports whether the run need not wait for the visitor.
func (v *visitor) abandon() bool {
	return v.state.CompareAndSwap(out, left) || v.state.Load() >= left
}

// spawn runs fn in a goroutine of the run.
func (r *run) spawn(fn func(v *visitor) error) {
	v := &visitor{}
	r.visitors = append(r.visitors, v)
	r.group.Go(func() error {
		defer v.state.CompareAndSwap(home, ended)
		return fn(v)
	})
}

// wait returns when all goroutines have ended, or when the context has and all that run on are out in calls of the
// source. It returns the first error.
func (r *run) wait(ctx context.Context) error {
	all := make(chan error, 1)
	go func() { all <- r.group.Wait() }()
	select {
	case err := <-all:
		return err
	case <-ctx.Done():
	}
	for pause := patience; ; pause = patience / 50 {
		timer := time.NewTimer(pause)
		select {
		case err := <-all:
			timer.Stop()
			return err
		case <-timer.C:
		}
		waited := true
		for _, v := range r.visitors {
			waited = v.abandon() && waited
		}
		if waited {
			r.leftBehind = true
			return context.Cause(ctx)
		}
	}
}

// visitedFile is an open file whose calls are visits.
type visitedFile struct {
	file source.File
	v    *visitor
}

// visitedStream is a visitedFile that is a stream.
type visitedStream struct {
	visitedFile
	stream source.Streamed
}

// open opens the file of an op.
func (w *worker) open(ctx context.Context, o *op) (f source.File, err error) {
	err = w.visitor.visit(func() error {
		f, err = w.run.src.Open(ctx, o.item)
		return err
	})
	if err != nil {
		if f != nil {
			_ = f.Close() // nobody waits for it
		}
		return nil, err
	}
	v := visitedFile{f, w.visitor}
	if s, ok := f.(source.Streamed); ok {
		return &visitedStream{v, s}, nil
	}
	return &v, nil
}

// ReadAt implements source.File.
func (f *visitedFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.v.visit(func() error { n, err = f.file.ReadAt(p, off); return err })
	return n, err
}

// NextData implements source.File.
func (f *visitedFile) NextData(off, size int64) (start, end int64, err error) {
	err = f.v.visit(func() error { start, end, err = f.file.NextData(off, size); return err })
	return start, end, err
}

// Stat implements source.File.
func (f *visitedFile) Stat(e *tree.Entry) error {
	return f.v.visit(func() error { return f.file.Stat(e) })
}

// Close implements source.File.
func (f *visitedFile) Close() error {
	if !f.v.leave() {
		return f.file.Close() // it was left behind, and closes what is its own
	}
	err := f.file.Close()
	if !f.v.back() {
		return errLeft
	}
	return err
}

// Read implements source.Streamed.
func (s *visitedStream) Read(p []byte) (n int, err error) {
	err = s.v.visit(func() error { n, err = s.stream.Read(p); return err })
	return n, err
}
