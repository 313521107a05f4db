package tree

import (
	"bytes"
	"slices"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// child is a reference while a tree is being built: the directory of the first key as a path, the common directory
// as a number of its components, and the hash of the last key, by which pages of the levels above are cut.
type child struct {
	id       id.ID
	first    path
	common   int
	name     []byte
	totals   Totals
	lastHash uint64
}

func (c *child) clone() child {
	n := *c
	n.first = c.first.clone()
	n.name = slices.Clone(c.name)
	return n
}

// ref returns the reference that the builder hands out, which aliases c.
func (c *child) ref(level int) Ref {
	return Ref{
		ID: c.id, Level: uint8(level), Dir: c.first.prefix(c.common), First: Key{Dir: c.first.buf, Name: c.name}, Totals: c.totals,
	}
}

// encChild is what the directories column says of a child.
type encChild struct {
	common   int
	kept     int
	new      int
	from, to int
}

// interiorEnc gathers one interior page.
type interiorEnc struct {
	n        int
	size     int // canonical
	totals   Totals
	lastHash uint64

	first     path
	firstName []byte
	cur       path // first directory of the last child, also of the page before
	lcp       int
	dirs      []encChild
	comps     []byte

	nameLens, nameBytes []byte
	newest              times
	ids                 []byte
	entries             []byte
	bytes, linked       dense
}

func (p *interiorEnc) reset() {
	p.n, p.size, p.totals = 0, 0, Totals{}
	p.dirs, p.comps = p.dirs[:0], p.comps[:0]
	p.nameLens, p.nameBytes, p.ids, p.entries = p.nameLens[:0], p.nameBytes[:0], p.ids[:0], p.entries[:0]
	p.newest.reset()
	p.bytes.reset()
	p.linked.reset()
}

func (p *interiorEnc) clone() interiorEnc {
	c := *p
	c.first, c.cur = p.first.clone(), p.cur.clone()
	for _, b := range []*[]byte{&c.firstName, &c.comps, &c.nameLens, &c.nameBytes, &c.ids, &c.entries} {
		*b = slices.Clone(*b)
	}
	c.dirs, c.newest = slices.Clone(c.dirs), c.newest.clone()
	c.bytes, c.linked = c.bytes.clone(), c.linked.clone()
	return c
}

func (p *interiorEnc) add(c *child) {
	kept := p.cur.common(&c.first)
	p.size += 96 + len(c.name)
	for i := kept; i < c.first.depth(); i++ {
		p.size += 1 + len(c.first.component(i))
	}
	p.cur.copyFrom(&c.first)
	d := encChild{common: c.common}
	if p.n == 0 {
		p.first.copyFrom(&c.first)
		p.firstName = append(p.firstName[:0], c.name...)
		p.lcp = c.common
	} else {
		p.lcp = min(p.lcp, kept, c.common)
		d.kept, d.new, d.from = kept, c.first.depth()-kept, len(p.comps)
		for i := kept; i < c.first.depth(); i++ {
			p.comps = appendStr(p.comps, c.first.component(i))
		}
		d.to = len(p.comps)
	}
	p.dirs = append(p.dirs, d)
	p.nameLens = appendUv(p.nameLens, uint64(len(c.name)))
	p.nameBytes = append(p.nameBytes, c.name...)
	p.newest.add(c.totals.Newest)
	p.ids = append(p.ids, c.id[:]...)
	p.entries = appendUv(p.entries, c.totals.Entries)
	p.bytes.uv(c.totals.Bytes)
	p.linked.uv(c.totals.Linked)
	p.totals.Add(c.totals)
	p.lastHash = c.lastHash
	p.n++
}

func (p *interiorEnc) appendTo(dst []byte, level int) []byte {
	cols := [...]column{
		{id: colNames, parts: [3][]byte{p.nameLens, p.nameBytes}},
		p.newest.column(),
		{id: colIDs, parts: [3][]byte{p.ids}},
		{id: colRuns, parts: [3][]byte{p.dirColumn()}},
		{id: colEntries, parts: [3][]byte{p.entries}},
		{id: colBytes, parts: [3][]byte{p.bytes.bytes()}},
		{id: colLinked, parts: [3][]byte{p.linked.bytes()}},
	}
	return appendPage(dst, pageInterior, byte(level), p.n, cols[:])
}

// dirColumn makes the directories column, or nothing if all is in the common directory.
func (p *interiorEnc) dirColumn() (b []byte) {
	if p.first.depth() == p.lcp && !slices.ContainsFunc(p.dirs[1:], func(d encChild) bool { return d.new > 0 || d.kept > p.lcp || d.common > p.lcp }) {
		return nil
	}
	for i, d := range p.dirs {
		b = appendUv(b, uint64(d.common-p.lcp))
		if i == 0 {
			b = appendUv(b, 0)
			b = appendUv(b, uint64(p.first.depth()-p.lcp))
			for k := p.lcp; k < p.first.depth(); k++ {
				b = appendStr(b, p.first.component(k))
			}
			continue
		}
		b = appendUv(b, uint64(d.kept-p.lcp))
		b = appendUv(b, uint64(d.new))
		b = append(b, p.comps[d.from:d.to]...)
	}
	return b
}

// child returns the page as a child of the level above, without its id.
func (p *interiorEnc) child() child {
	c := child{first: p.first, common: p.lcp, name: p.firstName, totals: p.totals, lastHash: p.lastHash}
	return c.clone()
}

var interiorColumns = columnSet(colNames, colMtime, colIDs, colRuns, colEntries, colBytes, colLinked)

// interior is a decoded interior page; its slices alias the page.
type interior struct {
	level  int
	n      int
	names  [][]byte
	dirs   []encChild // from and to count components here
	comps  [][]byte
	ids    []byte
	totals []Totals
}

func damagedInterior(what string) error { return errs.New(errs.Corrupt, "interior page: %s", what) }

// interior decodes a page. It does not compare it with a reference.
func (d *decoder) interior(p *interior, page []byte) error {
	c := &d.cols
	if err := c.parse(page, 1<<pageInterior, interiorColumns); err != nil {
		return err
	}
	if c.level == 0 || c.level > maxLevel {
		return errs.New(errs.Corrupt, "interior page of level %d", c.level)
	}
	p.level, p.n, p.ids = int(c.level), c.n, c.col[colIDs]
	if len(p.ids) != p.n*len(id.ID{}) {
		return damagedInterior("ids")
	}
	if !p.readNames(c.get(colNames)) {
		return damagedInterior("first names")
	}
	if !p.readTotals(c) {
		return damagedInterior("totals")
	}
	if !p.readDirs(c.get(colRuns)) {
		return damagedInterior("directories")
	}
	return nil
}

func (p *interior) readNames(s scanner) bool {
	var lens [maxItems]int
	for i := range p.n {
		lens[i] = s.upTo(maxName)
	}
	p.names = p.names[:0]
	for i := range p.n {
		b := s.bytes(lens[i])
		if s.bad || !goodName(b) && !(len(b) == 0 && i == 0) {
			return false
		}
		p.names = append(p.names, b)
	}
	return s.done()
}

//nolint:gocyclo // one loop that refuses whatever is not the only way to write the sums
func (p *interior) readTotals(c *columns) bool {
	p.totals = append(p.totals[:0], make([]Totals, p.n)...)
	e, b, l, m := c.get(colEntries), c.get(colBytes), c.get(colLinked), c.get(colMtime)
	var sum Totals
	sec, times := int64(0), false
	for i := range p.totals {
		t := &p.totals[i]
		t.Entries = e.uv()
		if b.b != nil {
			t.Bytes = b.uv()
		}
		if l.b != nil {
			t.Linked = l.uv()
		}
		if m.b != nil {
			sec += m.zz()
			t.Newest.Sec = sec
		}
		sum.Add(*t)
		times = times || sec != 0
		if t.Entries == 0 || t.Entries > 1<<56 || t.Linked > t.Bytes {
			return false
		}
	}
	for i := range p.totals {
		if m.b != nil {
			p.totals[i].Newest.Nsec = uint32(m.upTo(999_999_999))
			times = times || p.totals[i].Newest.Nsec != 0
		}
	}
	// A column that says nothing must not be there.
	if b.b != nil && sum.Bytes == 0 || l.b != nil && sum.Linked == 0 || m.b != nil && !times {
		return false
	}
	return e.done() && b.done() && l.done() && m.done()
}

// readDirs reads the directories and proves that the first keys ascend.
//
//nolint:gocyclo // one loop that refuses whatever is not the only way to write the directories
func (p *interior) readDirs(s scanner) bool {
	p.dirs, p.comps = p.dirs[:0], p.comps[:0]
	if s.b == nil {
		for i := range p.n {
			p.dirs = append(p.dirs, encChild{})
			if i > 0 && bytes.Compare(p.names[i-1], p.names[i]) >= 0 {
				return false
			}
		}
		return true
	}
	var cur path
	lcp, some := maxDepth, false
	for i := range p.n {
		d := encChild{common: s.upTo(maxDepth), kept: s.upTo(uint64(cur.depth())), new: s.upTo(maxDepth), from: len(p.comps)}
		if s.bad || d.kept+d.new > maxDepth || d.common > d.kept+d.new {
			return false
		}
		old := cur.depth()
		var ok bool
		if p.comps, ok = readDir(&s, &cur, p.comps, d.kept, d.new); !ok {
			return false
		}
		if i > 0 && d.new == 0 && (d.kept != old || bytes.Compare(p.names[i-1], p.names[i]) >= 0) {
			return false
		}
		d.to = len(p.comps)
		p.dirs = append(p.dirs, d)
		some = some || d.common > 0 || d.kept > 0 || d.new > 0
		lcp = min(lcp, d.common)
		if i > 0 {
			lcp = min(lcp, d.kept)
		}
	}
	return s.done() && lcp == 0 && some
}

// enter changes p from the first directory of the child before i to that of child i; base is the depth of the page's
// common directory.
func (in *interior) enter(p *path, base, i int) {
	d := &in.dirs[i]
	p.truncate(base + d.kept)
	for _, c := range in.comps[d.from:d.to] {
		p.push(c)
	}
}

// first makes p the first directory of child 0.
func (in *interior) start(p *path, dir []byte) (base int) {
	p.set(dir)
	base = p.depth()
	in.enter(p, base, 0)
	return base
}
