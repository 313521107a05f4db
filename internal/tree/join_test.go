package tree

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/id"
)

// paths makes a tree from paths; those that end in a slash are directories. Parents are made as needed. Inodes count
// up from 1 in key order.
func paths(list ...string) []item {
	seen := map[string]bool{"": true}
	items := []item{{"", &Entry{Type: Dir}}}
	var add func(p string, typ Type)
	add = func(p string, typ Type) {
		if seen[p] {
			return
		}
		seen[p] = true
		dir, name := splitPath([]byte(p))
		add(string(dir), Dir)
		items = append(items, item{string(dir), &Entry{Name: name, Type: typ}})
	}
	for _, p := range list {
		typ := File
		if strings.HasSuffix(p, "/") {
			typ = Dir
		}
		add(strings.TrimSuffix(p, "/"), typ)
	}
	sortItems(items)
	for i := range items {
		items[i].e.Inode, items[i].e.FS = uint64(i+1), "fs"
	}
	return items
}

// joinLog joins a scan with an old tree; hooks run before the entry of their path is matched.
func joinLog(t *testing.T, old, scan []item, hooks map[string]func(j *Joiner)) []string {
	t.Helper()
	m := newMemPages()
	b := NewBuilder(splitKey, m)
	b.cut.bits = 1
	for _, it := range old {
		if err := b.Add(t.Context(), []byte(it.dir), it.e); err != nil {
			t.Fatal(err)
		}
	}
	root, err := b.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var log []string
	event := func(what string) func([]byte, Old) error {
		return func(dir []byte, o Old) error {
			log = append(log, fmt.Sprintf("%s %s", what, JoinPath(nil, dir, o.Entry().Name)))
			return nil
		}
	}
	j := NewJoiner([]Parent{{Tree: Tree{Root: root, Pages: m}}}, JoinEvents{Gone: event("gone"), Kept: event("kept")})
	for _, it := range scan {
		p := string(JoinPath(nil, []byte(it.dir), it.e.Name))
		if h := hooks[p]; h != nil {
			h(j)
		}
		o, err := j.Match(t.Context(), []byte(it.dir), it.e.Name)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case o.Moved:
			log = append(log, fmt.Sprintf("moved %s from %s", p, JoinPath(nil, o.Leaf.AppendDir(nil, o.Index), o.Entry().Name)))
		case o.Ok():
			if string(JoinPath(nil, o.Leaf.AppendDir(nil, o.Index), o.Entry().Name)) != p {
				t.Errorf("%q matched %q", p, o.Entry().Name)
			}
		default:
			log = append(log, "new "+p)
		}
	}
	if h := hooks["end"]; h != nil {
		h(j)
	}
	if err := j.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	return log
}

func TestJoinSortsEntriesIntoNewGoneKeptAndMoved(t *testing.T) {
	t.Parallel()
	keep := func(dir string) func(*Joiner) { return func(j *Joiner) { j.Keep([]byte(dir)) } }
	move := func(to, from string) func(*Joiner) {
		return func(j *Joiner) { j.Move([]byte(to), []byte(from)) }
	}
	for _, c := range []struct {
		name  string
		old   []string
		scan  []string
		hooks map[string]func(*Joiner)
		want  []string
	}{
		{name: "nothing changed", old: []string{"a/b", "c"}, scan: []string{"a/b", "c"}},
		{
			name: "new and gone entries", old: []string{"a/b", "a/d/e", "c"}, scan: []string{"a/b", "a/f", "g"},
			want: []string{"gone c", "new g", "gone a/d", "new a/f", "gone a/d/e"},
		},
		{
			name: "everything gone at the end", old: []string{"a/b", "z/y/x"}, scan: []string{"a/"},
			want: []string{"gone z", "gone a/b", "gone z/y", "gone z/y/x"},
		},
		{
			name: "a directory that could not be listed at all keeps its subtree",
			old:  []string{"a/b", "a/d/e", "c/x"}, scan: []string{"a/", "c/x"},
			hooks: map[string]func(*Joiner){"c/x": keep("a")},
			want:  []string{"kept a/b", "kept a/d", "kept a/d/e"},
		},
		{
			name: "a directory listed in part keeps what the listing did not bring, with what is below",
			old:  []string{"a/b", "a/d/e", "a/f/g", "a/f/h"}, scan: []string{"a/f/g", "a/q"},
			hooks: map[string]func(*Joiner){"a/f": keep("a")},
			want:  []string{"kept a/b", "kept a/d", "new a/q", "kept a/d/e", "gone a/f/h"},
		},
		{
			name: "keeps nest and end", old: []string{"a/b/c/d", "a/x", "e/f"}, scan: []string{"a/b/", "e/"},
			hooks: map[string]func(*Joiner){"a/b": keep("a"), "end": keep("a/b")},
			want:  []string{"kept a/x", "kept a/b/c", "kept a/b/c/d", "gone e/f"},
		},
		{
			name: "two directories side by side could not be listed", old: []string{"a/b", "c/d", "e/f"}, scan: []string{"a/", "c/", "e/"},
			hooks: map[string]func(*Joiner){"e": func(j *Joiner) { j.Keep([]byte("a")); j.Keep([]byte("c")) }},
			want:  []string{"kept a/b", "kept c/d", "gone e/f"},
		},
		{
			name: "the top could not be listed", old: []string{"a/b", "c"}, scan: nil,
			hooks: map[string]func(*Joiner){"end": keep("")},
			want:  []string{"kept a", "kept c", "kept a/b"},
		},
		{
			name: "a moved directory is found where it was, child by child",
			old:  []string{"m/b", "m/d/e", "m/d/f", "m/g"}, scan: []string{"n/b", "n/d/f", "n/d/z", "n/g"},
			hooks: map[string]func(*Joiner){"n/b": move("n", "m")},
			want: []string{
				"gone m", "new n", "gone m/b", "gone m/d", "gone m/g", "gone m/d/e", "gone m/d/f", "moved n/b from m/b", "moved n/d from m/d",
				"moved n/g from m/g", "moved n/d/f from m/d/f", "new n/d/z",
			},
		},
		{
			name: "moves nest, forwards and backwards, and end",
			old:  []string{"b/c", "b/d", "p/q/r", "p/s"}, scan: []string{"a/c", "a/q/r", "a/t", "z/c"},
			hooks: map[string]func(*Joiner){"a/c": move("a", "b"), "a/q/r": move("a/q", "p/q")},
			want: []string{
				"new a", "gone b", "gone p", "new z", "moved a/c from b/c", "new a/q", "new a/t",
				"moved a/q/r from p/q/r", "gone b/c", "gone b/d", "gone p/q", "gone p/s", "gone p/q/r", "new z/c",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := joinLog(t, paths(c.old...), paths(c.scan...), c.hooks)
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestAJoinWithoutParentsFindsNothing(t *testing.T) {
	t.Parallel()
	j := NewJoiner(nil, JoinEvents{})
	j.Move([]byte("a"), []byte("b"))
	j.Keep([]byte("a"))
	o, err := j.Match(t.Context(), []byte("a"), []byte("b"))
	if o.Ok() || err != nil {
		t.Errorf("%v %v", o, err)
	}
	if err := j.Finish(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestADamagedParentIsPassedOver(t *testing.T) {
	t.Parallel()
	r := rng(21)
	m := newMemPages()
	items := randomItems(r, 2_000)
	root := build(t, m, items)
	var refs []Ref
	if err := (Tree{Root: root, Pages: m}).WalkPages(t.Context(), func(r *Ref) (bool, error) { refs = append(refs, r.Clone()); return true, nil }); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []Ref{refs[0], refs[3], refs[len(refs)-1]} {
		m.bad = map[id.ID]bool{ref.ID: true}
		lost := 0
		parents := []Parent{{Tree: Tree{Root: root, Pages: m, Lost: func(*LostError) error { lost++; return nil }}}}
		got, _ := update(t, m, cutBits, parents, items, r, 1<<40)
		sameRef(t, "after damage", got, root)
		if lost != 1 {
			t.Errorf("%d losses", lost)
		}
		j := NewJoiner([]Parent{{Tree: Tree{Root: root, Pages: m}}}, JoinEvents{})
		var err error
		for _, it := range items {
			if _, err = j.Match(t.Context(), []byte(it.dir), it.e.Name); err != nil {
				break
			}
		}
		if err == nil {
			t.Error("no error without Lost")
		}
	}
}

func TestDirTableFindsEveryDirectory(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	items := randomItems(rng(22), 8_000)
	ino := uint64(1)
	for i := range items {
		e := *items[i].e
		e.Inode, e.FS = ino, fmt.Sprint("fs", i%3)
		ino++
		items[i].e = &e
	}
	root := build(t, m, items)
	d, err := NewDirTable(t.Context(), Tree{Root: root, Pages: m})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, it := range items {
		p, ok := d.Find(it.e.FS, it.e.Inode)
		want := string(JoinPath(nil, []byte(it.dir), it.e.Name))
		if it.e.Type == Dir && want != "" {
			n++
			if !ok || string(p) != want {
				t.Fatalf("inode %d: %q %v, want %q", it.e.Inode, p, ok, want)
			}
		} else if ok {
			t.Fatalf("inode %d of %q is no directory: %q", it.e.Inode, want, p)
		}
	}
	if d.Len() != n {
		t.Errorf("%d directories, want %d", d.Len(), n)
	}
	if _, ok := d.Find("elsewhere", 1); ok {
		t.Error("found on an unknown file system")
	}
}

func TestDirTableOfADamagedTreeIsRightAboutTheRest(t *testing.T) {
	t.Parallel()
	m := newMemPages()
	items := randomItems(rng(23), 5_000)
	for i := range items {
		e := *items[i].e
		e.Inode, e.FS = uint64(i+1), "fs"
		items[i].e = &e
	}
	root := build(t, m, items)
	var leaves []Ref
	if err := (Tree{Root: root, Pages: m}).WalkPages(t.Context(), func(r *Ref) (bool, error) {
		if r.Level == 0 {
			leaves = append(leaves, r.Clone())
		}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	for k := 0; k < len(leaves); k += 7 {
		m.bad = map[id.ID]bool{leaves[k].ID: true}
		var lost *LostError
		d, err := NewDirTable(t.Context(), Tree{Root: root, Pages: m, Lost: func(l *LostError) error { lost = l; return nil }})
		if err != nil || lost == nil {
			t.Fatal(err, lost)
		}
		for _, it := range items {
			if it.e.Type != Dir || len(it.e.Name) == 0 {
				continue
			}
			gone := it.key().Compare(lost.From) >= 0 && (lost.To == nil || it.key().Compare(*lost.To) < 0)
			p, ok := d.Find("fs", it.e.Inode)
			if want := string(JoinPath(nil, []byte(it.dir), it.e.Name)); ok == gone || ok && string(p) != want {
				t.Fatalf("%q: %q, %v; lost: %v", want, p, ok, gone)
			}
		}
	}
}
