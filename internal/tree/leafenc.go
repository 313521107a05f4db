package tree

import (
	"bytes"
	"slices"
)

// sparse gathers a column that names its entries by index deltas.
type sparse struct {
	buf  []byte
	last int
}

func (s *sparse) at(i int) {
	s.buf = appendUv(s.buf, uint64(i-s.last))
	s.last = i
}

func (s *sparse) reset() { s.buf, s.last = s.buf[:0], 0 }

func (s *sparse) clone() sparse { return sparse{buf: slices.Clone(s.buf), last: s.last} }

// dense gathers a column with a value for each entry (of some types) that is left out if all values are zero.
type dense struct {
	buf []byte
	any bool
}

func (d *dense) uv(v uint64) {
	d.buf = appendUv(d.buf, v)
	d.any = d.any || v != 0
}

func (d *dense) reset() { d.buf, d.any = d.buf[:0], false }

func (d *dense) clone() dense { return dense{buf: slices.Clone(d.buf), any: d.any} }

// bytes returns the column, or nothing if it can be left out.
func (d *dense) bytes() []byte {
	if !d.any {
		return nil
	}
	return d.buf
}

// timeCodes gathers a column of optional times.
type timeCodes struct {
	dense
	prev Time
}

const (
	timeUnknown = iota
	timeSame
	timePrevious
	timeFull
	timeDelta
)

const nearSeconds = 1 << 29

func (c *timeCodes) add(t, mtime Time) {
	switch {
	case t.IsZero():
		c.buf = append(c.buf, timeUnknown)
		return
	case t == mtime:
		c.buf = append(c.buf, timeSame)
	case t == c.prev:
		c.buf = append(c.buf, timePrevious)
	default:
		d := t.Sec - c.prev.Sec // wraps, as the format says
		if d >= -nearSeconds && d < nearSeconds {
			c.buf = appendUv(c.buf, timeDelta+zigzag(d*1e9+int64(t.Nsec)-int64(c.prev.Nsec)))
			break
		}
		c.buf = append(c.buf, timeFull)
		c.buf = appendZz(c.buf, d)
		c.buf = appendUv(c.buf, uint64(t.Nsec))
	}
	c.any = true
	c.prev = t
}

// times gathers the modification times of a leaf or of the children of a page.
type times struct {
	sec, nsec []byte
	prev      int64
	any       bool
}

func (c *times) add(t Time) {
	c.sec = appendZz(c.sec, t.Sec-c.prev)
	c.nsec = appendUv(c.nsec, uint64(t.Nsec))
	c.prev = t.Sec
	c.any = c.any || !t.IsZero()
}

func (c *times) reset() { *c = times{sec: c.sec[:0], nsec: c.nsec[:0]} }

func (c *times) clone() times {
	return times{sec: slices.Clone(c.sec), nsec: slices.Clone(c.nsec), prev: c.prev, any: c.any}
}

func (c *times) column() column {
	if !c.any {
		return column{id: colMtime}
	}
	return column{id: colMtime, parts: [3][]byte{c.sec, c.nsec}}
}

// attrs is a row of the attribute table.
type attrs struct {
	typ         Type
	mode        uint32
	uid, gid    uint32
	user, group string
}

// encRun is a run of a leaf, or a child's first directory in an interior page: components kept of the one before, and
// the new ones, which lie in the encoder's comps.
type encRun struct {
	n        int
	kept     int
	new      int
	from, to int // of comps: str-coded
}

// leafEnc gathers one leaf, column by column: nothing of an entry is kept but its bytes in the columns.
type leafEnc struct {
	n      int
	size   int // canonical
	totals Totals

	first     path // directory of the first entry
	firstName []byte
	lcp       int // components that all directories have in common
	runs      []encRun
	comps     []byte

	nameLens, nameBytes []byte
	prevName            []byte
	change, birth       timeCodes
	rows                []attrs
	attrTable           []byte
	attrIndex           dense
	inode               dense
	prevInode           uint64
	fsTable             []string
	fsBytes             []byte
	fs                  sparse
	fsValue             int
	mtime               times
	size64              dense
	kind                dense
	ids, inline         []byte
	token               sparse
	target, device      dense
	links               sparse
	xattrTable          []byte
	xattrEnds           []int
	xattrs              sparse
	flags, marks        sparse
}

// reset makes the encoder ready for the next leaf.
func (l *leafEnc) reset() {
	l.n, l.size, l.totals = 0, 0, Totals{}
	l.runs, l.comps = l.runs[:0], l.comps[:0]
	l.nameLens, l.nameBytes, l.prevName = l.nameLens[:0], l.nameBytes[:0], l.prevName[:0]
	l.change.reset()
	l.birth.reset()
	l.rows, l.attrTable = l.rows[:0], l.attrTable[:0]
	l.attrIndex.reset()
	l.inode.reset()
	l.prevInode = 0
	l.fsTable, l.fsBytes, l.fsValue = l.fsTable[:0], l.fsBytes[:0], 0
	l.fs.reset()
	l.mtime.reset()
	l.size64.reset()
	l.kind.reset()
	l.ids, l.inline = l.ids[:0], l.inline[:0]
	l.token.reset()
	l.target.reset()
	l.device.reset()
	l.links.reset()
	l.xattrTable, l.xattrEnds = l.xattrTable[:0], l.xattrEnds[:0]
	l.xattrs.reset()
	l.flags.reset()
	l.marks.reset()
}

// clone returns a copy that shares no memory with l but immutable strings.
func (l *leafEnc) clone() leafEnc {
	c := *l
	c.first = l.first.clone()
	for _, b := range []*[]byte{
		&c.firstName, &c.comps, &c.nameLens, &c.nameBytes, &c.prevName, &c.attrTable, &c.fsBytes, &c.ids, &c.inline, &c.xattrTable,
	} {
		*b = slices.Clone(*b)
	}
	for _, d := range []*dense{&c.change.dense, &c.birth.dense, &c.attrIndex, &c.inode, &c.size64, &c.kind, &c.target, &c.device} {
		*d = d.clone()
	}
	for _, s := range []*sparse{&c.fs, &c.token, &c.links, &c.xattrs, &c.flags, &c.marks} {
		*s = s.clone()
	}
	c.mtime = c.mtime.clone()
	c.runs, c.rows = slices.Clone(c.runs), slices.Clone(c.rows)
	c.fsTable, c.xattrEnds = slices.Clone(c.fsTable), slices.Clone(c.xattrEnds)
	return c
}

// add appends an entry of directory dir, validated, with a key above the last. kept is how many components dir has in
// common with the directory of the entry before, or all of them if it is the same.
func (l *leafEnc) add(dir *path, newDir bool, kept int, e *Entry) {
	if l.n == 0 {
		l.first.copyFrom(dir)
		l.firstName = append(l.firstName[:0], e.Name...)
		l.lcp = dir.depth()
		l.change.prev, l.birth.prev = e.ModTime, e.ModTime
		l.runs = append(l.runs, encRun{})
	} else if newDir {
		l.lcp = min(l.lcp, kept)
		r := encRun{kept: kept, new: dir.depth() - kept, from: len(l.comps)}
		for i := kept; i < dir.depth(); i++ {
			l.comps = appendStr(l.comps, dir.component(i))
		}
		r.to = len(l.comps)
		l.runs = append(l.runs, r)
		l.prevName = l.prevName[:0]
	}
	l.runs[len(l.runs)-1].n++
	l.addName(e.Name)
	l.addAttrs(e)
	l.addTimes(e)
	l.addPlace(e)
	l.addContent(e)
	l.addXattrs(e.Xattrs)
	l.addMarks(e)
	l.size += canonicalSize(e, len(dir.last()))
	l.totals.addEntry(e)
	l.n++
}

func (l *leafEnc) addName(name []byte) {
	k, n := 0, min(len(l.prevName), len(name))
	for k < n && l.prevName[k] == name[k] {
		k++
	}
	l.nameLens = appendUv(l.nameLens, uint64(k))
	l.nameLens = appendUv(l.nameLens, uint64(len(name)-k))
	l.nameBytes = append(l.nameBytes, name[k:]...)
	l.prevName = append(l.prevName[:k], name[k:]...)
}

func (l *leafEnc) addAttrs(e *Entry) {
	a := attrs{typ: e.Type, mode: e.Mode, uid: e.UID, gid: e.GID, user: e.User, group: e.Group}
	for i := len(l.rows) - 1; i >= 0; i-- {
		if l.rows[i] == a {
			l.attrIndex.uv(uint64(i))
			return
		}
	}
	l.attrIndex.uv(uint64(len(l.rows)))
	l.rows = append(l.rows, a)
	t := append(l.attrTable, byte(a.typ))
	t = appendUv(t, uint64(a.mode))
	t = appendUv(t, uint64(a.uid))
	t = appendUv(t, uint64(a.gid))
	t = appendStr(t, a.user)
	l.attrTable = appendStr(t, a.group)
}

func (l *leafEnc) addTimes(e *Entry) {
	l.mtime.add(e.ModTime)
	l.change.add(e.ChangeTime, e.ModTime)
	l.birth.add(e.BirthTime, e.ModTime)
}

// addPlace appends inode and file system.
func (l *leafEnc) addPlace(e *Entry) {
	l.inode.buf = appendZz(l.inode.buf, int64(e.Inode-l.prevInode))
	l.inode.any = l.inode.any || e.Inode != 0
	l.prevInode = e.Inode
	if l.fsValue == 0 && e.FS == "" || l.fsValue > 0 && l.fsTable[l.fsValue-1] == e.FS {
		return
	}
	v := 0
	if e.FS != "" {
		v = 1 + slices.Index(l.fsTable, e.FS)
		if v == 0 {
			l.fsTable = append(l.fsTable, e.FS)
			l.fsBytes = appendStr(l.fsBytes, e.FS)
			v = len(l.fsTable)
		}
	}
	l.fs.at(l.n)
	l.fs.buf = appendUv(l.fs.buf, uint64(v))
	l.fsValue = v
}

func (l *leafEnc) addContent(e *Entry) {
	switch e.Type {
	case File:
		l.size64.uv(e.Size)
		l.kind.uv(contentCode(&e.Content))
		switch e.Content.Kind {
		case Inline:
			l.inline = appendStr(l.inline, e.Content.Inline)
		case Direct, Extents:
			for i := range e.Content.IDs {
				l.ids = append(l.ids, e.Content.IDs[i][:]...)
			}
		case Empty:
		}
	case Symlink:
		switch {
		case !e.TargetBlob.IsZero():
			l.target.uv(maxTarget + 1)
			l.target.buf = append(l.target.buf, e.TargetBlob[:]...)
		default:
			l.target.uv(uint64(len(e.Target)))
			l.target.buf = append(l.target.buf, e.Target...)
		}
	case CharDevice, BlockDevice:
		l.device.uv(uint64(e.Major))
		l.device.uv(uint64(e.Minor))
	case Dir, FIFO, Socket:
	}
}

const (
	codeInline  = 1
	codeDirect  = 2 // one id; 5 is four
	codeExtents = 6 // level 0
)

func contentCode(c *Content) uint64 {
	switch c.Kind {
	case Inline:
		return codeInline
	case Direct:
		return codeDirect + uint64(len(c.IDs)) - 1
	case Extents:
		return codeExtents + uint64(c.Level)
	case Empty:
	}
	return 0
}

func (l *leafEnc) addXattrs(x []Xattr) {
	if len(x) == 0 {
		return
	}
	from := len(l.xattrTable)
	t := appendUv(l.xattrTable, uint64(len(x)))
	for i := range x {
		t = appendStr(t, x[i].Name)
		if x[i].inline() {
			t = appendStr(t, x[i].Value)
			continue
		}
		t = appendUv(t, x[i].Size)
		t = append(t, x[i].Blob[:]...)
	}
	set, start := -1, 0
	for i, end := range l.xattrEnds {
		if bytes.Equal(l.xattrTable[start:end], t[from:]) {
			set = i
			break
		}
		start = end
	}
	if set >= 0 {
		t = t[:from]
	} else {
		set = len(l.xattrEnds)
		l.xattrEnds = append(l.xattrEnds, len(t))
	}
	l.xattrTable = t
	l.xattrs.at(l.n)
	l.xattrs.buf = appendUv(l.xattrs.buf, uint64(set))
}

// addMarks appends the columns that most entries have no part in.
func (l *leafEnc) addMarks(e *Entry) {
	if len(e.Token) > 0 {
		l.token.at(l.n)
		l.token.buf = appendStr(l.token.buf, e.Token)
	}
	if e.Nlink > 1 && e.Type != Dir {
		l.links.at(l.n)
		l.links.buf = appendUv(l.links.buf, uint64(e.Nlink))
		l.links.buf = append(l.links.buf, e.Link[:]...)
	}
	if e.FSFlags != 0 || e.ProjectID != 0 {
		l.flags.at(l.n)
		l.flags.buf = appendUv(l.flags.buf, uint64(e.FSFlags))
		l.flags.buf = appendUv(l.flags.buf, uint64(e.ProjectID))
	}
	if e.Flags != 0 || e.ErrClass != ErrNone {
		l.marks.at(l.n)
		l.marks.buf = append(l.marks.buf, byte(e.Flags))
		l.marks.buf = appendUv(l.marks.buf, uint64(e.ErrClass))
		if e.ErrClass != ErrNone {
			l.marks.buf = appendStr(l.marks.buf, e.ErrText)
		}
	}
}

// appendTo appends the finished page to dst.
func (l *leafEnc) appendTo(dst []byte) []byte {
	var fsHead, xHead, runs []byte
	if len(l.fs.buf) > 0 {
		fsHead = append(appendUv(nil, uint64(len(l.fsTable))), l.fsBytes...)
	}
	if len(l.xattrEnds) > 0 {
		xHead = appendUv(nil, uint64(len(l.xattrEnds)))
	}
	if len(l.runs) > 1 || l.first.depth() > l.lcp {
		runs = l.appendRuns(nil)
	}
	cols := [...]column{
		{id: colNames, parts: [3][]byte{l.nameLens, l.nameBytes}},
		{id: colChange, parts: [3][]byte{l.change.bytes()}},
		{id: colAttrs, parts: [3][]byte{l.attrTable}},
		{id: colInode, parts: [3][]byte{l.inode.bytes()}},
		{id: colAttr, parts: [3][]byte{l.attrIndex.bytes()}},
		{id: colFS, parts: [3][]byte{fsHead, l.fs.buf}},
		l.mtime.column(),
		{id: colBirth, parts: [3][]byte{l.birth.bytes()}},
		{id: colSize, parts: [3][]byte{l.size64.bytes()}},
		{id: colContent, parts: [3][]byte{l.kind.bytes()}},
		{id: colIDs, parts: [3][]byte{l.ids}},
		{id: colInline, parts: [3][]byte{l.inline}},
		{id: colToken, parts: [3][]byte{l.token.buf}},
		{id: colTarget, parts: [3][]byte{l.target.bytes()}},
		{id: colDevice, parts: [3][]byte{l.device.bytes()}},
		{id: colLinks, parts: [3][]byte{l.links.buf}},
		{id: colXattrs, parts: [3][]byte{xHead, l.xattrTable, l.xattrs.buf}},
		{id: colFlags, parts: [3][]byte{l.flags.buf}},
		{id: colMarks, parts: [3][]byte{l.marks.buf}},
		{id: colRuns, parts: [3][]byte{runs}},
	}
	return appendPage(dst, pageLeaf, 0, l.n, cols[:])
}

// appendRuns appends the runs column: the first run's directory without what is common to all, then each other's
// change to the one before.
func (l *leafEnc) appendRuns(b []byte) []byte {
	for i, r := range l.runs {
		b = appendUv(b, uint64(r.n))
		if i == 0 {
			b = appendUv(b, 0)
			b = appendUv(b, uint64(l.first.depth()-l.lcp))
			for k := l.lcp; k < l.first.depth(); k++ {
				b = appendStr(b, l.first.component(k))
			}
			continue
		}
		b = appendUv(b, uint64(r.kept-l.lcp))
		b = appendUv(b, uint64(r.new))
		b = append(b, l.comps[r.from:r.to]...)
	}
	return b
}
