package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/pack"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/store"
)

// indexes reads the index objects and compares what they say with the directories of the packs, all of which are read.
func (c *checker) indexes(ctx context.Context) error {
	named := map[string]bool{}
	told := &told{packs: map[record.Pack]bool{}}
	for _, n := range c.state.CommittedIndexes() {
		named[record.IndexPath(n)] = true
		if err := c.index(ctx, n, told); err != nil {
			return err
		}
	}
	if err := c.repo.Store().List(ctx, record.Indexes, func(i store.Info) error {
		if !named[i.Name] {
			c.report.Garbage++
			c.report.GarbageBytes += i.Size
		}
		return nil
	}); err != nil {
		return err
	}
	if c.report.Garbage > 0 {
		c.note("%d packs and index objects belong to no finished backup: it is at work, or was cut off; prune removes them", c.report.Garbage)
	}
	var rest []record.Pack
	for _, p := range c.ordered() {
		if !told.packs[p] {
			rest = append(rest, p)
		}
	}
	if len(rest) > 0 {
		c.note("no index object tells of %d packs; their own directories are used", len(rest))
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.o.Workers)
	for _, p := range rest {
		g.Go(func() error { return c.directory(ctx, p, nil) })
	}
	return g.Wait()
}

// told are the packs that index objects tell of.
type told struct {
	mu    sync.Mutex
	packs map[record.Pack]bool
}

// first tells whether the pack was not told of before.
func (t *told) first(p record.Pack) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.packs[p]
	t.packs[p] = true
	return !was
}

// index checks one index object.
func (c *checker) index(ctx context.Context, name id.Name, told *told) error {
	path := record.IndexPath(name)
	h := crypt.NewHash()
	var size int64
	err := c.repo.Store().Get(ctx, path, store.Range{}, func(in io.Reader) (err error) {
		h.Reset()
		size, err = io.Copy(h, in)
		return err
	})
	if err == nil && id.Name(h.Sum(nil)) != name {
		err = errs.New(errs.Corrupt, "the index object's bytes are not those that its name says")
	}
	if err == nil {
		err = c.eachEntry(ctx, path, size, told)
	}
	var s *stop
	switch {
	case err == nil:
		c.report.Indexes++
	case errors.As(err, &s):
		return s.err
	case passing(ctx, err):
		return err
	default:
		c.heal(path, err)
	}
	return nil
}

// stop is an error that ends the check.
type stop struct{ err error }

func (s *stop) Error() string { return s.err.Error() }

// eachEntry reads the entries of an index object and holds each to its pack.
func (c *checker) eachEntry(ctx context.Context, path string, size int64, told *told) error {
	coder, err := codec.Get(codec.Fastest)
	if err != nil {
		return err
	}
	defer codec.Put(coder)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(c.o.Workers)
	read := func(p []byte, off int64) error {
		b, err := store.ReadRange(ctx, c.repo.Store(), path, store.Range{Offset: off, Length: int64(len(p))})
		copy(p, b)
		return err
	}
	_, err = pack.ReadIndex(read, size, c.repo.ObjectKey, coder, func(e pack.IndexEntry) error {
		p, err := record.ParsePack(e.Path, e.Size)
		if err != nil {
			return err
		}
		if !c.isSound(p) || !told.first(p) {
			return nil
		}
		header, body := e.Header, bytes.Clone(e.Body)
		g.Go(func() error {
			return c.directory(gctx, p, func(r *pack.Reader) error {
				own := *r.Header()
				if !bytes.Equal(r.Directory().Encode(), body) || own.Salt != header.Salt || own.Domain != header.Domain || own.Epoch != header.Epoch {
					c.heal(path, errs.New(errs.Corrupt, "the index object does not say of pack %s what that says itself", p.Path()))
				}
				return nil
			})
		})
		return nil
	})
	if gerr := g.Wait(); gerr != nil {
		return &stop{gerr}
	}
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

func (c *checker) isSound(p record.Pack) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sound[p]
}
