package restore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/restore"
	"github.com/nacre-backup/nacre/internal/sink/files"
)

func TestPatternsChoose(t *testing.T) {
	t.Parallel()
	objects := small()
	s := vault(t, objects)
	for _, c := range []struct {
		name             string
		include, exclude []string
		fold             bool
		want             string
	}{
		{"a directory from the top", []string{"/home/u/sub"}, nil, false, "home home/u home/u/sub home/u/sub/again home/u/sub/other"},
		{"a file from the top", []string{"/home/u/tiny"}, nil, false, "home home/u home/u/tiny"},
		{"a path from the top with a slash at its end", []string{"/home/u/sub2/"}, nil, false, "home home/u home/u/sub2 home/u/sub2/deep home/u/sub2/deep/f"},
		{"several paths", []string{"/home/u/tiny", "/home/u/sub2/deep"}, nil, false, "home home/u home/u/sub2 home/u/sub2/deep home/u/sub2/deep/f home/u/tiny"},
		{"a name anywhere", []string{"f"}, nil, false, "home home/u home/u/sub2 home/u/sub2/deep home/u/sub2/deep/f"},
		{"a wildcard", []string{"sub*"}, nil, false, "home home/u home/u/sub home/u/sub/again home/u/sub/other home/u/sub2 home/u/sub2/deep home/u/sub2/deep/f"},
		{"what matches nothing", []string{"/nowhere"}, nil, false, ""},
		{"case is told apart", []string{"TINY"}, nil, false, ""},
		{"case is not told apart", []string{"/HOME/u/TINY"}, nil, true, "home home/u home/u/tiny"},
		{"all but some", nil, []string{"/home/u/s*", "b*", "hol*", "l*", "a*", "m*", "e*"}, false, "home home/u home/u/tiny home/u/void"},
		{"some but not all", []string{"/home/u/sub"}, []string{"other"}, false, "home home/u home/u/sub home/u/sub/again"},
		{"exclude wins over include", []string{"/home/u/sub/again"}, []string{"/home/u/sub"}, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := restore.Patterns{Include: c.include, Exclude: c.exclude}
			if c.fold {
				p = restore.Patterns{IInclude: c.include, IExclude: c.exclude}
			}
			choose, err := restore.Choose(p)
			must(t, err)
			target := t.TempDir()
			sum := run(t, s, target, files.Options{}, restore.Options{Select: choose})
			wanted := map[string]bool{}
			for _, p := range strings.Fields(c.want) {
				wanted[p] = true
			}
			w := want(objects, func(p string) string {
				if wanted[p] {
					return p
				}
				return ""
			})
			if d := cmp.Diff(w, listing(t, target)); d != "" || sum.Incomplete() {
				t.Errorf("%s\n%+v", d, sum)
			}
		})
	}
	if _, err := restore.Choose(restore.Patterns{Include: []string{"[a"}}); !errors.Is(err, errs.Usage) {
		t.Errorf("a bad pattern: %v", err)
	}
	if choose, err := restore.Choose(restore.Patterns{}); choose != nil || err != nil {
		t.Error("no patterns make no filter")
	}
}
