package files

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/nacre-backup/nacre/internal/pattern"
	"github.com/nacre-backup/nacre/internal/tree"
)

// worker is what one goroutine needs to list directories and look up names.
type worker struct {
	s    *Source
	w    *walk
	sys  sysWorker
	path []byte // of the name at hand, where a rule looks at paths
}

func newWorker(w *walk) *worker { return &worker{s: w.s, w: w, sys: newSysWorker()} }

// listing is what listing a directory yields.
type listing struct {
	first  *batch // its first names, looked up
	subs   []sub  // the subdirectories among them
	supply supplier
	spool  *subSpool // of a directory of more than one batch that does not fit in memory
	err    error
}

// list reads the names of a directory and looks up the first of them. It yields nothing but an error when the names
// could not be read to the end.
func (k *worker) list(n *node) listing {
	if n.depth >= maxDepth || n.pathLen >= maxPath {
		return listing{err: &classError{tree.ErrTooLarge, fmt.Errorf("list: deeper than %d components or %d bytes", maxDepth, maxPath)}}
	}
	g := gatherer{list: k.w.takeNames(), limit: k.s.maxNames, temp: k.w.tempFile}
	n.list = g.list
	if n.flags&recImplied == 0 {
		h, err := k.s.dirs.acquire(n)
		if err != nil {
			return listing{err: err}
		}
		err = k.readNames(h, &g)
		if err == nil {
			err = k.readRules(n, h, &g)
		}
		k.s.dirs.release(h)
		if err != nil {
			g.discard()
			return listing{err: err}
		}
	}
	if err := g.addRoots(n.root); err != nil {
		g.discard()
		return listing{err: err}
	}
	supply, err := g.finish()
	if err != nil {
		return listing{err: err}
	}
	var l listing
	if g.runs != nil {
		f, err := k.w.tempFile()
		if err != nil {
			supply.close()
			return listing{err: fmt.Errorf("keep the subdirectories of a large directory: %w", err)}
		}
		l.spool = newSubSpool(f)
	}
	b, last, err := supply.next()
	if err != nil || last {
		supply.close()
		supply = nil
	}
	if err != nil {
		return listing{err: err}
	}
	l.first, l.subs, l.supply = b, k.lookupBatch(n, b), supply
	return l
}

// readRules looks for files that mark the directory, and for ignore files.
func (k *worker) readRules(n *node, h *dirHandle, g *gatherer) error {
	for _, t := range k.s.filter.tags {
		if !g.mayHold(t.name) {
			continue
		}
		head, err := k.readHead(h, t.name, len(t.header))
		if err == nil && bytes.HasPrefix(head, t.header) {
			n.only = t.name
			return nil
		}
	}
	if !k.s.filter.ignore {
		return nil
	}
	r := &ignoreRules{above: n.rules, below: n.pathLen + min(n.pathLen, 1)}
	for _, name := range [][]byte{[]byte(".gitignore"), []byte(".nacreignore")} {
		if !g.mayHold(name) {
			continue
		}
		// An ignore file that cannot be read leaves out nothing; the file's own entry reports the error.
		if content, err := k.readHead(h, name, maxIgnoreFile); err == nil {
			r.lists = append(r.lists, pattern.Ignore(content))
		}
	}
	if len(r.lists) > 0 {
		n.rules = r
	}
	return nil
}

const maxIgnoreFile = 1 << 20

// lookupBatch looks up the names of a batch and returns the subdirectories among them that are to be listed.
func (k *worker) lookupBatch(n *node, b *batch) []sub {
	b.recs = k.w.takeRecs(b.hi - b.lo)
	h, err := k.s.dirs.acquire(n)
	if err == nil {
		defer k.s.dirs.release(h)
	}
	if k.s.filter.needPath || len(k.s.filter.byPath) > 0 {
		k.path = n.appendPath(k.path[:0])
		if len(k.path) > 0 {
			k.path = append(k.path, '/')
		}
	}
	var subs []sub
	for i := range b.recs {
		e := &b.names.ents[b.lo+i]
		r := &b.recs[i]
		*r = rec{off: e.off, len: e.len, typ: e.typ}
		lookupErr := err
		if h != nil {
			lookupErr = k.lookup(n, h, b.names.name(e), r)
		}
		if r.flags&recSkip != 0 {
			continue
		}
		if lookupErr != nil {
			if b.errs == nil {
				b.errs = make(map[int]error)
			}
			b.errs[i] = lookupErr
			r.errClass = ErrClass(lookupErr)
			if r.typ == 0 {
				r.typ = tree.File
			}
		}
		if r.typ == tree.Dir && (lookupErr != nil && r.errClass != tree.ErrLoop || r.flags&recDescend != 0) {
			subs = append(subs, sub{off: r.off, len: r.len, flags: r.flags, fs: r.fs, dev: r.dev, ino: r.ino, err: lookupErr})
		}
	}
	return subs
}

// lookup fills in the record of a name, or marks it as left out.
func (k *worker) lookup(n *node, h *dirHandle, name []byte, r *rec) error {
	rn := n.root.child(name)
	if rn == nil && r.typ != 0 && k.leftOut(n, name, r.typ) {
		r.flags |= recSkip
		return nil
	}
	listed := r.typ
	if err := k.stat(h, name, false, r); err != nil {
		return err
	}
	if r.typ == tree.Symlink && k.follows(rn) {
		if ok, err := k.follow(h, name, r); !ok {
			return err
		}
	}
	if rn == nil && k.leftOutAfterAll(n, name, listed, r) || k.s.skips(r.dev, r.ino) {
		r.flags |= recSkip
		return nil
	}
	if r.dev != n.dev && r.flags&recMount == 0 && r.typ != tree.Dir {
		r.flags |= recForeign
	}
	return k.place(n, name, rn, r)
}

// follow makes r the record of what a symbolic link points to. It is not ok if the link stays a link: with an error,
// or without one where it leads nowhere.
func (k *worker) follow(h *dirHandle, name []byte, r *rec) (ok bool, err error) {
	link := *r
	if err := k.stat(h, name, true, r); err != nil {
		*r = link // what leads nowhere is stored as a link
		if class := ErrClass(err); class != tree.ErrVanished && class != tree.ErrChanged {
			return false, err
		}
		return false, nil
	}
	r.flags |= recFollowed
	return true, nil
}

// leftOutAfterAll says whether an entry is left out for what only its record tells: its type, if the listing did not
// tell it or not that of what a link points to, and its size.
func (k *worker) leftOutAfterAll(n *node, name []byte, listed tree.Type, r *rec) bool {
	if r.typ != listed && k.leftOut(n, name, r.typ) {
		return true
	}
	return r.typ == tree.File && k.s.filter.larger > 0 && r.size > k.s.filter.larger
}

// place decides what becomes of a directory, or of a mount point, once it was looked up.
func (k *worker) place(n *node, name []byte, rn *rootNode, r *rec) error {
	outside := k.outside(n, rn, r)
	if r.typ != tree.Dir {
		if outside && r.flags&recMount != 0 {
			r.flags |= recSkip
		}
		return rn.leaf()
	}
	if rn != nil && !rn.root && (n.flags&recImplied != 0 || r.flags&recFollowed != 0 || n.only != nil) {
		r.flags |= recImplied
	}
	if r.flags&recFollowed != 0 && leadsBack(n, name, r) {
		return &classError{tree.ErrLoop, errors.New("a symbolic link leads back to a directory above it")}
	}
	if !k.s.systems.get(r.fs).trusted {
		r.flags |= recLoose
	}
	if !outside {
		r.flags |= recDescend
	}
	return nil
}

// outside says whether an entry stands on a file system that is not to be entered.
func (k *worker) outside(n *node, rn *rootNode, r *rec) bool {
	return k.s.filter.oneFS && rn == nil && r.dev != n.dev && !k.s.onRootDevice(r.dev)
}

// leadsBack reports whether a directory that was reached through a link is one of those above it.
func leadsBack(n *node, name []byte, r *rec) bool {
	if r.ino == 0 {
		return leadsBackByPath(n, name)
	}
	for a := n; a != nil; a = a.parent {
		if a.dev == r.dev && a.ino == r.ino && a.flags&recImplied == 0 {
			return true
		}
	}
	return false
}

func (k *worker) follows(rn *rootNode) bool {
	f := k.s.opts.FollowSymlinks
	return f == FollowAll || rn != nil && (len(rn.children) > 0 || f == FollowRoots)
}

func (k *worker) leftOut(n *node, name []byte, typ tree.Type) bool {
	if n.only != nil && !bytes.Equal(n.only, name) {
		return true
	}
	at := len(k.path)
	k.path = append(k.path, name...)
	out := k.s.filter.excludes(n.rules, k.path, name, typ)
	k.path = k.path[:at]
	return out
}

// appendPath appends the path of a directory from the top.
func (n *node) appendPath(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, n.pathLen)...)
	end := at + n.pathLen
	for x := n; x.parent != nil; x = x.parent {
		end -= len(x.name)
		copy(dst[end:], x.name)
		if end > at {
			end--
			dst[end] = '/'
		}
	}
	return dst
}
