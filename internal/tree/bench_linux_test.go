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

// BenchmarkBuild encodes, cuts and hashes every entry.
func BenchmarkBuild(b *testing.B) {
	items := plain(benchEntries)
	start := cpuTime(b)
	for b.Loop() {
		build(b, nullStore{}, items)
	}
	perEntry(b, start)
}

// BenchmarkDecode reads every entry.
func BenchmarkDecode(b *testing.B) {
	m := newMemPages()
	tr := Tree{Root: build(b, m, plain(benchEntries)), Pages: m}
	start := cpuTime(b)
	for b.Loop() {
		n := 0
		c := tr.Cursor()
		for {
			ok, err := c.Next(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if !ok {
				break
			}
			n++
		}
		if uint64(n) != tr.Root.Entries {
			b.Fatal(n)
		}
	}
	perEntry(b, start)
}

// BenchmarkUnchangedJoin is what an unchanged backup costs beside the walk: match, compare, and hand over to a builder.
func BenchmarkUnchangedJoin(b *testing.B) {
	m := newMemPages()
	items := plain(benchEntries)
	root := build(b, m, items)
	dirs := make([][]byte, len(items))
	for i := range items {
		dirs[i] = []byte(items[i].dir)
	}
	start := cpuTime(b)
	for b.Loop() {
		j := NewJoiner([]Parent{{Tree: Tree{Root: root, Pages: m}}}, JoinEvents{})
		w := NewBuilder(splitKey, nullStore{})
		for i := range items {
			e := items[i].e
			o, err := j.Match(b.Context(), dirs[i], e.Name)
			if err != nil || !o.Ok() {
				b.Fatal(err)
			}
			x := o.Entry()
			if x.Type != e.Type || x.Size != e.Size || x.ModTime != e.ModTime || x.ChangeTime != e.ChangeTime || x.Inode != e.Inode || x.FS != e.FS {
				b.Fatal("changed")
			}
			if err := w.AddOld(b.Context(), o); err != nil {
				b.Fatal(err)
			}
		}
		if err := j.Finish(b.Context()); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Finish(b.Context()); err != nil {
			b.Fatal(err)
		}
		if w.Stats().Leaves != 0 {
			b.Fatal("not reused")
		}
	}
	perEntry(b, start)
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
