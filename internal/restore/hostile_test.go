package restore_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/restore"
	"github.com/nacre-backup/nacre/internal/sink/files"
	"github.com/nacre-backup/nacre/internal/tree"
)

// hostile is a snapshot that a program made which means harm.
func hostile(outside string) []object {
	evil := link("", "evil")
	evil.entry.Target = []byte(outside)
	up := link("", "up")
	up.entry.Target = []byte("..")
	huge := file("", "huge", noise(1, 5_000))
	huge.entry.Size, huge.chunk = math.MaxInt64, 5_000
	holes := file("", "holes", make([]byte, 1<<20)) // it says less than there is
	holes.entry.Size, holes.chunk, holes.holes = 1<<19, 1<<20, true
	more := file("", "more", noise(3, 9_000)) // its list of extents is longer than the file
	more.entry.Size, more.chunk = 100, 1_000
	less := file("", "less", noise(4, 9_000))
	less.entry.Size, less.chunk = 1<<32+9_000, 9_000
	inline := file("", "inline", []byte("short"))
	inline.entry.Size = 1 << 40
	attr := file("", "attr", []byte("attr"))
	for i := range byte(6) { // none of them is there, and they would take 96 MiB
		attr.entry.Xattrs = append(attr.entry.Xattrs, tree.Xattr{Name: []byte{'x', '.', 'a' + i}, Blob: id.ID{i + 1}, Size: 16<<20 - 1})
	}
	return []object{
		file("", "...", []byte("fine")), file("", "..x", []byte("fine")), evil, file("evil", "c", []byte("x")), dir("evil", "d"), file("evil/d", "e", []byte("x")),
		up, file("up", "f", []byte("x")), huge, holes, more, less, inline, attr,
		file("", "plain", []byte("fine")),
	}
}

// TestAHostileSnapshotWritesNothingOutsideAndNothingWrong restores what a program made that means harm; names that are
// no components do not get through the tree's decoder.
func TestAHostileSnapshotWritesNothingOutsideAndNothingWrong(t *testing.T) {
	t.Parallel()
	around := t.TempDir()
	outside := filepath.Join(around, "outside")
	must(t, os.Mkdir(outside, 0o700))
	s := vault(t, hostile(outside))
	for name, o := range map[string]restore.Options{
		"plain": {}, "verified": {Verify: true, Workers: 1}, "sparse": {Sparse: true}, "rehearsed": {DryRun: true},
		"stripped": {StripComponents: 1}, "part": {SubPath: []byte("evil")},
		"chosen": {Select: func(p []byte, typ tree.Type) restore.Choice {
			if typ == tree.Dir || bytes.HasSuffix(p, []byte("c")) || bytes.HasSuffix(p, []byte("g")) {
				return restore.Take
			}
			return restore.Leave
		}},
	} {
		for _, rule := range []files.Overwrite{files.Never, files.IfChanged, files.Always} {
			box := t.TempDir()
			target := filepath.Join(box, "target")
			must(t, os.Mkdir(target, 0o700))
			for range 2 { // into an empty folder, and into one that the first run filled
				sum := run(t, s, target, files.Options{Overwrite: rule, DryRun: o.DryRun}, o)
				if sum.Failed == 0 && name != "stripped" && name != "chosen" && name != "part" {
					t.Errorf("%s, rule %d: nobody complains: %+v", name, rule, sum)
				}
			}
			for path, what := range listing(t, target) {
				switch filepath.Base(path) {
				case "huge", "holes", "more", "less", "inline":
					t.Errorf("%s, rule %d: %s stands there: %s", name, rule, path, what)
				}
			}
			beside, err := os.ReadDir(box)
			must(t, err)
			out, err := os.ReadDir(outside)
			must(t, err)
			if len(beside) != 1 || len(out) != 0 {
				t.Errorf("%s, rule %d: beside the target %v, outside %v", name, rule, beside, out)
			}
			if name != "plain" {
				continue
			}
			got := listing(t, target)
			fine := []string{"..x", "plain", "evil", "up", "attr"}
			if runtime.GOOS != "windows" { // which takes it for another name
				fine = append(fine, "...")
			}
			for _, fine := range fine {
				if _, ok := got[fine]; !ok {
					t.Errorf("rule %d: %s was not restored", rule, fine)
				}
			}
		}
	}
}
