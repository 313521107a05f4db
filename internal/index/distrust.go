package index

import (
	"sync"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/id"
)

// distrusted are the blobs whose stored copies were found damaged: Claim does not count on them.
type distrusted struct {
	any atomic.Bool // so that the usual case costs one load
	mu  sync.Mutex
	set map[id.Short]struct{}
}

func (d *distrusted) has(s id.Short) bool {
	if !d.any.Load() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.set[s]
	return ok
}

// Distrust says that the known copies of a blob are damaged: the next Claim of it is told to store it again, so that a
// snapshot made from now on does not rest on the damage. Reading still finds all copies. It takes about 50 bytes of
// memory a blob.
func (x *Index) Distrust(s id.Short) {
	d := &x.distrusted
	d.mu.Lock()
	if d.set == nil {
		d.set = map[id.Short]struct{}{}
	}
	d.set[s] = struct{}{}
	d.any.Store(true)
	d.mu.Unlock()
}
