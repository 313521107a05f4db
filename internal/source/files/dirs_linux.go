//go:build !portable

package files

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/tree"
)

// maxHandles is how many directories are held open at once, beside those in use at the moment: while a goroutine opens
// one it has up to four.
const maxHandles = 64

// maxHop is the longest path that is opened in one step, below PATH_MAX with the NUL byte.
const maxHop = 4095

// dirHandle is an open directory.
type dirHandle struct {
	fd         int
	n          *node
	pins       int
	prev, next *dirHandle
}

// dirCache holds open directories, the ones used last. A directory that it gave up is opened again by its path from
// its nearest ancestor that is open, in steps of at most PATH_MAX, and must be the same directory as before.
type dirCache struct {
	mu    sync.Mutex
	ring  dirHandle // the ring's next is the handle used last
	count int
	ended bool
}

func newDirCache() *dirCache {
	c := &dirCache{}
	c.ring.prev, c.ring.next = &c.ring, &c.ring
	return c
}

func (h *dirHandle) unlink() { h.prev.next, h.next.prev = h.next, h.prev }

func (c *dirCache) frontLocked(h *dirHandle) {
	h.prev, h.next = &c.ring, c.ring.next
	h.prev.next, h.next.prev = h, h
}

// acquire returns the handle of a directory, which stays open until release.
func (c *dirCache) acquire(n *node) (*dirHandle, error) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return nil, errEnded
	}
	if h := n.handle; h != nil {
		h.pins++
		h.unlink()
		c.frontLocked(h)
		c.mu.Unlock()
		return h, nil
	}
	a := n.parent
	for a != nil && a.handle == nil {
		a = a.parent
	}
	base := unix.AT_FDCWD
	var from *dirHandle
	if a != nil {
		from = a.handle
		from.pins++
		base = from.fd
	}
	c.mu.Unlock()
	fd, err := openBelow(base, a, n)
	if from != nil {
		c.release(from)
	}
	if err != nil {
		return nil, err
	}
	return c.install(n, fd), nil
}

// install makes fd the handle of n, unless another goroutine was faster.
func (c *dirCache) install(n *node, fd int) *dirHandle {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := n.handle; h != nil {
		closeFD(fd)
		h.pins++
		return h
	}
	h := &dirHandle{fd: fd, n: n, pins: 1}
	n.handle = h
	c.frontLocked(h)
	c.count++
	for old := c.ring.prev; old != &c.ring && c.count > maxHandles; {
		before := old.prev
		if old.pins == 0 {
			c.closeLocked(old)
		}
		old = before
	}
	return h
}

func (c *dirCache) closeLocked(h *dirHandle) {
	h.unlink()
	h.n.handle = nil
	c.count--
	closeFD(h.fd)
}

func (c *dirCache) release(h *dirHandle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.pins--; c.ended && h.pins == 0 {
		c.closeLocked(h)
	}
}

func (c *dirCache) closeAllLocked() {
	for h := c.ring.next; h != &c.ring; {
		next := h.next
		if h.pins == 0 {
			c.closeLocked(h)
		}
		h = next
	}
}

// close gives all handles up for good: one that somebody is still using, whom nobody waited for, when it is released.
func (c *dirCache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.closeAllLocked()
	return nil
}

var errEnded = errors.New("open: the source is closed")

var errReplaced = &classError{tree.ErrChanged, errors.New("open: the directory was replaced by another one")}

// openBelow opens n by its path from a, whose handle is base; a is nil when the path begins at the top.
func openBelow(base int, a, n *node) (int, error) {
	fd := base
	owned := false
	if a == nil {
		a = n
		for a.parent != nil {
			a = a.parent
		}
		root := [2]byte{'/'}
		top, errno := openat(base, &root[0], dirFlags(a)|unix.O_DIRECTORY)
		if errno != 0 {
			return -1, sysErr("open", errno)
		}
		fd, owned = top, true
		if a == n {
			return fd, nil
		}
	}
	for a != n {
		hop, path := nextHop(a, n)
		flags := unix.O_DIRECTORY | unix.O_PATH
		if hop == n {
			flags = dirFlags(n) | unix.O_DIRECTORY
		}
		if hop.flags&(recFollowed|recImplied) == 0 {
			flags |= unix.O_NOFOLLOW
		}
		next, errno := openat(fd, &path[0], flags)
		if owned {
			closeFD(fd)
		}
		if errno != 0 {
			if errno == unix.ELOOP {
				return -1, errReplaced
			}
			return -1, sysErr("open", errno)
		}
		fd, owned, a = next, true, hop
	}
	if err := compare(fd, n); err != nil {
		closeFD(fd)
		return -1, err
	}
	return fd, nil
}

// nextHop returns the deepest directory on the way from a to n that one call can reach, and the path to it.
func nextHop(a, n *node) (*node, []byte) {
	base := a.pathLen + min(a.pathLen, 1)
	hop := n
	for hop.pathLen-base > maxHop {
		hop = hop.parent
	}
	size := hop.pathLen - base
	path := make([]byte, size+1)
	for x, end := hop, size; x != a; x = x.parent {
		end -= len(x.name)
		copy(path[end:], x.name)
		if end > 0 {
			end--
			path[end] = '/'
		}
	}
	return hop, path
}

// dirFlags are the flags for opening a directory. An ancestor of a root may be one that can be passed but not read.
func dirFlags(n *node) int {
	if n.flags&recImplied != 0 {
		return unix.O_PATH
	}
	return unix.O_RDONLY | unix.O_NONBLOCK
}

// compare checks that fd is the directory that was looked up as n.
func compare(fd int, n *node) error {
	var st unix.Statx_t
	if errno := statx(fd, &emptyName[0], unix.AT_EMPTY_PATH, &st); errno != 0 {
		return sysErr("stat", errno)
	}
	if joinDev(st.Dev_major, st.Dev_minor) != n.dev || st.Ino != n.ino && n.flags&recLoose == 0 {
		return errReplaced
	}
	return nil
}
