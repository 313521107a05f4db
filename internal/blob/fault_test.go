package blob

import (
	"context"
	"errors"
	"testing"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store/fault"
)

// attempt is a whole small run. It leaves nothing open whatever fails.
func (e *env) attempt(ctx context.Context, blobs []testBlob) (err error) {
	s, st, err := session.Begin(ctx, e.repo, session.BeginOptions{Program: "test"})
	if err != nil {
		return err
	}
	x, err := index.Open(ctx, e.repo, st, index.Options{})
	if err != nil {
		return err
	}
	w := NewWriter(ctx, e.repo, s, x, Options{})
	defer func() { err = errors.Join(err, w.Close(), x.Close()) }()
	k := w.Worker()
	for _, b := range blobs {
		if _, err := k.Put(ctx, b.kind, b.id, b.data); err != nil {
			return err
		}
	}
	if err := w.Flush(ctx); err != nil {
		return err
	}
	if err := x.Write(ctx, s); err != nil {
		return err
	}
	_, err = s.Commit(ctx, &record.Snapshot{Host: "h", Domain: e.repo.Domain().Scope()})
	return err
}

func TestWhicheverCallFailsNothingIsLostAndTheNextRunSucceeds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		streamed bool
		rule     fault.Rule
	}{
		{"one call of a store that streams fails", true, fault.Rule{}},
		{"from one call on all fail", true, fault.Rule{Lasting: true}},
		{"the answer of one call is lost", true, fault.Rule{When: fault.After}},
		{"one call of a store that does not stream fails", false, fault.Rule{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				c.rule.N = n
				if !failNth(t, c.streamed, c.rule) {
					break
				}
				if n > 500 {
					t.Fatal("the faults come to no end")
				}
			}
		})
	}
}

// failNth plays a run in which a call fails, and one after it in which none does. It reports whether any failed.
func failNth(t *testing.T, streamed bool, rule fault.Rule) bool {
	ctx := context.Background()
	e := newEnv(t)
	old := e.someBlobs(crypt.KindData, 0, 3, 3000)
	e.saved(t, old...)
	f := fault.New(e.mem)
	through := e.through(t, f)
	if !streamed {
		through = e.through(t, plain{f})
	}
	f.SetRules(rule)
	blobs := append(e.someBlobs(crypt.KindData, 100, 2, 3000), e.blob(crypt.KindTree, 100, 3000))
	err := through.attempt(ctx, blobs)
	fired := f.Fired()
	f.SetRules()
	if fired == 0 && err != nil {
		t.Fatal(err)
	}
	rd := e.reader(t)
	for _, b := range old {
		rd.mustGet(t, b)
	}
	if err == nil {
		for _, b := range blobs {
			rd.mustGet(t, b)
		}
	}
	if err := e.attempt(ctx, blobs); err != nil {
		t.Fatalf("call %d failed: the next run: %v", rule.N, err)
	}
	rd = e.reader(t)
	for _, b := range blobs {
		rd.mustGet(t, b)
	}
	return fired > 0
}
