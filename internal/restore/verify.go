package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/tree"
	"github.com/nacre-backup/nacre/internal/view"
)

// verify reads a finished file back and compares each stretch with its id, and holes with zeros. It holds one blob.
func (k *worker) verify(ctx context.Context, it *item) (err error) {
	if it.e.Type != tree.File {
		return nil
	}
	f, err := k.read.Open(ctx, it.dir, it.e.Name)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if uint64(size) != it.e.Size {
		return errs.New(errs.Corrupt, "verify: the file in the target has %d bytes, not %d", size, it.e.Size)
	}
	differs := func(off uint64) error {
		return errs.WithHint(errs.New(errs.Corrupt, "verify: the file in the target differs at offset %d", off),
			"the target's disk or memory may be failing: restore to another disk")
	}
	var buf []byte
	return k.v.Extents(ctx, it.e, func(x view.Extent) error {
		for off, end := x.Offset, x.Offset+x.Length; off < end; {
			n := end - off
			if x.ID.IsZero() && x.Inline == nil {
				n = min(n, 1<<20)
			}
			if uint64(cap(buf)) < n {
				buf = make([]byte, n)
			}
			part := buf[:n]
			if m, err := f.ReadAt(part, int64(off)); m < len(part) {
				return fmt.Errorf("verify: read back at offset %d: %w", off, err)
			}
			same := false
			switch {
			case x.Inline != nil:
				same = bytes.Equal(part, x.Inline)
			case x.ID.IsZero():
				same = allZero(part)
			default:
				same = k.domain.ID(crypt.KindData, part) == x.ID
			}
			if !same {
				return differs(off)
			}
			off += n
		}
		return ctx.Err()
	})
}

func allZero(p []byte) bool {
	for len(p) >= block {
		if !bytes.Equal(p[:block], zeros[:]) {
			return false
		}
		p = p[block:]
	}
	return bytes.Equal(p, zeros[:len(p)])
}
