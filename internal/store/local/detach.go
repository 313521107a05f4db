package local

import (
	"context"
	"sync/atomic"
)

// detach runs fn, which does nothing but calls into the kernel and touches no memory of the caller, and returns its
// error, or ctx's as soon as that ends: a sync of a slow stick takes minutes, a share whose server is gone does not
// answer at all, and no signal ends such a call. fn goes on then, to its end and its cleaning up, and Close waits for
// it.
func (s *Store) detach(ctx context.Context, fn func() error) error {
	_, err := ask(ctx, s, func() (struct{}, error) { return struct{}{}, fn() }, func(struct{}) {})
	return err
}

// ask is detach for calls with a result. late gets a result that comes after ctx's end, to give it back.
func ask[T any](ctx context.Context, s *Store, fn func() (T, error), late func(T)) (T, error) {
	if err := ctx.Err(); err != nil {
		var none T
		return none, err
	}
	return start(ctx, s, fn, late)
}

// start is ask for calls that must be made even if ctx has ended, since they clean up.
func start[T any](ctx context.Context, s *Store, fn func() (T, error), late func(T)) (T, error) {
	var none, v T
	var err error
	var settled atomic.Bool // by the first of the two sides: the answer is there, or the caller has left
	done := make(chan struct{})
	s.busy.Go(func() {
		defer close(done)
		got, gotErr := fn()
		if settled.CompareAndSwap(false, true) {
			v, err = got, gotErr
		} else if gotErr == nil {
			late(got)
		}
	})
	select {
	case <-done:
	case <-ctx.Done():
		if settled.CompareAndSwap(false, true) {
			return none, ctx.Err()
		}
		<-done
	}
	return v, err
}
