package files

import (
	"os/user"
	"strconv"
	"sync"
)

// owners remembers the names of users and groups, and which have none.
type owners struct {
	users, groups sync.Map // uint32 -> string
}

func (o *owners) user(id uint32) string {
	return remember(&o.users, id, func(id string) string {
		if u, err := user.LookupId(id); err == nil {
			return u.Username
		}
		return ""
	})
}

func (o *owners) group(id uint32) string {
	return remember(&o.groups, id, func(id string) string {
		if g, err := user.LookupGroupId(id); err == nil {
			return g.Name
		}
		return ""
	})
}

func remember(m *sync.Map, id uint32, look func(id string) string) string {
	if name, ok := m.Load(id); ok {
		return name.(string)
	}
	name := look(strconv.FormatUint(uint64(id), 10))
	m.Store(id, name)
	return name
}
