package backup

import (
	"context"

	"github.com/nacre-backup/nacre/internal/tree"
)

// moves finds where a directory that is new stood in the parent. The table is made when it is first asked, so that a
// backup without new directories does not pay for it.
type moves struct {
	table *tree.DirTable
	built bool
}

// find returns the old path of the directory. A wrong hit (an inode used again) costs time and nothing else: each
// entry below is compared by its own inode and times.
func (m *moves) find(ctx context.Context, r *run, e *tree.Entry) ([]byte, bool) {
	if e.Inode == 0 || e.FS == "" || len(r.parents) == 0 {
		return nil, false
	}
	if !m.built {
		m.built = true
		t, err := tree.NewDirTable(ctx, r.parents[len(r.parents)-1].Tree)
		if err != nil {
			r.warn(err)
			return nil, false
		}
		m.table = t
	}
	if m.table == nil {
		return nil, false
	}
	return m.table.Find(e.FS, e.Inode)
}
