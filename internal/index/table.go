package index

import (
	"bytes"
	"iter"
	"slices"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// tableRows is how many rows a table gathers before it becomes a run: 16 MiB of them.
const tableRows = 1 << 19

// table gathers packs and their rows until they are sorted and written as a run. One goroutine uses it at a time.
type table struct {
	sources []id.Name
	packs   []packEntry
	rows    []row
}

// source returns the number of a source, which is most often the last one added.
func (t *table) source(name id.Name) uint32 {
	for i := len(t.sources) - 1; i >= 0; i-- {
		if t.sources[i] == name {
			return uint32(i)
		}
	}
	t.sources = append(t.sources, name)
	return uint32(len(t.sources) - 1)
}

// add adds a pack that source told of, or its own directory if source is zero.
func (t *table) add(source id.Name, p Pack) {
	n := uint32(len(t.packs))
	t.packs = append(t.packs, p.entry(t.source(source)))
	for s, seg := range p.Dir.Segments {
		for i, b := range p.Dir.Blobs[seg.First:][:seg.Blobs] {
			t.rows = append(t.rows, makeRow(b.ID, place{pack: n, segment: uint32(s), slot: uint16(i), rawLen: b.Len}))
		}
	}
}

func (t *table) full() bool  { return len(t.rows) >= tableRows }
func (t *table) empty() bool { return len(t.packs) == 0 && len(t.sources) == 0 }

// reset empties the table and keeps its memory.
func (t *table) reset() { t.sources, t.packs, t.rows = t.sources[:0], t.packs[:0], t.rows[:0] }

// write sorts the rows and writes the table as a run.
func (t *table) write(f runFile, repo id.Repository) error {
	slices.SortFunc(t.rows, compareRows)
	w, err := newRunWriter(f, repo, tables{t.sources, slices.Values(t.packs)}, uint64(len(t.rows)))
	if err != nil {
		return err
	}
	for _, r := range t.rows {
		if err := w.add(r); err != nil {
			return err
		}
	}
	return w.finish()
}

// merge writes one run that holds what the views hold, but for packs that are ignored. It walks the runs side by side;
// memory is the filter and the fences of the new run and 4 bytes a pack.
func merge(f runFile, repo id.Repository, views []view) error {
	return guard(func() error { return mergeViews(f, repo, views) })
}

func mergeViews(f runFile, repo id.Repository, views []view) error {
	m := merger{views: views, numbers: make([][]uint32, len(views))}
	var sources []id.Name
	known := map[id.Name]uint32{}
	var upper uint64
	var kept uint32
	for i, v := range views {
		upper += v.rows
		m.numbers[i] = make([]uint32, v.packs)
		for j := range m.numbers[i] {
			if v.states[j]&stateIgnored != 0 {
				m.numbers[i][j] = dropped
				continue
			}
			m.numbers[i][j] = kept
			kept++
		}
		for j := range uint32(v.sources) {
			// Sources of which no pack is left stay: the object needs no second reading.
			s := v.source(j)
			if _, ok := known[s]; !ok {
				known[s] = uint32(len(sources))
				sources = append(sources, s)
			}
		}
	}
	w, err := newRunWriter(f, repo, tables{sources, m.packs(known)}, upper)
	if err != nil {
		return err
	}
	if err := m.rows(w.add); err != nil {
		return err
	}
	if err := w.finish(); err != nil {
		return err
	}
	for _, v := range views {
		if v.bad.Load() {
			return errs.New(errs.Corrupt, "index cache: %s was damaged while it was merged", v.path)
		}
	}
	return nil
}

// dropped stands in the place of a pack's new number.
const dropped = ^uint32(0)

// merger walks several runs as one.
type merger struct {
	views   []view
	numbers [][]uint32 // new number of each pack of each run
}

// packs yields the packs that are kept, in the order of their new numbers.
func (m *merger) packs(sources map[id.Name]uint32) iter.Seq[packEntry] {
	return func(yield func(packEntry) bool) {
		for i, r := range m.views {
			for j, n := range m.numbers[i] {
				if n == dropped {
					continue
				}
				p := r.pack(uint32(j))
				p.source = sources[r.source(p.source)]
				if !yield(p) {
					return
				}
			}
		}
	}
}

// rows calls fn for the rows that are kept, in order.
func (m *merger) rows(fn func(row) error) error {
	heads := make([]cursor, 0, len(m.views))
	for i, v := range m.views {
		c := cursor{run: v.run, numbers: m.numbers[i]}
		ok, err := c.next()
		if err != nil {
			return err
		}
		if ok {
			heads = append(heads, c)
		}
	}
	for len(heads) > 0 {
		low := 0 // a dozen runs at most: a scan is as good as a heap
		for i := 1; i < len(heads); i++ {
			if compareRows(heads[i].rec, heads[low].rec) < 0 {
				low = i
			}
		}
		if err := fn(heads[low].rec); err != nil {
			return err
		}
		ok, err := heads[low].next()
		if err != nil {
			return err
		}
		if !ok {
			heads = slices.Delete(heads, low, low+1)
		}
	}
	return nil
}

// cursor walks the rows of a run in the order of their new form. Renumbering packs can turn the order of rows of
// one id around, so those are gathered and sorted.
type cursor struct {
	run     *run
	numbers []uint32
	rec     row    // the present one
	pos     uint64 // number of the next row of the run
	block   []byte // the block that pos stands in
	same    []row
	last    id.Short // the id before
}

func (c *cursor) next() (bool, error) {
	for len(c.same) == 0 {
		r, ok, err := c.peek()
		if err != nil || !ok {
			return false, err
		}
		first := r.id()
		if c.pos > 0 && bytes.Compare(first[:], c.last[:]) <= 0 {
			c.run.bad.Store(true)
			return false, errs.New(errs.Corrupt, "index cache: rows are out of order")
		}
		for c.last = first; ok && r.id() == first; {
			c.pos++
			if p := r.place(); c.numbers[p.pack] != dropped {
				p.pack = c.numbers[p.pack]
				c.same = append(c.same, makeRow(first, p))
			}
			if r, ok, err = c.peek(); err != nil {
				return false, err
			}
		}
		slices.SortFunc(c.same, compareRows)
	}
	c.rec = c.same[0]
	c.same = c.same[1:]
	return true, nil
}

// peek returns the row at pos.
func (c *cursor) peek() (r row, ok bool, err error) {
	if c.pos == c.run.rows {
		return r, false, nil
	}
	in := c.pos % rowsPerBlock
	if c.block == nil || in == 0 {
		if c.block, err = c.run.block(c.pos / rowsPerBlock); err != nil {
			return r, false, err
		}
	}
	r = row(c.block[in*rowSize:][:rowSize])
	if uint64(r.place().pack) >= c.run.packs {
		return r, false, damagedRow(c.run)
	}
	return r, true, nil
}
