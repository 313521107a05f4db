package files

import (
	"sync"
	"sync/atomic"
)

// system is one mounted file system.
type system struct {
	dev     uint64
	id      string // its identity; empty where unknown
	trusted bool   // its inode numbers stay what they are
	noFlags atomic.Bool
	noProj  atomic.Bool
	noAttrs atomic.Bool
}

// systemTable holds the file systems met so far. Reading it takes no lock.
type systemTable struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*system]
}

var unknownSystem = &system{}

// get returns the system with an index that find returned.
func (t *systemTable) get(i uint32) *system {
	if l := t.list.Load(); l != nil && int(i) < len(*l) {
		return (*l)[i]
	}
	return unknownSystem
}

// find returns the index of a device's file system; identify is called when it is new.
func (t *systemTable) find(dev uint64, identify func(*system)) uint32 {
	if i, ok := t.look(dev); ok {
		return i
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, ok := t.look(dev); ok {
		return i
	}
	sys := &system{dev: dev}
	identify(sys)
	var list []*system
	if l := t.list.Load(); l != nil {
		list = append(list, *l...)
	}
	list = append(list, sys)
	t.list.Store(&list)
	return uint32(len(list) - 1)
}

func (t *systemTable) look(dev uint64) (uint32, bool) {
	if l := t.list.Load(); l != nil {
		for i, s := range *l {
			if s.dev == dev {
				return uint32(i), true
			}
		}
	}
	return 0, false
}
