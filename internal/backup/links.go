package backup

import "github.com/nacre-backup/nacre/internal/tree"

// maxGroups bounds the table of hard-link groups: about 200 bytes each, so 13 MiB. A group that was dropped is read
// again at its next link, and deduplicated.
const maxGroups = 65536

// linkGroup is what is known of the content of a hard-linked file. The scan makes it at the first link; the builder
// fills it when that link's content is ready and uses it for the further ones, all in key order.
type linkGroup struct {
	ready   bool
	entry   tree.Entry // size and times at the moment of reading, and the content
	skipped bool       // the first link could not be read whole
}

// linkTable finds groups by the source's LinkID. Only the scan uses it.
type linkTable struct {
	groups map[string]*linkGroup
	ring   []string // ids in the order of their arrival, the oldest at next
	next   int
}

// meet returns the group of a link id and whether this is its first link.
func (t *linkTable) meet(linkID string) (g *linkGroup, first bool) {
	if g, ok := t.groups[linkID]; ok {
		return g, false
	}
	if t.groups == nil {
		t.groups = map[string]*linkGroup{}
	}
	if len(t.ring) < maxGroups {
		t.ring = append(t.ring, linkID)
	} else {
		delete(t.groups, t.ring[t.next])
		t.ring[t.next] = linkID
		t.next = (t.next + 1) % maxGroups
	}
	g = &linkGroup{}
	t.groups[linkID] = g
	return g, true
}

// fill keeps the content of the first link.
func (g *linkGroup) fill(e *tree.Entry, whole bool) {
	g.ready, g.skipped = true, !whole
	if whole {
		g.entry = *e.Clone()
	}
}

// fits reports whether the group's content is that of a further link with this metadata.
func (g *linkGroup) fits(e *tree.Entry) bool {
	return g.ready && !g.skipped && e.Size == g.entry.Size && e.ModTime == g.entry.ModTime &&
		e.ChangeTime == g.entry.ChangeTime && e.Inode == g.entry.Inode && e.FS == g.entry.FS
}
