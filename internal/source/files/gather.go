package files

import "github.com/nacre-backup/nacre/internal/tree"

// gatherer collects the names of one directory.
type gatherer struct {
	list *names
	dir  string // for runs on disk
}

func (g *gatherer) add(name []byte, typ tree.Type) error {
	g.list.add(name, typ)
	return nil
}

// mayHold reports whether a name may be in the listing; a listing in memory knows.
func (g *gatherer) mayHold(name []byte) bool {
	for i := range g.list.ents {
		if e := &g.list.ents[i]; int(e.len) == len(name) && string(g.list.name(e)) == string(name) {
			return true
		}
	}
	return false
}

func (g *gatherer) finish() (supplier, error) {
	g.list.sort()
	return &memorySupply{list: g.list}, nil
}

func (g *gatherer) discard() {}
