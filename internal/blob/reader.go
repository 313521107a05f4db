package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/pack"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store"
)

const (
	segmentCache   = 32 << 20 // bytes of decoded segments that are kept
	directoryCache = 32 << 20 // bytes of packs' directories that are kept
)

// Reader reads blobs. It is safe for concurrent use. It keeps decoded segments of 32 MiB in all and the directories of
// packs, 32 MiB in all; beside them each call holds the one segment that it reads.
type Reader struct {
	repo     *repo.Repo
	index    *index.Index
	segments *lru[segmentKey, []byte]
	packs    *lru[record.Pack, *pack.Reader]

	mu         sync.Mutex
	generation uint64 // grows with each Refresh
	vain       uint   // how many refreshes in a row helped nobody
	skip       uint64 // how many misses to let pass before the next refresh
}

// segmentKey names a segment.
type segmentKey struct {
	pack record.Pack
	n    uint32
}

// NewReader returns a reader.
func NewReader(r *repo.Repo, x *index.Index) *Reader {
	return &Reader{
		repo: r, index: x,
		segments: newLRU[segmentKey](segmentCache, func(b []byte) int64 { return int64(cap(b)) }),
		packs: newLRU[record.Pack](directoryCache, func(p *pack.Reader) int64 {
			return 1024 + 28*int64(len(p.Directory().Blobs)) + 24*int64(len(p.Directory().Segments))
		}),
	}
}

// Get appends the content of a blob to dst[:0], verified against its id. errs.NotFound says that no copy is left, or
// none was ever stored; errs.Corrupt that the copies that are left are damaged.
func (r *Reader) Get(ctx context.Context, kind crypt.Kind, blob id.ID, dst []byte) ([]byte, error) {
	b, err := r.view(ctx, kind, blob)
	if err != nil {
		return nil, err
	}
	return append(dst[:0], b...), nil
}

// Locate returns the copies of a blob, the best first, for plans.
func (r *Reader) Locate(blob id.ID) []index.Location { return r.index.Copies(nil, blob.Short()) }

// view returns a blob as a part of its decoded segment. Nobody changes it, and it stays valid.
func (r *Reader) view(ctx context.Context, kind crypt.Kind, blob id.ID) ([]byte, error) {
	generation := r.present()
	b, err := r.search(ctx, kind, blob)
	if err == nil || !missed(ctx, err) {
		return b, err
	}
	tried, rerr := r.renew(ctx, generation)
	if rerr != nil {
		return nil, errors.Join(err, rerr)
	}
	if !tried {
		return nil, err
	}
	b, err = r.search(ctx, kind, blob)
	r.helped(err == nil)
	return b, err
}

// missed reports whether err says that a blob or pack is gone or damaged, and not that the store does not answer.
func missed(ctx context.Context, err error) bool {
	return ctx.Err() == nil && (errors.Is(err, errs.NotFound) || errors.Is(err, errs.Corrupt))
}

// search tries the copies of a blob, the best first.
func (r *Reader) search(ctx context.Context, kind crypt.Kind, blob id.ID) ([]byte, error) {
	var buf [4]index.Location
	copies := r.index.Copies(buf[:0], blob.Short())
	var failed []error
	for _, loc := range copies {
		b, err := r.fromCopy(ctx, loc, kind, blob)
		if err == nil {
			return b, nil
		}
		err = fmt.Errorf("read blob %s: %w", blob, err)
		if !missed(ctx, err) {
			return nil, err
		}
		failed = append(failed, err)
	}
	if len(failed) == 0 {
		return nil, errs.New(errs.NotFound, "blob %s: no pack is known to hold it", blob)
	}
	return nil, errors.Join(failed...)
}

// fromCopy reads one copy and compares it with its id.
func (r *Reader) fromCopy(ctx context.Context, loc index.Location, kind crypt.Kind, blob id.ID) ([]byte, error) {
	p, err := r.Pack(ctx, loc.Pack)
	if err != nil {
		return nil, err
	}
	raw, err := r.segments.get(ctx, segmentKey{loc.Pack, loc.Segment}, func() ([]byte, error) {
		return r.fetchSegment(ctx, p, loc.Pack, loc.Segment)
	})
	if err != nil {
		return nil, err
	}
	s := Segment{Pack: loc.Pack, N: loc.Segment, Raw: raw, reader: r, dir: p.Directory(), domain: p.Header().Domain}
	return s.Blob(loc.Slot, kind, blob)
}

// fetchSegment reads and decodes one segment.
func (r *Reader) fetchSegment(ctx context.Context, p *pack.Reader, ref record.Pack, n uint32) ([]byte, error) {
	if uint64(n) >= uint64(len(p.Directory().Segments)) {
		return nil, errs.New(errs.Corrupt, "pack %s has no segment %d", ref.Path(), n)
	}
	s := p.Directory().Segments[n]
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	from, to := aligned(s.Offset, s.Offset+int64(s.Len), ref.Size)
	all, err := r.fetch(ctx, ref, (*buf)[:0], from, to)
	if missed(ctx, err) {
		// In a pack that is cut short the segment may be whole and the range around it not.
		from = s.Offset
		all, err = r.fetch(ctx, ref, (*buf)[:0], from, from+int64(s.Len))
	}
	if err != nil {
		return nil, err
	}
	*buf = all
	return r.decode(p, ref, n, all[s.Offset-from:][:s.Len], nil)
}

// decode opens and decodes a segment and appends its bytes to dst[:0].
func (r *Reader) decode(p *pack.Reader, ref record.Pack, n uint32, sealed, dst []byte) ([]byte, error) {
	c, err := codec.Get(codec.None) // encodes nothing
	if err != nil {
		return nil, err
	}
	defer codec.Put(c)
	raw, err := p.Decode(dst, n, sealed, c)
	if err != nil {
		return nil, fmt.Errorf("pack %s: segment %d: %w", ref.Path(), n, err)
	}
	return raw, nil
}

// buffers hold sealed bytes: one segment's as a rule, 8 MiB and a segment's at most.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// fetch appends the bytes of a pack from one offset up to another to dst.
func (r *Reader) fetch(ctx context.Context, ref record.Pack, dst []byte, from, to int64) ([]byte, error) {
	if from < 0 || to > ref.Size || from >= to {
		return nil, errs.New(errs.Corrupt, "pack %s of %d bytes: no bytes %d to %d", ref.Path(), ref.Size, from, to)
	}
	start := len(dst)
	if n := int(to - from); cap(dst)-start < n {
		dst = append(make([]byte, 0, start+n), dst...)
	}
	dst = dst[:start+int(to-from)]
	err := r.repo.Store().Get(ctx, ref.Path(), store.Range{Offset: from, Length: to - from}, func(rd io.Reader) error {
		_, err := io.ReadFull(rd, dst[start:])
		return err
	})
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = errs.As(errs.Corrupt, err) // its size was known
	}
	if err != nil {
		return nil, fmt.Errorf("read pack %s at %d: %w", ref.Path(), from, err)
	}
	return dst, nil
}

// Pack opens a pack: its header and directory. Where they are damaged, an index object's copy of them serves.
func (r *Reader) Pack(ctx context.Context, ref record.Pack) (*pack.Reader, error) {
	return r.packs.get(ctx, ref, func() (*pack.Reader, error) {
		p, err := index.ReadPack(ctx, r.repo, ref)
		if err == nil || !errors.Is(err, errs.Corrupt) || ctx.Err() != nil {
			return p, err
		}
		if second, serr := r.index.Directory(ctx, ref); serr == nil {
			return second, nil
		}
		return nil, err
	})
}

// present is the generation of what the reader knows.
func (r *Reader) present() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.generation
}

// renew refreshes after a miss that happened in the given generation, unless another did since. Where refreshing did not
// help, fewer and fewer misses lead to one: a repository with a million lost blobs is not listed a million times. It
// reports whether to try again.
func (r *Reader) renew(ctx context.Context, generation uint64) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.generation != generation {
		return true, nil
	}
	if r.skip > 0 && !r.index.Damaged() {
		r.skip--
		return false, nil
	}
	return true, r.refreshLocked(ctx)
}

// helped notes whether a refresh was worth it.
func (r *Reader) helped(yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if yes {
		r.vain, r.skip = 0, 0
		return
	}
	r.vain = min(r.vain+1, 40)
	r.skip = 1 << r.vain
}

// Refresh takes the newest state of the repository and what its index objects say.
func (r *Reader) Refresh(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refreshLocked(ctx)
}

func (r *Reader) refreshLocked(ctx context.Context) error {
	st, err := session.List(ctx, r.repo)
	if err != nil {
		return err
	}
	if err := r.index.Refresh(ctx, st); err != nil {
		return err
	}
	r.generation++
	return nil
}
