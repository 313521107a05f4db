package files

import (
	"bytes"
	"context"
	"encoding/binary"
	"unicode/utf8"

	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

// ref is the Handle of an item: what it takes to find the object again.
type ref struct {
	dir  *node
	rec  rec
	name []byte // a NUL byte follows it in memory
	kept *kept  // of a retained item
	fd   stash  // what Describe opened, for Open
}

// kept is a retained item in one piece of memory.
type kept struct {
	item  source.Item
	entry tree.Entry
	ref   ref
	name  []byte
}

// emit yields one entry.
func (e *emitter) emit(n *node, b *batch, i int) bool {
	r := &b.recs[i]
	name := b.names.at(r.off, r.len)
	e.ref = ref{dir: n, rec: *r, name: name}
	e.w.s.fill(&e.entry, r)
	e.entry.Name = name[:len(name):len(name)]
	if r.errClass != tree.ErrNone {
		e.entry.ErrClass, e.entry.ErrText = r.errClass, errText(b.errs[i])
	}
	e.item = source.Item{Dir: e.path, Entry: &e.entry, Handle: &e.ref}
	if r.nlink > 1 && r.typ != tree.Dir {
		e.item.LinkID = e.w.s.linkID(r)
	}
	return e.yield(&e.item, nil)
}

// emitTop yields the entry of the top.
func (e *emitter) emitTop() bool {
	s, n := e.w.s, e.w.top
	r := rec{typ: tree.Dir, flags: n.flags | recDescend}
	err := e.k.statTop(&r)
	n.dev, n.ino, n.fs = r.dev, r.ino, r.fs
	s.fill(&e.entry, &r)
	e.entry.Name = nil
	e.entry.ErrClass, e.entry.ErrText = ErrClass(err), errText(err)
	e.ref = ref{dir: nil, rec: r}
	e.item = source.Item{Entry: &e.entry, Handle: &e.ref}
	return e.yield(&e.item, nil)
}

// fill sets the fields of an entry that come from looking it up.
func (s *Source) fill(e *tree.Entry, r *rec) {
	*e = tree.Entry{
		Type: r.typ, Mode: uint32(r.mode), UID: r.uid, GID: r.gid, Size: r.size, Nlink: r.nlink,
		ModTime: tree.Time{Sec: r.mtime, Nsec: r.mtimeNsec}, ChangeTime: tree.Time{Sec: r.ctime, Nsec: r.ctimeNsec},
		Major: r.major, Minor: r.minor,
	}
	if r.knownBirth {
		e.BirthTime = tree.Time{Sec: r.btime, Nsec: r.btimeNsec}
	}
	if r.flags&recImplied != 0 {
		*e = tree.Entry{Type: r.typ, Mode: uint32(r.mode), UID: r.uid, GID: r.gid, Flags: tree.Implied}
		return
	}
	if r.errClass != tree.ErrNone {
		return
	}
	sys := s.systems.get(r.fs)
	e.FS = sys.id
	if sys.trusted && r.flags&recForeign == 0 {
		e.Inode = r.ino
	}
}

// linkID is the identity of the file system, a NUL byte and the inode number: the same in every run while the file
// system stays what it is. A file whose device is not the one of its directory, though nothing is mounted there, comes
// from a layer of an overlay that counts inodes of its own: the device keeps the layers apart.
func (s *Source) linkID(r *rec) string {
	var buf [96]byte
	id := s.systems.get(r.fs).id
	b := append(buf[:0], id...)
	b = append(b, 0)
	b = binary.LittleEndian.AppendUint64(b, r.ino)
	if r.flags&recForeign != 0 || id == "" {
		b = binary.LittleEndian.AppendUint64(b, r.dev)
	}
	return string(b)
}

// errText is the text of an error as an entry holds it.
func errText(err error) string {
	if err == nil {
		return ""
	}
	t := err.Error()
	if len(t) > maxErrText {
		t = t[:maxErrText]
		for !utf8.ValidString(t) && len(t) > maxErrText-utf8.UTFMax {
			t = t[:len(t)-1]
		}
	}
	return t
}

const maxErrText = 255

// setErr notes an error in an entry, unless one stands there already.
func setErr(e *tree.Entry, err error) {
	if err != nil && e.ErrClass == tree.ErrNone {
		e.ErrClass, e.ErrText = ErrClass(err), errText(err)
	}
}

// Retain implements source.Source.
func (s *Source) Retain(it *source.Item) *source.Item {
	k, _ := s.kept.Get().(*kept)
	if k == nil {
		k = &kept{}
	}
	k.item = *it
	k.item.Dir = s.sharedDir(it.Dir)
	if it.Entry != nil {
		from := it.Handle.(*ref)
		k.name = append(append(k.name[:0], it.Entry.Name...), 0)
		k.entry = *it.Entry
		k.ref = ref{dir: from.dir, rec: from.rec, name: k.name[:len(it.Entry.Name)], kept: k}
		k.entry.Name = k.ref.name[:len(k.ref.name):len(k.ref.name)]
		k.item.Entry, k.item.Handle = &k.entry, &k.ref
	} else {
		k.ref = ref{kept: k}
		k.item.Handle = &k.ref
	}
	return &k.item
}

// sharedDir copies a directory's path once for all items of it.
func (s *Source) sharedDir(dir []byte) []byte {
	s.dirMu.Lock()
	defer s.dirMu.Unlock()
	if s.lastDir == nil || !bytes.Equal(s.lastDir, dir) {
		s.lastDir = append(make([]byte, 0, len(dir)), dir...)
	}
	return s.lastDir
}

// Release implements source.Source.
func (s *Source) Release(it *source.Item) {
	r, ok := it.Handle.(*ref)
	if !ok || r.kept == nil {
		return
	}
	k := r.kept
	r.fd.drop(s)
	name := k.name
	if cap(name) > 4096 {
		name = nil
	}
	*k = kept{name: name[:0]}
	s.kept.Put(k)
}

// Describe implements source.Source.
func (s *Source) Describe(ctx context.Context, it *source.Item) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e, r := it.Entry, it.Handle.(*ref)
	e.User, e.Group = s.owners.user(e.UID), s.owners.group(e.GID)
	if e.Flags&tree.Implied != 0 || e.ErrClass != tree.ErrNone && e.ErrClass != tree.ErrLoop {
		return nil
	}
	s.describe(e, r)
	return nil
}

// Open implements source.Source.
func (s *Source) Open(ctx context.Context, it *source.Item) (source.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.openFile(it.Handle.(*ref))
}
