package blob

import (
	"context"
	"errors"
	"fmt"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/pack"
	"github.com/nacre-backup/nacre/internal/record"
)

const (
	alignment = 64 << 10  // ranges begin and end at multiples of it, so that they do not show where segments do
	maxGap    = 256 << 10 // between two segments that are read as one range
	maxRange  = 8 << 20   // of one read
)

// Segment is a segment that was fetched and decoded.
type Segment struct {
	Pack record.Pack
	N    uint32
	Err  error // it is damaged or could not be read; Raw is nil then
	Raw  []byte

	reader *Reader
	dir    *pack.Directory
	domain id.Domain
	asked  int
	ends   []int // of the blobs in Raw
}

// Blobs lists the segment's blobs as the pack's directory has them.
func (s *Segment) Blobs() []pack.Blob { return s.dir.In(s.N) }

// Blob returns the blob in a slot after comparing it with its id. It is valid as long as the segment. One goroutine
// calls it at a time.
func (s *Segment) Blob(slot uint16, kind crypt.Kind, blob id.ID) ([]byte, error) {
	if s.Err != nil {
		return nil, s.Err
	}
	from, to, ok := s.where(slot)
	if !ok || to > len(s.Raw) {
		return nil, errs.New(errs.Corrupt, "pack %s: segment %d has no blob %d", s.Pack.Path(), s.N, slot)
	}
	d, err := s.reader.repo.DomainOf(s.domain)
	if err != nil {
		return nil, fmt.Errorf("pack %s: %w", s.Pack.Path(), err)
	}
	b := s.Raw[from:to:to]
	if d.ID(kind, b) != blob {
		return nil, errs.New(errs.Corrupt, "pack %s: segment %d: blob %d is not what its id says", s.Pack.Path(), s.N, slot)
	}
	return b, nil
}

// where says where a blob stands in Raw. From the second question on it goes by a table: restoring a segment of
// thousands of blobs asks for each.
func (s *Segment) where(slot uint16) (from, to int, ok bool) {
	if s.asked++; s.asked == 1 {
		return s.dir.Range(s.N, uint32(slot))
	}
	if s.ends == nil {
		blobs := s.Blobs()
		s.ends = make([]int, len(blobs))
		sum := 0
		for i := range blobs {
			sum += int(blobs[i].Len)
			s.ends[i] = sum
		}
	}
	if int(slot) >= len(s.ends) {
		return 0, 0, false
	}
	if slot > 0 {
		from = s.ends[slot-1]
	}
	return from, s.ends[slot], true
}

// Verify compares every blob of the segment with the id that the pack's directory gives it.
func (s *Segment) Verify() error {
	if s.Err != nil {
		return s.Err
	}
	d, err := s.reader.repo.DomainOf(s.domain)
	if err != nil {
		return fmt.Errorf("pack %s: %w", s.Pack.Path(), err)
	}
	from := 0
	for _, b := range s.Blobs() {
		to := from + int(b.Len)
		if to > len(s.Raw) || d.ID(b.Kind, s.Raw[from:to]).Short() != b.ID {
			return errs.New(errs.Corrupt, "pack %s: segment %d: blob %s is not what its id says", s.Pack.Path(), s.N, b.ID)
		}
		from = to
	}
	return nil
}

// stretch is a range of a pack and the segments in it.
type stretch struct {
	from, to int64
	segs     []uint32
}

// Segments fetches segments of a pack, given in ascending order, and calls fn for each, in order and on the caller's
// goroutine; the segment is valid during the call. Ranges are rounded to 64 KiB and read as one where the gap between
// them is below 256 KiB; a range of more than 8 MiB is read in pieces. A damaged segment comes with its Err set; the
// pack's own failure (it is gone, its directory is damaged) and fn's error are returned. Memory is 8 MiB and two segments.
func (r *Reader) Segments(ctx context.Context, ref record.Pack, segs []uint32, fn func(*Segment) error) error {
	p, err := r.Pack(ctx, ref)
	if err != nil {
		return err
	}
	stretches, err := plan(p.Directory(), ref, segs)
	if err != nil {
		return err
	}
	buf, raw := buffers.Get().(*[]byte), buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	defer buffers.Put(raw)
	for _, st := range stretches {
		all, err := r.fetch(ctx, ref, (*buf)[:0], st.from, st.to)
		if err != nil && (ctx.Err() != nil || !errors.Is(err, errs.Corrupt) || len(st.segs) == 0) {
			return err
		}
		if err == nil {
			*buf = all
		}
		for _, n := range st.segs {
			s := Segment{Pack: ref, N: n, reader: r, dir: p.Directory(), domain: p.Header().Domain}
			at := p.Directory().Segments[n]
			if err == nil {
				s.Raw, s.Err = r.decode(p, ref, n, all[at.Offset-st.from:][:at.Len], (*raw)[:0])
				if s.Err == nil {
					*raw = s.Raw
				}
			} else if s.Raw, s.Err = r.fetchSegment(ctx, p, ref, n); s.Err != nil && !missed(ctx, s.Err) {
				return s.Err // the range cannot be read as a whole, nor can the store answer for this part of it
			}
			if err := fn(&s); err != nil {
				return err
			}
		}
	}
	return nil
}

// plan joins segments to ranges.
func plan(d *pack.Directory, ref record.Pack, segs []uint32) ([]stretch, error) {
	var out []stretch
	for i, n := range segs {
		if uint64(n) >= uint64(len(d.Segments)) {
			return nil, errs.New(errs.Corrupt, "pack %s has no segment %d", ref.Path(), n)
		}
		if i > 0 && n <= segs[i-1] {
			return nil, errs.New(errs.Usage, "pack %s: segment %d is asked for after %d", ref.Path(), n, segs[i-1])
		}
		s := d.Segments[n]
		from, to := aligned(s.Offset, s.Offset+int64(s.Len), ref.Size)
		if k := len(out) - 1; k >= 0 && from-out[k].to < maxGap && to-out[k].from <= maxRange {
			out[k].to = max(out[k].to, to)
			out[k].segs = append(out[k].segs, n)
			continue
		}
		out = append(out, stretch{from, to, []uint32{n}})
	}
	return out, nil
}

// aligned widens a range to multiples of the alignment, within the object.
func aligned(from, to, size int64) (int64, int64) {
	return from &^ (alignment - 1), min((to+alignment-1)&^(alignment-1), size)
}
