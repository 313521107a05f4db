package backup

import (
	"testing"

	"github.com/nacre-backup/nacre/internal/tree"
)

func TestMountsTellALostFileSystemFromADeletion(t *testing.T) {
	t.Parallel()
	type step struct {
		scan string // the directory of the scan's next entry; "-" is the end
		gone string // the directory of an entry that the scan does not bring
		old  tree.Entry
		lost bool
	}
	stale := tree.Entry{Flags: tree.Stale, ErrClass: tree.ErrMount}
	cases := map[string]struct {
		changed string // a directory whose file system is not the parent's
		steps   []step
	}{
		"an emptied directory is a deletion":                  {"", []step{{"", "", tree.Entry{}, false}, {"b", "a", tree.Entry{}, false}}},
		"an empty mount point with another file system":       {"a", []step{{"b", "a", tree.Entry{}, true}, {"b", "a/x", tree.Entry{}, true}, {"b", "aa", tree.Entry{}, false}}},
		"a mount point that still has entries before":         {"a", []step{{"a", "", tree.Entry{}, false}, {"b", "a", tree.Entry{}, false}}},
		"a mount point that still has entries behind":         {"a", []step{{"a", "a", tree.Entry{}, false}}},
		"what was kept stays kept while the place is empty":   {"", []step{{"b", "a", stale, true}, {"b", "a/y", tree.Entry{}, true}}},
		"at the end of the scan":                              {"z", []step{{"-", "z", tree.Entry{}, true}}},
		"a stale entry in a directory that has entries again": {"", []step{{"a", "a", stale, false}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m mounts
			if c.changed != "" {
				m.dir([]byte(c.changed), &tree.Entry{FS: "new"}, &tree.Entry{FS: "old"})
			}
			last := "?"
			for i, s := range c.steps {
				if s.scan != last {
					m.next([]byte(s.scan), s.scan != "-")
					last = s.scan
				}
				if s.gone == "" && s.scan == "" {
					continue
				}
				if err := m.lost([]byte(s.gone), &s.old); (err != nil) != s.lost {
					t.Errorf("step %d, %s gone before %s: lost is %v", i, s.gone, s.scan, err)
				}
			}
		})
	}
}
