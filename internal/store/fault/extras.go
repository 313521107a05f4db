package fault

import (
	"context"

	"github.com/nacre-backup/nacre/internal/store"
)

// As implements store.Aser: what the wrapped store offers, with faults.
func (s *Store) As(target any) bool {
	switch t := target.(type) {
	case *store.PutIfAbsenter:
		var p store.PutIfAbsenter
		if !store.As(s.inner, &p) {
			return false
		}
		*t = ifAbsent{s, p}
	case *store.Streamer:
		var st store.Streamer
		if !store.As(s.inner, &st) {
			return false
		}
		*t = streamer{s, st}
	case **Store:
		*t = s
	default:
		a, ok := s.inner.(store.Aser)
		return ok && a.As(target)
	}
	return true
}

type ifAbsent struct {
	s     *Store
	inner store.PutIfAbsenter
}

func (p ifAbsent) PutIfAbsent(ctx context.Context, name string, c store.Content) error {
	return p.s.create(ctx, PutIfAbsent, name, c, func() error { return p.inner.PutIfAbsent(ctx, name, c) })
}

type streamer struct {
	s     *Store
	inner store.Streamer
}

func (p streamer) Stream(ctx context.Context) (store.Stream, error) {
	var w store.Stream
	if err := p.s.do(Stream, "", func() (err error) { w, err = p.inner.Stream(ctx); return err }); err != nil {
		if w != nil {
			return nil, joinAbort(err, w)
		}
		return nil, err
	}
	return &stream{s: p.s, inner: w}, nil
}

// stream fails like its store. After a failed Write the caller aborts it, after a failed Commit it has ended.
type stream struct {
	s     *Store
	inner store.Stream
}

func (w *stream) Write(p []byte) (int, error) {
	n := 0
	err := w.s.do(Write, "", func() (err error) { n, err = w.inner.Write(p); return err })
	if err != nil {
		return n, err
	}
	return n, nil
}

func (w *stream) Commit(ctx context.Context, name string) error {
	v := w.s.begin(Commit, name)
	if v.err != nil && v.when == Torn {
		return joinAbort(errTorn, w.inner)
	}
	if err := v.before(); err != nil {
		return joinAbort(err, w.inner)
	}
	if err := w.inner.Commit(ctx, name); err != nil {
		return err
	}
	return v.err
}

func (w *stream) Abort() error { return w.inner.Abort() }
