package tree

// items reads the indexes of a sparse column.
type items struct {
	n    int
	last int
	some bool
}

func (it *items) next(s *scanner) int {
	d := s.upTo(uint64(it.n - 1 - it.last))
	if it.some && d == 0 {
		s.fail()
		return it.last
	}
	it.some = true
	it.last += d
	return it.last
}

//nolint:gocyclo // it refuses whatever is not the only way to write the sets
func (d *decoder) decodeXattrs(l *Leaf) int {
	s := d.cols.get(colXattrs)
	if s.b == nil {
		return 0
	}
	m := s.upTo(uint64(len(l.entries)))
	l.xattrs, l.sets = l.xattrs[:0], l.sets[:0]
	known := make(map[string]struct{}, m)
	for range m {
		k := s.upTo(maxXattrs)
		if k == 0 || 3*k > len(s.b)-s.i { // an attribute takes three bytes at least
			return colXattrs
		}
		from, at := len(l.xattrs), s.i
		for range k {
			l.xattrs = append(l.xattrs, decodeXattr(&s))
		}
		set := l.xattrs[from:len(l.xattrs):len(l.xattrs)]
		if s.bad || validateXattrs(set) != nil {
			return colXattrs
		}
		known[string(s.b[at:s.i])] = struct{}{}
		l.sets = append(l.sets, set)
	}
	if len(known) != m { // one of them is there twice
		return colXattrs
	}
	it, used := items{n: len(l.entries)}, uint64(0) // sets stand in the order of their first use
	for s.more() {
		i := it.next(&s)
		v := s.uv()
		if s.bad || v >= uint64(m) || v > used {
			return colXattrs
		}
		used = max(used, v+1)
		l.entries[i].Xattrs = l.sets[v]
	}
	if !s.done() || !it.some || used != uint64(m) {
		return colXattrs
	}
	return 0
}

func decodeXattr(s *scanner) Xattr {
	x := Xattr{Name: s.str(maxXattrName)}
	x.Size = uint64(s.upTo(maxBlob))
	if x.Size <= maxValue {
		x.Value = s.bytes(int(x.Size))
		return x
	}
	copy(x.Blob[:], s.bytes(len(x.Blob)))
	if x.Blob.IsZero() {
		s.fail()
	}
	return x
}

// decodeMarks reads the other sparse columns. What a Stat has of them goes there, too.
func (d *decoder) decodeMarks(l *Leaf) int {
	for _, col := range [...]int{colToken, colLinks, colFlags, colMarks} {
		s := d.cols.get(col)
		it := items{n: len(l.entries)}
		for s.more() {
			i := it.next(&s)
			if !l.decodeMark(col, i, &s) {
				return col
			}
		}
		if !s.done() {
			return col
		}
	}
	return 0
}

// decodeMark reads one item of a sparse column, for entry i.
func (l *Leaf) decodeMark(col, i int, s *scanner) bool {
	e, st := &l.entries[i], &l.stats[i]
	switch col {
	case colToken:
		e.Token = s.str(maxToken)
		st.Token = e.Token
		return len(e.Token) > 0
	case colLinks:
		e.Nlink = uint32(s.upTo(1<<32 - 1))
		copy(e.Link[:], s.bytes(len(e.Link)))
		st.Nlink = e.Nlink
		return e.Nlink >= 2 && e.Type != Dir
	case colFlags:
		e.FSFlags, e.ProjectID = uint32(s.upTo(1<<32-1)), uint32(s.upTo(1<<32-1))
		return e.FSFlags|e.ProjectID != 0
	default:
		e.Flags, e.ErrClass = Flags(s.u8()), ErrClass(s.upTo(uint64(ErrTooLarge)))
		if e.ErrClass != ErrNone {
			e.ErrText = string(s.str(maxString))
		}
		st.Flags, st.ErrClass = e.Flags, e.ErrClass
		return e.Flags <= Implied|Stale|Torn|Partial && (e.Flags != 0 || e.ErrClass != ErrNone)
	}
}
