package files

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// The bounds of the cache and of one step of opening.
const (
	maxHandles    = 64
	maxStep       = 32   // components
	maxStepLength = 4095 // bytes: PATH_MAX less the closing NUL
)

// handle is an open directory of the target. A handle that is in the cache and has no references stays open until the
// cache needs its place.
type handle struct {
	fd    int
	path  string // from the target, "" is the target itself
	opath bool   // opened with O_PATH, since its owner may not read it
	dev   uint64
	uid   uint32
	gid   uint32 // the group of a new object in it
	mode  uint32
	acl   bool // a default ACL is given to what is made in it

	refs       int
	prev, next *handle // ring of the cached handles, most recently used first
}

// handles is the cache of open directories.
type handles struct {
	root    *handle // always open, not in the cache
	openat2 bool

	mu     sync.Mutex
	open   map[string]*handle
	ring   handle          // its head
	devs   map[uint64]int  // a descriptor in each of them
	closed map[uint64]bool // file systems in which no directory could be opened for reading so far
	more   bool            // there are more than maxDevices
}

// maxDevices bounds the file systems that get a syncfs of their own at the end. With more of them, all are synced at once.
const maxDevices = 64

func (c *handles) init(root int) error {
	c.open = make(map[string]*handle, maxHandles)
	c.ring.prev, c.ring.next = &c.ring, &c.ring
	c.devs, c.closed = make(map[uint64]int), make(map[uint64]bool)
	c.root = &handle{fd: root, refs: 1}
	if err := c.root.inspect(); err != nil {
		return err
	}
	fd, err := unix.Openat2(root, ".", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: beneath})
	if err == nil {
		c.openat2 = true
		err = unix.Close(fd)
	} else {
		err = nil // an old kernel, or a sandbox that does not know the call: step by step instead
	}
	return err
}

const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

// inspect learns what a new object in the directory gets by itself.
func (h *handle) inspect() error {
	var st unix.Stat_t
	if err := unix.Fstat(h.fd, &st); err != nil {
		return err
	}
	h.dev, h.uid, h.mode = uint64(st.Dev), st.Uid, st.Mode
	h.gid = uint32(unix.Getegid())
	if st.Mode&unix.S_ISGID != 0 {
		h.gid = st.Gid
	}
	object := object{fd: h.fd, opath: h.opath}
	h.acl = object.hasXattr(aclDefault)
	return nil
}

// get returns the handle of directory dir. Each get is followed by a put.
func (c *handles) get(dir []byte) (*handle, error) {
	if len(dir) == 0 {
		return c.root, nil
	}
	c.mu.Lock()
	if h := c.open[string(dir)]; h != nil {
		c.useLocked(h)
		c.mu.Unlock()
		return h, nil
	}
	h := c.nearestLocked(dir)
	c.mu.Unlock()
	if err := checkDir(dir); err != nil {
		c.put(h)
		return nil, err
	}
	for len(h.path) < len(dir) {
		next, err := c.step(h, dir)
		c.put(h)
		if err != nil {
			return nil, err
		}
		h = next
	}
	return h, nil
}

// nearestLocked returns the deepest open ancestor of dir.
func (c *handles) nearestLocked(dir []byte) *handle {
	for {
		i := bytes.LastIndexByte(dir, '/')
		if i < 0 {
			return c.root
		}
		dir = dir[:i]
		if h := c.open[string(dir)]; h != nil {
			c.useLocked(h)
			return h
		}
	}
}

func (c *handles) useLocked(h *handle) {
	h.refs++
	if c.ring.next != h {
		h.unlink()
		c.linkLocked(h)
	}
}

func (h *handle) unlink() { h.prev.next, h.next.prev = h.next, h.prev }

func (c *handles) linkLocked(h *handle) {
	h.prev, h.next = &c.ring, c.ring.next
	h.prev.next, h.next.prev = h, h
}

// step opens the next part of dir below h and puts it into the cache.
func (c *handles) step(h *handle, dir []byte) (*handle, error) {
	from := len(h.path)
	if from > 0 {
		from++
	}
	end := from
	for n := 0; n < maxStep && end < len(dir); n++ {
		next := len(dir)
		if i := bytes.IndexByte(dir[end+1:], '/'); i >= 0 {
			next = end + 1 + i
		}
		if n > 0 && next-from > maxStepLength {
			break
		}
		end = next
	}
	fd, opath, err := c.openDir(h.fd, string(dir[from:end]))
	if err != nil {
		return nil, fmt.Errorf("open directory %q: %w", dir[:end], kind(err))
	}
	next := &handle{fd: fd, opath: opath, path: string(dir[:end]), refs: 1}
	if err := next.inspect(); err != nil {
		return nil, errors.Join(fmt.Errorf("stat directory %q: %w", dir[:end], kind(err)), unix.Close(fd))
	}
	return c.insert(next)
}

// insert puts h into the cache unless another goroutine was faster, and makes room.
func (c *handles) insert(h *handle) (*handle, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.open[h.path]; other != nil {
		c.useLocked(other)
		return other, unix.Close(h.fd)
	}
	c.noteDeviceLocked(h)
	var err error
	for old := c.ring.prev; len(c.open) >= maxHandles && old != &c.ring; {
		prev := old.prev
		if old.refs == 0 {
			old.unlink()
			delete(c.open, old.path)
			err = errors.Join(err, unix.Close(old.fd))
		}
		old = prev
	}
	c.open[h.path] = h
	c.linkLocked(h)
	return h, err
}

// noteDeviceLocked keeps a descriptor in each file system below the target other than the target's own, for the sync at
// the end. Where it cannot have one the end is a sync of everything, which is no reason not to restore.
func (c *handles) noteDeviceLocked(h *handle) {
	if h.dev == c.root.dev {
		return
	}
	if _, ok := c.devs[h.dev]; ok {
		return
	}
	if len(c.devs) == maxDevices {
		c.more = true
		return
	}
	// syncfs needs a descriptor that is not O_PATH, which a directory that may not be read does not give; another of that
	// file system may.
	fd, err := unix.Openat(h.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		if len(c.closed) == maxDevices {
			c.more = true
		} else {
			c.closed[h.dev] = true
		}
		return
	}
	c.devs[h.dev] = fd
	delete(c.closed, h.dev)
}

func (c *handles) put(h *handle) {
	if h == c.root {
		return
	}
	c.mu.Lock()
	h.refs--
	c.mu.Unlock()
}

// openDir opens the directory rel below the directory at, following nothing and leaving nothing.
func (c *handles) openDir(at int, rel string) (fd int, opath bool, err error) {
	fd, err = c.openBeneath(at, rel, unix.O_RDONLY)
	if errors.Is(err, unix.EACCES) {
		fd, err = c.openBeneath(at, rel, unix.O_PATH)
		opath = true
	}
	return fd, opath, err
}

func (c *handles) openBeneath(at int, rel string, flags int) (int, error) {
	flags |= unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	if c.openat2 {
		for {
			fd, err := unix.Openat2(at, rel, &unix.OpenHow{Flags: uint64(flags), Resolve: beneath})
			if err != unix.EINTR && err != unix.EAGAIN {
				return fd, err
			}
		}
	}
	dir := at
	for {
		name, rest, more := strings.Cut(rel, "/")
		f := flags
		if more {
			f = f&^unix.O_ACCMODE | unix.O_PATH
		}
		fd, err := unix.Openat(dir, name, f, 0)
		if dir != at {
			err = errors.Join(err, unix.Close(dir))
		}
		if err != nil || !more {
			return fd, err
		}
		dir, rel = fd, rest
	}
}

// sync makes everything durable that was written through the handles.
func (c *handles) sync() error {
	if len(c.closed) > 0 || c.more {
		unix.Sync() // of every file system; it tells no errors, so that the others are asked as well
	}
	err := unix.Syncfs(c.root.fd)
	for _, fd := range c.devs {
		err = errors.Join(err, unix.Syncfs(fd))
	}
	if err != nil {
		return fmt.Errorf("sync file system: %w", kind(err))
	}
	return nil
}

func (c *handles) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	for _, h := range c.open {
		err = errors.Join(err, unix.Close(h.fd))
	}
	for _, fd := range c.devs {
		err = errors.Join(err, unix.Close(fd))
	}
	c.open, c.devs = nil, nil
	return errors.Join(err, unix.Close(c.root.fd))
}
