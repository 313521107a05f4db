package faults

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/id"

	"github.com/nacre-backup/nacre/internal/testkit/program"
)

const (
	wantedKills = 50
	// workers is how many processors the program is given, so that what may be read again is the same everywhere.
	workers = 2
	// largest is the size of the largest file but the big one.
	largest = 2 << 20
	// inWork is what a killed run may have stored of files that it had not finished: a batch (512 KiB and its last file)
	// of each worker.
	inWork = workers * (512<<10 + largest)
	// stripes is what may be stored of a big file before it is in its list: a buffer of each worker, one that is being
	// read and one that is being handed out.
	stripes = (workers + 2) * (4 << 20)
)

// killing is the test that kills a run at any moment.
type killing struct {
	b     *box
	r     *rand.Rand
	kills int
	// expect is how long the whole backup of each part takes here.
	expect map[string]time.Duration

	snapshots map[string][]string // of the present repository: the parts that each of them has
}

// parts are the folders that come into the source one after the other.
var parts = []string{"part1", "part2", "part3"}

// TestKilledAtAnyMoment kills backups at 50 moments. After each kill what was there is still there, and the next run
// takes over everything that the dead one had finished.
func TestKilledAtAnyMoment(t *testing.T) {
	k := &killing{b: newBox(t), r: rng(t), expect: map[string]time.Duration{}}
	t.Setenv("GOMAXPROCS", fmt.Sprint(workers))
	b := k.b
	for _, p := range parts {
		must(t, os.MkdirAll(b.path("stage", p), 0o755))
		k.expect[p] = time.Second
	}
	must(t, os.Mkdir(b.path("small"), 0o755))
	scatter(t, b.path("small"), 1, 60, 1, 40_000)
	put(t, b.path("stage", "part1", "big"), 2, 150<<20)
	scatter(t, b.path("stage", "part1"), 3, 300, 1, 60_000)
	scatter(t, b.path("stage", "part2"), 4, 60, 600_000, largest)
	scatter(t, b.path("stage", "part2", "d000"), 5, 600, 1, 50_000)
	scatter(t, b.path("stage", "part3"), 6, 1500, 1, 100_000)
	program.Settle()
	for round := 0; k.kills < wantedKills; round++ {
		k.newRepository(t, round)
		for _, p := range parts {
			// Its files keep their times: nothing but the folder's place changes.
			must(t, os.Rename(b.path("stage", p), b.path("src", p)))
			k.chain(t, p)
			if t.Failed() {
				return
			}
		}
		for s, has := range k.snapshots {
			if s == "" {
				continue
			}
			b.restores(t, s, b.path("small"), b.path("small"))
			for _, p := range has {
				if p != "part1" || len(has) == len(parts) {
					b.restores(t, s, b.path("src", p), b.path("src", p))
				}
			}
		}
		t.Logf("%d kills", k.kills)
	}
}

// newRepository begins anew with one snapshot, of the small folder.
func (k *killing) newRepository(t *testing.T, round int) {
	t.Helper()
	b := k.b
	must(t, os.RemoveAll(b.repo))
	b.repo = b.path(fmt.Sprint("repo", round))
	b.nacre(t, "init", "--encryption", "key")
	must(t, os.MkdirAll(b.path("src"), 0o755))
	for _, p := range parts {
		if _, err := os.Lstat(b.path("src", p)); err == nil {
			must(t, os.Rename(b.path("src", p), b.path("stage", p)))
		}
	}
	b.nacre(t, "backup", b.path("src"), b.path("small"))
	k.snapshots = map[string][]string{b.snapshots(t)[0]: nil}
}

// chain backs up a new part: two to five runs are killed, unless they end before, the last one is not.
func (k *killing) chain(t *testing.T, part string) {
	t.Helper()
	b := k.b
	args := []string{"backup", "--json", "-v", b.path("src"), b.path("small")}
	journal, killed := true, 0
	for range 2 + k.r.IntN(4) {
		run := args
		switch k.r.IntN(3) {
		case 0:
			run = append(run, "--checkpoint-interval", "1s")
		case 1:
			run = append(run, "--checkpoint-bytes", "24M")
		}
		before := k.inventory(t)
		anyTime := k.r.IntN(3) == 0
		wait := time.Duration(k.r.Float64() * float64(k.expect[part]))
		p := b.start(t, run...)
		if !anyTime {
			b.untilPacking(p)
		}
		time.Sleep(wait)
		_ = p.cmd.Process.Kill() // it may have ended
		res := p.wait(t)
		if res.code == 0 {
			k.expect[part] = k.expect[part] * 2 / 3
			k.recovered(t, parseSummary(t, res.out), before, journal, killed)
			return
		}
		if res.code != -1 {
			t.Fatalf("not killed: %v", res)
		}
		k.kills++
		killed++
		for s := range k.snapshots { // any of them
			b.restores(t, s, b.path("small"), b.path("small"))
			break
		}
		if k.r.IntN(4) == 0 {
			journal = false
			journals, err := filepath.Glob(filepath.Join(b.home, ".local", "state", "nacre", "*", "journal", "*"))
			must(t, err)
			for _, j := range journals {
				must(t, os.Remove(j))
			}
		}
	}
	before := k.inventory(t)
	res := b.try(t, args...)
	if res.code != 0 {
		t.Fatalf("after a kill: %v", res)
	}
	k.expect[part] = (k.expect[part] + max(k.expect[part], res.took)) / 2
	k.recovered(t, parseSummary(t, res.out), before, journal, killed)
}

// inventory is what the repository has before a run.
type inventory struct {
	packs   map[string]int64 // finished ones, with their sizes
	orphans int              // those of them that no fate names
	blobs   map[id.Short]int64
	usable  int64 // bytes of content in usable packs
	// checkpoints are those that a run can go on from, by id, with what they hold.
	checkpoints map[string]map[string]file
}

func (k *killing) inventory(t *testing.T) *inventory {
	t.Helper()
	v := k.b.look(t)
	i := &inventory{packs: k.b.objects(t, "data"), checkpoints: map[string]map[string]file{}}
	maps.Copy(i.packs, k.b.objects(t, "meta"))
	for p := range i.packs {
		if !v.state.UsablePack(p) {
			i.orphans++
		}
	}
	i.blobs, _ = v.blobs(t, packsOf(t, i.packs))
	usable, _ := v.blobs(t, v.usable(t))
	for _, n := range usable {
		i.usable += n
	}
	var complete int64
	for _, s := range v.state.Snapshots() {
		complete = max(complete, s.Record.Start)
	}
	for _, c := range v.state.Checkpoints() {
		if c.Record.Start > complete { // else its run was killed between its commit and its end
			i.checkpoints[c.ID.String()] = v.files(t, c)
		}
	}
	return i
}

// recovered looks at what the run after the kills did.
func (k *killing) recovered(t *testing.T, sum summary, was *inventory, journal bool, killed int) {
	t.Helper()
	b := k.b
	b.nothingHalfDone(t)
	now := b.look(t)
	for p, size := range was.packs {
		info, err := os.Stat(filepath.Join(b.repo, p))
		if err != nil || info.Size() != size {
			t.Errorf("finished pack %s of %d bytes: %v, %v", p, size, info, err)
		}
		if !now.state.UsablePack(p) {
			t.Errorf("finished pack %s was not taken over", p)
		}
	}
	if _, twice := now.blobs(t, now.usable(t)); len(twice) > 0 {
		t.Errorf("%d blobs are stored twice", len(twice))
	}
	if sum.AdoptedPacks != was.orphans {
		t.Errorf("the run says that it took over %d packs, of %d", sum.AdoptedPacks, was.orphans)
	}
	checkpoint, resumed := was.checkpoints[sum.ResumedFrom]
	if resumed != (len(was.checkpoints) > 0) {
		t.Errorf("the run went on from %q; there are %d checkpoints", sum.ResumedFrom, len(was.checkpoints))
	}
	var snapshot map[string]file
	for _, s := range now.state.Snapshots() {
		if s.ID.String() == sum.Snapshot.ID {
			snapshot = now.files(t, s)
		}
	}
	k.readAgain(t, sum, snapshot, checkpoint, was, journal, killed)
	var has []string
	for _, p := range parts {
		if _, err := os.Lstat(b.path("src", p)); err == nil {
			has = append(has, p)
		}
	}
	k.snapshots[sum.Snapshot.ID] = has
	if t.Failed() {
		t.Logf("it said: %q", sum.said)
	}
	t.Logf("kills %d: %d packs adopted, %d files by the journal (%v), %d MB read, checkpoint %.8s",
		killed, sum.AdoptedPacks, sum.JournalFiles, journal, sum.Stats.Read>>20, sum.ResumedFrom)
}

// readAgain looks at the files that were read though the dead runs had stored them.
func (k *killing) readAgain(t *testing.T, sum summary, snapshot, checkpoint map[string]file, was *inventory, journal bool, killed int) {
	t.Helper()
	var again int64
	for path, n := range sum.read {
		f, ok := snapshot[path]
		if !ok {
			t.Errorf("%s was read and is not in the snapshot", path)
			continue
		}
		if c, ok := checkpoint[path]; ok && !c.partial {
			t.Errorf("%s was read again, though the checkpoint has it", path)
		} else if ok && n > f.size-c.size {
			t.Errorf("%d bytes of %s were read, though the checkpoint has %d of its %d", n, path, c.size, f.size)
		}
		stored := true
		for _, blob := range f.blobs {
			if _, ok := was.blobs[blob]; !ok {
				stored = false
			}
		}
		if stored && len(f.blobs) > 0 {
			again += n
			if f.size > largest && journal {
				t.Errorf("%s was read again, though the dead runs had finished it", path)
			}
		}
	}
	if most := int64(killed) * inWork; journal && again > most {
		t.Errorf("%d bytes were read again that the dead runs had finished; at most %d were in work", again, most)
	}
	if killed != 1 || checkpoint == nil {
		return
	}
	// The packs that the checkpoint committed hold no more than its tree, and what was in work: what is read again
	// without a journal came after it.
	held, most := was.usable, int64(inWork)
	for _, f := range checkpoint {
		held -= f.size
		if f.partial {
			most = stripes
		}
	}
	if held > most {
		t.Errorf("a checkpoint committed %d bytes that are not in its tree; at most %d were in work", held, most)
	}
}
