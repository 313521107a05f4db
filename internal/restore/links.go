package restore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
)

// maxGroups bounds the hard-link groups of which members are still expected.
const maxGroups = 1 << 20

// group is the members of one hard-link group that have the same content. The planner makes it; those who carry out
// windows fill in the rest, and only between windows' parallel parts.
type group struct {
	expected uint32 // members that did not come yet, as far as the link count tells

	dir, name []byte // a member in the target that the others can be linked to; name is nil as long as there is none
	lost      error  // the content cannot be had; all members share that
}

// linkTable finds groups. The planner alone uses it.
type linkTable struct {
	groups map[linkKey]*group
}

type linkKey [16]byte

// join returns the group of an item, and whether another member came before it.
func (t *linkTable) join(it *item) (g *group, link bool) {
	e := it.e
	if e.Nlink < 2 || e.Link.IsZero() {
		return nil, false
	}
	key := keyOf(e)
	if g = t.groups[key]; g != nil {
		if g.expected--; g.expected == 0 {
			delete(t.groups, key)
		}
		return g, true
	}
	if len(t.groups) >= maxGroups {
		return nil, false
	}
	if t.groups == nil {
		t.groups = make(map[linkKey]*group)
	}
	g = &group{expected: e.Nlink - 1}
	t.groups[key] = g
	return g, false
}

// keyOf is the group and the content of an entry: links of one file that were read at different moments may differ.
func keyOf(e *tree.Entry) (k linkKey) {
	h := sha256.New()
	var b []byte
	b = append(b, e.Link[:]...)
	b = append(b, byte(e.Type), byte(e.Content.Kind), e.Content.Level)
	b = binary.LittleEndian.AppendUint64(b, e.Size)
	b = binary.LittleEndian.AppendUint32(b, e.Major)
	b = binary.LittleEndian.AppendUint32(b, e.Minor)
	for _, part := range [][]byte{e.Content.Inline, e.Target, e.TargetBlob[:]} {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	for i := range e.Content.IDs {
		b = append(b, e.Content.IDs[i][:]...)
	}
	_, _ = h.Write(b) // a hash does not fail
	copy(k[:], h.Sum(nil))
	return k
}

// settle tells the group what became of a member that was to be restored as a file. It is called by one goroutine for
// each group in a window's parallel part.
func (it *item) settle() {
	g := it.group
	if g == nil || g.name != nil {
		return
	}
	switch {
	case it.err == nil, errors.Is(it.err, sink.ErrSame):
		g.dir, g.name = it.dir, append([]byte(nil), it.e.Name...)
	case it.content:
		g.lost = it.err
	}
}

// makeLinks makes the further links of a window, after all files of the window ended.
func (r *run) makeLinks(ctx context.Context, w *window) error {
	for _, it := range w.links {
		if err := fatal(ctx, nil); err != nil {
			return err
		}
		if err := r.makeLink(ctx, it); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) makeLink(ctx context.Context, it *item) error {
	g := it.group
	path := tree.JoinPath(nil, it.from, it.e.Name)
	if g.lost != nil {
		r.fail(path, g.lost)
		return nil
	}
	if g.name != nil {
		err := r.to.Link(ctx, it.dir, it.e, g.dir, g.name)
		switch {
		case err == nil:
			r.o.Counters.Bytes.Add(int64(it.e.Size))
			r.restored(it.from, it.e, true)
			return nil
		case errors.Is(err, sink.ErrSkipped):
			r.skipped(it.from, it.e)
			return nil
		case !errors.Is(err, errs.Unsupported):
			if stop := fatal(ctx, err); stop != nil {
				return stop
			}
			r.fail(path, err)
			return nil
		}
		// The file has as many links as its file system allows, or that has none: this one becomes a file of its own,
		// and the next ones are linked to it.
		r.unlinked.Add(1)
		g.dir, g.name = nil, nil
	}
	return r.single(ctx, it)
}

// unlinkedNote tells of links that became files of their own.
func (r *run) unlinkedNote() {
	if c := r.unlinked.Load(); c > 0 {
		r.o.Events.Emit(event.Note{Text: plural(c, "hard link became a file of its own", "hard links became files of their own") +
			", since the target cannot link them or there are too many"})
	}
}
