package files

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/nacre-backup/nacre/internal/tree"
)

// ent is a name of a listing. The first 8 bytes of the name stand in it as a number that sorts like them, so that
// sorting seldom looks at the names themselves.
type ent struct {
	key uint64
	off uint32 // of the name within the arena; a NUL byte follows it
	len uint16
	typ tree.Type // 0 where the listing does not tell
}

// names is a listing in memory: entries over one arena of bytes.
type names struct {
	arena []byte
	ents  []ent
}

func (n *names) reset() {
	n.arena, n.ents = n.arena[:0], n.ents[:0]
}

// shrink gives the memory back.
func (n *names) shrink() { n.arena, n.ents = nil, nil }

func (n *names) add(name []byte, typ tree.Type) {
	var prefix [8]byte
	copy(prefix[:], name)
	n.ents = append(n.ents, ent{binary.BigEndian.Uint64(prefix[:]), uint32(len(n.arena)), uint16(len(name)), typ})
	n.arena = append(n.arena, name...)
	n.arena = append(n.arena, 0)
}

// name returns a name. A NUL byte follows it in memory, within its capacity.
func (n *names) name(e *ent) []byte { return n.at(e.off, e.len) }

func (n *names) at(off uint32, size uint16) []byte {
	end := off + uint32(size)
	return n.arena[off : end : end+1]
}

// sort puts the names in order, and leaves out a name that a listing yields twice, which happens when it changes.
func (n *names) sort() {
	slices.SortFunc(n.ents, func(a, b ent) int {
		if c := cmp.Compare(a.key, b.key); c != 0 {
			return c
		}
		return bytes.Compare(n.name(&a), n.name(&b))
	})
	n.ents = slices.CompactFunc(n.ents, func(a, b ent) bool {
		return a.key == b.key && a.len == b.len && bytes.Equal(n.name(&a), n.name(&b))
	})
}
