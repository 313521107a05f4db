package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

// example is a repository of two snapshots that share most of their content.
func example(t *testing.T) (e *env, a, b *session.Snapshot) {
	t.Helper()
	e = newEnv(t)
	a = e.commit(t, "a", shape{dirs: 8, changed: -1})
	b = e.commit(t, "bb", shape{dirs: 8, changed: 3})
	return e, a, b
}

// find returns the damage of one object, and fails if there is none.
func find(t *testing.T, r *Report, object string) *Damage {
	t.Helper()
	for _, d := range r.Damage {
		if d.Object == object {
			return d
		}
	}
	t.Fatalf("%s is not reported; found %s", object, list(r))
	return nil
}

func list(r *Report) string {
	var s []string
	for _, d := range r.Damage {
		s = append(s, fmt.Sprintf("%s: %v (healed %v, %d snapshots)", d.Object, d.Err, d.Healed, len(d.Needs)))
	}
	return strings.Join(s, "\n")
}

func mustRun(t *testing.T, s store.Store, o Options) *Report {
	t.Helper()
	r, err := run(t, s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAWholeRepositoryHasNoDamage(t *testing.T) {
	t.Parallel()
	e, _, _ := example(t)
	before := e.mem.Names("")
	for _, o := range []Options{{}, {ReadData: true}, {CacheDir: t.TempDir(), ReadData: true, Workers: 1}} {
		r := mustRun(t, e.mem, o)
		if !r.OK() || len(r.Notes) > 0 {
			t.Errorf("%+v: damage %s, notes %q", o, list(r), r.Notes)
		}
		if r.Snapshots != 2 || r.Packs != 4 || r.Indexes != 2 || r.Pages < 5 || r.Entries < 200 {
			t.Errorf("%+v: report %+v", o, r)
		}
		if o.ReadData && (r.ReadPacks != 4 || r.ReadBytes != r.PackBytes) {
			t.Errorf("%+v: %d packs of %d bytes were read, want 4 of %d", o, r.ReadPacks, r.ReadBytes, r.PackBytes)
		}
	}
	if !slices.Equal(before, e.mem.Names("")) {
		t.Error("check wrote to the repository")
	}
}

func TestAnEmptyRepositoryIsWhole(t *testing.T) {
	t.Parallel()
	if r := mustRun(t, newEnv(t).mem, Options{ReadData: true}); !r.OK() || r.Snapshots != 0 {
		t.Errorf("damage %s", list(r))
	}
}

// classes are one object of each class that a snapshot, a fate, the keyring or a second copy names.
func classes(e *env) map[string]string {
	first := func(prefix string) string { return e.mem.Names(prefix)[0] }
	rings := e.mem.Names("ring/") // earlier generations may go
	ring := rings[len(rings)-1]
	return map[string]string{
		"nacre.json": "nacre.json", "slot": first("keys/"), "ring": ring, "fate": first("fates/"), "index": first("index/"),
		"data": first("data/"), "meta": first("meta/"), "copy of a fate": first("dup/fates/"), "copy of nacre.json": "dup/nacre.json",
		"copy of a slot": first("dup/keys/"), "copy of the ring": "dup/" + ring,
	}
}

func TestEachFlippedBitIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	e, _, _ := example(t)
	for class, object := range classes(e) {
		size := len(e.mem.Bytes(object))
		for _, at := range []int{0, size / 3, size / 2, size - 30, size - 1} {
			c := e.mem.Clone()
			c.FlipBit(object, at*8+at%8)
			r := mustRun(t, c, Options{ReadData: true})
			d := find(t, r, object)
			if len(r.Damage) != 1 || d.Advice == "" || errors.Is(d.Err, errs.NotFound) {
				t.Errorf("%s, byte %d of %d: %s", class, at, size, list(r))
			}
		}
	}
}

func TestEachTruncatedObjectIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	e, _, _ := example(t)
	for class, object := range classes(e) {
		size := len(e.mem.Bytes(object))
		for _, n := range []int{0, 1, size / 2, size - 1} {
			c := e.mem.Clone()
			c.Corrupt(object, func(b []byte) []byte { return b[:n] })
			r := mustRun(t, c, Options{})
			if d := find(t, r, object); len(r.Damage) != 1 || errors.Is(d.Err, errs.NotFound) {
				t.Errorf("%s, cut to %d of %d: %s", class, n, size, list(r))
			}
		}
	}
}

func TestEachMissingObjectIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	e, _, _ := example(t)
	for class, object := range classes(e) {
		c := e.mem.Clone()
		c.Lose(object)
		r := mustRun(t, c, Options{})
		switch class {
		case "copy of a fate", "copy of nacre.json", "copy of a slot", "copy of the ring": // a crash leaves that too
			if !r.OK() || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], strings.TrimPrefix(object, "dup/")) {
				t.Errorf("%s: %s, notes %q", class, list(r), r.Notes)
			}
			continue
		}
		d := find(t, r, object)
		if !errors.Is(d.Err, errs.NotFound) || len(r.Damage) != 1 {
			t.Errorf("%s: %s", class, list(r))
		}
		if needed := class == "data" || class == "meta"; needed == d.Healed || needed != (len(d.Needs) > 0) {
			t.Errorf("%s: healed %v, needs %v", class, d.Healed, d.Needs)
		}
	}
}

// packs returns the paths of a snapshot's own packs of a class.
func packs(s *session.Snapshot, class byte) (paths []string) {
	for _, p := range s.Fate.Packs {
		if p.Class == class {
			paths = append(paths, p.Path())
		}
	}
	return paths
}

func TestTheFilesAndSnapshotsThatNeedAPackAreNamed(t *testing.T) {
	t.Parallel()
	e, a, b := example(t)
	c := e.mem.Clone()
	lost := packs(b, 'D')[0]
	c.Lose(lost)
	d := find(t, mustRun(t, c, Options{}), lost)
	if len(d.Needs) != 1 || d.Needs[0].Snapshot != b.ID || len(d.Needs[0].Files) != 26 {
		t.Fatalf("the pack of b: needs %+v", d.Needs)
	}
	for i, f := range d.Needs[0].Files {
		if want := fmt.Sprintf("dir003/%c", 'a'+i); string(f) != want {
			t.Errorf("file %d is %q, want %q", i, f, want)
		}
	}

	c = e.mem.Clone()
	lost = packs(a, 'D')[0]
	c.Lose(lost)
	d = find(t, mustRun(t, c, Options{}), lost)
	if len(d.Needs) != 2 || d.Needs[0].Snapshot != a.ID || d.Needs[1].Snapshot != b.ID {
		t.Fatalf("the pack of a: needs %+v", d.Needs)
	}
	for i, want := range []int{8*26 + 1, 7*26 + 1} {
		n := d.Needs[i]
		if len(n.Files) != maxFiles || len(n.Files)+n.More != want {
			t.Errorf("snapshot %d: %d files and %d more, want %d in all", i, len(n.Files), n.More, want)
		}
		if i == 0 && string(n.Files[0]) != "zbig" {
			t.Errorf("the first file is %q", n.Files[0])
		}
	}
	if d.Healed || !strings.Contains(d.Advice, "Bring") {
		t.Errorf("healed %v, advice %q", d.Healed, d.Advice)
	}
}

func TestADamagedSegmentIsPutDownToItsFilesAlone(t *testing.T) {
	t.Parallel()
	e, _, b := example(t)
	c := e.mem.Clone()
	pack := packs(b, 'D')[0]
	c.FlipBit(pack, 8*1000) // in its only segment
	if r := mustRun(t, c, Options{}); !r.OK() {
		t.Errorf("the structure is whole, found %s", list(r))
	}
	r := mustRun(t, c, Options{ReadData: true})
	d := find(t, r, pack)
	if len(r.Damage) != 1 || len(d.Needs) != 1 || len(d.Needs[0].Files) != 26 || !errors.Is(d.Err, errs.Corrupt) {
		t.Errorf("found %s", list(r))
	}
}

func TestALostTreePageIsARangeOfEntries(t *testing.T) {
	t.Parallel()
	e, a, b := example(t)
	c := e.mem.Clone()
	pack := packs(a, 'M')[0]
	c.FlipBit(pack, 8*200) // its first segment
	for _, o := range []Options{{}, {ReadData: true}} {
		d := find(t, mustRun(t, c, o), pack)
		if len(d.Needs) == 0 || d.Needs[0].Snapshot != a.ID || len(d.Needs[0].Ranges) == 0 || !strings.HasPrefix(d.Needs[0].Ranges[0], "from ") {
			t.Errorf("%+v: needs %+v", o, d.Needs)
		}
		for _, n := range d.Needs {
			if n.Snapshot != a.ID && n.Snapshot != b.ID {
				t.Errorf("a stranger needs it: %+v", n)
			}
		}
	}
}

func TestADamagedDirectoryIsHealedByTheIndex(t *testing.T) {
	t.Parallel()
	e, a, _ := example(t)
	c := e.mem.Clone()
	pack := packs(a, 'D')[0]
	c.FlipBit(pack, -8*40) // in the sealed directory
	d := find(t, mustRun(t, c, Options{ReadData: true}), pack)
	if !d.Healed || len(d.Needs) > 0 {
		t.Errorf("healed %v, needs %+v", d.Healed, d.Needs)
	}
}

func TestLosingTheIndexIsDamageWithoutLoss(t *testing.T) {
	t.Parallel()
	e, _, _ := example(t)
	c := e.mem.Clone()
	for _, n := range c.Names("index/") {
		c.Lose(n)
	}
	r := mustRun(t, c, Options{ReadData: true})
	if len(r.Damage) != 2 || len(r.Notes) != 1 {
		t.Errorf("found %s, notes %q", list(r), r.Notes)
	}
	for _, d := range r.Damage {
		if !d.Healed || len(d.Needs) > 0 {
			t.Errorf("%s: healed %v, needs %+v", d.Object, d.Healed, d.Needs)
		}
	}
}

func TestAPackThatNoIndexKnowsAndThatIsGoneLosesItsBlobs(t *testing.T) {
	t.Parallel()
	e, _, b := example(t)
	c := e.mem.Clone()
	for _, n := range c.Names("index/") {
		c.Lose(n)
	}
	c.Lose(packs(b, 'D')[0])
	r := mustRun(t, c, Options{})
	find(t, r, packs(b, 'D')[0])
	blobs := 0
	for _, d := range r.Damage {
		if strings.HasPrefix(d.Object, "blob ") {
			blobs++
			if len(d.Needs) != 1 || d.Needs[0].Snapshot != b.ID || len(d.Needs[0].Files) != 1 {
				t.Errorf("%s: needs %+v", d.Object, d.Needs)
			}
		}
	}
	if blobs != 26 {
		t.Errorf("%d blobs are named, want 26", blobs)
	}
}

func TestOfManyBlobsThatNothingKnowsTheFirstAreNamed(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	snap := e.commit(t, "many", shape{dirs: 45, changed: -1})
	for _, n := range e.mem.Names("index/") {
		e.mem.Lose(n)
	}
	for _, p := range packs(snap, 'D') {
		e.mem.Lose(p)
	}
	r := mustRun(t, e.mem, Options{})
	blobs, files := 0, map[string]bool{}
	for _, d := range r.Damage {
		if strings.HasPrefix(d.Object, "blob ") {
			blobs++
			for _, n := range d.Needs {
				for _, f := range n.Files {
					files[string(f)] = true
				}
			}
		}
	}
	rest := find(t, r, otherBlobs)
	if len(rest.Needs) != 1 || len(rest.Needs[0].Files) != maxFiles || rest.Healed {
		t.Fatalf("the others: %+v", rest)
	}
	// The big file needs ten of the blobs and is named with each.
	if all := len(files) + len(rest.Needs[0].Files) + rest.Needs[0].More; blobs != maxBlobs || all < 45*26 {
		t.Errorf("%d blobs and %d files are named or counted, want %d and %d", blobs, all, maxBlobs, 45*26)
	}
}

func TestAForgottenSnapshotNeedsNothing(t *testing.T) {
	t.Parallel()
	e, _, b := example(t)
	ctx := context.Background()
	signer, err := e.repo.Writer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	path := record.TombstonePath(b.ID)
	outer, err := (&record.Tombstone{Path: path, Writer: signer.Writer(), Session: b.ID, Time: 1}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	tomb, err := e.repo.SealControl(ctx, crypt.ClassTombstone, path, outer, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := e.mem.Clone()
	c.Lose(packs(b, 'D')[0])
	c.Set(path, tomb)
	r := mustRun(t, c, Options{})
	if d := find(t, r, packs(b, 'D')[0]); len(d.Needs) > 0 || len(r.Damage) != 1 {
		t.Errorf("found %s", list(r))
	}
	c.FlipBit(path, 800) // forgotten or not is not known then: it is live
	r = mustRun(t, c, Options{})
	if d := find(t, r, packs(b, 'D')[0]); len(d.Needs) != 1 {
		t.Errorf("found %s", list(r))
	}
	find(t, r, path)
}

// pruned deletes a snapshot from a store as a pruner does: tombstone, a fate that says which packs are gone, deletion.
func (e *env) pruned(t *testing.T, s *session.Snapshot) (apply func(*mem.Store)) {
	t.Helper()
	ctx := context.Background()
	signer, err := e.repo.Writer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string][]byte{}
	seal := func(class crypt.Class, path string, outer []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if objects[path], err = e.repo.SealControl(ctx, class, path, outer, nil); err != nil {
			t.Fatal(err)
		}
	}
	tomb := record.Tombstone{Path: record.TombstonePath(s.ID), Writer: signer.Writer(), Session: s.ID, Time: 1}
	outer, err := tomb.Encode()
	seal(crypt.ClassTombstone, tomb.Path, outer, err)
	pruner := id.Session{1, 2, 3}
	fate := record.Fate{
		Path: record.FatePath(0, pruner), Writer: signer.Writer(), Session: pruner, Kind: record.Rescue, Gone: s.Fate.Packs,
		Sequence: s.Fate.Sequence + 1, Heads: []record.Head{{Session: s.ID, Hash: s.Fate.Hash}}, Time: 2,
	}
	outer, err = fate.Encode()
	seal(crypt.ClassFate, fate.Path, outer, err)
	objects[record.DupPath(fate.Path)] = objects[fate.Path]
	return func(m *mem.Store) {
		for path, b := range objects {
			m.Set(path, b)
		}
		for _, p := range s.Fate.Packs {
			m.Lose(p.Path())
		}
	}
}

func TestAPackThatAFateSaysIsGoneIsNotMissing(t *testing.T) {
	t.Parallel()
	e, _, b := example(t)
	prune := e.pruned(t, b)
	c := e.mem.Clone()
	prune(c)
	if r := mustRun(t, c, Options{ReadData: true}); !r.OK() || r.Snapshots != 1 || r.Packs != 2 {
		t.Errorf("found %s in %+v", list(r), r)
	}
	// The pruner comes before each call in turn.
	for n := 1; ; n++ {
		c := e.mem.Clone()
		f := fault.New(c)
		repo := mustOpen(t, f, nil)
		var calls atomic.Int32
		f.SetHook(func(fault.Op, string) error {
			if int(calls.Add(1)) == n {
				prune(c)
			}
			return nil
		})
		r, err := Run(context.Background(), repo, Options{ReadData: true, Workers: 1})
		if err != nil || !r.OK() {
			t.Errorf("pruned before call %d: %v, found %s", n, err, list(r))
		}
		if int(calls.Load()) < n {
			break
		}
	}
}

func TestOnlyARescueSaysThatAPackIsGone(t *testing.T) {
	t.Parallel()
	e, _, b := example(t)
	signer, err := e.repo.Writer(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	liar := id.Session{4, 5, 6}
	fate := record.Fate{
		Path: record.FatePath(0, liar), Writer: signer.Writer(), Session: liar, Kind: record.Compaction, Gone: b.Fate.Packs,
		Sequence: b.Fate.Sequence + 1, Heads: []record.Head{{Session: b.ID, Hash: b.Fate.Hash}}, Time: 2,
	}
	outer, err := fate.Encode()
	if err != nil {
		t.Fatal(err)
	}
	object, err := e.repo.SealControl(context.Background(), crypt.ClassFate, fate.Path, outer, nil)
	if err != nil {
		t.Fatal(err)
	}
	e.mem.Set(fate.Path, object)
	e.mem.Set(record.DupPath(fate.Path), object)
	if r := mustRun(t, e.mem.Clone(), Options{}); !r.OK() {
		t.Errorf("found %s", list(r))
	}
	lost := packs(b, 'D')[0]
	e.mem.Lose(lost)
	if d := find(t, mustRun(t, e.mem, Options{}), lost); len(d.Needs) == 0 || d.Healed {
		t.Errorf("found %+v", d)
	}
}

func TestGarbageIsNoDamage(t *testing.T) {
	t.Parallel()
	e, _, _ := example(t)
	c := e.mem.Clone()
	sid := strings.Repeat("ab", 16)
	c.Set("data/"+sid+"/00000000-"+strings.Repeat("cd", 32), make([]byte, 777))
	c.Set("index/"+strings.Repeat("ef", 32), make([]byte, 23))
	r := mustRun(t, c, Options{ReadData: true})
	if !r.OK() || r.Garbage != 2 || r.GarbageBytes != 800 || len(r.Notes) != 1 {
		t.Errorf("found %s, garbage %d of %d bytes, notes %q", list(r), r.Garbage, r.GarbageBytes, r.Notes)
	}
}

func TestAStoreThatDoesNotAnswerEndsTheCheck(t *testing.T) {
	t.Parallel()
	e, _, _ := example(t)
	f := fault.New(e.mem)
	r := mustOpen(t, f, nil)
	for n := 1; ; n++ {
		f.SetRules(fault.Rule{N: n, Lasting: true, Err: errs.Unreachable})
		fired := f.Fired()
		rep, err := Run(context.Background(), r, Options{ReadData: true, Workers: 1})
		if f.Fired() == fired {
			if err != nil || !rep.OK() {
				t.Fatalf("without a fault: %v", err)
			}
			break
		}
		if !errors.Is(err, errs.Unreachable) {
			t.Fatalf("call %d unanswered: report %v, error %v", n, rep, err)
		}
	}
	if f.Calls(fault.Changes&^fault.Flush) != 0 {
		t.Error("check changed the repository")
	}
}

func TestAnEndedContextEndsTheCheck(t *testing.T) {
	t.Parallel()
	e, _, _ := example(t)
	f := fault.New(e.mem)
	r := mustOpen(t, f, nil)
	for _, after := range []int{1, 5, 20, 30} {
		ctx, cancel := context.WithCancel(context.Background())
		var n atomic.Int32
		f.SetHook(func(fault.Op, string) error {
			if int(n.Add(1)) == after {
				cancel()
			}
			return nil
		})
		if _, err := Run(ctx, r, Options{ReadData: true, Workers: 1}); !errors.Is(err, context.Canceled) {
			t.Errorf("after %d calls: %v", after, err)
		}
		cancel()
	}
}

func TestDamageIsReportedWhenItIsFound(t *testing.T) {
	t.Parallel()
	e, a, _ := example(t)
	c := e.mem.Clone()
	pack := packs(a, 'D')[0]
	c.Lose(pack)
	var warned bytes.Buffer
	r := mustOpen(t, c, func(ev event.Event) {
		if w, ok := ev.(event.Warning); ok {
			fmt.Fprintln(&warned, w.Err)
		}
	})
	if _, err := Run(context.Background(), r, Options{Workers: 1}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(warned.String(), pack) {
		t.Errorf("warnings: %s", &warned)
	}
}

func TestSubsets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Subset{
		"1/7": {Part: 1, Parts: 7}, "7/7": {Part: 7, Parts: 7}, "10%": {Percent: 10}, "0.5%": {Percent: 0.5}, "100%": {Percent: 100},
		"500M": {Bytes: 500_000_000}, "4096": {Bytes: 4096},
	} {
		got, err := ParseSubset(text)
		if want.Bytes == 500_000_000 {
			want.Bytes = got.Bytes // decimal or binary is the business of units
		}
		if err != nil || got != want {
			t.Errorf("%q = %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0/7", "8/7", "-1/7", "1/", "/7", "1/7/9", "0%", "101%", "x%", "NaN%", "0", "-5", "many"} {
		if got, err := ParseSubset(text); !errors.Is(err, errs.Usage) || errs.Hint(err) == "" {
			t.Errorf("%q = %+v, %v", text, got, err)
		}
	}
}

func TestTheSevenPartsAreAllPacksOnce(t *testing.T) {
	t.Parallel()
	var all []record.Pack
	for i := range 500 {
		p := record.Pack{Class: 'D', N: uint32(i), Size: 1000}
		copy(p.Name[:], content(uint64(i), 32))
		all = append(all, p)
	}
	seen := map[record.Pack]int{}
	for part := 1; part <= 7; part++ {
		got, err := Subset{Part: part, Parts: 7}.choose(slices.Clone(all), nil)
		if err != nil || len(got) < 30 {
			t.Errorf("part %d has %d packs, %v", part, len(got), err)
		}
		for _, p := range got {
			seen[p]++
		}
	}
	for _, p := range all {
		if seen[p] != 1 {
			t.Fatalf("pack %d was read %d times", p.N, seen[p])
		}
	}
	next := uint64(0)
	random := func(n int) (int, error) { next = next*6364136223846793005 + 1; return int(next >> 33 % uint64(n)), nil }
	for s, want := range map[Subset]int{{}: 500, {Percent: 10}: 50, {Percent: 0.01}: 1, {Bytes: 4500}: 5, {Bytes: 1}: 1, {Bytes: 1 << 40}: 500, {Percent: 100}: 500} {
		got, err := s.choose(slices.Clone(all), random)
		once := map[record.Pack]bool{}
		for _, p := range got {
			once[p] = true
		}
		if err != nil || len(got) != want || len(once) != want {
			t.Errorf("%+v: %d packs (%d different), %v; want %d", s, len(got), len(once), err, want)
		}
	}
}

func TestASubsetReadsFewerPacks(t *testing.T) {
	t.Parallel()
	e, _, _ := example(t)
	if r := mustRun(t, e.mem, Options{ReadData: true, Subset: Subset{Percent: 25}}); r.ReadPacks != 1 {
		t.Errorf("%d packs were read", r.ReadPacks)
	}
}

func TestTheNextBackupStoresAgainWhatIsLost(t *testing.T) {
	t.Parallel()
	for _, class := range []byte{'D', 'M'} {
		for _, how := range []string{"lost", "damaged"} {
			e, a, _ := example(t)
			pack := packs(a, class)[0]
			if how == "lost" {
				e.mem.Lose(pack)
			} else {
				e.mem.FlipBit(pack, 8*300)
			}
			o := Options{ReadData: true}
			r, err := Run(context.Background(), e.repo, o)
			if err != nil {
				t.Fatal(err)
			}
			if d := find(t, r, pack); len(d.Needs) == 0 {
				t.Errorf("%c %s: nobody needs it", class, how)
			}
			c := e.commit(t, "ccc", shape{dirs: 8, changed: -1})
			if r, err = Run(context.Background(), e.repo, o); err != nil {
				t.Fatal(err)
			}
			d := find(t, r, pack)
			for _, n := range d.Needs {
				if n.Snapshot == c.ID {
					t.Errorf("%c %s: the snapshot made after the check rests on the damage: %+v", class, how, n)
				}
			}
			if class == 'D' && len(d.Needs) > 0 {
				t.Errorf("%c %s: the old snapshots did not become whole: %+v", class, how, d.Needs)
			}
		}
	}
}
