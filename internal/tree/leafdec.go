package tree

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

var leafColumns = columnSet(colNames, colChange, colAttrs, colInode, colAttr, colFS, colMtime, colBirth, colSize,
	colContent, colIDs, colInline, colToken, colTarget, colDevice, colLinks, colXattrs, colFlags, colMarks, colRuns)

// decoder holds what decoding reuses from page to page: the columns' places and the strings that recur. One goroutine
// uses it. It keeps at most maxInterned strings of at most 255 bytes.
type decoder struct {
	recent   [8]string // of interned, by the low bits of their lengths
	cols     columns
	interned map[string]string
	nums     [2 * maxItems]uint64 // of the column at hand
	times    []Time
	fs       []string
}

// numbers reads n varints, which stay good until the next call.
func (d *decoder) numbers(s *scanner, n int) []uint64 {
	v := d.nums[:n]
	s.uvs(v)
	return v
}

const maxInterned = 4096

// intern returns b as a string, the same one for equal bytes.
func (d *decoder) intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	last := &d.recent[len(b)%len(d.recent)]
	if *last == string(b) {
		return *last
	}
	if s, ok := d.interned[string(b)]; ok {
		*last = s
		return s
	}
	if d.interned == nil || len(d.interned) >= maxInterned {
		d.interned = make(map[string]string)
	}
	s := string(b)
	d.interned[s] = s
	*last = s
	return s
}

func damaged(col int) error { return errs.New(errs.Corrupt, "leaf: column %d", col) }

// rareColumns are the columns that few leaves have; the values of their entries are put into the entries at once.
var rareColumns = [...]int{colToken, colTarget, colDevice, colLinks, colXattrs, colFlags, colMarks}

// leaf decodes a leaf page into l, whose entries alias the page. It does not compare it with a reference.
func (d *decoder) leaf(l *Leaf, page []byte) error {
	c := &d.cols
	if err := c.parse(page, 1<<pageLeaf, leafColumns); err != nil {
		return err
	}
	if c.level != 0 {
		return errs.New(errs.Corrupt, "leaf of level %d", c.level)
	}
	if cap(l.stats) < c.n {
		l.stats, l.nameEnd = make([]Stat, (c.n+31)&^31), make([]uint32, (c.n+31)&^31)
	}
	l.stats, l.nameEnd = l.stats[:c.n], l.nameEnd[:c.n]
	l.filled.Store(false)
	for _, step := range [...]func(*decoder, *Leaf) int{
		(*decoder).decodeRuns, (*decoder).decodeNames, (*decoder).decodeAttrs, (*decoder).decodeMtimes,
		(*decoder).decodeTimes, (*decoder).decodeInodes, (*decoder).decodeFS, (*decoder).decodeContent, (*decoder).decodeRare,
	} {
		if col := step(d, l); col != 0 {
			return damaged(col)
		}
	}
	l.count()
	return nil
}

// decodeRare decodes the columns that few leaves have.
func (d *decoder) decodeRare(l *Leaf) int {
	some := false
	for _, col := range rareColumns {
		some = some || d.cols.col[col] != nil
	}
	if !some {
		return 0
	}
	l.makeEntries()
	for _, step := range [...]func(*decoder, *Leaf) int{(*decoder).decodeSpecials, (*decoder).decodeXattrs, (*decoder).decodeMarks} {
		if col := step(d, l); col != 0 {
			return col
		}
	}
	l.filled.Store(true)
	return 0
}

// count makes the totals of the entries.
func (l *Leaf) count() {
	t := Totals{Entries: uint64(len(l.stats)), Newest: l.stats[0].ModTime}
	for i := range l.stats {
		s := &l.stats[i]
		if t.Newest.Less(s.ModTime) {
			t.Newest = s.ModTime
		}
		if s.Size > 0 { // of a regular file
			t.Bytes = addSat(t.Bytes, s.Size)
			if s.Nlink > 1 {
				t.Linked = addSat(t.Linked, s.Size)
			}
		}
	}
	l.totals = t
}

// decodeRuns and the other steps return the column that is damaged, or 0.
func (d *decoder) decodeRuns(l *Leaf) int {
	n := len(l.stats)
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
	s := d.cols.get(colNames)
	lens := d.numbers(&s, 2*len(l.stats))
	fresh := s.b[s.i:] // the names' bytes stand behind the lengths
	total, ok := namesLength(lens)
	if s.bad || !ok || badByte(fresh) {
		return colNames
	}
	if cap(l.names) < total+copySlack {
		l.names = make([]byte, total+total/4+copySlack)
	}
	names, at := l.names[:cap(l.names)], 0
	for k := range l.runs {
		r := &l.runs[k]
		var before []byte
		for i := r.start; i < r.end; i++ {
			shared, n := int(lens[2*i]), int(lens[2*i+1])
			if n > len(fresh) || shared > len(before) {
				return colNames
			}
			// In order, unique, and shared is the longest: one comparison says it all.
			if i > r.start && (n == 0 || shared < len(before) && before[shared] >= fresh[0]) {
				return colNames
			}
			copyShort(names[at:], names[at-len(before):], shared)
			copyShort(names[at+shared:], fresh, n)
			name := names[at : at+shared+n]
			if len(name) <= 2 && !goodName(name) && (len(name) > 0 || i > 0 || !l.atTop()) {
				return colNames
			}
			fresh = fresh[n:]
			at += len(name)
			l.nameEnd[i] = uint32(at)
			before = name
		}
	}
	if len(fresh) > 0 {
		return colNames
	}
	l.names = names[:total]
	return 0
}

// copySlack is how many bytes copyShort may write behind what it copies.
const copySlack = 16

// copyShort copies n bytes of src, which may be longer, to the beginning of dst, which must be longer by copySlack. Short
// ones go as two words, which saves a call for most names.
func copyShort(dst, src []byte, n int) {
	if n <= 16 && len(src) >= 16 {
		x, y := binary.LittleEndian.Uint64(src), binary.LittleEndian.Uint64(src[8:])
		binary.LittleEndian.PutUint64(dst, x)
		binary.LittleEndian.PutUint64(dst[8:], y)
		return
	}
	copy(dst[:n], src)
}

// namesLength returns the sum of the names written out, from the pairs of lengths that describe them.
func namesLength(lens []uint64) (total int, ok bool) {
	prev := uint64(0)
	for i := 0; i+1 < len(lens); i += 2 {
		shared, fresh := lens[i], lens[i+1]
		if shared > prev || fresh > maxName {
			return 0, false
		}
		if prev = shared + fresh; prev > maxName {
			return 0, false
		}
		total += int(prev)
	}
	return total, total <= maxPage
}

// atTop reports whether the first entry stands in the common directory itself: only there, if that is the top, may it
// have the empty name.
func (l *Leaf) atTop() bool { return l.runs[0].from == l.runs[0].to }

//nolint:gocyclo // it refuses whatever is not the only way to write the rows
func (d *decoder) decodeAttrs(l *Leaf) int {
	s := d.cols.get(colAttrs)
	l.rows = l.rows[:0]
	for s.more() {
		a := attrs{typ: Type(s.u8()), mode: uint32(s.upTo(0o7777)), uid: uint32(s.upTo(1<<32 - 1)), gid: uint32(s.upTo(1<<32 - 1))}
		a.user, a.group = d.intern(s.str(maxString)), d.intern(s.str(maxString))
		if s.bad || a.typ < Dir || a.typ > BlockDevice || len(l.rows) >= len(l.stats) || slices.Contains(l.rows, a) {
			return colAttrs
		}
		l.rows = append(l.rows, a)
	}
	s = d.cols.get(colAttr)
	if s.b == nil {
		if len(l.rows) != 1 {
			return colAttrs
		}
		first := l.rows[0].stat(0)
		for i := range l.stats {
			l.stats[i] = first
		}
		return 0
	}
	used := uint64(0) // rows stand in the order of their first use
	for i, v := range d.numbers(&s, len(l.stats)) {
		if v >= uint64(len(l.rows)) || v > used {
			return colAttr
		}
		if v == used {
			used++
		}
		l.stats[i] = l.rows[v].stat(uint32(v))
	}
	if !s.done() || used != uint64(len(l.rows)) || used < 2 {
		return colAttr
	}
	return 0
}

// stat returns a Stat with what the row says.
func (a *attrs) stat(row uint32) Stat {
	return Stat{Type: a.typ, Mode: a.mode, UID: a.uid, GID: a.gid, row: row}
}

func (d *decoder) decodeMtimes(l *Leaf) int {
	s := d.cols.get(colMtime)
	if s.b == nil {
		return 0
	}
	sec, some := int64(0), false
	for i, v := range d.numbers(&s, len(l.stats)) {
		sec += unzigzag(v)
		l.stats[i].ModTime.Sec = sec
		some = some || sec != 0
	}
	for i, v := range d.numbers(&s, len(l.stats)) {
		if v > 999_999_999 {
			return colMtime
		}
		l.stats[i].ModTime.Nsec = uint32(v)
		some = some || v != 0
	}
	if !s.done() || !some {
		return colMtime
	}
	return 0
}

func (d *decoder) decodeTimes(l *Leaf) int {
	n := len(l.stats)
	if cap(d.times) < n {
		d.times = make([]Time, maxItems)
	}
	t := d.times[:n]
	if s := d.cols.get(colChange); s.b != nil {
		if !decodeCodes(s, l.stats, t) {
			return colChange
		}
		for i := range t {
			l.stats[i].ChangeTime = t[i]
		}
	}
	l.birth = l.birth[:0]
	if s := d.cols.get(colBirth); s.b != nil {
		if !decodeCodes(s, l.stats, t) {
			return colBirth
		}
		l.birth = append(l.birth, t...)
	}
	return 0
}

// decodeCodes reads a column of time codes into t.
//
//nolint:gocyclo // one loop that refuses whatever is not the only way to write the times
func decodeCodes(s scanner, stats []Stat, t []Time) bool {
	prev, some := stats[0].ModTime, false
	for i := range stats {
		mtime := stats[i].ModTime
		if s.i < len(s.b) && s.b[s.i] == timeSame && mtime != (Time{}) { // nearly always
			s.i++
			t[i], prev, some = mtime, mtime, true
			continue
		}
		c := s.uv()
		switch c {
		case timeUnknown:
			t[i] = Time{}
			continue
		case timeSame:
			prev = mtime
		case timePrevious:
			if prev == mtime {
				return false // a writer has a shorter code
			}
		default:
			old := prev
			if c == timeFull {
				prev.Sec += s.zz()
				prev.Nsec = uint32(s.upTo(999_999_999))
			} else {
				prev = prev.plus(unzigzag(c - timeDelta))
			}
			near := prev.Sec-old.Sec >= -nearSeconds && prev.Sec-old.Sec < nearSeconds
			if prev == old || prev == mtime || near == (c == timeFull) {
				return false
			}
		}
		if prev.IsZero() {
			return false
		}
		t[i], some = prev, true
	}
	return some && s.done()
}

// plus returns the time ns nanoseconds after t.
func (t Time) plus(ns int64) Time {
	sec, nsec := ns/1e9, int64(t.Nsec)+ns%1e9
	if nsec < 0 {
		sec, nsec = sec-1, nsec+1e9
	} else if nsec >= 1e9 {
		sec, nsec = sec+1, nsec-1e9
	}
	return Time{Sec: t.Sec + sec, Nsec: uint32(nsec)}
}

func (d *decoder) decodeInodes(l *Leaf) int {
	s := d.cols.get(colInode)
	if s.b == nil {
		return 0
	}
	inode, some := uint64(0), uint64(0)
	for i, v := range d.numbers(&s, len(l.stats)) {
		inode += uint64(unzigzag(v))
		l.stats[i].Inode = inode
		some |= inode
	}
	if !s.done() || some == 0 {
		return colInode
	}
	return 0
}

func (d *decoder) decodeFS(l *Leaf) int {
	s := d.cols.get(colFS)
	if s.b == nil {
		return 0
	}
	m := s.upTo(uint64(len(l.stats)))
	d.fs = d.fs[:0]
	for range m {
		v := d.intern(s.str(maxString))
		if v == "" || slices.Contains(d.fs, v) {
			return colFS
		}
		d.fs = append(d.fs, v)
	}
	value, from, used := 0, 0, 0
	it := items{n: len(l.stats)}
	for s.more() {
		i := it.next(&s)
		v := s.upTo(uint64(m))
		if s.bad || v == value || v > used+1 {
			return colFS
		}
		used = max(used, v)
		if value != 0 {
			setFS(l.stats[from:i], d.fs[value-1])
		}
		value, from = v, i
	}
	if value != 0 {
		setFS(l.stats[from:], d.fs[value-1])
	}
	if !s.done() || m == 0 || used != m {
		return colFS
	}
	return 0
}

func setFS(stats []Stat, fs string) {
	for i := range stats {
		stats[i].FS = fs
	}
}

// decodeContent reads sizes and proves that the columns of the content fit together; fillContent makes the contents.
func (d *decoder) decodeContent(l *Leaf) int {
	if col := d.decodeSizes(l); col != 0 {
		return col
	}
	l.codes, l.ids, l.inline = l.codes[:0], d.cols.col[colIDs], d.cols.col[colInline]
	inline, ids := scanner{b: l.inline}, 0
	if kind := d.cols.get(colContent); kind.b != nil {
		some := 0
		for i := range l.stats {
			code := 0
			if l.stats[i].Type == File {
				code = kind.upTo(codeExtents + maxListLevel)
			}
			l.codes = append(l.codes, uint8(code))
			some |= code
			switch {
			case code == codeInline:
				if len(inline.str(maxInline)) == 0 {
					return colInline
				}
			case code >= codeExtents:
				ids++
			case code > 0:
				ids += code - codeDirect + 1
			}
		}
		if !kind.done() || some == 0 {
			return colContent
		}
	}
	if !inline.done() {
		return colInline
	}
	if ids*len(id.ID{}) != len(l.ids) {
		return colIDs
	}
	return 0
}

func (d *decoder) decodeSizes(l *Leaf) int {
	s := d.cols.get(colSize)
	if s.b == nil {
		return 0
	}
	some := uint64(0)
	for i := range l.stats {
		if st := &l.stats[i]; st.Type == File {
			st.Size = s.uv()
			some |= st.Size
		}
	}
	if !s.done() || some == 0 || some > 1<<63-1 {
		return colSize
	}
	return 0
}

// decodeSpecials reads link targets and device numbers.
//
//nolint:gocyclo // it refuses whatever is not the only way to write them
func (d *decoder) decodeSpecials(l *Leaf) int {
	t, dev := d.cols.get(colTarget), d.cols.get(colDevice)
	if t.b == nil && dev.b == nil {
		return 0
	}
	targets, numbers := false, uint32(0)
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
			targets = targets || n > 0
		case (e.Type == CharDevice || e.Type == BlockDevice) && dev.b != nil:
			e.Major, e.Minor = uint32(dev.upTo(1<<32-1)), uint32(dev.upTo(1<<32-1))
			numbers |= e.Major | e.Minor
		}
	}
	if !t.done() || t.b != nil && !targets {
		return colTarget
	}
	if !dev.done() || dev.b != nil && numbers == 0 {
		return colDevice
	}
	return 0
}
