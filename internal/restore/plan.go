package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
	"github.com/nacre-backup/nacre/internal/view"
)

// planner walks the tree and makes windows.
type planner struct {
	*run
	windows chan<- *window
	w       *window
	current *item // the last one: its pieces may be spread over several windows
	links   linkTable

	top     []byte // the snapshot's directory that becomes the target
	from    []byte // the directory the walk is in
	dir     []byte // the same in the target
	out     bool   // its entries are left out, since they have too few components
	ready   []byte // the directory that was made last for the sake of what is in it
	made    bool   // dir is known to be there
	damaged damage
	lost    bool // a part of the tree is damaged, so that directories may be unknown
	failed  [][]byte
}

// maxFailedDirs is how many directories that could not be made are remembered, so that what is below is left out with
// them. What is below others fails entry by entry.
const maxFailedDirs = 1000

func (p *planner) plan(ctx context.Context) error {
	p.w = newWindow(p.o.bounds)
	defer func() {
		p.damaged.report(p.run)
		p.w.release() // one that was not handed on
	}()
	single, err := p.begin(ctx)
	if err != nil || single {
		return errors.Join(err, p.flush(ctx))
	}
	c := p.tree.Cursor()
	defer c.Close()
	if len(p.top) > 0 {
		if err := c.Seek(ctx, tree.Key{Dir: p.top}); err != nil && !p.lose(err) {
			return err
		}
	}
	for {
		ok, err := c.Next(ctx)
		if err != nil {
			if fatal := fatal(ctx, nil); fatal != nil {
				return fatal
			}
			if !p.lose(err) {
				return fmt.Errorf("read tree: %w", err)
			}
			continue
		}
		if !ok || !tree.Below(c.Dir(), p.top) {
			return p.flush(ctx)
		}
		if err := p.step(ctx, c); err != nil {
			return err
		}
	}
}

// begin finds what is to be restored. single is true if that is one entry, which is planned then.
func (p *planner) begin(ctx context.Context) (single bool, err error) {
	p.top = p.o.SubPath
	if len(p.top) == 0 {
		if p.o.Select == nil {
			p.o.Counters.TotalEntries.Store(int64(p.tree.Root.Entries))
			p.o.Counters.TotalBytes.Store(int64(p.tree.Root.Bytes))
			p.o.Counters.TotalKnown.Store(true)
		}
		return false, nil
	}
	e, err := p.tree.Lookup(ctx, p.top)
	if err != nil {
		return false, fmt.Errorf("find %q in the snapshot: %w", p.top, err)
	}
	if p.o.Select == nil {
		if t, err := p.tree.Du(ctx, p.top); err == nil {
			p.o.Counters.TotalEntries.Store(int64(t.Entries))
			p.o.Counters.TotalBytes.Store(int64(t.Bytes))
			p.o.Counters.TotalKnown.Store(true)
		}
	}
	if e.Type != tree.Dir {
		if i := bytes.LastIndexByte(p.top, '/'); i >= 0 {
			p.from = p.top[:i]
		}
		return true, p.entry(ctx, e, tree.Old{})
	}
	if p.o.StripComponents == 0 {
		top := *e
		top.Name = nil
		p.from = p.top
		p.directory(ctx, &top)
	}
	return false, nil
}

// lose notes a damaged part of the tree; it is false for any other error.
func (p *planner) lose(err error) bool {
	var l *tree.LostError
	if !errors.As(err, &l) {
		return false
	}
	p.lost, p.made = true, false
	return p.damaged.add(l, p.run)
}

// step plans the entry that the cursor stands at.
func (p *planner) step(ctx context.Context, c *tree.Cursor) error {
	if d := c.Dir(); !bytes.Equal(d, p.from) || p.dir == nil {
		if skip := p.enter(ctx, d); skip {
			return c.SkipBelow(ctx, p.from)
		}
	}
	e := c.Entry()
	if len(e.Name) == 0 && len(p.top) > 0 || p.out {
		return nil
	}
	if err := p.entry(ctx, e, c.Old()); err != nil {
		return err
	}
	if p.w.full() {
		return p.flush(ctx)
	}
	return nil
}

// enter moves to another directory; skip is true if nothing in and below it is wanted.
func (p *planner) enter(ctx context.Context, d []byte) (skip bool) {
	p.from = bytes.Clone(d)
	for _, f := range p.failed {
		if tree.Below(d, f) {
			return true
		}
	}
	p.made = p.o.Select == nil && !p.lost
	if p.o.Select != nil && len(d) > 0 {
		switch p.o.Select(d, tree.Dir) {
		case Leave:
			return true
		case Take:
			p.made = !p.lost
		}
	}
	p.dir, p.out = p.target(p.from)
	if p.lost && !p.made && p.o.Select == nil {
		return !p.ensure(ctx)
	}
	return false
}

// target turns a directory of the snapshot into one of the target; out is true if what is in it has too few
// components.
func (p *planner) target(from []byte) (dir []byte, out bool) {
	rel := from[len(p.top):]
	rel = bytes.TrimPrefix(rel, []byte("/"))
	for n := p.o.StripComponents; n > 0; n-- {
		if len(rel) == 0 {
			return []byte{}, true
		}
		_, rel, _ = bytes.Cut(rel, []byte("/"))
	}
	return append([]byte{}, rel...), false
}

// ensure makes the directories that lead to the present one, where they were not made when they were met: because the
// filter wants them only for what is in them, or because their own entries are lost.
func (p *planner) ensure(ctx context.Context) bool {
	if p.made {
		return true
	}
	start := len(p.top)
	for start < len(p.from) {
		end := len(p.from)
		if i := bytes.IndexByte(p.from[start+1:], '/'); i >= 0 {
			end = start + 1 + i
		}
		path := p.from[:end]
		start = end
		if len(p.ready) > 0 && tree.Below(p.ready, path) {
			continue
		}
		if !p.ensureOne(ctx, path) {
			return false
		}
	}
	p.ready, p.made = p.from, true
	return true
}

func (p *planner) ensureOne(ctx context.Context, path []byte) bool {
	parent, name := []byte(nil), path
	if i := bytes.LastIndexByte(path, '/'); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	dir, out := p.target(parent)
	if out {
		return true
	}
	e, err := p.tree.Lookup(ctx, path)
	known := err == nil
	if !known {
		// Its entry is lost, and said to be. What is in it goes into a directory that only its owner can enter.
		e = &tree.Entry{Name: name, Type: tree.Dir, Mode: 0o700, Flags: tree.Implied}
	} else if p.o.Select == nil || p.o.Select(path, tree.Dir) == Take {
		return true // it was made when its entry was met
	}
	from, to := p.from, p.dir
	p.from, p.dir = parent, dir
	ok := p.directory(ctx, e)
	p.from, p.dir = from, to
	return ok
}

// entry plans one entry of the present directory.
func (p *planner) entry(ctx context.Context, e *tree.Entry, old tree.Old) error {
	if !p.wanted(ctx, e) {
		return nil
	}
	if e.Type == tree.Dir {
		p.directory(ctx, e)
		return fatal(ctx, nil)
	}
	if p.dir == nil {
		p.dir = []byte{}
	}
	if old.Ok() {
		p.w.keep(old)
	}
	it := &item{from: p.from, dir: p.dir, e: p.load(ctx, e)}
	if it.e != e {
		p.w.loaded += size(it.e)
	}
	if e.Flags&tree.Partial != 0 && e.Type == tree.File {
		p.partial(ctx, it)
	}
	p.w.count++
	p.current = it
	if p.o.DryRun {
		return p.rehearse(ctx, it)
	}
	if it.group, it.link = p.links.join(it); it.link {
		p.w.links = append(p.w.links, it)
		return nil
	}
	if it.group == nil && e.Nlink > 1 && !e.Link.IsZero() {
		p.unlinked.Add(1)
	}
	if p.peek != nil {
		if err := p.peek.Peek(ctx, it.dir, it.e); err != nil {
			it.stop(err, false)
		}
	}
	return p.content(ctx, it, old)
}

// wanted asks the filter for an entry of the present directory, and makes the way to one that it takes.
func (p *planner) wanted(ctx context.Context, e *tree.Entry) bool {
	if p.o.Select == nil || len(e.Name) == 0 {
		return true
	}
	return p.o.Select(tree.JoinPath(nil, p.from, e.Name), e.Type) == Take && p.ensure(ctx)
}

// partial gives a file of which only the beginning was stored the size of that beginning.
func (p *planner) partial(ctx context.Context, it *item) {
	e := *it.e
	e.Size = uint64(len(e.Content.Inline))
	switch e.Content.Kind {
	case tree.Direct:
		for _, b := range e.Content.IDs {
			if l := p.v.Blobs().Locate(b); len(l) > 0 {
				e.Size += uint64(l[0].RawLen)
			}
		}
	case tree.Extents:
		err := p.v.Extents(ctx, it.e, func(x view.Extent) error {
			e.Size = max(e.Size, x.Offset+x.Length)
			return nil
		})
		if err != nil {
			it.stop(fmt.Errorf("read list of extents: %w", err), true)
		}
	}
	it.e, it.part = &e, true
}

// maxLoaded bounds the out-of-line values of one entry. No file system has as many.
const maxLoaded = 64 << 20

// size is how many bytes the attributes and the target of an entry take.
func size(e *tree.Entry) int {
	n := len(e.Target)
	for i := range e.Xattrs {
		n += len(e.Xattrs[i].Value)
	}
	return n
}

// load fetches attributes and targets that stand out of line. What cannot be had is reported, and the entry restored
// without.
func (p *planner) load(ctx context.Context, e *tree.Entry) *tree.Entry {
	if e.TargetBlob.IsZero() && !slices.ContainsFunc(e.Xattrs, func(x tree.Xattr) bool { return !x.Blob.IsZero() }) {
		return e
	}
	out := *e
	out.Xattrs = nil
	total := uint64(0)
	for i := range e.Xattrs {
		x := e.Xattrs[i]
		if !x.Blob.IsZero() {
			value, err := []byte(nil), errs.New(errs.Unsupported, "the attributes take more than %d bytes", maxLoaded)
			if total += x.Size; x.Size <= maxLoaded && total <= maxLoaded {
				value, err = p.v.Xattr(ctx, &x)
			}
			if err != nil {
				p.fail(tree.JoinPath(nil, p.from, e.Name), fmt.Errorf("read attribute %q: %w", x.Name, err))
				continue
			}
			x.Value, x.Blob = value, id.ID{}
		}
		out.Xattrs = append(out.Xattrs, x)
	}
	if !e.TargetBlob.IsZero() {
		target, err := p.v.Target(ctx, e)
		if err != nil {
			out.ErrClass, out.ErrText = tree.ErrIO, fmt.Sprintf("read target: %v", err)
		}
		out.Target, out.TargetBlob = target, id.ID{}
	}
	return &out
}

// directory begins a directory; it is false if that failed, and then everything below is left out.
func (p *planner) directory(ctx context.Context, e *tree.Entry) bool {
	path := tree.JoinPath(nil, p.from, e.Name)
	if p.dir == nil {
		p.dir, p.out = p.target(p.from)
	}
	var err error
	switch {
	case p.o.DryRun && p.peek != nil:
		err = p.peek.Peek(ctx, p.dir, e)
	case !p.o.DryRun:
		_, err = p.to.Begin(ctx, p.dir, p.load(ctx, e))
	}
	if err == nil || errors.Is(err, sink.ErrSkipped) {
		name := string(path)
		p.o.Counters.Current.Store(&name)
		p.restored(p.from, e, false)
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	p.fail(path, fmt.Errorf("nothing below is restored: %w", err))
	if len(p.failed) < maxFailedDirs {
		p.failed = append(p.failed, path)
	}
	return false
}

// content plans the pieces of an item.
func (p *planner) content(ctx context.Context, it *item, old tree.Old) error {
	if it.stopped() == nil {
		if err := unreadable(it.e); err != nil {
			it.stop(err, true)
		}
	}
	// The planner holds the item: in a window that is carried out already its pieces so far must not seem to be all.
	it.left.Store(1)
	first := p.w
	if hasPieces(it) {
		err := p.pieces(ctx, it, func() error {
			if !p.w.full() {
				return nil
			}
			if err := p.flush(ctx); err != nil {
				return err
			}
			if old.Ok() {
				p.w.keep(old)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if p.w == first && it.left.Load() > 1 {
		// Nobody has seen it yet. Whoever writes its last piece ends it, so that it is not open for longer than needed.
		it.left.Add(-1)
		return nil
	}
	// The hold is given back by whoever carries out this window, so that files end in one place.
	p.w.items = append(p.w.items, it)
	return nil
}

// hasPieces reports whether content is to be fetched for an item.
func hasPieces(it *item) bool {
	return it.e.Type == tree.File && it.e.Content.Kind != tree.Empty && it.e.Content.Kind != tree.Inline && it.stopped() == nil
}

// unreadable says what is wrong with an entry that cannot be restored from what the snapshot says of it.
func unreadable(e *tree.Entry) error {
	var stored uint64
	switch {
	case e.NeverStored(): // an empty file in its place would pass for the file
		return neverStored(e)
	case e.Type == tree.Symlink && len(e.Target) == 0:
		return errs.New(errs.Corrupt, "the snapshot does not know where it points to%s", because(e))
	case e.Type != tree.File:
		return nil
	case e.Content.Kind == tree.Inline:
		stored = uint64(len(e.Content.Inline))
	case e.Content.Kind != tree.Empty:
		return nil
	}
	switch {
	case stored == e.Size:
		return nil
	case e.ErrClass != tree.ErrNone:
		return neverStored(e)
	}
	return sizeError(e, stored)
}

func neverStored(e *tree.Entry) error {
	return errs.WithHint(errs.New(errs.NotFound, "its content was never stored%s", because(e)),
		"it could not be read when the snapshot was made; another snapshot may have it: nacre find lists its versions")
}

func because(e *tree.Entry) string {
	if e.ErrText == "" {
		return ""
	}
	return ": " + e.ErrText
}

func sizeError(e *tree.Entry, stored uint64) error {
	return errs.New(errs.Corrupt, "the snapshot holds %d bytes of it, not %d", stored, e.Size)
}

// pieces adds the pieces of an item to the window. room is called before each and makes room.
func (p *planner) pieces(ctx context.Context, it *item, room func() error) error {
	var stop error
	n, total := 0, uint64(0)
	err := p.v.Extents(ctx, it.e, func(x view.Extent) error {
		total += x.Length
		if x.ID.IsZero() {
			p.o.Counters.Bytes.Add(int64(x.Length))
			return nil
		}
		if stop = room(); stop != nil {
			return stop
		}
		if n++; n == 2 {
			p.w.open++
		}
		it.left.Add(1)
		p.w.add(it, &x, p.v.Blobs().Locate(x.ID))
		return nil
	})
	switch {
	case stop != nil:
		return stop
	case err != nil:
		it.stop(fmt.Errorf("read list of extents: %w", err), true)
	case total != it.e.Size:
		it.stop(sizeError(it.e, total), true)
	}
	return fatal(ctx, nil)
}

// flush hands the window on.
func (p *planner) flush(ctx context.Context) error {
	if p.w.count == 0 && len(p.w.pieces) == 0 && len(p.w.items) == 0 {
		return nil
	}
	p.w.arrange()
	select {
	case p.windows <- p.w:
		p.w = newWindow(p.o.bounds)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
