package files

import (
	"os/user"
	"strconv"
	"sync"

	"github.com/nacre-backup/nacre/internal/tree"
)

// owners finds the ids that owners' names have on this system. At most maxNames names are remembered for each kind;
// then the cache starts anew.
type owners struct {
	numeric bool
	mu      sync.RWMutex
	users   map[string]uint32
	groups  map[string]uint32
}

const maxNames = 4096

// of returns the ids for an entry: those of the names where this system knows them, else the numbers.
func (o *owners) of(e *tree.Entry) (uid, gid uint32) {
	if o.numeric {
		return e.UID, e.GID
	}
	return o.find(&o.users, e.User, e.UID, userID), o.find(&o.groups, e.Group, e.GID, groupID)
}

func (o *owners) find(m *map[string]uint32, name string, number uint32, look func(string) (string, bool)) uint32 {
	if name == "" {
		return number
	}
	// The number is part of the key: an unknown name may come with several numbers.
	key := name + "\x00" + strconv.FormatUint(uint64(number), 10)
	o.mu.RLock()
	id, ok := (*m)[key]
	o.mu.RUnlock()
	if ok {
		return id
	}
	id = number
	if s, ok := look(name); ok {
		if n, err := strconv.ParseUint(s, 10, 32); err == nil {
			id = uint32(n)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if *m == nil || len(*m) >= maxNames {
		*m = make(map[string]uint32)
	}
	(*m)[key] = id
	return id
}

func userID(name string) (string, bool) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", false
	}
	return u.Uid, true
}

func groupID(name string) (string, bool) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", false
	}
	return g.Gid, true
}
