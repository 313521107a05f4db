// Package retry is about a store whose passing failures are tried again.
//
// A call that fails with errs.Temporary or errs.Unreachable is made again after a wait that doubles each time, until
// it succeeds, fails otherwise, or the attempts are used up. Every call of the contract may be repeated: Put sends the
// same bytes, Delete and Flush repeat harmlessly, Get begins anew. Three things are not hidden:
//
//   - A PutIfAbsent that is made again may find its own object, stored by an attempt whose answer was lost. The wrapper
//     does not guess: it returns errs.Exists together with ErrUnclear, and the caller reads the object back.
//   - A failure of the caller's own function (in Get and List) or content is never repeated.
//   - A listing is held back until it is complete, so that a second attempt does not yield names twice; one of more
//     than 65,536 names (about 10 MB) flows from there on, and a failure after that ends it.
//
// Streams are passed on as they are: their bytes are gone when they fail. No store has a retry loop of its own.
package retry

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/store"
)

// ErrUnclear is joined to the last error of a PutIfAbsent of which an earlier attempt got no answer: the object under the
// name may be this caller's own.
var ErrUnclear = errors.New("an earlier attempt got no answer")

// maxHeld is how many names of a listing are held back.
const maxHeld = 65536

// Options of New. The zero value is right for most.
type Options struct {
	Clock    clock.Clock   // nil is the system's
	Rand     clock.Rand    // spreads the waits of many clients; nil leaves them exact
	Attempts int           // for each call, the first included; zero is 8
	First    time.Duration // wait after the first failure; zero is 250 ms
	Longest  time.Duration // no wait is longer; zero is 30 s
	// OnRetry, if not nil, is told of each failure that is waited out.
	OnRetry func(what string, err error, wait time.Duration)
}

// Store wraps a store.
type Store struct {
	inner store.Store
	o     Options
}

// New wraps inner.
func New(inner store.Store, o Options) *Store {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Attempts <= 0 {
		o.Attempts = 8
	}
	if o.First <= 0 {
		o.First = 250 * time.Millisecond
	}
	if o.Longest <= 0 {
		o.Longest = 30 * time.Second
	}
	return &Store{inner: inner, o: o}
}

// passing tells whether a failure may pass.
func passing(err error) bool {
	return (errors.Is(err, errs.Temporary) || errors.Is(err, errs.Unreachable)) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// final marks an error that must not be repeated.
type final struct{ err error }

func (f *final) Error() string { return f.err.Error() }
func (f *final) Unwrap() error { return f.err }

// do calls fn until it succeeds, fails for good or has had its attempts. fn gets the number of earlier attempts.
func (s *Store) do(ctx context.Context, what string, fn func(earlier int) error) error {
	wait := s.o.First
	for n := 0; ; n++ {
		err := fn(n)
		var own *final
		switch {
		case errors.As(err, &own):
			return own.err
		case err == nil || !passing(err):
			return err
		case n+1 >= s.o.Attempts:
			return fmt.Errorf("after %d attempts: %w", n+1, err)
		}
		pause := s.spread(wait)
		if s.o.OnRetry != nil {
			s.o.OnRetry(what, err, pause)
		}
		if serr := s.o.Clock.Sleep(ctx, pause); serr != nil {
			return errors.Join(serr, err)
		}
		wait = min(2*wait, s.o.Longest)
	}
}

// spread takes up to half of a wait away, by chance, so that clients that failed together do not come back together.
func (s *Store) spread(wait time.Duration) time.Duration {
	if s.o.Rand == nil {
		return wait
	}
	var b [4]byte
	if _, err := io.ReadFull(s.o.Rand, b[:]); err != nil {
		return wait
	}
	return wait - time.Duration(float64(wait)/2*float64(binary.LittleEndian.Uint32(b[:]))/(1<<32))
}

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, name string, c store.Content) error {
	return s.do(ctx, "put "+name, func(int) error {
		own := &content{Content: c}
		return own.judge(s.inner.Put(ctx, name, own))
	})
}

// content remembers a failure of the caller's content.
type content struct {
	store.Content
	err error
}

// judge makes an error final if it comes from the content.
func (c *content) judge(err error) error {
	if err != nil && c.err != nil && errors.Is(err, c.err) {
		return &final{err}
	}
	return err
}

func (c *content) Open() (io.ReadCloser, error) {
	r, err := c.Content.Open()
	if err != nil {
		c.err = err
		return nil, err
	}
	return &contentReader{r, c}, nil
}

type contentReader struct {
	io.ReadCloser
	c *content
}

func (r *contentReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.c.err = err
	}
	return n, err
}

// Flush implements store.Store.
func (s *Store) Flush(ctx context.Context) error {
	return s.do(ctx, "flush", func(int) error { return s.inner.Flush(ctx) })
}

// Get implements store.Store. A failure is the store's, and repeated, if the store's reader or the call itself failed;
// an error that fn makes itself is returned as it is.
func (s *Store) Get(ctx context.Context, name string, r store.Range, fn func(io.Reader) error) error {
	return s.do(ctx, "get "+name, func(int) error {
		var tap *tapped
		var own error
		err := s.inner.Get(ctx, name, r, func(in io.Reader) error {
			tap = &tapped{Reader: in}
			own = fn(tap)
			return own
		})
		if own != nil && (tap.err == nil || !passing(tap.err)) {
			return &final{err}
		}
		return err
	})
}

// tapped remembers how the store's reader failed.
type tapped struct {
	io.Reader
	err error
}

func (t *tapped) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		t.err = err
	}
	return n, err
}

// Stat implements store.Store.
func (s *Store) Stat(ctx context.Context, name string) (info store.Info, err error) {
	err = s.do(ctx, "stat "+name, func(int) error {
		info, err = s.inner.Stat(ctx, name)
		return err
	})
	return info, err
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	return s.do(ctx, "list "+prefix, func(int) error {
		var held []store.Info
		flowing := false
		deliver := func(i store.Info) error {
			if err := ctx.Err(); err != nil {
				return &final{err}
			}
			if err := fn(i); err != nil {
				return &final{err}
			}
			return nil
		}
		release := func() error {
			for _, h := range held {
				if err := deliver(h); err != nil {
					return err
				}
			}
			held = nil
			return nil
		}
		err := s.inner.List(ctx, prefix, func(i store.Info) error {
			if flowing {
				return deliver(i)
			}
			if held = append(held, i); len(held) < maxHeld {
				return nil
			}
			flowing = true
			return release()
		})
		switch {
		case err != nil && flowing && passing(err):
			return &final{err} // some names are out already
		case err != nil:
			return err
		}
		return release()
	})
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, name string) error {
	return s.do(ctx, "delete "+name, func(int) error { return s.inner.Delete(ctx, name) })
}

// Close implements store.Store.
func (s *Store) Close() error { return s.inner.Close() }

// As implements store.Aser: PutIfAbsent is tried again, every other extra is the wrapped store's own.
func (s *Store) As(target any) bool {
	switch t := target.(type) {
	case *store.PutIfAbsenter:
		var p store.PutIfAbsenter
		if !store.As(s.inner, &p) {
			return false
		}
		*t = ifAbsent{s, p}
		return true
	case *store.Streamer:
		return store.As(s.inner, t)
	case **Store:
		*t = s
		return true
	}
	a, ok := s.inner.(store.Aser)
	return ok && a.As(target)
}

type ifAbsent struct {
	s     *Store
	inner store.PutIfAbsenter
}

// PutIfAbsent implements store.PutIfAbsenter.
func (p ifAbsent) PutIfAbsent(ctx context.Context, name string, c store.Content) error {
	return p.s.do(ctx, "create "+name, func(earlier int) error {
		own := &content{Content: c}
		err := own.judge(p.inner.PutIfAbsent(ctx, name, own))
		if err != nil && earlier > 0 && !passing(err) {
			return fmt.Errorf("%w (%w)", err, ErrUnclear)
		}
		return err
	})
}
