//go:build unix

package restore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/restore"
	"github.com/nacre-backup/nacre/internal/sink/files"
	"github.com/nacre-backup/nacre/internal/tree"
)

// allocated returns how many bytes a file occupies.
func allocated(t *testing.T, path string) (int64, bool) {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Stat(path, &st))
	return int64(st.Blocks) * 512, true
}

// inode is equal for hard links of one file.
func inode(t *testing.T, top, path string) string {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Lstat(filepath.Join(top, path), &st))
	return fmt.Sprint(st.Dev, st.Ino)
}

// TestLinksKeepTheirGroups restores random groups and compares which files are one.
func TestLinksKeepTheirGroups(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		objects := drawObjects(rt)
		s := vault(t, objects)
		target, err := os.MkdirTemp(t.TempDir(), "")
		must(t, err)
		o := restore.WithBounds(restore.Options{}, rapid.IntRange(1, 9).Draw(rt, "items"), 10, 3)
		run(t, s, target, files.Options{}, o)
		type key struct {
			group   id.Link
			content string
		}
		groups := map[key]string{}
		owner := map[string]key{}
		for _, o := range objects {
			if o.entry.Type != tree.File || o.entry.Link.IsZero() {
				continue
			}
			k := key{o.entry.Link, string(o.content) + fmt.Sprint(o.holes && len(o.content) > 128)}
			file := inode(t, target, string(tree.JoinPath(nil, []byte(o.dir), o.entry.Name)))
			if first, ok := groups[k]; ok && first != file {
				// Files with and without holes have different contents in the snapshot, though equal bytes.
				rt.Errorf("%s is not linked to the others of its group", o.entry.Name)
			}
			groups[k] = file
			if other, ok := owner[file]; ok && (other.group != k.group) {
				rt.Errorf("%s is linked to a file of another group", o.entry.Name)
			}
			owner[file] = k
		}
	})
}
