package restore_test

import (
	"fmt"
	"os"
	"testing"

	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/restore"
	"github.com/nacre-backup/nacre/internal/sink/files"
	"github.com/nacre-backup/nacre/internal/tree"
)

// drawObjects makes a random tree: directories, files of shared and own chunks, links, holes.
func drawObjects(t *rapid.T) []object {
	dirs := []string{""}
	var objects []object
	for i := range rapid.IntRange(0, 6).Draw(t, "dirs") {
		in := dirs[rapid.IntRange(0, len(dirs)-1).Draw(t, "in")]
		name := fmt.Sprint("d", i)
		objects = append(objects, dir(in, name))
		dirs = append(dirs, string(tree.JoinPath(nil, []byte(in), []byte(name))))
	}
	for i := range rapid.IntRange(1, 30).Draw(t, "files") {
		in := dirs[rapid.IntRange(0, len(dirs)-1).Draw(t, "in")]
		name := fmt.Sprint("f", i)
		if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
			objects = append(objects, link(in, name))
			continue
		}
		var content []byte
		for range rapid.IntRange(0, 6).Draw(t, "chunks") {
			seed := byte(rapid.IntRange(0, 12).Draw(t, "chunk"))
			if seed == 0 {
				content = append(content, make([]byte, 3_000)...)
				continue
			}
			content = append(content, noise(seed, 3_000)...)
		}
		content = append(content, noise(200, rapid.IntRange(0, 300).Draw(t, "rest"))...)
		o := file(in, name, content)
		o.chunk, o.holes = 3_000, rapid.Bool().Draw(t, "holes")
		if len(content) <= 128 {
			o.chunk = 0
		}
		if g := rapid.IntRange(0, 4).Draw(t, "group"); g > 0 {
			o.entry.Nlink, o.entry.Link = 3, id.Link{byte(g)}
		}
		objects = append(objects, o)
	}
	return objects
}

// TestNoDamageYieldsAWrongByte restores random trees from repositories of which one object was damaged or removed:
// what comes back is right, and what does not is reported.
func TestNoDamageYieldsAWrongByte(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		objects := drawObjects(rt)
		s := vault(t, objects)
		prefix := rapid.SampledFrom([]string{"data/", "data/", "meta/", "index/"}).Draw(rt, "class")
		how := rapid.IntRange(0, 3).Draw(rt, "damage")
		names := s.objects(t, prefix)
		if how > 0 && len(names) > 0 {
			name := names[rapid.IntRange(0, len(names)-1).Draw(rt, "object")]
			switch size := len(s.store.Bytes(name)); how {
			case 1:
				s.store.FlipBit(name, rapid.IntRange(0, 8*size-1).Draw(rt, "bit"))
			case 2:
				n := rapid.IntRange(0, size-1).Draw(rt, "length")
				s.store.Corrupt(name, func(b []byte) []byte { return b[:n] })
			case 3:
				must(t, s.store.Delete(t.Context(), name))
			}
			s.repo = reopen(t, s.store)
		}
		o := restore.Options{Workers: rapid.IntRange(1, 4).Draw(rt, "workers"), Verify: rapid.Bool().Draw(rt, "verify")}
		o.Sparse = rapid.Bool().Draw(rt, "sparse")
		if rapid.Bool().Draw(rt, "small windows") {
			o = restore.WithBounds(o, rapid.IntRange(1, 9).Draw(rt, "items"), rapid.IntRange(1, 20).Draw(rt, "pieces"), rapid.IntRange(1, 5).Draw(rt, "open"))
		}
		target, err := os.MkdirTemp(t.TempDir(), "")
		must(t, err)
		to, err := files.New(target, files.Options{NoSync: true})
		must(t, err)
		v, err := openView(t, s)
		if err != nil {
			must(t, to.Close(t.Context()))
			return // a run that cannot begin restores nothing and says so
		}
		sum, err := restore.Run(t.Context(), v, s.snap, to, o)
		must(t, v.Close())
		got := listing(t, target)
		missing := 0
		for path, what := range want(objects, same) {
			switch g, ok := got[path]; {
			case !ok:
				missing++
			case g != what:
				rt.Errorf("%s is %s, want %s", path, g, what)
			}
			delete(got, path)
		}
		if len(got) > 0 {
			rt.Errorf("made up: %v", got)
		}
		if err == nil && missing > 0 != sum.Incomplete() {
			rt.Errorf("%d entries are missing, and the summary is %+v", missing, sum)
		}
		if how == 0 && (err != nil || missing > 0) {
			rt.Errorf("nothing was damaged: %v, %+v", err, sum)
		}
	})
}
