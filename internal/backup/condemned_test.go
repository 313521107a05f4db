package backup

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/tree"
	"github.com/nacre-backup/nacre/internal/view"
)

// object is a store.Content in memory.
type object []byte

// Size implements store.Content.
func (o object) Size() int64 { return int64(len(o)) }

// Open implements store.Content.
func (o object) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(o)), nil }

// condemn writes a pruner's record over every pack that is usable now.
func (b *bench) condemn() {
	b.t.Helper()
	ctx := context.Background()
	st, err := session.List(ctx, b.repo)
	if err != nil {
		b.t.Fatal(err)
	}
	w, err := b.repo.Writer(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	c := record.Condemned{ID: id.Session{42}, Writer: w.Writer(), Time: 1}
	c.Path = record.CondemnedPath(c.ID)
	if err := st.Packs(func(p record.Pack) error { c.Packs = append(c.Packs, p); return nil }); err != nil {
		b.t.Fatal(err)
	}
	outer, err := c.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	sealed, err := b.repo.SealControl(ctx, crypt.ClassCondemned, c.Path, outer, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.store.Put(ctx, c.Path, object(sealed)); err != nil {
		b.t.Fatal(err)
	}
}

// What a file in the window was found to share with a pack that is condemned before the checkpoint's successor lists
// the repository must be stored again: no tree that the pruner will look at holds it yet. The run starts anew from the
// checkpoint.
func TestWhatWasCondemnedBeforeACheckpointIsStoredAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 1500 {
		b.src.write(fmt.Sprintf("d%02d/f%04d", i/50, i), noise(uint64(i%1400), 4000))
	}
	b.src.write("d20/big", noise(77, testBig+1))
	b.backup(func(o *Options) { o.Roots = []string{"/elsewhere"} })
	for i := 0; i < 1500; i += 3 { // something new in each checkpoint
		b.src.write(fmt.Sprintf("d%02d/f%04d", i/50, i), noise(uint64(10000+i), 4000))
	}
	placed := 0
	sum := b.backup(func(o *Options) {
		o.Verbose, o.CheckpointInterval = true, time.Millisecond
		o.Events = func(e event.Event) {
			if _, ok := e.(event.Entry); ok {
				if placed++; placed == 300 {
					b.condemn()
				}
			}
		}
	})
	b.same()
	ctx := context.Background()
	v, err := view.Open(ctx, b.repo, view.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	snap, ok := v.State().Snapshot(sum.Snapshot)
	if !ok {
		t.Fatal("the snapshot is not there")
	}
	cp, ok := v.State().Snapshot(sum.ResumedFrom)
	if !ok {
		t.Fatal("the run did not start anew from a checkpoint")
	}
	upto := uptoOf(cp)
	tr, err := v.Tree(snap)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	err = tr.Walk(ctx, nil, func(dir []byte, e *tree.Entry) error {
		if (tree.Key{Dir: dir, Name: e.Name}).Compare(upto) < 0 {
			return nil
		}
		checked++
		return v.Extents(ctx, e, func(x view.Extent) error {
			if x.ID.IsZero() {
				return nil
			}
			if l, ok := v.Index().Lookup(x.ID.Short()); !ok || !v.State().UsablePack(l.Pack.Path()) {
				t.Errorf("%s rests on a condemned pack", tree.JoinPath(nil, dir, e.Name))
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 100 {
		t.Errorf("only %d entries stand behind the checkpoint", checked)
	}
}
