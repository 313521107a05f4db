package tree

import (
	"bytes"
	"context"
)

// Parent is one tree to join with. It stands for the keys below Upto, which is not used in the last parent.
type Parent struct {
	Tree Tree
	Upto Key
}

// JoinEvents are told what a scan did not bring. Dir and o are valid during the call. A nil function ignores it.
type JoinEvents struct {
	Gone func(dir []byte, o Old) error // the scan has no such entry any more
	Kept func(dir []byte, o Old) error // it was not scanned, since its directory could not be listed (Joiner.Keep)
}

// Joiner joins a scan in key order with the trees of one or two parents. A damaged page of a parent goes to the
// parent's Lost function; its entries are then as if they had never been. One goroutine uses it.
//
// It holds one leaf, and one more for each move in progress, and the names of each directory that is being kept.
type Joiner struct {
	parents []Parent
	ev      JoinEvents
	next    int // the parent after the current one
	tree    *Tree
	cur     *Cursor
	live    bool // cur stands at an entry that was not passed yet
	taken   bool // that entry was the last answer of Match
	keeps   []keep
	moves   []*move
	scratch []byte
}

// keep is a directory that could not be listed in full: what the scan does not bring of it is kept.
type keep struct {
	dir  []byte
	seen map[string]struct{} // names that the scan did bring
}

// move is a directory that stands elsewhere in the parent.
type move struct {
	dir, from []byte
	tree      *Tree
	cur       *Cursor
	live      bool
}

// NewJoiner returns a joiner over the parents, in key order of what they stand for: a checkpoint below its Upto key,
// then the last complete snapshot. No parents are fine.
func NewJoiner(parents []Parent, ev JoinEvents) *Joiner {
	return &Joiner{parents: parents, ev: ev}
}

// Match moves to a key of the scan, above the one before, and returns the entry that stands there in the parents. It
// is valid until the next call unless retained. Entries passed over go to Gone or Kept.
func (j *Joiner) Match(ctx context.Context, dir, name []byte) (Old, error) {
	k := Key{Dir: dir, Name: name}
	var found Old
	for {
		if err := j.fill(ctx); err != nil {
			return Old{}, err
		}
		if !j.live {
			break
		}
		c := j.compare(k)
		if c == 0 {
			j.taken = true
			found = j.cur.Old()
		}
		if c >= 0 {
			break
		}
		if err := j.pass(ctx); err != nil {
			return Old{}, err
		}
	}
	j.note(k)
	if !found.Ok() && len(j.moves) > 0 {
		return j.moved(ctx, k)
	}
	return found, nil
}

// compare compares the parents' current key with k. Nearly always the directories are equal.
func (j *Joiner) compare(k Key) int {
	w := &j.cur.w
	if bytes.Equal(w.dir.buf, k.Dir) {
		return bytes.Compare(w.leaf.Name(w.i), k.Name)
	}
	return CompareDir(w.dir.buf, k.Dir)
}

// fill makes cur stand at the next entry that was not passed, if there is one.
func (j *Joiner) fill(ctx context.Context) error {
	if j.live && j.taken {
		j.live, j.taken = false, false
	}
	for !j.live {
		if j.cur == nil {
			if j.next == len(j.parents) {
				return nil
			}
			p := &j.parents[j.next]
			j.next++
			j.tree, j.cur = &p.Tree, p.Tree.Cursor()
			if j.next > 1 {
				if err := j.tree.lost(j.cur.Seek(ctx, j.parents[j.next-2].Upto)); err != nil {
					return err
				}
			}
		}
		ok, err := j.cur.Next(ctx)
		if err != nil {
			if err = j.tree.lost(err); err != nil {
				return err
			}
			continue
		}
		if !ok || j.next < len(j.parents) && j.cur.Key().Compare(j.parents[j.next-1].Upto) >= 0 {
			j.cur.Close()
			j.cur = nil
			continue
		}
		j.live = true
	}
	return nil
}

// pass reports the current entry as gone or kept and leaves it.
func (j *Joiner) pass(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	fn := j.ev.Gone
	if j.isKept(j.cur.Key()) {
		fn = j.ev.Kept
	}
	j.live = false
	if fn == nil {
		return nil
	}
	return fn(j.cur.Dir(), j.cur.Old())
}

// isKept reports whether the entry at k, which the scan did not bring, was out of its sight: it stands in a directory
// that could not be listed, or below one of its entries that the scan did not bring.
func (j *Joiner) isKept(k Key) bool {
	for i := len(j.keeps) - 1; i >= 0; i-- {
		d := &j.keeps[i]
		if !Below(k.Dir, d.dir) {
			continue
		}
		rest := k.Dir[len(d.dir):]
		if len(rest) > 0 && len(d.dir) > 0 {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			return true
		}
		c, _, _ := bytes.Cut(rest, []byte{'/'})
		_, seen := d.seen[string(c)]
		return !seen
	}
	return false
}

// note ends the keeps and moves that the scan has left with k, and remembers its name where a directory is kept.
func (j *Joiner) note(k Key) {
	for len(j.keeps) > 0 && left(k.Dir, j.keeps[len(j.keeps)-1].dir) {
		j.keeps = j.keeps[:len(j.keeps)-1]
	}
	for i := range j.keeps {
		if bytes.Equal(j.keeps[i].dir, k.Dir) {
			j.keeps[i].seen[string(k.Name)] = struct{}{}
		}
	}
	for len(j.moves) > 0 && left(k.Dir, j.moves[len(j.moves)-1].dir) {
		j.moves[len(j.moves)-1].close()
		j.moves = j.moves[:len(j.moves)-1]
	}
}

// left reports whether a scan that stands in dir has left everything in and below d.
func left(dir, d []byte) bool { return !Below(dir, d) && CompareDir(dir, d) > 0 }

// Keep says that directory dir, matched before, could not be listed in full: what the parents have in it, and below
// those of its entries that the scan does not bring, goes to Kept. It is called before the directory's first entry.
func (j *Joiner) Keep(dir []byte) {
	j.keeps = append(j.keeps, keep{dir: bytes.Clone(dir), seen: make(map[string]struct{})})
}

// Move says that the new directory dir was found to be the directory from of the last parent: until the scan leaves
// dir, Match looks below from. Its results are Moved. Moves may nest. It is called before the directory's first entry.
func (j *Joiner) Move(dir, from []byte) {
	if len(j.parents) == 0 || len(dir) == 0 || len(from) == 0 {
		return
	}
	t := &j.parents[len(j.parents)-1].Tree
	j.moves = append(j.moves, &move{dir: bytes.Clone(dir), from: bytes.Clone(from), tree: t})
}

// moved looks for k in the innermost moved directory around it.
func (j *Joiner) moved(ctx context.Context, k Key) (Old, error) {
	for i := len(j.moves) - 1; i >= 0; i-- {
		m := j.moves[i]
		if !Below(k.Dir, m.dir) {
			continue
		}
		j.scratch = append(append(j.scratch[:0], m.from...), k.Dir[len(m.dir):]...)
		ok, err := m.find(ctx, Key{Dir: j.scratch, Name: k.Name})
		if !ok || err != nil {
			return Old{}, err
		}
		o := m.cur.Old()
		o.Moved = true
		return o, nil
	}
	return Old{}, nil
}

// find moves the cursor to k and reports whether it is there.
func (m *move) find(ctx context.Context, k Key) (bool, error) {
	if m.cur == nil {
		m.cur = m.tree.Cursor()
		if err := m.tree.lost(m.cur.Seek(ctx, k)); err != nil {
			return false, err
		}
	} else if m.live && m.cur.Key().Compare(k) < 0 {
		m.live = false
		if CompareDir(m.cur.Dir(), k.Dir) < 0 {
			if err := m.tree.lost(m.cur.Seek(ctx, k)); err != nil {
				return false, err
			}
		}
	}
	for {
		if !m.live {
			ok, err := m.cur.Next(ctx)
			if err != nil {
				if err = m.tree.lost(err); err != nil {
					return false, err
				}
				continue
			}
			if !ok {
				return false, nil
			}
			m.live = true
		}
		c := m.cur.Key().Compare(k)
		if c >= 0 {
			return c == 0, nil
		}
		m.live = false
	}
}

func (m *move) close() {
	if m.cur != nil {
		m.cur.Close()
	}
}

// Finish sends what is left of the parents to Gone or Kept and gives up all leaves.
func (j *Joiner) Finish(ctx context.Context) error {
	defer j.close()
	for {
		if err := j.fill(ctx); err != nil {
			return err
		}
		if !j.live {
			return nil
		}
		if err := j.pass(ctx); err != nil {
			return err
		}
	}
}

func (j *Joiner) close() {
	if j.cur != nil {
		j.cur.Close()
	}
	for _, m := range j.moves {
		m.close()
	}
	j.cur, j.moves, j.live = nil, nil, false
	j.next = len(j.parents)
}
