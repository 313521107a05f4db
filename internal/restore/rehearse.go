package restore

import (
	"context"
	"errors"
	"fmt"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
	"github.com/nacre-backup/nacre/internal/view"
)

// rehearse reports what would become of an item. It reads no content, but looks whether the index knows all of it.
func (p *planner) rehearse(ctx context.Context, it *item) error {
	err := it.stopped()
	if err == nil && p.peek != nil {
		err = p.peek.Peek(ctx, it.dir, it.e)
	}
	if err == nil {
		err = unreadable(it.e)
	}
	if err == nil && it.e.Type == tree.File {
		err = p.v.Extents(ctx, it.e, func(x view.Extent) error {
			if !x.ID.IsZero() && len(p.v.Blobs().Locate(x.ID)) == 0 {
				return errs.New(errs.NotFound, "read content at offset %d: no pack is known to hold blob %s", x.Offset, x.ID)
			}
			return nil
		})
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, sink.ErrSkipped):
		p.skipped(it.from, it.e)
	case err != nil:
		p.fail(tree.JoinPath(nil, it.from, it.e.Name), fmt.Errorf("would fail: %w", err))
	default:
		_, link := p.links.join(it)
		p.restored(it.from, it.e, link)
	}
	return nil
}
