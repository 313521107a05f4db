package restore_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/restore"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/sink/files"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
	"github.com/nacre-backup/nacre/internal/tree"
)

// rescue is what a pruner does to a snapshot that is still needed: its packs are copied into those of a session of the
// pruner's, a fate says that the old ones are gone, and they are deleted.
func (s *snapshot) rescue(t *testing.T) (apply func(*mem.Store)) {
	t.Helper()
	ctx := t.Context()
	signer, err := s.repo.Writer(ctx)
	must(t, err)
	pruner := id.Session{9, 9, 9}
	fate := record.Fate{
		Path: record.FatePath(0, pruner), Writer: signer.Writer(), Session: pruner, Kind: record.Rescue,
		Gone: s.snap.Fate.Packs, Sequence: s.snap.Fate.Sequence + 1,
		Heads: []record.Head{{Session: s.snap.ID, Hash: s.snap.Fate.Hash}}, Time: 2,
	}
	for _, p := range s.snap.Fate.Packs {
		p.Session = pruner
		fate.Packs = append(fate.Packs, p)
	}
	outer, err := fate.Encode()
	must(t, err)
	object, err := s.repo.SealControl(ctx, crypt.ClassFate, fate.Path, outer, nil)
	must(t, err)
	return func(m *mem.Store) {
		for i, p := range fate.Gone {
			m.Set(fate.Packs[i].Path(), m.Bytes(p.Path()))
		}
		m.Set(fate.Path, object)
		m.Set(record.DupPath(fate.Path), object)
		for _, p := range fate.Gone {
			m.Lose(p.Path())
		}
	}
}

func TestPacksThatMoveAwayDuringARestoreAreFoundWhereTheyWent(t *testing.T) {
	t.Parallel()
	objects := small()
	for i := range 100 {
		objects = append(objects, file("home/u/void", fmt.Sprintf("t%03d", i), noise(byte(i), 200)))
	}
	s := vault(t, objects)
	move := s.rescue(t)
	want := want(objects, same)
	late := 0
	for n := 1; ; n++ {
		m := s.store.Clone()
		f := fault.New(m)
		moved := &snapshot{store: m, repo: reopen(t, f), snap: s.snap}
		v := moved.open(t)
		var calls atomic.Int32
		f.SetHook(func(op fault.Op, name string) error {
			if op == fault.Get && int(calls.Add(1)) == n {
				move(m)
			}
			return nil
		})
		target := t.TempDir()
		to, err := files.New(target, files.Options{NoSync: true})
		must(t, err)
		sum, err := restore.Run(t.Context(), v, s.snap, to, restore.WithBounds(restore.Options{Workers: 2}, 60, 40, 3))
		must(t, err)
		if sum.Failed > 0 {
			t.Errorf("moved before read %d: %+v", n, sum)
		}
		if d := cmp.Diff(want, listing(t, target)); d != "" {
			t.Errorf("moved before read %d: %s", n, d)
		}
		if int(calls.Load()) < n {
			break
		}
		late++
	}
	if late < 6 {
		t.Errorf("the restore reads %d times: the test shows nothing", late)
	}
}

// watched is a sink that looks at the store while it is being filled.
type watched struct {
	sink.Sink
	once sync.Once
	look func()
}

func (w *watched) Begin(ctx context.Context, dir []byte, e *tree.Entry) (sink.File, error) {
	w.once.Do(w.look)
	return w.Sink.Begin(ctx, dir, e)
}

func TestARestoreHoldsItsSnapshotAndADryRunDoesNot(t *testing.T) {
	t.Parallel()
	s := vault(t, small())
	before := s.objects(t, "")
	target := t.TempDir()
	folder, err := files.New(target, files.Options{NoSync: true})
	must(t, err)
	seen := 0
	to := &watched{Sink: folder, look: func() {
		v := s.open(t)
		for _, o := range v.State().OpenSessions() {
			if o.Record != nil && o.Record.Use == record.Read && slices.Equal(o.Record.Pins, []id.Session{s.snap.ID}) && o.Record.Program == "test" {
				seen++
			}
		}
	}}
	_, err = restore.Run(t.Context(), s.open(t), s.snap, to, restore.Options{Program: "test"})
	must(t, err)
	if after := s.objects(t, ""); seen != 1 || !slices.Equal(after, before) {
		t.Errorf("left are %q, before there were %q", strings.Join(after, " "), strings.Join(before, " "))
		t.Errorf("%d read sessions hold the snapshot, want one", seen)
	}
	f := fault.New(s.store)
	dry := &snapshot{store: s.store, repo: reopen(t, f), snap: s.snap}
	_, err = dry.repo.Writer(t.Context())
	must(t, err)
	before = s.objects(t, "")
	f.SetHook(func(op fault.Op, name string) error {
		if op&fault.Changes != 0 {
			t.Errorf("a dry run changes %q", name)
		}
		return nil
	})
	run(t, dry, t.TempDir(), files.Options{}, restore.Options{DryRun: true})
	if after := s.objects(t, ""); !slices.Equal(after, before) {
		t.Errorf("left are %q, before there were %q", strings.Join(after, " "), strings.Join(before, " "))
	}
}
