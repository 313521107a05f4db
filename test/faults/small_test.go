package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nacre-backup/nacre/internal/testkit/program"
)

// TestOneFileAmongManyWritesLittle rewrites one file of 20,000.
func TestOneFileAmongManyWritesLittle(t *testing.T) {
	t.Parallel()
	b := initialised(t)
	src := b.path("src")
	const files = 20_000
	for i := range files {
		dir := filepath.Join(src, fmt.Sprintf("d%02d", i%97), fmt.Sprintf("e%d", i%7))
		if i < 97*7 {
			must(t, os.MkdirAll(dir, 0o755))
		}
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%05d", i)), fmt.Appendf(nil, "%d %x\n", i, i*i*i), 0o644))
	}
	program.Settle()
	first := b.backup(t, src)
	if first.Stats.Files != files {
		t.Fatalf("%+v", first)
	}
	program.Settle() // what the first backup could not believe yet is settled now
	b.backup(t, src)
	before := b.objects(t)
	path := filepath.Join(src, "d05", "e5", "f00005")
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	const size = 300_000
	content := make([]byte, size)
	_, err = noise(9).Read(content)
	must(t, err)
	_, err = f.Write(content)
	must(t, err)
	must(t, f.Close())
	sum := b.backup(t, src)
	if sum.NewBlobs != 1 || sum.NewTreePages > 4 || sum.DataPacks != 1 || sum.MetaPacks != 1 || sum.Stats.Read != size || sum.Stats.Changed != 1 {
		t.Errorf("one file was changed: %+v", sum)
	}
	count := map[string]int{}
	var beside int64
	for o, n := range b.objects(t) {
		if _, ok := before[o]; ok {
			continue
		}
		c := class(o)
		count[c]++
		beside += n
		if c == "sessions" || c == "+tmp" {
			t.Errorf("%s is left", o)
		}
	}
	for c, want := range map[string]int{"data": 1, "meta": 1, "index": 1, "fates": 1, "dup/fates": 1} {
		if count[c] != want {
			t.Errorf("%d new objects in %s, want %d", count[c], c, want)
		}
		delete(count, c)
	}
	if len(count) > 0 {
		t.Errorf("other new objects: %v", count)
	}
	if beside -= size; beside > 64<<10 {
		t.Errorf("%d bytes beside the data, want at most 64 KiB", beside)
	}
	t.Logf("%d pages, %d bytes beside the data", sum.NewTreePages, beside)
	again := b.backup(t, src)
	if again.NewBlobs+again.NewTreePages+again.DataPacks+again.MetaPacks != 0 {
		t.Errorf("nothing was changed: %+v", again)
	}
}

// machine is the box as another machine sees it: the same repository, the key, and a home of its own.
func (b *box) machine(t *testing.T, name string) *box {
	t.Helper()
	m := &box{dir: b.dir, repo: b.repo, home: b.path(name)}
	config := filepath.Join(m.home, ".config", "nacre")
	must(t, os.MkdirAll(config, 0o700))
	must(t, os.CopyFS(config, os.DirFS(filepath.Join(b.home, ".config", "nacre"))))
	return m
}

// TestFourMachinesAtOnce backs four folders up from four machines at the same time, twice, into one new repository.
func TestFourMachinesAtOnce(t *testing.T) {
	t.Parallel()
	b := initialised(t)
	var machines []*box
	for i := range 4 {
		m := b.machine(t, fmt.Sprint("machine", i))
		machines = append(machines, m)
		src := b.path(fmt.Sprint("src", i))
		must(t, os.Mkdir(src, 0o755))
		scatter(t, src, uint64(i), 150, 1, 40_000)
		scatter(t, filepath.Join(src, "shared"), 99, 100, 1, 40_000) // all of them have these
		put(t, filepath.Join(src, "large"), uint64(50+i), 5<<20)
	}
	for round := range 2 {
		var g sync.WaitGroup
		results := make([]result, len(machines))
		for i, m := range machines {
			put(t, b.path(fmt.Sprint("src", i), "new"), uint64(10*round+i), 100_000)
			p := m.start(t, "backup", "--json", "--host", fmt.Sprint("host", i), b.path(fmt.Sprint("src", i)))
			g.Go(func() { results[i] = p.wait(t) })
		}
		g.Wait()
		for i, r := range results {
			if r.code != 0 {
				t.Fatal(r)
			}
			src := b.path(fmt.Sprint("src", i))
			sum := parseSummary(t, r.out)
			if (sum.Snapshot.Parent == "") != (round == 0) {
				t.Errorf("round %d: the parent is %q", round, sum.Snapshot.Parent)
			}
			machines[(i+1)%4].restores(t, sum.Snapshot.ID, src, src) // by another one
		}
		b.nothingHalfDone(t)
	}
	if n := len(b.snapshots(t)); n != 8 {
		t.Errorf("%d snapshots, want 8", n)
	}
	b.nacre(t, "check", "--read-data")
}

// TestTheSameFolderTwiceAtOnce runs two backups of one folder at the same time, of one machine and of two.
func TestTheSameFolderTwiceAtOnce(t *testing.T) {
	t.Parallel()
	b := initialised(t)
	src := b.path("src")
	must(t, os.Mkdir(src, 0o755))
	scatter(t, src, 1, 300, 1, 60_000)
	put(t, filepath.Join(src, "large"), 2, 80<<20)
	program.Settle()
	other := b.machine(t, "other")
	for _, pair := range [][2]*box{{b, b}, {b, other}} {
		var p [2]*process
		for i, m := range pair {
			p[i] = m.start(t, "backup", "--json", "--force", "--checkpoint-bytes", "16M", src)
		}
		for i := range p {
			r := p[i].wait(t)
			if r.code != 0 {
				t.Fatal(r)
			}
			if strings.Contains(r.said(), "gave this run up") {
				t.Errorf("a run took the other one for dead: %v", r)
			}
			b.restores(t, parseSummary(t, r.out).Snapshot.ID, src, src)
		}
		b.nothingHalfDone(t)
	}
	if n := len(b.snapshots(t)); n != 4 {
		t.Errorf("%d snapshots, want 4", n)
	}
	b.nacre(t, "check", "--read-data")
	sum := b.backup(t, src)
	if sum.Stats.Read != 0 || sum.ResumedFrom != "" {
		t.Errorf("an unchanged backup after them: %+v", sum)
	}
}
