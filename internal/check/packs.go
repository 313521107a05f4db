package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/pack"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/units"
)

// count finds the packs that count: those that committed fates list, without those that a rescue fate says are gone. What
// other fates say is gone means nothing (FORMAT.md section 16.2), or any writer could hide that a pack is missing.
func count(st *session.State) (map[record.Pack]bool, error) {
	packs, gone := map[record.Pack]bool{}, map[string]bool{}
	err := st.Fates(func(f *session.Fate) error {
		if !f.Committed() || f.Void {
			return nil
		}
		for _, p := range f.Packs {
			packs[p] = true
		}
		if f.Kind == record.Rescue {
			for _, p := range f.Gone {
				gone[p.Path()] = true
			}
		}
		return nil
	})
	for p := range packs {
		if gone[p.Path()] {
			delete(packs, p)
		}
	}
	return packs, err
}

// packs lists the packs and compares with what fates say. If a pruner has deleted some since the state was listed, it
// begins anew with a newer state.
func (c *checker) packs(ctx context.Context) error {
	for {
		again, err := c.listPacks(ctx)
		if err != nil || !again {
			return err
		}
	}
}

func (c *checker) listPacks(ctx context.Context) (again bool, err error) {
	if c.counted, err = count(c.state); err != nil {
		return false, err
	}
	c.sound = map[record.Pack]bool{}
	c.report.Packs, c.report.PackBytes, c.report.Garbage, c.report.GarbageBytes = 0, 0, 0, 0
	sizeless := make(map[record.Pack]bool, len(c.counted)) // for packs of a wrong size
	for p := range c.counted {
		c.report.Packs++
		c.report.PackBytes += p.Size
		p.Size = 0
		sizeless[p] = true
	}
	for _, prefix := range []string{record.Data, record.Meta} {
		if err := c.repo.Store().List(ctx, prefix, func(i store.Info) error {
			p, err := record.ParsePack(i.Name, i.Size)
			if err == nil && c.counted[p] {
				c.sound[p] = true
				return nil
			}
			if p.Size = 0; err != nil || !sizeless[p] {
				c.report.Garbage++
				c.report.GarbageBytes += i.Size
			}
			return nil
		}); err != nil {
			return false, err
		}
	}
	var missing []record.Pack
	for p := range c.counted {
		if !c.sound[p] {
			missing = append(missing, p)
		}
	}
	return c.missing(ctx, missing)
}

// missing looks again for packs that were not listed with their size. A pruner commits that a pack is gone before it
// deletes it, so a pack that is not there and that a listing made afterwards still counts is missing.
func (c *checker) missing(ctx context.Context, packs []record.Pack) (again bool, err error) {
	if len(packs) == 0 {
		return false, nil
	}
	found := map[record.Pack]error{}
	for _, p := range packs {
		info, err := c.repo.Store().Stat(ctx, p.Path())
		switch {
		case errors.Is(err, errs.NotFound):
			found[p] = errs.New(errs.NotFound, "the pack is gone: its fate lists it, and no fate says that it was deleted")
		case err != nil:
			return false, err
		case info.Size != p.Size:
			found[p] = errs.New(errs.Corrupt, "the pack has %d bytes; its fate says %d", info.Size, p.Size)
		default:
			c.sound[p] = true // it was not listed, and is there: what a store may do with a young object
		}
	}
	moved, err := c.moved(ctx)
	if err != nil || moved {
		return moved, err
	}
	for p, err := range found {
		c.add(p.Path(), err)
	}
	return false, nil
}

// moved takes a newer state if in that a pack that counted is gone or a snapshot is no longer live, and tells so.
func (c *checker) moved(ctx context.Context) (bool, error) {
	fresh, err := session.List(ctx, c.repo)
	if err != nil {
		return false, err
	}
	still, err := count(fresh)
	if err != nil {
		return false, err
	}
	changed := false
	for p := range c.counted {
		changed = changed || !still[p]
	}
	alive := map[id.Session]bool{}
	for _, s := range live(fresh) {
		alive[s.ID] = true
	}
	for _, s := range live(c.state) {
		changed = changed || !alive[s.ID]
	}
	if !changed {
		return false, nil
	}
	if err := c.view.Refresh(ctx); err != nil {
		return false, err
	}
	c.state = c.view.State()
	return true, nil
}

// ordered are the packs that are there, in the order of their paths.
func (c *checker) ordered() []record.Pack {
	packs := make([]record.Pack, 0, len(c.sound))
	for p := range c.sound {
		packs = append(packs, p)
	}
	slices.SortFunc(packs, func(a, b record.Pack) int { return strings.Compare(a.Path(), b.Path()) })
	return packs
}

// data reads packs whole.
func (c *checker) data(ctx context.Context) error {
	if !c.o.ReadData {
		return nil
	}
	packs, err := c.o.Subset.choose(c.ordered(), c.random)
	if err != nil {
		return err
	}
	for _, p := range packs {
		c.o.Counters.TotalBytes.Add(p.Size)
	}
	c.o.Counters.TotalKnown.Store(true)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.o.Workers)
	for _, p := range packs {
		g.Go(func() error { return c.readPack(ctx, p) })
	}
	return g.Wait()
}

func (c *checker) random(n int) (int, error) {
	var b [4]byte
	if _, err := io.ReadFull(c.repo.Rand(), b[:]); err != nil {
		return 0, fmt.Errorf("choose packs: %w", err)
	}
	return int((uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3])) * uint64(n) >> 32), nil
}

// readPack reads one pack from its first byte to its last: hashes it, and opens each segment on the way.
func (c *checker) readPack(ctx context.Context, p record.Pack) error {
	r, err := c.view.Blobs().Pack(ctx, p)
	if err != nil && passing(ctx, err) {
		return err
	}
	var read int64
	h := crypt.NewHash()
	var dir *pack.Directory
	if err == nil {
		dir = r.Directory()
	}
	err = c.repo.Store().Get(ctx, p.Path(), store.Range{}, func(in io.Reader) error {
		h.Reset()
		read = 0
		in = &counting{in, &read, c}
		in = io.TeeReader(in, h)
		if dir != nil {
			if err := c.segments(p, r, in, &read); err != nil {
				return err
			}
		}
		_, err := io.Copy(io.Discard, in)
		return err
	})
	switch {
	case err != nil && passing(ctx, err):
		return err
	case errors.Is(err, errs.NotFound): // it was there a moment ago
		return c.vanished(p)
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		c.broken(p, errs.New(errs.Corrupt, "the pack ends after %s of %s", units.Bytes(read), units.Bytes(p.Size)))
	case err != nil:
		c.broken(p, fmt.Errorf("the pack cannot be read: %w", err))
	case read != p.Size || id.Name(h.Sum(nil)) != p.Name:
		c.add(p.Path(), errs.New(errs.Corrupt, "the pack's bytes are not those that its name says"))
	}
	c.readPacks.Add(1)
	c.readBytes.Add(read)
	return nil
}

// broken notes that a pack cannot be read to its end: nothing of it counts on from now on.
func (c *checker) broken(p record.Pack, err error) {
	c.add(p.Path(), err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broke[p] = true
	delete(c.sound, p)
}

// vanished notes a pack that was listed and is not there any more. Before the trees are walked it is looked for again.
func (c *checker) vanished(p record.Pack) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stale = true
	delete(c.sound, p)
	return nil
}

// counting counts what is read.
type counting struct {
	in io.Reader
	n  *int64
	c  *checker
}

func (r *counting) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	*r.n += int64(n)
	r.c.o.Counters.Bytes.Add(int64(n))
	return n, err
}

// segments opens the segments of a pack as they come.
func (c *checker) segments(p record.Pack, r *pack.Reader, in io.Reader, at *int64) error {
	dom, err := c.repo.DomainOf(r.Header().Domain)
	if err != nil {
		c.broken(p, err)
		return nil
	}
	coder, err := codec.Get(codec.Fastest)
	if err != nil {
		return err
	}
	defer codec.Put(coder)
	dir := r.Directory()
	var sealed, raw []byte
	for n := range dir.Segments {
		s := &dir.Segments[n]
		if _, err := io.CopyN(io.Discard, in, s.Offset-*at); err != nil {
			return err
		}
		sealed = slices.Grow(sealed[:0], int(s.Len))[:s.Len]
		if _, err := io.ReadFull(in, sealed); err != nil {
			return err
		}
		raw, err = r.Decode(raw[:0], uint32(n), sealed, coder)
		if err != nil {
			c.add(p.Path(), errs.As(errs.Corrupt, err))
			c.spoil(place{p, uint32(n), -1})
			raw = nil
			continue
		}
		c.blobs(p, dom, dir, uint32(n), raw)
	}
	return nil
}

// blobs compares the blobs of a segment with their ids.
func (c *checker) blobs(p record.Pack, dom *crypt.Domain, dir *pack.Directory, n uint32, raw []byte) {
	from := 0
	for slot, b := range dir.In(n) {
		to := from + int(b.Len)
		if to > len(raw) || dom.ID(b.Kind, raw[from:to]).Short() != b.ID {
			c.add(p.Path(), errs.New(errs.Corrupt, "segment %d: blob %d is not what its id says", n, slot))
			c.spoil(place{p, n, int32(slot)})
		}
		from = min(to, len(raw))
	}
}

func (c *checker) spoil(at place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bad[at] = true
}

// directory reads the header and directory of a pack and hands them to tells, which compares them with what an index
// object says; it is nil where none tells of the pack.
func (c *checker) directory(ctx context.Context, p record.Pack, tells func(*pack.Reader) error) error {
	r, err := index.ReadPack(ctx, c.repo, p)
	if err != nil {
		if passing(ctx, err) {
			return err
		}
		if errors.Is(err, errs.NotFound) {
			return c.vanished(p)
		}
		// Another copy of the directory may stand in an index object; reading goes on with that.
		if _, ierr := c.view.Blobs().Pack(ctx, p); ierr == nil {
			c.heal(p.Path(), fmt.Errorf("header or directory: %w", err))
			return nil
		} else if passing(ctx, ierr) {
			return ierr
		}
		c.broken(p, fmt.Errorf("header or directory: %w", err))
		return nil
	}
	if tells != nil {
		return tells(r)
	}
	return nil
}
