package tree

import (
	"github.com/nacre-backup/nacre/internal/errs"
)

// Limits of the format (docs/FORMAT.md section 15, docs/format/tree.md).
const (
	maxPage       = 4 << 20
	maxItems      = 512
	maxColumns    = 64
	maxName       = 65535
	maxPath       = 1 << 20
	maxDepth      = 4096
	maxIDs        = 4
	maxInline     = 128
	maxValue      = 256
	maxTarget     = 256
	maxXattrs     = 4096
	maxXattrName  = 1024
	maxXattrBytes = 1 << 20
	maxBlob       = 16<<20 - 1
	maxString     = 255
	maxToken      = 64
	maxLevel      = 31
	maxListLevel  = 15
)

// The kinds of pages, as they stand in the page itself.
const (
	pageLeaf = 1 + iota
	pageInterior
	pageExtents
	pageExtentsInterior
)

// Column ids.
const (
	colNames   = 1
	colChange  = 2
	colAttrs   = 3
	colInode   = 4
	colAttr    = 5
	colFS      = 6
	colMtime   = 7
	colBirth   = 8
	colSize    = 9
	colContent = 11
	colIDs     = 13
	colInline  = 15
	colToken   = 16
	colTarget  = 17
	colDevice  = 19
	colLinks   = 21
	colXattrs  = 23
	colFlags   = 29
	colMarks   = 31
	colRuns    = 33
	colEntries = 35
	colBytes   = 37
	colLinked  = 39
)

// column is one column of a page that is being assembled.
type column struct {
	id    uint64
	parts [3][]byte
}

func (c *column) len() int { return len(c.parts[0]) + len(c.parts[1]) + len(c.parts[2]) }

// appendPage appends a page made of columns in ascending order of id; empty ones are left out.
func appendPage(dst []byte, kind, level byte, n int, cols []column) []byte {
	used := 0
	for i := range cols {
		if cols[i].len() > 0 {
			used++
		}
	}
	dst = append(dst, 'T', '1', kind, level)
	dst = appendUv(dst, uint64(n))
	dst = appendUv(dst, uint64(used))
	for i := range cols {
		if l := cols[i].len(); l > 0 {
			dst = appendUv(dst, cols[i].id)
			dst = appendUv(dst, uint64(l))
		}
	}
	for i := range cols {
		for _, p := range cols[i].parts {
			dst = append(dst, p...)
		}
	}
	return dst
}

// columns are the columns of a decoded page, by id; absent ones are nil. They are to be read only: behind the end of
// a column, within its capacity, stand those after it.
type columns struct {
	kind  byte
	level byte
	n     int
	col   [maxColumns][]byte
	ids   [maxColumns]uint64 // of the page's nCols columns
	lens  [maxColumns]uint64
	nCols int
}

// get returns a scanner over a column.
func (c *columns) get(id int) scanner { return scanner{b: c.col[id]} }

// parse takes a page apart. kinds and known are bit sets of the kinds that may stand here and of the column ids that
// the caller can read.
func (c *columns) parse(page []byte, kinds, known uint64) error {
	if len(page) > maxPage {
		return errs.New(errs.Corrupt, "page of %d bytes", len(page))
	}
	if len(page) < 6 || page[0] != 'T' || page[1] != '1' {
		return errs.New(errs.Corrupt, "not a page")
	}
	c.kind, c.level = page[2], page[3]
	if c.kind >= 64 || kinds&(1<<c.kind) == 0 {
		return errs.New(errs.Corrupt, "page of kind %d where another belongs", c.kind)
	}
	for _, id := range c.ids[:c.nCols] { // of the page before
		if id < maxColumns {
			c.col[id] = nil
		}
	}
	c.nCols = 0
	s := scanner{b: page, i: 4}
	c.n = s.upTo(maxItems)
	nCols := s.upTo(maxColumns)
	if s.bad || c.n == 0 {
		return errs.New(errs.Corrupt, "page header")
	}
	if err := c.parseColumns(&s, nCols, known); err != nil {
		return err
	}
	if !s.done() {
		return errs.New(errs.Corrupt, "page: %d bytes after the last column", len(page)-s.i)
	}
	return nil
}

// parseColumns reads the ids and lengths of the columns, and takes the columns.
func (c *columns) parseColumns(s *scanner, nCols int, known uint64) error {
	last := uint64(0)
	for i := range nCols {
		id, n := s.uv(), s.uv()
		if s.bad || id <= last || n == 0 || n > uint64(len(s.b)) {
			return errs.New(errs.Corrupt, "page header: column %d", i)
		}
		c.ids[i], c.lens[i], last = id, n, id
	}
	c.nCols = nCols
	for i := range nCols {
		if err := c.take(s, c.ids[i], int(c.lens[i]), known); err != nil {
			return err
		}
	}
	return nil
}

// take reads one column of n bytes. One that is not known is passed over if its id is even.
func (c *columns) take(s *scanner, id uint64, n int, known uint64) error {
	if n > len(s.b)-s.i {
		s.fail()
		return errs.New(errs.Corrupt, "page: column %d is cut short", id)
	}
	b := s.b[s.i : s.i+n]
	s.i += n
	switch {
	case id < maxColumns && known&(1<<id) != 0:
		c.col[id] = b
	case id%2 == 1:
		return errs.New(errs.Unsupported, "page has column %d, which a newer version of nacre made", id)
	}
	return nil
}

// columnSet makes a bit set for parse.
func columnSet(ids ...int) (set uint64) {
	for _, i := range ids {
		set |= 1 << i
	}
	return set
}
