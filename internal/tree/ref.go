package tree

import (
	"bytes"

	"github.com/nacre-backup/nacre/internal/errs"
)

// AppendRef appends the canonical encoding of r, as it stands in a snapshot's record, to dst. The empty tree adds
// nothing.
func AppendRef(dst []byte, r Ref) []byte {
	if r.Entries == 0 {
		return dst
	}
	dst = appendUv(dst, uint64(r.Level))
	dst = append(dst, r.ID[:]...)
	dst = appendStr(dst, r.Dir)
	dst = appendStr(dst, bytes.TrimPrefix(r.First.Dir[len(r.Dir):], []byte{'/'}))
	dst = appendStr(dst, r.First.Name)
	dst = appendUv(dst, r.Entries)
	dst = appendUv(dst, r.Bytes)
	dst = appendUv(dst, r.Linked)
	dst = appendZz(dst, r.Newest.Sec)
	return appendUv(dst, uint64(r.Newest.Nsec))
}

// ParseRef reads what AppendRef wrote and nothing else. The result shares no memory with b.
func ParseRef(b []byte) (r Ref, err error) {
	if len(b) == 0 {
		return Ref{}, nil
	}
	s := scanner{b: b}
	r.Level = uint8(s.upTo(maxLevel))
	copy(r.ID[:], s.bytes(len(r.ID)))
	r.Dir = bytes.Clone(s.str(maxPath))
	rest := s.str(maxPath)
	r.First.Dir = JoinPath(nil, r.Dir, rest)
	r.First.Name = bytes.Clone(s.str(maxName))
	r.Entries, r.Bytes, r.Linked = s.uv(), s.uv(), s.uv()
	r.Newest = Time{Sec: s.zz(), Nsec: uint32(s.upTo(999_999_999))}
	if !s.done() || r.Entries == 0 || r.Linked > r.Bytes || r.ID.IsZero() {
		return Ref{}, errs.New(errs.Corrupt, "tree reference")
	}
	if err := checkPath(r.First.Dir); err != nil {
		return Ref{}, errs.New(errs.Corrupt, "tree reference: %w", err)
	}
	if !goodName(r.First.Name) && (len(r.First.Name) > 0 || len(r.First.Dir) > 0) {
		return Ref{}, errs.New(errs.Corrupt, "tree reference: first name")
	}
	return r, nil
}

// Clone returns a copy of r that shares no memory with it.
func (r Ref) Clone() Ref {
	r.Dir, r.First = bytes.Clone(r.Dir), r.First.Clone()
	return r
}

// same reports whether r and o are the same part of a tree, seen from the top.
func (r *Ref) same(o *Ref) bool {
	return r.ID == o.ID && r.Level == o.Level && bytes.Equal(r.Dir, o.Dir)
}

// checkPath says what is wrong with a joined path.
func checkPath(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if len(p) > maxPath {
		return errs.New(errs.Usage, "path of %d bytes", len(p))
	}
	depth := 0
	for rest := p; ; {
		i := bytes.IndexByte(rest, '/')
		c := rest
		if i >= 0 {
			c = rest[:i]
		}
		if depth++; !goodName(c) || depth > maxDepth {
			return errs.New(errs.Usage, "path %q: component %d (%q)", clip(p), depth, clip(c))
		}
		if i < 0 {
			return nil
		}
		rest = rest[i+1:]
	}
}
