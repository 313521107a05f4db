package blob

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/segment"
)

// Worker stores blobs for one goroutine at a time. It owns its coder and its segments' buffers: 3 MiB for each class and
// as much for blobs that fill a segment alone, as a rule.
type Worker struct {
	w     *Writer
	coder segment.Coder
	lent  *codec.Coder // the coder, if it goes back to the pool
	// A blob that fills a segment alone does not interrupt the gathering of the small ones around it, so there are two
	// builders for each class.
	small, large map[crypt.Class]*segment.Builder

	blobs, raw, compressed, known, knownRaw atomic.Int64
}

// Put stores a blob unless it is known. The content may be reused as soon as Put returns. stored says that this call
// took on storing it.
func (k *Worker) Put(ctx context.Context, kind crypt.Kind, blob id.ID, content []byte) (stored bool, err error) {
	if err := k.w.failure(); err != nil {
		return false, err
	}
	if len(content) > segment.MaxBlob || !kind.Valid() {
		return false, errs.New(errs.Usage, "blob %s of kind %d and %d bytes: at most %d are allowed", blob, kind, len(content), segment.MaxBlob)
	}
	if k.w.index.Claim(blob.Short()) {
		k.known.Add(1)
		k.knownRaw.Add(int64(len(content)))
		return false, nil
	}
	k.blobs.Add(1)
	k.raw.Add(int64(len(content)))
	if err := k.append(ctx, kind, blob, content); err != nil {
		// The id is claimed: others count on it. Nothing may be committed any more.
		k.w.fail(err)
		return true, err
	}
	return true, nil
}

func (k *Worker) append(ctx context.Context, kind crypt.Kind, blob id.ID, content []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := k.builder(kind.Class(), len(content))
	if err != nil {
		return err
	}
	if !b.Fits(len(content)) {
		if err := k.seal(ctx, kind.Class(), b); err != nil {
			return err
		}
	}
	if err := b.Add(kind, blob, content); err != nil {
		return fmt.Errorf("blob %s: %w", blob, err)
	}
	if b.Full() {
		return k.seal(ctx, kind.Class(), b)
	}
	return nil
}

// builder returns the builder for a blob of n bytes.
func (k *Worker) builder(c crypt.Class, n int) (*segment.Builder, error) {
	if k.coder == nil {
		if k.w.coder != nil {
			k.coder = k.w.coder()
		} else {
			c, err := codec.Get(codec.Fastest)
			if err != nil {
				return nil, err
			}
			k.coder, k.lent = c, c
		}
		k.small, k.large = map[crypt.Class]*segment.Builder{}, map[crypt.Class]*segment.Builder{}
	}
	target, set := segment.TargetData, k.small
	if c == crypt.ClassMeta {
		target = segment.TargetMeta
	}
	if n >= target {
		set = k.large
	}
	b, ok := set[c]
	if !ok {
		b = segment.NewBuilder(c, k.coder)
		set[c] = b
	}
	return b, nil
}

// Flush seals the worker's open segments into the open packs.
func (k *Worker) Flush(ctx context.Context) error {
	if err := k.w.failure(); err != nil {
		return err
	}
	for _, c := range []crypt.Class{crypt.ClassData, crypt.ClassMeta} {
		if b := k.small[c]; b != nil && !b.Empty() {
			if err := k.seal(ctx, c, b); err != nil {
				k.w.fail(err)
				return err
			}
		}
	}
	return nil
}

// seal compresses what b holds, takes its place in the open pack, seals it there, and empties b.
func (k *Worker) seal(ctx context.Context, c crypt.Class, b *segment.Builder) error {
	t := stopwatch{clock: k.w.repo.Clock()}
	t.lap()
	n := b.Compress()
	worked := t.lap()
	p, ticket, err := k.w.reserve(ctx, c, n, len(b.Blobs()))
	if err != nil {
		return err
	}
	waited := t.lap()
	sealed, err := b.Seal(ticket.Sealer(), ticket.Segno())
	worked += t.lap()
	if err == nil {
		err = ticket.Put(sealed, b.Blobs())
	}
	if err != nil {
		err = fmt.Errorf("store segment %d of %s pack %d: %w", ticket.Segno(), c, p.n, err)
		k.w.fail(err) // before release, so that a pack that lacks the segment is never finished
	}
	p.release()
	if err != nil {
		return err
	}
	k.w.pressure.note(waited+t.lap(), worked)
	k.compressed.Add(int64(n))
	b.Reset()
	return nil
}

// close gives the coder back.
func (k *Worker) close() {
	if k.lent != nil {
		codec.Put(k.lent)
		k.coder, k.lent = nil, nil
	}
}
