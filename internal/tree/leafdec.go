package tree

import (
	"bytes"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

var leafColumns = columnSet(colNames, colChange, colAttrs, colInode, colAttr, colFS, colMtime, colBirth, colSize,
	colContent, colIDs, colInline, colToken, colTarget, colDevice, colLinks, colXattrs, colFlags, colMarks, colRuns)

// decoder holds what decoding reuses from page to page: the columns' places and the strings that recur. One goroutine
// uses it. It keeps at most maxInterned strings of at most 255 bytes.
type decoder struct {
	cols     columns
	interned map[string]string
}

const maxInterned = 4096

// intern returns b as a string, the same one for equal bytes.
func (d *decoder) intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := d.interned[string(b)]; ok {
		return s
	}
	if d.interned == nil || len(d.interned) >= maxInterned {
		d.interned = make(map[string]string)
	}
	s := string(b)
	d.interned[s] = s
	return s
}

func damaged(col int) error { return errs.New(errs.Corrupt, "leaf: column %d", col) }

// leaf decodes a leaf page into l, whose entries alias the page. It does not compare it with a reference.
func (d *decoder) leaf(l *Leaf, page []byte) error {
	c := &d.cols
	if err := c.parse(page, 1<<pageLeaf, leafColumns); err != nil {
		return err
	}
	if c.level != 0 {
		return errs.New(errs.Corrupt, "leaf of level %d", c.level)
	}
	if cap(l.entries) < c.n {
		l.entries = make([]Entry, (c.n+31)&^31)
	}
	l.entries = l.entries[:c.n]
	clear(l.entries)
	for _, step := range [...]func(*decoder, *Leaf) int{
		(*decoder).decodeRuns, (*decoder).decodeNames, (*decoder).decodeAttrs, (*decoder).decodeMtimes,
		(*decoder).decodeTimes, (*decoder).decodeInodes, (*decoder).decodeFS, (*decoder).decodeContent,
		(*decoder).decodeSpecials, (*decoder).decodeXattrs, (*decoder).decodeMarks,
	} {
		if col := step(d, l); col != 0 {
			return damaged(col)
		}
	}
	return nil
}

// decodeRuns and the other steps return the column that is damaged, or 0.
func (d *decoder) decodeRuns(l *Leaf) int {
	n := len(l.entries)
	l.runs, l.comps, l.deepest, l.longest = l.runs[:0], l.comps[:0], 0, 0
	s := d.cols.get(colRuns)
	if s.b == nil {
		l.runs = append(l.runs, run{end: n})
		return 0
	}
	start, depth, lcp := 0, 0, 0
	p := &l.dir
	p.set(nil)
	for start < n {
		count, kept, fresh := s.upTo(uint64(n-start)), s.upTo(uint64(depth)), s.upTo(maxDepth)
		first := start == 0
		if s.bad || count == 0 || kept+fresh > maxDepth || fresh == 0 && !first {
			return colRuns
		}
		r := run{start: start, end: start + count, kept: kept, from: len(l.comps)}
		var ok bool
		if l.comps, ok = readDir(&s, p, l.comps, kept, fresh); !ok {
			return colRuns
		}
		r.to = len(l.comps)
		depth = p.depth()
		l.deepest, l.longest = max(l.deepest, depth), max(l.longest, len(p.buf))
		if first {
			lcp = depth
		} else {
			lcp = min(lcp, kept)
		}
		start = r.end
		l.runs = append(l.runs, r)
	}
	// The common directory must be the longest, and one run in it needs no column.
	if !s.done() || lcp != 0 || len(l.runs) == 1 {
		return colRuns
	}
	return 0
}

// readDir changes p to its first kept components and then fresh ones, read from s, which must make it follow what it
// was; comps gains the new ones. If it returns false the column is damaged.
func readDir(s *scanner, p *path, comps [][]byte, kept, fresh int) ([][]byte, bool) {
	for i := range fresh {
		c := s.str(maxName)
		if s.bad || !goodName(c) {
			return comps, false
		}
		if i == 0 {
			if kept < p.depth() && bytes.Compare(p.component(kept), c) >= 0 {
				return comps, false
			}
			p.truncate(kept)
		}
		if len(p.buf)+1+len(c) > maxPath {
			return comps, false
		}
		p.push(c)
		comps = append(comps, c)
	}
	return comps, true
}

//nolint:gocyclo // one loop that refuses whatever is not the only way to write the names
func (d *decoder) decodeNames(l *Leaf) int {
	lens := d.cols.get(colNames)
	s := lens
	total := namesLength(&s, len(l.entries)) // behind the lengths the names' bytes begin
	if s.bad {
		return colNames
	}
	if cap(l.names) < total {
		l.names = make([]byte, 0, total+total/4)
	}
	names := l.names[:0]
	for k := range l.runs {
		var before []byte
		for i := l.runs[k].start; i < l.runs[k].end; i++ {
			shared, n := int(lens.uv()), int(lens.uv())
			suffix := s.bytes(n)
			if s.bad || shared > len(before) || badByte(suffix) {
				return colNames
			}
			// In order, unique, and shared is the longest: one comparison says it all.
			if before != nil && (n == 0 || shared < len(before) && before[shared] >= suffix[0]) {
				return colNames
			}
			from := len(names)
			names = append(append(names, before[:shared]...), suffix...)
			name := names[from:len(names):len(names)]
			if len(name) <= 2 && !goodName(name) && (len(name) > 0 || i > 0 || !l.atTop()) {
				return colNames
			}
			l.entries[i].Name = name
			before = name
		}
	}
	if !s.done() {
		return colNames
	}
	l.names = names
	return 0
}

// namesLength reads the lengths of n names and returns the sum of the names written out.
func namesLength(s *scanner, n int) (total int) {
	prev := 0
	for range n {
		shared, fresh := s.upTo(uint64(prev)), s.upTo(maxName)
		prev = shared + fresh
		total += prev
		if prev > maxName || total > maxPage {
			s.fail()
		}
	}
	return total
}

// atTop reports whether the first entry stands in the common directory itself: only there, if that is the top, may it
// have the empty name.
func (l *Leaf) atTop() bool { return l.runs[0].from == l.runs[0].to }

func (d *decoder) decodeAttrs(l *Leaf) int {
	s := d.cols.get(colAttrs)
	l.rows = l.rows[:0]
	for s.more() {
		a := attrs{typ: Type(s.u8()), mode: uint32(s.upTo(0o7777)), uid: uint32(s.upTo(1<<32 - 1)), gid: uint32(s.upTo(1<<32 - 1))}
		a.user, a.group = d.intern(s.str(maxString)), d.intern(s.str(maxString))
		if s.bad || a.typ < Dir || a.typ > BlockDevice || len(l.rows) >= len(l.entries) {
			return colAttrs
		}
		l.rows = append(l.rows, a)
	}
	if len(l.rows) == 0 {
		return colAttrs
	}
	s = d.cols.get(colAttr)
	var r *attrs
	if s.b == nil {
		r = &l.rows[0]
	}
	limit := uint64(len(l.rows) - 1)
	for i := range l.entries {
		if s.b != nil {
			r = &l.rows[s.upTo(limit)]
		}
		e := &l.entries[i]
		e.Type, e.Mode, e.UID, e.GID, e.User, e.Group = r.typ, r.mode, r.uid, r.gid, r.user, r.group
	}
	if !s.done() {
		return colAttr
	}
	return 0
}

func (d *decoder) decodeMtimes(l *Leaf) int {
	s := d.cols.get(colMtime)
	if s.b == nil {
		return 0
	}
	sec := int64(0)
	for i := range l.entries {
		sec += s.zz()
		l.entries[i].ModTime.Sec = sec
	}
	for i := range l.entries {
		l.entries[i].ModTime.Nsec = uint32(s.upTo(999_999_999))
	}
	if !s.done() {
		return colMtime
	}
	return 0
}

func (d *decoder) decodeTimes(l *Leaf) int {
	if !decodeCodes(d.cols.get(colChange), l.entries, func(e *Entry) *Time { return &e.ChangeTime }) {
		return colChange
	}
	if !decodeCodes(d.cols.get(colBirth), l.entries, func(e *Entry) *Time { return &e.BirthTime }) {
		return colBirth
	}
	return 0
}

// decodeCodes reads a column of time codes into the field that at names.
func decodeCodes(s scanner, entries []Entry, at func(*Entry) *Time) bool {
	if s.b == nil {
		return true
	}
	prev := entries[0].ModTime
	for i := range entries {
		e := &entries[i]
		switch c := s.uv(); c {
		case timeUnknown:
			continue
		case timeSame:
			prev = e.ModTime
		case timePrevious:
		case timeFull:
			prev.Sec += s.zz()
			prev.Nsec = uint32(s.upTo(999_999_999))
		default:
			d := unzigzag(c - timeDelta)
			sec, nsec := d/1e9, int64(prev.Nsec)+d%1e9
			if nsec < 0 {
				sec, nsec = sec-1, nsec+1e9
			} else if nsec >= 1e9 {
				sec, nsec = sec+1, nsec-1e9
			}
			prev.Sec, prev.Nsec = prev.Sec+sec, uint32(nsec)
		}
		if prev.IsZero() {
			return false
		}
		*at(e) = prev
	}
	return s.done()
}

func (d *decoder) decodeInodes(l *Leaf) int {
	s := d.cols.get(colInode)
	if s.b == nil {
		return 0
	}
	inode := uint64(0)
	for i := range l.entries {
		inode += uint64(s.zz())
		l.entries[i].Inode = inode
	}
	if !s.done() {
		return colInode
	}
	return 0
}

func (d *decoder) decodeFS(l *Leaf) int {
	s := d.cols.get(colFS)
	if s.b == nil {
		return 0
	}
	m := s.upTo(uint64(len(l.entries)))
	var table [maxItems]string
	for i := range m {
		table[i] = d.intern(s.str(maxString))
		if table[i] == "" {
			return colFS
		}
	}
	value, from := 0, 0
	it := items{n: len(l.entries)}
	for s.more() {
		i := it.next(&s)
		v := s.upTo(uint64(m))
		if s.bad || v == value {
			return colFS
		}
		if value != 0 {
			setFS(l.entries[from:i], table[value-1])
		}
		value, from = v, i
	}
	if value != 0 {
		setFS(l.entries[from:], table[value-1])
	}
	if !s.done() || m == 0 {
		return colFS
	}
	return 0
}

func setFS(entries []Entry, fs string) {
	for i := range entries {
		entries[i].FS = fs
	}
}

func (d *decoder) decodeContent(l *Leaf) int {
	size, kind, inline := d.cols.get(colSize), d.cols.get(colContent), d.cols.get(colInline)
	if !d.decodeIDs(l) {
		return colIDs
	}
	next, count := 0, len(l.ids)
	for i := range l.entries {
		e := &l.entries[i]
		if e.Type != File {
			continue
		}
		if size.b != nil {
			e.Size = size.uv()
			if e.Size > 1<<63-1 {
				return colSize
			}
		}
		if kind.b == nil {
			continue
		}
		c := &e.Content
		n := c.decode(kind.upTo(codeExtents + maxListLevel))
		if c.Kind == Inline {
			if c.Inline = inline.str(maxInline); len(c.Inline) == 0 {
				return colInline
			}
		}
		if n > count-next {
			return colIDs
		}
		if n > 0 {
			c.IDs = l.ids[next : next+n : next+n]
			next += n
		}
	}
	switch {
	case !size.done():
		return colSize
	case !kind.done():
		return colContent
	case !inline.done():
		return colInline
	case next != count:
		return colIDs
	}
	return 0
}

// decodeIDs reads the column of ids.
func (d *decoder) decodeIDs(l *Leaf) bool {
	ids := d.cols.get(colIDs)
	count := len(ids.b) / len(id.ID{})
	if count > maxIDs*len(l.entries) || len(ids.b)%len(id.ID{}) != 0 {
		return false
	}
	if cap(l.ids) < count {
		l.ids = make([]id.ID, count+count/4)
	}
	l.ids = l.ids[:count]
	for i := range l.ids {
		l.ids[i] = id.ID(ids.b[i*len(id.ID{}):])
	}
	return true
}

// decode sets kind and level by the code of the content column and returns the number of ids.
func (c *Content) decode(code int) (ids int) {
	switch {
	case code == 0:
	case code == codeInline:
		c.Kind = Inline
	case code < codeExtents:
		c.Kind, ids = Direct, code-codeDirect+1
	default:
		c.Kind, c.Level, ids = Extents, uint8(code-codeExtents), 1
	}
	return ids
}

// decodeSpecials reads link targets and device numbers.
func (d *decoder) decodeSpecials(l *Leaf) int {
	t, dev := d.cols.get(colTarget), d.cols.get(colDevice)
	if t.b == nil && dev.b == nil {
		return 0
	}
	for i := range l.entries {
		e := &l.entries[i]
		switch {
		case e.Type == Symlink && t.b != nil:
			n := t.upTo(maxTarget + 1)
			if n > maxTarget {
				copy(e.TargetBlob[:], t.bytes(len(e.TargetBlob)))
				if e.TargetBlob.IsZero() {
					return colTarget
				}
			} else if n > 0 {
				e.Target = t.bytes(n)
			}
		case (e.Type == CharDevice || e.Type == BlockDevice) && dev.b != nil:
			e.Major, e.Minor = uint32(dev.upTo(1<<32-1)), uint32(dev.upTo(1<<32-1))
		}
	}
	if !t.done() {
		return colTarget
	}
	if !dev.done() {
		return colDevice
	}
	return 0
}
