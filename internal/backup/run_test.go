package backup

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/segment"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/mem"
	"github.com/nacre-backup/nacre/internal/tree"
	"github.com/nacre-backup/nacre/internal/view"
)

// testBig is the size of a big file in these tests: three times a worker's buffer.
const testBig = 12 << 20

// bench is a source and a repository to back it up to.
type bench struct {
	t     testing.TB
	src   *memSource
	store store.Store
	repo  *repo.Repo
	cache string
	state string
}

func newBench(t testing.TB) *bench {
	t.Helper()
	return newBenchWith(t, clock.System{})
}

func newBenchWith(t testing.TB, c clock.Clock) *bench {
	t.Helper()
	return newBenchOn(t, c, mem.New())
}

func newBenchOn(t testing.TB, c clock.Clock, s store.Store) *bench {
	t.Helper()
	b := &bench{t: t, src: newMemSource(), store: s, cache: t.TempDir(), state: t.TempDir()}
	r, err := repo.Init(context.Background(), repo.InitOptions{
		Store: b.store, Clock: c, Rand: clock.Random, NoEncryption: true, StateDir: b.state, Label: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	b.repo = r
	return b
}

func (b *bench) options() Options {
	return Options{
		Repo: b.repo, Open: func(context.Context) (source.Source, error) { return b.src, nil },
		CacheDir: b.cache, StateDir: b.state, Host: "host", Roots: []string{"/"}, Workers: 3, Program: "test",
		CheckpointInterval: -1, CheckpointBytes: -1, big: testBig,
	}
}

// backup runs and fails the test if the run fails.
func (b *bench) backup(change ...func(*Options)) *Summary {
	b.t.Helper()
	o := b.options()
	for _, c := range change {
		c(&o)
	}
	b.src.bytes.Store(0)
	b.src.opens.Store(0)
	sum, err := Run(context.Background(), o)
	if err != nil {
		b.t.Fatalf("backup: %v", err)
	}
	return sum
}

// found is what a snapshot has of a path.
type found struct {
	entry   *tree.Entry
	content []byte
}

// read reads the newest snapshot back, through a view without a cache.
func (b *bench) read(name string) map[string]found {
	b.t.Helper()
	ctx := context.Background()
	v, err := view.Open(ctx, b.repo, view.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() {
		if err := v.Close(); err != nil {
			b.t.Error(err)
		}
	}()
	snap, err := v.Resolve(name)
	if err != nil {
		b.t.Fatal(err)
	}
	t, err := v.Tree(snap)
	if err != nil {
		b.t.Fatal(err)
	}
	got := map[string]found{}
	err = t.Walk(ctx, nil, func(dir []byte, e *tree.Entry) error {
		f := found{entry: e.Clone()}
		if e.Type == tree.File {
			file, err := v.OpenFile(ctx, e)
			if err != nil {
				return err
			}
			var buf bytes.Buffer
			if _, err := file.WriteTo(&buf); err != nil {
				return err
			}
			f.content = buf.Bytes()
		}
		got[string(tree.JoinPath(nil, dir, e.Name))] = f
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// same compares the newest snapshot with the source.
func (b *bench) same() {
	b.t.Helper()
	got := b.read("latest")
	for p, n := range b.src.nodes {
		f, ok := got[p]
		switch {
		case !ok:
			b.t.Errorf("%q is not in the snapshot", p)
		case f.entry.Type != n.entry.Type || f.entry.ModTime != n.entry.ModTime:
			b.t.Errorf("%q: type %d, mtime %v; want %d, %v", p, f.entry.Type, f.entry.ModTime, n.entry.Type, n.entry.ModTime)
		case f.entry.Type == tree.File && !bytes.Equal(f.content, n.content):
			b.t.Errorf("%q: %d bytes, not the %d of the source", p, len(f.content), len(n.content))
		case f.entry.Flags&^tree.Implied != 0 || f.entry.ErrClass != tree.ErrNone:
			b.t.Errorf("%q: flags %d, error class %d", p, f.entry.Flags, f.entry.ErrClass)
		}
	}
	for p := range got {
		if b.src.nodes[p] == nil {
			b.t.Errorf("%q is in the snapshot and not in the source", p)
		}
	}
}

// noise is content that does not compress.
func noise(seed uint64, n int) []byte {
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	_, _ = r.Read(p) // it never fails
	return p
}

// someTree fills the source with files of all sizes.
func (b *bench) someTree() {
	for i := range 40 {
		dir := "a/" + string(rune('a'+i%7))
		b.src.write(dir+"/f"+string(rune('a'+i)), noise(uint64(i), i*i*5))
	}
	b.src.write("a/empty", nil)
	b.src.write("b/large", noise(100, 3<<20))
	b.src.write("b/text", bytes.Repeat([]byte("all work and no play "), 100000))
	b.src.add("b/link", tree.Symlink).entry.Target = []byte("../a")
	long := b.src.add("b/long-link", tree.Symlink)
	long.entry.Target = bytes.Repeat([]byte("x/"), 1000)
	n := b.src.write("b/attrs", []byte("attributes"))
	n.entry.Xattrs = []tree.Xattr{{Name: []byte("user.a"), Value: []byte("1")}, {Name: []byte("user.b"), Value: noise(7, 5000)}}
}

func TestBackupHoldsTheSource(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.someTree()
	sum := b.backup()
	b.same()
	s := sum.Record.Stats
	if s.New != uint64(len(b.src.nodes)) || s.Changed+s.Unchanged+s.Failed != 0 {
		t.Errorf("%d entries, counted as %+v", len(b.src.nodes), s)
	}
	if sum.Incomplete() || sum.NewBlobs == 0 || sum.NewPages == 0 {
		t.Errorf("summary %+v", sum)
	}
}

func TestUnchangedBackupWritesNoDataAndNoPage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.someTree()
	b.backup()
	sum := b.backup()
	b.same()
	if sum.NewPages != 0 || sum.NewBlobs != 0 || sum.DataPacks != 0 || sum.MetaPacks != 0 {
		t.Errorf("an unchanged backup wrote %d pages, %d blobs, %d+%d packs", sum.NewPages, sum.NewBlobs, sum.DataPacks, sum.MetaPacks)
	}
	if s := sum.Record.Stats; s.Unchanged != uint64(len(b.src.nodes)) || b.src.opens.Load() != 0 {
		t.Errorf("%d of %d unchanged, %d files opened", s.Unchanged, len(b.src.nodes), b.src.opens.Load())
	}
	if skipped := b.backup(func(o *Options) { o.SkipIfUnchanged = true }); !skipped.Skipped || !skipped.Snapshot.IsZero() {
		t.Errorf("skip-if-unchanged made snapshot %s", skipped.Snapshot)
	}
}

func TestOnlyWhatChangedIsRead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.someTree()
	b.backup()
	b.src.write("a/a/fa", []byte("changed"))
	b.src.write("a/new/file", []byte("new"))
	b.src.remove("a/b")
	sum := b.backup()
	b.same()
	if n := b.src.opens.Load(); n != 2 {
		t.Errorf("%d files were opened, want 2", n)
	}
	if s := sum.Record.Stats; s.Changed != 1 || s.New != 2 || s.Removed == 0 {
		t.Errorf("counted as %+v", s)
	}
}

func TestMovedDirectoryIsNotRead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.someTree()
	for i := range 300 {
		b.src.write("tree/sub"+string(rune('a'+i%5))+"/deep/file"+string(rune('a'+i/26))+string(rune('a'+i%26)), noise(uint64(i), 300))
	}
	b.backup()
	b.src.rename("tree", "elsewhere")
	sum := b.backup()
	b.same()
	if n := b.src.opens.Load(); n != 0 {
		t.Errorf("%d files of a moved directory were opened", n)
	}
	if s := sum.Record.Stats; s.Moved != 310 {
		t.Errorf("%d entries counted as moved, want 310: %+v", s.Moved, s)
	}
	b.src.rename("elsewhere/suba", "elsewhere/subz")
	b.src.rename("elsewhere", "tree")
	b.backup()
	b.same()
	if n := b.src.opens.Load(); n != 0 {
		t.Errorf("%d files of a directory moved within a moved one were opened", n)
	}
}

func TestWhatCannotBeReadKeepsTheLastGoodCopy(t *testing.T) {
	t.Parallel()
	trouble := map[string]struct {
		make  func(n *node)
		class tree.ErrClass
	}{
		"cannot be opened":       {func(n *node) { n.open = syscall.EACCES }, tree.ErrAccess},
		"cannot be read":         {func(n *node) { n.read = syscall.EIO }, tree.ErrIO},
		"vanishes":               {func(n *node) { n.open = syscall.ENOENT }, tree.ErrVanished},
		"its metadata cannot be": {func(n *node) { n.stat = syscall.EIO }, tree.ErrIO},
	}
	for name, c := range trouble {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.someTree()
			b.backup()
			for range 3 { // the copy survives any number of failures
				n := b.src.write("b/text", []byte("never seen"))
				c.make(n)
				lost := b.src.write("b/never", []byte("was never read"))
				c.make(lost)
				sum := b.backup()
				if sum.Record.Stats.Failed != 2 || len(sum.Record.Errors) != 2 || !sum.Incomplete() {
					t.Fatalf("failed %d, errors %v", sum.Record.Stats.Failed, sum.Record.Errors)
				}
				f := b.read("latest")["b/text"]
				if f.entry == nil || f.entry.Flags&tree.Stale == 0 || f.entry.ErrClass != c.class || !strings.HasPrefix(string(f.content), "all work") {
					t.Fatalf("the entry is %+v", f.entry)
				}
				if f := b.read("latest")["b/never"]; f.entry != nil && f.entry.ErrClass != c.class {
					t.Fatalf("what was never read is %+v", f.entry)
				}
			}
			good := b.src.nodes["b/text"]
			*good = node{entry: good.entry, content: good.content}
			b.src.remove("b/never")
			b.backup()
			b.same()
		})
	}
}

func TestDirectoryThatCannotBeListedKeepsWhatWasBelow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.someTree()
	b.backup()
	b.src.nodes["a"].list = syscall.EACCES
	sum := b.backup()
	got := b.read("latest")
	for p, n := range b.src.nodes {
		f := got[p]
		if f.entry == nil || !bytes.Equal(f.content, n.content) {
			t.Errorf("%q was lost", p)
		} else if stale := f.entry.Flags&tree.Stale != 0; stale != strings.HasPrefix(p, "a/") {
			t.Errorf("%q: stale is %v", p, stale)
		}
	}
	if len(sum.Record.Errors) != 1 || string(sum.Record.Errors[0].Path) != "a" {
		t.Errorf("errors %v", sum.Record.Errors)
	}
	b.src.nodes["a"].list = nil
	b.backup()
	b.same()
}

func TestLostMountIsNotADeletion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.someTree()
	b.src.write("mnt/disk/x", []byte("on another disk"))
	b.src.write("mnt/disk/y/z", []byte("deep on another disk"))
	for p, n := range b.src.nodes {
		if strings.HasPrefix(p, "mnt/disk") {
			n.entry.FS = "fs1"
		}
	}
	b.backup()
	kept := map[string]*node{}
	for p, n := range b.src.nodes {
		if strings.HasPrefix(p, "mnt/disk/") {
			kept[p] = n
			delete(b.src.nodes, p)
		}
	}
	d := &b.src.nodes["mnt/disk"].entry
	d.FS, d.Inode, d.ChangeTime = "fs0", 4711, b.src.tick()
	for range 2 {
		sum := b.backup()
		got := b.read("latest")
		for p, n := range kept {
			if f := got[p]; f.entry == nil || !bytes.Equal(f.content, n.content) || f.entry.Flags&tree.Stale == 0 {
				t.Fatalf("%q was lost with its mount", p)
			}
		}
		if !sum.Incomplete() {
			t.Fatal("a lost mount is no error")
		}
	}
	b.src.write("mnt/disk/new", []byte("the place is used again"))
	b.backup()
	b.same()
}

func TestFileThatChangesIsReadAgainAndThenFlagged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.someTree()
	b.src.nodes["a/a/fh"].change = 2
	sum := b.backup()
	if sum.Incomplete() {
		t.Errorf("a file that held still at the third try failed: %v", sum.Record.Errors)
	}
	b.same()
	b.src.write("a/a/fh", noise(5, 1000)).change = 100
	sum = b.backup()
	f := b.read("latest")["a/a/fh"]
	if f.entry.Flags&tree.Torn == 0 || f.entry.ErrClass != tree.ErrChanged || sum.Record.Stats.Failed != 1 {
		t.Errorf("flags %d, class %d, failed %d", f.entry.Flags, f.entry.ErrClass, sum.Record.Stats.Failed)
	}
	b.src.nodes["a/a/fh"].change = 0
	b.backup() // it is read again although nothing tells that it changed
	b.same()
}

func TestHardLinksAreReadOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.src.write("d/one", noise(1, 100000))
	for _, p := range []string{"d/three", "d/two", "e/four"} {
		n := b.src.write(p, first.content)
		n.entry.Inode, n.entry.ModTime, n.entry.ChangeTime = first.entry.Inode, first.entry.ModTime, first.entry.ChangeTime
	}
	for _, p := range []string{"d/one", "d/three", "d/two", "e/four"} {
		b.src.nodes[p].link, b.src.nodes[p].entry.Nlink = "inode", 4
	}
	sum := b.backup()
	b.same()
	if n := b.src.opens.Load(); n != 1 || sum.Record.Stats.Bytes != 100000 {
		t.Errorf("opened %d times, %d bytes", n, sum.Record.Stats.Bytes)
	}
	got := b.read("latest")
	if l := got["d/one"].entry.Link; l.IsZero() || l != got["e/four"].entry.Link {
		t.Error("the links are not of one group")
	}
	if sum := b.backup(); sum.Record.Stats.Bytes != 100000 {
		t.Errorf("unchanged links count %d bytes", sum.Record.Stats.Bytes)
	}
}

func TestBigAndSparseFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.src.write("a/before", []byte("before"))
	b.src.write("big", noise(1, testBig+12345))
	sparse := make([]byte, 20<<20)
	copy(sparse[5<<20:], noise(2, 3<<20))
	b.src.write("sparse", sparse).islands = []island{{5 << 20, 8 << 20}}
	b.src.write("z", []byte("behind"))
	b.backup()
	b.same()
	if n := b.src.bytes.Load(); n > testBig+12345+3<<20+1000 {
		t.Errorf("%d bytes were read: holes too", n)
	}
	edited := append([]byte(nil), b.src.nodes["big"].content...)
	copy(edited[5<<20:], "an edit in the middle")
	b.src.write("big", edited)
	sum := b.backup()
	b.same()
	if sum.Record.Stats.Original > 3<<20 {
		t.Errorf("an edit stored %d bytes anew", sum.Record.Stats.Original)
	}
}

func TestStreamIsStoredWhole(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.src.write("stdin", noise(3, 9<<20)).entry.Size = 0
	b.backup(func(o *Options) { o.Stream = true })
	if f := b.read("latest")["stdin"]; !bytes.Equal(f.content, b.src.nodes["stdin"].content) || f.entry.Size != 9<<20 {
		t.Errorf("%d bytes came back", len(f.content))
	}
	b.src.nodes["stdin"].read = syscall.EPIPE
	o := b.options()
	o.Stream = true
	if _, err := Run(context.Background(), o); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a stream that broke off gave %v", err)
	}
	if n := len(b.snapshots()); n != 1 {
		t.Errorf("%d snapshots after half a stream", n)
	}
}

func (b *bench) snapshots() []*session.Snapshot {
	b.t.Helper()
	st, err := session.List(context.Background(), b.repo)
	if err != nil {
		b.t.Fatal(err)
	}
	return st.Snapshots()
}

// flipper is a coder that flips a bit of what it makes.
type flipper struct{ *codec.Coder }

func (f flipper) Encode(dst, src []byte) (codec.ID, []byte) {
	c, p := f.Coder.Encode(dst, src)
	if len(p) > 100 {
		p[len(p)/2] ^= 4
	}
	return c, p
}

func TestBitFlippedBeforeSealingFailsTheBackup(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.someTree()
	o := b.options()
	o.coder = func() segment.Coder {
		c, err := codec.NewCoder(codec.Fastest)
		if err != nil {
			t.Error(err)
		}
		return flipper{c}
	}
	if _, err := Run(context.Background(), o); !errors.Is(err, errs.Corrupt) {
		t.Errorf("the backup gave %v", err)
	}
	if n := len(b.snapshots()); n != 0 {
		t.Errorf("%d snapshots were committed", n)
	}
}

func TestInterruptedRunGoesOnFromItsCheckpoint(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 3000 {
		b.src.write("d"+string(rune('a'+i%20))+"/f"+string(rune('a'+i/20%26))+string(rune('a'+i/520)), noise(uint64(i), 5000))
	}
	stop := make(chan struct{})
	o := b.options()
	o.Interrupt, o.Verbose = stop, true
	seen := 0
	o.Events = func(e event.Event) {
		if en, ok := e.(event.Entry); ok && en.Verdict == event.New {
			if seen++; seen == 1500 {
				close(stop)
			}
		}
	}
	sum, err := Run(context.Background(), o)
	if !errors.Is(err, ErrInterrupted) || sum == nil || !sum.Checkpoint {
		t.Fatalf("the interrupted run gave %+v, %v", sum, err)
	}
	if n := len(b.snapshots()); n != 0 {
		t.Fatalf("%d snapshots after an interrupted run", n)
	}
	sum = b.backup()
	b.same()
	if sum.ResumedFrom.IsZero() {
		t.Error("the run did not resume")
	}
	if n := b.src.opens.Load(); n > 1500 {
		t.Errorf("%d of 3,000 files were read again", n)
	}
	st, err := session.List(context.Background(), b.repo)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(st.Checkpoints()); n != 0 {
		t.Errorf("%d checkpoints stay after the commit", n)
	}
}

func TestInterruptedRunThatGotNowhereNamesNoCheckpointOfItsOwn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.someTree()
	stopped := make(chan struct{})
	close(stopped)
	o := b.options()
	o.Interrupt = stopped
	sum, err := Run(context.Background(), o)
	if !errors.Is(err, ErrInterrupted) || sum == nil || sum.Checkpoint || !sum.Snapshot.IsZero() {
		t.Fatalf("a run that was interrupted at once gave %+v, %v", sum, err)
	}
	halfWay := make(chan struct{})
	o.Interrupt, o.Verbose = halfWay, true
	seen := 0
	o.Events = func(e event.Event) {
		if en, ok := e.(event.Entry); ok && en.Verdict == event.New {
			if seen++; seen == 20 {
				close(halfWay)
			}
		}
	}
	first, err := Run(context.Background(), o)
	if !errors.Is(err, ErrInterrupted) || !first.Checkpoint {
		t.Fatalf("a run that was interrupted half way gave %+v, %v", first, err)
	}
	o.Interrupt, o.Events = stopped, nil
	sum, err = Run(context.Background(), o)
	if !errors.Is(err, ErrInterrupted) || !sum.Checkpoint || sum.Snapshot != first.Snapshot {
		t.Errorf("a run that was interrupted at once names checkpoint %s, want %s, from which the next one goes on (%v)", sum.Snapshot, first.Snapshot, err)
	}
	if sum = b.backup(); sum.ResumedFrom != first.Snapshot {
		t.Errorf("resumed from %s, want %s", sum.ResumedFrom, first.Snapshot)
	}
	b.same()
}

func TestBigFileGoesOnWhereACheckpointLeftIt(t *testing.T) {
	t.Parallel()
	t.Run("half way", func(t *testing.T) { t.Parallel(); bigFileGoesOn(t, 3*testBig, 5*testBig) })
	// What is left is no big file any more.
	t.Run("near its end", func(t *testing.T) { t.Parallel(); bigFileGoesOn(t, 6*testBig-(4<<20), 4*testBig) })
}

// bigFileGoesOn interrupts a run when it has read that much, and looks that the next one reads at most so much.
func bigFileGoesOn(t *testing.T, at, most int64) {
	b := newBench(t)
	b.src.write("a", []byte("before"))
	b.src.write("big", noise(9, 6*testBig))
	b.src.write("c", []byte("behind"))
	b.interruptAt(at)
	sum := b.backup()
	b.same()
	if sum.ResumedFrom.IsZero() || b.src.bytes.Load() > most {
		t.Errorf("resumed from %s, %d bytes read again", sum.ResumedFrom, b.src.bytes.Load())
	}
}

func TestPartOfAFileDoesNotTakeThePlaceOfTheWholeThatCannotBeSeen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.src.write("d/big", noise(9, 6*testBig))
	b.backup()
	whole := b.src.nodes["d/big"].content
	b.src.write("d/big", noise(10, 6*testBig))
	b.interruptAt(3 * testBig)
	b.src.nodes["d"].list = syscall.EACCES
	if sum := b.backup(); sum.ResumedFrom.IsZero() {
		t.Fatal("not resumed from the checkpoint")
	}
	f := b.read("latest")["d/big"]
	if f.entry == nil || f.entry.Flags&tree.Stale == 0 || f.entry.Flags&tree.Partial != 0 || !bytes.Equal(f.content, whole) {
		t.Errorf("the last good copy was lost: %+v", f.entry)
	}
}

// interruptAt runs a backup that is interrupted when it has read more than so many bytes, and makes a checkpoint.
func (b *bench) interruptAt(bytes int64) *Summary {
	b.t.Helper()
	return b.interrupted(func(o *Options, stop func()) {
		o.Counters = &event.Counters{}
		o.Open = func(context.Context) (source.Source, error) {
			return &watched{memSource: b.src, at: bytes, fn: stop, counters: o.Counters}, nil
		}
	})
}

// interruptAfter runs a backup that is interrupted when so many entries are in the tree, and makes a checkpoint.
func (b *bench) interruptAfter(entries int) *Summary {
	b.t.Helper()
	return b.interrupted(func(o *Options, stop func()) {
		o.Verbose = true
		o.Events = func(e event.Event) {
			if _, ok := e.(event.Entry); ok {
				if entries--; entries == 0 {
					stop()
				}
			}
		}
	})
}

func (b *bench) interrupted(when func(o *Options, stop func())) *Summary {
	b.t.Helper()
	c := make(chan struct{})
	o := b.options()
	o.Interrupt = c
	when(&o, func() { close(c) })
	sum, err := Run(context.Background(), o)
	if !errors.Is(err, ErrInterrupted) || !sum.Checkpoint {
		b.t.Fatalf("the run gave %+v, %v", sum, err)
	}
	return sum
}

// watched calls fn when more than at bytes were read.
type watched struct {
	*memSource
	at       int64
	fn       func()
	counters *event.Counters
}

func (w *watched) Open(ctx context.Context, it *source.Item) (source.File, error) {
	f, err := w.memSource.Open(ctx, it)
	if err != nil {
		return nil, err
	}
	return &watchedFile{File: f, w: w}, nil
}

type watchedFile struct {
	source.File
	w *watched
}

func (f *watchedFile) ReadAt(p []byte, off int64) (int, error) {
	if f.w.fn != nil && f.w.counters.Bytes.Load() > f.w.at {
		f.w.fn()
		f.w.fn = nil
	}
	return f.File.ReadAt(p, off)
}

func TestCheckpointsWhileTheRunGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 2000 {
		b.src.write("d"+string(rune('a'+i%20))+"/f"+string(rune('a'+i/20%26))+string(rune('a'+i/520)), noise(uint64(i), 10000))
	}
	b.src.write("db/big", noise(9, testBig+1))
	notes := 0
	b.backup(func(o *Options) {
		o.CheckpointBytes = 4 << 20
		o.Events = func(e event.Event) {
			if n, ok := e.(event.Note); ok && strings.HasPrefix(n.Text, "checkpoint") {
				notes++
			}
		}
	})
	b.same()
	if notes < 3 {
		t.Errorf("%d checkpoints were made", notes)
	}
}

func TestCancelledRunEndsItsSession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.someTree()
	ctx, cancel := context.WithCancel(context.Background())
	o := b.options()
	o.Verbose = true
	o.Events = func(event.Event) { cancel() }
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run gave %v", err)
	}
	st, err := session.List(context.Background(), b.repo)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(st.OpenSessions()); n != 0 {
		t.Errorf("%d sessions stay open", n)
	}
	b.backup()
	b.same()
}

func TestDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.someTree()
	b.backup()
	names := b.names()
	b.src.write("a/new", []byte("twelve bytes"))
	sum := b.backup(func(o *Options) { o.DryRun = true })
	if s := sum.Record.Stats; s.New != 1 || s.Read != 12 || s.Unchanged != uint64(len(b.src.nodes)-1) {
		t.Errorf("counted as %+v", s)
	}
	if got := b.names(); len(got) != len(names) {
		t.Errorf("the repository went from %d to %d objects", len(names), len(got))
	}
}

func (b *bench) names() []string {
	b.t.Helper()
	var names []string
	err := b.store.List(context.Background(), "", func(i store.Info) error { names = append(names, i.Name); return nil })
	if err != nil {
		b.t.Fatal(err)
	}
	return names
}

func TestDamagedParentIsReadAnewAndMended(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.someTree()
	b.backup()
	for _, n := range b.names() { // every page of the parent is damaged
		if strings.HasPrefix(n, "meta/") {
			b.damage(n)
		}
	}
	b.cache, b.state = t.TempDir(), t.TempDir()
	b.backup()
	b.same() // read without a cache
}

// damage flips a bit in the middle of an object.
func (b *bench) damage(name string) {
	b.t.Helper()
	b.store.(*mem.Store).Corrupt(name, func(p []byte) []byte {
		for i := 200; i < len(p)-200; i += 50 {
			p[i] ^= 1
		}
		return p
	})
}

func TestBigFileThatChangesIsReadOnceMore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	n := b.src.write("big", noise(1, testBig+12345))
	n.change = 1
	sum := b.backup()
	if sum.Incomplete() {
		t.Errorf("a big file that held still at the second try failed: %v", sum.Record.Errors)
	}
	b.same()
	if s := sum.Record.Stats; s.Read != 2*n.entry.Size || s.Original > n.entry.Size*3/2 { // what did not change is stored once
		t.Errorf("%d bytes were read and %d stored of a file of %d", s.Read, s.Original, n.entry.Size)
	}
	b.src.write("big", noise(2, testBig+12345)).change = 100
	sum = b.backup()
	f := b.read("latest")["big"]
	if f.entry.Flags&tree.Torn == 0 || f.entry.ErrClass != tree.ErrChanged || sum.Record.Stats.Failed != 1 || !bytes.Equal(f.content, n.content) {
		t.Errorf("flags %d, class %d, failed %d, %d bytes", f.entry.Flags, f.entry.ErrClass, sum.Record.Stats.Failed, len(f.content))
	}
	if s := sum.Record.Stats; s.Read != 2*n.entry.Size {
		t.Errorf("a file of %d bytes was read to %d", n.entry.Size, s.Read)
	}
	n.change = 0
	b.backup() // it is read again although nothing tells that it changed
	b.same()
}

func TestSecondReadingOfABigFileGoesOnWhereACheckpointLeftIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	n := b.src.write("big", noise(1, 4*testBig))
	n.change = 1
	b.interruptAt(7 * testBig)
	b.backup()
	b.same()
	if again := b.src.bytes.Load(); again >= 3*testBig {
		t.Errorf("%d bytes were read again", again)
	}
}

func TestFileInProgressIsInTheCheckpoint(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.src.write("d/a", noise(1, 1000))
	b.src.write("d/middle", noise(2, 10<<20)) // no big file, and the last one: nothing else is read meanwhile
	stop := make(chan struct{})
	o := b.options()
	o.Interrupt, o.Counters = stop, &event.Counters{}
	o.Open = func(context.Context) (source.Source, error) {
		return &watched{memSource: b.src, at: 3 << 20, fn: func() { close(stop) }, counters: o.Counters}, nil
	}
	sum, err := Run(context.Background(), o)
	if !errors.Is(err, ErrInterrupted) || !sum.Checkpoint {
		t.Fatalf("the run gave %+v, %v", sum, err)
	}
	b.state = t.TempDir() // no journal
	b.backup()
	b.same()
	if again := b.src.bytes.Load(); again > 8<<20 {
		t.Errorf("%d bytes were read again", again)
	}
}
