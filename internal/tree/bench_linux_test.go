package tree

import (
	"context"
	"testing"

	"github.com/zeebo/blake3"
	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/id"
)

const benchEntries = 100_000

// cpuTime is the process's time on a processor, which a busy machine does not lengthen as it does the wall clock.
func cpuTime(b *testing.B) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// perEntry reports the time since start for each entry.
func perEntry(b *testing.B, start int64) {
	b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N)/benchEntries, "cpu-ns/entry")
}

// compact lays copies of the items out one after the other in memory, in the order of the scan, as a source hands them
// out: a benchmark is to measure the tree, not the misses of the processor's cache on scattered test data.
func compact(items []item) (dirs [][]byte, entries []Entry) {
	dirs, entries = make([][]byte, len(items)), make([]Entry, len(items))
	var names []byte
	var ids []id.ID
	for i := range items {
		names, ids = append(names, items[i].e.Name...), append(ids, items[i].e.Content.IDs...)
	}
	for i := range items {
		dirs[i] = []byte(items[i].dir)
		if i > 0 && items[i].dir == items[i-1].dir {
			dirs[i] = dirs[i-1]
		}
		e := &entries[i]
		*e = *items[i].e
		k := len(e.Name)
		e.Name, names = names[:k:k], names[k:]
		k = len(e.Content.IDs)
		e.Content.IDs, ids = ids[:k:k], ids[k:]
	}
	return dirs, entries
}

// BenchmarkBuild encodes, cuts and hashes every entry.
func BenchmarkBuild(b *testing.B) {
	dirs, entries := compact(plain(benchEntries))
	start := cpuTime(b)
	for b.Loop() {
		w := NewBuilder(splitKey, nullStore{})
		for i := range entries {
			if err := w.Add(b.Context(), dirs[i], &entries[i]); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := w.Finish(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	perEntry(b, start)
}

// BenchmarkDecodeLeaf decodes leaves and does not look at their entries. There are a hundred of them, as near to the
// processor as those of a backup are, which were just decompressed.
func BenchmarkDecodeLeaf(b *testing.B) {
	m := newMemPages()
	root := build(b, m, plain(benchEntries))
	var leaves [][]byte
	n := uint64(0)
	err := Tree{Root: root, Pages: m}.WalkPages(b.Context(), func(r *Ref) (bool, error) {
		if r.Level == 0 && len(leaves) < 100 {
			leaves = append(leaves, m.pages[r.ID])
			n += r.Entries
		}
		return true, nil
	})
	if err != nil {
		b.Fatal(err)
	}
	var d decoder
	l := new(Leaf)
	start := cpuTime(b)
	for b.Loop() {
		for _, p := range leaves {
			if err := d.leaf(l, p); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N)/float64(n), "cpu-ns/entry")
}

// BenchmarkWalk reads every entry.
func BenchmarkWalk(b *testing.B) {
	m := newMemPages()
	tr := Tree{Root: build(b, m, plain(benchEntries)), Pages: m}
	start := cpuTime(b)
	for b.Loop() {
		n := uint64(0)
		c := tr.Cursor()
		for {
			ok, err := c.Next(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if !ok {
				break
			}
			if c.Entry().Type != 0 {
				n++
			}
		}
		if n != tr.Root.Entries {
			b.Fatal(n)
		}
	}
	perEntry(b, start)
}

// BenchmarkJoin is what a backup costs beside the walk: match, compare, and hand over to a builder.
func BenchmarkJoin(b *testing.B) {
	m := newMemPages()
	items := plain(benchEntries)
	root := build(b, m, items)
	for _, c := range []struct {
		name  string
		every int // one entry of so many has changed
	}{{"unchanged", benchEntries + 1}, {"percent", 100}} {
		b.Run(c.name, func(b *testing.B) {
			dirs, entries := compact(items)
			changed := 0
			for i := c.every - 1; i < len(entries); i += c.every {
				entries[i].ModTime.Sec++
				changed++
			}
			start := cpuTime(b)
			for b.Loop() {
				n, stats := join(b, Tree{Root: root, Pages: m}, dirs, entries)
				if n != changed || changed == 0 && stats.Leaves != 0 {
					b.Fatalf("%d changed, want %d; %+v", n, changed, stats)
				}
			}
			perEntry(b, start)
		})
	}
}

// join makes a tree of the scan, with what is unchanged taken over from t, and counts what has changed.
func join(b *testing.B, t Tree, dirs [][]byte, entries []Entry) (changed int, stats BuildStats) {
	j := NewJoiner([]Parent{{Tree: t}}, JoinEvents{})
	w := NewBuilder(splitKey, nullStore{})
	for i := range entries {
		e := &entries[i]
		o, err := j.Match(b.Context(), dirs[i], e.Name)
		if err != nil || !o.Ok() {
			b.Fatal(err)
		}
		if x := o.Stat(); x.Type == e.Type && x.Size == e.Size && x.ModTime == e.ModTime && x.ChangeTime == e.ChangeTime &&
			x.Inode == e.Inode && x.FS == e.FS && x.Mode == e.Mode && x.UID == e.UID && x.GID == e.GID &&
			x.Flags == 0 && x.ErrClass == ErrNone && len(x.Token) == 0 {
			err = w.AddOld(b.Context(), o)
		} else {
			changed++
			err = w.Add(b.Context(), dirs[i], e)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := j.Finish(b.Context()); err != nil {
		b.Fatal(err)
	}
	if _, err := w.Finish(b.Context()); err != nil {
		b.Fatal(err)
	}
	return changed, w.Stats()
}

// BenchmarkLookup finds single paths.
func BenchmarkLookup(b *testing.B) {
	m := newMemPages()
	items := plain(benchEntries)
	tr := Tree{Root: build(b, m, items), Pages: m}
	r := rng(1)
	for b.Loop() {
		it := items[r.IntN(len(items))]
		if _, err := tr.Lookup(b.Context(), JoinPath(nil, []byte(it.dir), it.e.Name)); err != nil {
			b.Fatal(err)
		}
	}
}

// plain makes a tree of usual files and directories.
func plain(n int) []item {
	r := rng(1)
	items := []item{{"", &Entry{Type: Dir}}}
	for d := 0; len(items) < n; d++ {
		dir := "dir" + string(rune('a'+d%26)) + string(rune('a'+d/26%26)) + string(rune('a'+d/676%26))
		e := entryFor(r, dir, Dir)
		e.Xattrs, e.Flags, e.ErrClass, e.ErrText, e.Token, e.FSFlags = nil, 0, 0, "", nil, 0
		items = append(items, item{"", e})
		for range 20 + r.IntN(60) {
			f := entryFor(r, "file"+string(rune('a'+r.IntN(26)))+string(rune('a'+r.IntN(26)))+string(rune('a'+len(items)%26))+".txt", File)
			f.Xattrs, f.Flags, f.ErrClass, f.ErrText, f.Token, f.FSFlags = nil, 0, 0, "", nil, 0
			f.Content = Content{Kind: Direct, IDs: f.Content.IDs}
			if len(f.Content.IDs) == 0 {
				f.Content.IDs = append(f.Content.IDs, randomID(r))
			}
			items = append(items, item{dir, f})
		}
	}
	sortItems(items)
	out := items[:1]
	for _, it := range items[1:] {
		if it.key().Compare(out[len(out)-1].key()) > 0 {
			out = append(out, it)
		}
	}
	return out
}

// nullStore names pages and forgets them.
type nullStore struct{}

func (nullStore) Put(_ context.Context, _ Kind, page []byte) (id.ID, error) {
	return id.ID(blake3.Sum256(page)), nil
}
