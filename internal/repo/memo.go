package repo

import (
	"sync"

	"github.com/nacre-backup/nacre/internal/crypt"
)

// memo keeps the fates that this process has verified, so that the listings of one run read each of them once. Fates
// are never overwritten. It holds at most memoBytes; what does not fit is read again.
type memo struct {
	mu    sync.Mutex
	bytes int
	seen  map[memoKey]*Control
}

// memoKey tells an object by its place and length: one that was cut short is read again.
type memoKey struct {
	path string
	size int64
}

const memoBytes = 64 << 20

// Recall returns a control object of that place and size which this process has verified before, or nil. What it
// says of its writer's rights is as of now.
func (r *Repo) Recall(path string, size int64) *Control {
	r.memo.mu.Lock()
	c := r.memo.seen[memoKey{path, size}]
	r.memo.mu.Unlock()
	if c == nil {
		return nil
	}
	row, ok := r.writerRow(c.Writer)
	if !ok {
		return nil
	}
	now := *c
	now.Ring = *row
	return &now
}

// Retain lets Recall find a fate.
func (r *Repo) Retain(c *Control, size int64) {
	if c.Class != crypt.ClassFate || c.Healed {
		return
	}
	n := len(c.Outer) + len(c.Inner) + len(c.Path) + 200
	r.memo.mu.Lock()
	defer r.memo.mu.Unlock()
	k := memoKey{c.Path, size}
	if r.memo.seen[k] != nil || r.memo.bytes+n > memoBytes {
		return
	}
	if r.memo.seen == nil {
		r.memo.seen = map[memoKey]*Control{}
	}
	r.memo.seen[k] = c
	r.memo.bytes += n
}
