package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/testkit/program"
)

// manifold makes a repository with an object of each class: two key slots, three generations of the keyring, three
// snapshots, checkpoints with their tombstones, and the session and packs of a run that was killed.
func manifold(t *testing.T) (b *box, ids []string) {
	t.Helper()
	b = initialised(t)
	must(t, os.WriteFile(b.path("second"), []byte("another password\n"), 0o600))
	src := b.path("src")
	must(t, os.Mkdir(src, 0o755))
	scatter(t, src, 1, 120, 1, 20_000)
	put(t, filepath.Join(src, "large"), 2, 3<<20)
	ids = append(ids, b.backup(t, src).Snapshot.ID)
	b.nacre(t, "key", "add", "--new-password-file", b.path("second"))
	scatter(t, filepath.Join(src, "more"), 3, 100, 1, 60_000)
	ids = append(ids, b.backup(t, "--checkpoint-bytes", "1M", src).Snapshot.ID)
	put(t, filepath.Join(src, "d001", "f00060"), 4, 9_000)
	ids = append(ids, b.backup(t, src).Snapshot.ID)
	put(t, b.path("huge"), 5, 96<<20)
	for i := 0; len(b.objects(t, "sessions")) == 0; i++ {
		if i == 20 {
			t.Fatal("no run could be killed")
		}
		p := b.start(t, "backup", "--compression", "max", b.path("huge"))
		b.untilPacking(p)
		_ = p.cmd.Process.Kill() // it may have ended
		p.wait(t)
	}
	must(t, os.Remove(b.path("huge")))
	return b, ids
}

// clone makes a box with the same repository, whose objects may be replaced and not changed, and the same home.
func (b *box) clone(t *testing.T) *box {
	t.Helper()
	c := newBox(t)
	must(t, os.Remove(c.home))
	must(t, os.CopyFS(c.home, os.DirFS(b.home)))
	must(t, filepath.WalkDir(b.repo, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(b.repo, path)
		if err != nil || d.IsDir() {
			return errors.Join(err, os.MkdirAll(filepath.Join(c.repo, rel), 0o755))
		}
		return os.Link(path, filepath.Join(c.repo, rel))
	}))
	return c
}

// class is what kind of object stands at the path.
func class(object string) string {
	parts := strings.Split(object, "/")
	if parts[0] == "dup" {
		return "dup/" + parts[1]
	}
	return parts[0]
}

// some chooses up to n objects of each class, the first and last ones in the order of their names.
func some(objects map[string]int64, n int) (chosen []string) {
	byClass := map[string][]string{}
	for o := range objects {
		byClass[class(o)] = append(byClass[class(o)], o)
	}
	for _, list := range byClass {
		slices.Sort(list)
		if len(list) > n {
			list = append(list[:n-1], list[len(list)-1])
		}
		chosen = append(chosen, list...)
	}
	slices.Sort(chosen)
	return chosen
}

// harm is a way to damage an object; nil takes it away.
type harm struct {
	name        string
	keepsLength bool
	do          func(p []byte) []byte
}

// flip is a harm: one bit of the byte at a part of the object's length.
func flip(name string, at func(n int) int) harm {
	return harm{"a bit flipped " + name, true, func(p []byte) []byte {
		p = bytes.Clone(p)
		p[at(len(p))] ^= 1 << (len(p) % 8)
		return p
	}}
}

var harms = []harm{
	flip("in the first byte", func(int) int { return 0 }),
	flip("in the middle", func(n int) int { return n / 2 }),
	flip("near the end", func(n int) int { return max(n-30, n*3/4) }),
	flip("in the last byte", func(n int) int { return n - 1 }),
	{"the last byte cut off", false, func(p []byte) []byte { return p[:len(p)-1] }},
	{"the second half cut off", false, func(p []byte) []byte { return p[:len(p)/2] }},
	{"gone", false, nil},
}

// apply damages an object of a clone.
func (h harm) apply(t *testing.T, path string) (undo func()) {
	t.Helper()
	whole, err := os.ReadFile(path)
	must(t, err)
	must(t, os.Remove(path))
	if h.do != nil {
		must(t, os.WriteFile(path, h.do(whole), 0o400))
	}
	return func() {
		t.Helper()
		if h.do != nil {
			must(t, os.Remove(path))
		}
		// A folder of the store goes with its last object: a restore took its own session away.
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, whole, 0o400))
	}
}

// TestDamageIsNamedAndNeverRestored damages objects of each class in every way, one at a time.
func TestDamageIsNamedAndNeverRestored(t *testing.T) {
	t.Parallel()
	whole, ids := manifold(t)
	src := whole.path("src")
	all := whole.objects(t)
	counted := map[string]bool{} // packs that a committed fate lists
	v := whole.look(t)
	for _, p := range v.usable(t) {
		counted[p.Path()] = true
	}
	classes := map[string]int{}
	for o := range all {
		if c := class(o); c == "+tmp" || (c == "data" || c == "meta") && !counted[o] {
			delete(all, o) // what the killed run left: nobody counts on it
			continue
		}
		classes[class(o)]++
	}
	for _, c := range []string{
		"nacre.json", "keys", "ring", "data", "meta", "index", "sessions", "fates", "tombstones",
		"dup/nacre.json", "dup/keys", "dup/ring", "dup/fates",
	} {
		if classes[c] == 0 {
			t.Errorf("no object of class %s is damaged", c)
		}
	}
	for _, object := range some(all, 2) {
		t.Run(strings.ReplaceAll(object, "/", "_"), func(t *testing.T) {
			t.Parallel()
			b := whole.clone(t)
			for i, h := range harms {
				undo := h.apply(t, filepath.Join(b.repo, object))
				what := object + ", " + h.name
				lost, some := b.restoresWhatIsLeft(t, what, ids[len(ids)-1], src, class(object) == "data" || class(object) == "meta", i%2 == 0)
				b.checkNames(t, what, object, h, ids[len(ids)-1], lost, some)
				undo()
			}
		})
	}
}

// restoresWhatIsLeft restores a snapshot of a damaged repository: all that can be is restored, what cannot is named, and
// nothing is wrong. Only what holds content or pages may cost files. The result is the files that are lost, and whether
// those are all that are lost.
func (b *box) restoresWhatIsLeft(t *testing.T, what, snapshot, src string, mayLose, cache bool) (lost []string, all bool) {
	t.Helper()
	target := b.path("target")
	args := []string{"restore", "--json", snapshot + ":" + src, "--target", target}
	if !cache {
		args = append(args, "--no-cache")
	}
	r := b.try(t, args...)
	defer func() { must(t, os.RemoveAll(target)) }()
	if r.code == 1 && mayLose && strings.Contains(r.out, `"code":"damaged"`) {
		// The tree cannot be read at all. Then nothing is restored that could be wrong.
		if _, err := os.Lstat(target); err == nil {
			for _, d := range differences(t, src, target) {
				if !strings.HasSuffix(d, "is missing") {
					t.Errorf("%s: %s", what, d)
				}
			}
		}
		return nil, false
	}
	if r.code != 0 && (r.code != 3 || !mayLose) {
		t.Errorf("%s: %v", what, r)
		return nil, false
	}
	named, ranges := failures(t, r.out)
	if (r.code == 3) != (len(named)+ranges > 0) {
		t.Errorf("%s: exit code 3 goes with paths that are named: %v", what, r)
	}
	for _, d := range differences(t, src, target) {
		path, missing := strings.CutSuffix(d, " is missing")
		switch {
		case !missing:
			t.Errorf("%s: %s", what, d)
		case ranges == 0 && !slices.Contains(named, filepath.Join(src, path)):
			t.Errorf("%s: %s, and nobody says so: %v", what, d, r)
		}
	}
	return named, ranges == 0
}

// damage is what check says of an object.
type damage struct {
	Type, Object, Message, Advice string
	Needs                         []struct {
		Snapshot string
		Files    []struct{ Path string }
		More     int      `json:"more_files"`
		Ranges   []string `json:"lost_ranges"`
	} `json:"needed_by"`
}

// checkNames checks a repository of which one object is damaged: that object is named, and no other, with the files that
// a restore has lost.
func (b *box) checkNames(t *testing.T, what, object string, h harm, snapshot string, lost []string, all bool) {
	t.Helper()
	r := b.try(t, "check", "--read-data", "--json")
	var found []damage
	for _, l := range strings.Split(strings.TrimSpace(r.out), "\n") {
		var d damage
		must(t, json.Unmarshal([]byte(l), &d))
		if d.Type == "damage" {
			found = append(found, d)
		}
	}
	if h.do == nil && unnamed[class(object)] && r.code == 0 && len(found) == 0 {
		if original, dup := strings.CutPrefix(object, "dup/"); dup && !strings.Contains(r.out, original) {
			t.Errorf("%s: not even noted: %v", what, r)
		}
		return
	}
	if r.code != 4 || len(found) != 1 || found[0].Object != object || found[0].Message == "" || found[0].Advice == "" {
		t.Errorf("%s: want exit code 4 and this object: %v", what, r)
		return
	}
	var files []string
	more := false
	for _, n := range found[0].Needs {
		if n.Snapshot != snapshot {
			continue
		}
		more = n.More > 0 || len(n.Ranges) > 0
		for _, f := range n.Files {
			files = append(files, f.Path)
		}
	}
	slices.Sort(files)
	slices.Sort(lost)
	for _, f := range lost {
		if !more && !slices.Contains(files, f) {
			t.Errorf("%s: the restore lost %s, and check does not say so", what, f)
		}
	}
	if all && !more && h.keepsLength && !slices.Equal(files, lost) {
		t.Errorf("%s: check says that the snapshot has lost %q; the restore lost %q", what, files, lost)
	}
}

// unnamed are the classes of objects that nothing names: that one of them is gone cannot be seen. (A second copy is missing
// where its writer was cut off before it wrote it: that is noted.)
var unnamed = map[string]bool{
	"sessions": true, "tombstones": true, "dup/nacre.json": true, "dup/keys": true, "dup/fates": true, "dup/ring": true,
}

// failures lists the paths that a restore names as not restored, and counts the ranges of the tree.
func failures(t *testing.T, out string) (paths []string, ranges int) {
	t.Helper()
	for _, l := range strings.Split(strings.TrimSpace(out), "\n") {
		var e struct {
			Type   string
			Errors json.RawMessage // a list in the summary, a number while the run goes on
		}
		must(t, json.Unmarshal([]byte(l), &e))
		if e.Type != "summary" || e.Errors == nil {
			continue
		}
		var list []struct{ Path, Message string }
		must(t, json.Unmarshal(e.Errors, &list))
		for _, x := range list {
			paths = append(paths, x.Path)
			if strings.Contains(x.Message, "page") {
				ranges++
			}
		}
	}
	return paths, ranges
}

// TestLosingEveryLocalFileAndIndexLosesNothing takes away the cache, the state and every index object.
func TestLosingEveryLocalFileAndIndexLosesNothing(t *testing.T) {
	t.Parallel()
	b := initialised(t)
	src := b.path("src")
	must(t, os.Mkdir(src, 0o755))
	scatter(t, src, 1, 200, 1, 30_000)
	put(t, filepath.Join(src, "large"), 2, 3<<20)
	program.Settle()
	last := b.backup(t, src)
	for _, lose := range []string{"everything", "cache", "state", "index"} {
		if lose == "cache" || lose == "everything" {
			must(t, os.RemoveAll(filepath.Join(b.home, ".cache")))
		}
		if lose == "state" || lose == "everything" {
			must(t, os.RemoveAll(filepath.Join(b.home, ".local")))
		}
		if lose == "index" || lose == "everything" {
			must(t, os.RemoveAll(filepath.Join(b.repo, "index")))
		}
		b.restores(t, last.Snapshot.ID, src, src)
		if lose == "everything" { // the restore has made a cache again
			must(t, os.RemoveAll(filepath.Join(b.home, ".cache")))
		}
		put(t, filepath.Join(src, "new"), uint64(100+len(lose)), 50_000)
		sum := b.backup(t, src)
		if sum.Stats.New+sum.Stats.Changed > 3 || sum.Stats.Read > 60_000 {
			t.Errorf("%s lost: %+v", lose, sum)
		}
		b.nothingHalfDone(t)
		b.restores(t, "latest", src, src)
		last = b.backup(t, "--force", src)
		if last.Stats.Stored > 300_000 { // pages are stored anew, content is not
			t.Errorf("%s lost: what was stored is stored again: %s", lose, fmt.Sprintf("%+v", last.Stats))
		}
	}
	if n := len(b.snapshots(t)); n != 9 {
		t.Errorf("%d snapshots, want 9", n)
	}
}
