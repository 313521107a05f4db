package restore

import (
	"bytes"
	"fmt"

	"github.com/nacre-backup/nacre/internal/tree"
)

// damage is a range of the tree that is lost: neighbouring pages together.
type damage struct {
	from, to []byte // paths; to is nil at the end of the snapshot
	next     *tree.Key
	pages    int
	err      error
}

// add extends the range by a page, or reports it and begins another. It returns true.
func (d *damage) add(l *tree.LostError, r *run) bool {
	if d.next == nil || d.next.Compare(l.From) != 0 {
		d.report(r)
		d.from, d.err = tree.JoinPath(nil, l.From.Dir, l.From.Name), l.Err
	}
	d.pages++
	d.next, d.to = nil, nil
	if l.To != nil {
		d.to = tree.JoinPath(nil, l.To.Dir, l.To.Name)
		d.next = &tree.Key{Dir: bytes.Clone(l.To.Dir), Name: bytes.Clone(l.To.Name)}
	}
	return true
}

// report reports the range, if there is one.
func (d *damage) report(r *run) {
	if d.err == nil {
		return
	}
	to := "the end of the snapshot"
	if d.to != nil {
		to = fmt.Sprintf("%q", d.to)
	}
	r.fail(d.from, fmt.Errorf("everything from %q up to %s is lost with %s: %w", d.from, to,
		plural(int64(d.pages), "page of the tree", "pages of the tree"), d.err))
	*d = damage{}
}
