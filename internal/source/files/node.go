package files

import (
	"github.com/nacre-backup/nacre/internal/tree"
)

// rec is what looking up one name gives. It holds no pointers, so that the collector does not look at it.
type rec struct {
	off        uint32 // the name, in the names of the batch
	len        uint16
	typ        tree.Type
	flags      recFlags
	errClass   tree.ErrClass // not ErrNone: the error is in the batch's errs
	mode       uint16
	uid, gid   uint32
	nlink      uint32
	fs         uint32 // index into Source.systems
	major      uint32
	minor      uint32
	mtime      int64
	ctime      int64
	btime      int64
	mtimeNsec  uint32
	ctimeNsec  uint32
	btimeNsec  uint32
	size       uint64
	ino        uint64
	dev        uint64
	blocks     uint64 // of 512 bytes
	knownBirth bool
}

type recFlags uint8

const (
	recSkip     recFlags = 1 << iota // left out after all
	recImplied                       // an ancestor of a root
	recFollowed                      // a symlink was replaced by what it points to
	recMount                         // the root of a mount
	recDescend                       // its names are to be listed
	recLoose                         // a directory whose file system makes up inode numbers
	recForeign                       // its device is not its directory's, and it is no mount point
)

// batch is a piece of a listing that is looked up at once.
type batch struct {
	names *names
	lo    int // the entries names.ents[lo:hi]
	hi    int
	part  int // which piece of the listing it is
	recs  []rec
	errs  map[int]error // by index in recs
	err   error         // the directory could not be opened again
	done  bool
}

// sub is a subdirectory that will be listed after the entries of its parent.
type sub struct {
	off   uint32 // the name, in the names of the batch
	len   uint16
	flags recFlags
	fs    uint32
	dev   uint64
	ino   uint64
	err   error // looking it up failed
}

// node is a directory that is being walked, from the moment when someone takes it until its last subdirectory is
// taken. Nodes are held by their children and by retained items.
type node struct {
	parent  *node
	name    []byte // a NUL byte follows it in memory
	depth   int    // components of its path
	order   int    // among the subdirectories of its parent
	flags   recFlags
	root    *rootNode // roots at and below it, or nil
	dev     uint64
	ino     uint64
	fs      uint32
	rules   *ignoreRules
	pathLen int    // bytes of its path
	only    []byte // the only name in it that is not left out, where that is so
	handle  *dirHandle

	// The rest is guarded by walk.mu.
	listed    bool
	counted   bool      // nodeCost stands in walk.ahead for it
	list      *names    // its names, when they are in memory
	err       error     // it could not be listed
	supply    supplier  // the names that no batch has yet; nil when there are none left
	parts     [][]sub   // subdirectories, by batch
	partNames []*names  // the names of parts
	spool     *subSpool // takes the subdirectories of a large directory instead
	batches   []*batch  // taken, in order, and not yet emitted
	busy      int       // batches that are being looked up
	part      int       // the next subdirectory to take is parts[part][sub]; with spool, the next part to go there
	sub       int
	taken     int     // subdirectories taken so far
	kids      []*node // taken, in order, and not yet emitted
	open      bool    // it stands in walk.open
}

// supplier hands out the names of a listing in order.
type supplier interface {
	// next returns a batch of the next names; last says that no more will follow.
	next() (b *batch, last bool, err error)
	close()
}

// names as a supplier.
type memorySupply struct {
	list *names
	at   int
}

func (m *memorySupply) next() (*batch, bool, error) {
	b := &batch{names: m.list, lo: m.at, hi: min(m.at+batchSize, len(m.list.ents))}
	m.at = b.hi
	return b, m.at == len(m.list.ents), nil
}

func (m *memorySupply) close() {}

// ancestor reports whether n is x or an ancestor of it.
func (n *node) ancestor(x *node) bool {
	for x.depth > n.depth {
		x = x.parent
	}
	return x == n
}

// before reports whether the work left in n comes before the work left in o: the directories below n, whose place is
// that of n itself, before the next subdirectory of o.
func (n *node) before(o *node) bool {
	if o.ancestor(n) {
		return true // what o still has to hand out comes after everything that it handed out
	}
	if n.ancestor(o) {
		return false
	}
	a, b := n, o
	for a.depth > b.depth {
		a = a.parent
	}
	for b.depth > a.depth {
		b = b.parent
	}
	for a.parent != b.parent {
		a, b = a.parent, b.parent
	}
	return a.order < b.order
}

// hasSubLocked reports whether a subdirectory is left to take. Subdirectories are known when all names were looked up.
func (n *node) hasSubLocked() bool {
	if !n.listed || n.supply != nil || n.busy > 0 {
		return false
	}
	if n.spool != nil {
		return n.spool.left > 0
	}
	for n.part < len(n.parts) && n.sub == len(n.parts[n.part]) {
		n.parts[n.part], n.partNames[n.part] = nil, nil
		n.part, n.sub = n.part+1, 0
	}
	return n.part < len(n.parts)
}

// foundLocked notes the subdirectories of a batch that was looked up.
func (n *node) foundLocked(part int, found []sub) {
	n.parts[part] = append(make([]sub, 0, len(found)), found...)
	if n.spool == nil {
		return
	}
	for n.part < len(n.parts) && n.parts[n.part] != nil { // in order: a batch may be done before the one before it
		for i := range n.parts[n.part] {
			s := &n.parts[n.part][i]
			n.spool.put(s, n.partNames[n.part].at(s.off, s.len))
		}
		n.parts[n.part], n.partNames[n.part] = nil, nil
		n.part++
	}
}

// takeSubLocked makes the node of the next subdirectory.
func (n *node) takeSubLocked() (*node, error) {
	var s sub
	var name []byte
	if n.spool != nil {
		var err error
		if s, name, err = n.spool.take(); err != nil {
			return nil, err
		}
	} else {
		s = n.parts[n.part][n.sub]
		n.sub++
		name = append(make([]byte, 0, int(s.len)+1), n.partNames[n.part].at(s.off, s.len)...)
	}
	k := &node{
		parent: n, name: name, depth: n.depth + 1, order: n.taken, flags: s.flags,
		root: n.root.child(name), dev: s.dev, ino: s.ino, fs: s.fs, rules: n.rules,
		pathLen: n.pathLen + min(n.pathLen, 1) + len(name),
	}
	if s.err != nil {
		k.listed, k.err = true, s.err
	}
	n.taken++
	n.kids = append(n.kids, k)
	return k, nil
}

// hasWork reports whether a walker can take something of n.
func (n *node) hasWorkLocked() bool {
	return n.listed && n.err == nil && n.supply != nil || n.hasSubLocked()
}
