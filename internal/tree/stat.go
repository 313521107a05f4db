package tree

import "github.com/nacre-backup/nacre/internal/id"

// Stat is what an entry is compared with to find out whether it changed: the columns that a join needs of each entry.
// The fields are those of Entry.
type Stat struct {
	Type       Type
	Flags      Flags
	ErrClass   ErrClass
	Mode       uint32
	UID, GID   uint32
	Nlink      uint32
	row        uint32 // of the leaf's attribute table
	ModTime    Time
	ChangeTime Time
	Size       uint64
	Inode      uint64
	FS         string
	Token      []byte
}

// Stat returns what of an entry tells whether it changed.
func (e *Entry) Stat() *Stat {
	return &Stat{
		Type: e.Type, Flags: e.Flags, ErrClass: e.ErrClass, Mode: e.Mode, UID: e.UID, GID: e.GID, Nlink: e.Nlink,
		ModTime: e.ModTime, ChangeTime: e.ChangeTime, Size: e.Size, Inode: e.Inode, FS: e.FS, Token: e.Token,
	}
}

// fill makes the entries from the columns that every leaf has. What stands in the other columns is in place before, see
// decoder.leaf.
func (l *Leaf) fill() {
	l.filling.Lock()
	defer l.filling.Unlock()
	if l.filled.Load() {
		return
	}
	l.makeEntries()
	l.filled.Store(true)
}

func (l *Leaf) makeEntries() {
	n := len(l.stats)
	if cap(l.entries) < n {
		l.entries = make([]Entry, (n+31)&^31)
	}
	l.entries = l.entries[:n]
	for i := range l.entries {
		s := &l.stats[i]
		r := &l.rows[s.row]
		l.entries[i] = Entry{
			Name: l.Name(i), Type: s.Type, Mode: s.Mode, UID: s.UID, GID: s.GID, User: r.user, Group: r.group,
			ModTime: s.ModTime, ChangeTime: s.ChangeTime, Size: s.Size, Nlink: s.Nlink, Inode: s.Inode, FS: s.FS,
			Token: s.Token, Flags: s.Flags, ErrClass: s.ErrClass,
		}
	}
	for i := range l.birth {
		l.entries[i].BirthTime = l.birth[i]
	}
	l.fillContent()
}

func (l *Leaf) fillContent() {
	if len(l.codes) == 0 {
		return
	}
	count := len(l.ids) / len(id.ID{})
	if cap(l.idArray) < count {
		l.idArray = make([]id.ID, count+count/4)
	}
	ids := l.idArray[:count:count]
	for i := range ids {
		ids[i] = id.ID(l.ids[i*len(id.ID{}):])
	}
	inline := scanner{b: l.inline}
	for i, code := range l.codes {
		if code == 0 {
			continue
		}
		c := &l.entries[i].Content
		n := 0
		switch {
		case code == codeInline:
			c.Kind, c.Inline = Inline, inline.str(maxInline)
		case code < codeExtents:
			c.Kind, n = Direct, int(code)-codeDirect+1
		default:
			c.Kind, c.Level, n = Extents, code-codeExtents, 1
		}
		if n > 0 {
			c.IDs, ids = ids[:n:n], ids[n:]
		}
	}
}
