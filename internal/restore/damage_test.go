package restore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/restore"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/sink/files"
	"github.com/nacre-backup/nacre/internal/tree"
)

func TestADamagedPackCostsItsFilesAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"flipped", "truncated", "gone"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			objects := small()
			for i := range 40 {
				objects = append(objects, file("home/u/void", fmt.Sprint(i), noise(byte(100+i), 1_000_000)))
			}
			s := vault(t, objects)
			packs := s.objects(t, "data/")
			if len(packs) < 2 {
				t.Fatalf("%d packs: the test shows nothing", len(packs))
			}
			switch how {
			case "flipped":
				s.store.FlipBit(packs[0], 8*5_000_000)
			case "truncated":
				s.store.Corrupt(packs[0], func(b []byte) []byte { return b[:len(b)/2] })
			case "gone":
				must(t, s.store.Delete(t.Context(), packs[0]))
			}
			var mu sync.Mutex
			failed := map[string]bool{}
			target := t.TempDir()
			sum := run(t, s, target, files.Options{}, restore.Options{Events: func(e event.Event) {
				if e, ok := e.(event.Entry); ok && e.Verdict == event.Failed {
					mu.Lock()
					failed[string(e.Path)] = true
					mu.Unlock()
				}
			}})
			if !sum.Incomplete() || int(sum.Failed) != len(failed) || len(sum.Failures) != len(failed) {
				t.Errorf("%d failed, and the summary is %+v", len(failed), sum)
			}
			if how == "flipped" && len(failed) > 2 || len(failed) == len(objects) {
				t.Errorf("failed: %v", failed)
			}
			wanted := want(objects, func(p string) string {
				if failed[p] && p != "home/u/attr" { // which is restored without the attribute that is lost
					return ""
				}
				return p
			})
			if d := cmp.Diff(wanted, listing(t, target)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestADamagedTreePageCostsItsEntriesAndIsNamed(t *testing.T) {
	t.Parallel()
	var objects []object
	for d := range 30 {
		name := fmt.Sprintf("d%02d", d)
		objects = append(objects, dir("", name))
		for f := range 100 {
			objects = append(objects, file(name, fmt.Sprintf("f%03d", f), noise(byte(d+f), 120)))
		}
	}
	s := vault(t, objects)
	name := s.objects(t, "meta/")[0]
	size := len(s.store.Bytes(name))
	const places = 6
	some := false
	for place := range places {
		damaged := &snapshot{store: s.store.Clone(), snap: s.snap}
		damaged.store.FlipBit(name, 8*(100+size/places*place))
		damaged.repo = reopen(t, damaged.store)
		target := t.TempDir()
		sum := run(t, damaged, target, files.Options{}, restore.Options{})
		got := listing(t, target)
		lost := 0
		for path, what := range want(objects, same) {
			if g, ok := got[path]; ok && g != what {
				t.Errorf("place %d: %s is %s, want %s", place, path, g, what)
			} else if !ok {
				lost++
			}
		}
		if lost > 0 != sum.Incomplete() {
			t.Errorf("place %d: %d entries are missing, and the summary is %+v", place, lost, sum)
		}
		some = some || lost > 0 && lost < len(objects)
		for _, f := range sum.Failures {
			if !strings.Contains(f.Err.Error(), "everything from") || sum.Failed > 3 {
				t.Errorf("place %d: %s: %v", place, f.Path, f.Err)
			}
		}
		t.Logf("place %d: %d of %d entries are missing, %d ranges", place, lost, len(objects), sum.Failed)
	}
	if !some {
		t.Error("no place cost a part only: the test shows nothing")
	}
}

func TestContentThatWasNeverStoredIsNotMadeUp(t *testing.T) {
	t.Parallel()
	unread := file("", "unread", nil)
	unread.entry.Size, unread.entry.ErrClass, unread.entry.ErrText = 1000, tree.ErrAccess, "permission denied"
	part := file("", "part", noise(1, 10_000))
	part.entry.Size, part.entry.Flags = 1_000_000, tree.Partial
	stale := file("", "stale", noise(2, 10_000))
	stale.entry.Flags, stale.entry.ErrClass = tree.Stale, tree.ErrIO
	short := file("", "short", noise(3, 10_000))
	short.entry.Size, short.chunk = 10_001, 5_000
	nowhere := link("", "nowhere")
	nowhere.entry.Target, nowhere.entry.ErrClass = nil, tree.ErrIO
	s := vault(t, []object{unread, part, stale, short, nowhere, file("", "good", []byte("good"))})
	target := t.TempDir()
	sum := run(t, s, target, files.Options{}, restore.Options{})
	got := listing(t, target)
	if d := cmp.Diff(want([]object{part, stale, file("", "good", []byte("good"))}, same), got); d != "" {
		t.Error(d)
	}
	if sum.Failed != 4 || sum.Stale != 1 || sum.Files != 2 {
		t.Errorf("%+v", sum)
	}
	for _, f := range sum.Failures {
		t.Logf("%s: %v", f.Path, f.Err)
	}
}

// wrapped is a sink whose calls can be interfered with.
type wrapped struct {
	*files.Sink
	begin func(e *tree.Entry) error
	write func(e *tree.Entry, p []byte) ([]byte, error)

	mu         sync.Mutex
	open, most int // files
}

type wrappedFile struct {
	sink.File
	w *wrapped
	e *tree.Entry
}

func (w *wrapped) Begin(ctx context.Context, dir []byte, e *tree.Entry) (sink.File, error) {
	if w.begin != nil {
		if err := w.begin(e); err != nil {
			return nil, err
		}
	}
	f, err := w.Sink.Begin(ctx, dir, e)
	if f == nil || err != nil {
		return f, err
	}
	w.count(1)
	return &wrappedFile{File: f, w: w, e: e}, nil
}

func (w *wrapped) count(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open += n
	w.most = max(w.most, w.open)
}

func (f *wrappedFile) Finish(ctx context.Context) error {
	f.w.count(-1)
	return f.File.Finish(ctx)
}

func (f *wrappedFile) Abort() error {
	f.w.count(-1)
	return f.File.Abort()
}

func (f *wrappedFile) WriteAt(p []byte, off int64) (int, error) {
	if f.w.write != nil {
		var err error
		if p, err = f.w.write(f.e, p); err != nil {
			return 0, err
		}
	}
	return f.File.WriteAt(p, off)
}

func TestAFullTargetEndsTheRunWithAHint(t *testing.T) {
	t.Parallel()
	objects := small()
	s := vault(t, objects)
	target := t.TempDir()
	to, err := files.New(target, files.Options{NoSync: true})
	must(t, err)
	w := &wrapped{Sink: to, write: func(e *tree.Entry, p []byte) ([]byte, error) {
		if string(e.Name) == "big" {
			return nil, errs.New(errs.Full, "no space left on device")
		}
		return p, nil
	}}
	_, err = restore.Run(t.Context(), s.open(t), s.snap, w, restore.Options{})
	if !errors.Is(err, errs.Full) || errs.Hint(err) == "" {
		t.Errorf("run: %v", err)
	}
	wanted := want(objects, same)
	for path, what := range listing(t, target) {
		if wanted[path] != what {
			t.Errorf("%s is %s, want %s", path, what, wanted[path])
		}
	}
}

func TestACancelledRunLeavesNoHalfFile(t *testing.T) {
	t.Parallel()
	objects := small()
	big := file("home/u", "huge", noise(5, 6_000_000))
	big.chunk = 50_000
	objects = append(objects, big)
	s := vault(t, objects)
	for n := range 12 {
		target := t.TempDir()
		to, err := files.New(target, files.Options{NoSync: true})
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		count := 0
		w := &wrapped{Sink: to, write: func(e *tree.Entry, p []byte) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			if count++; count == 1+n*n {
				cancel()
			}
			return p, nil
		}}
		o := restore.Options{}
		if n%2 == 1 {
			o = restore.WithBounds(o, 3, 5, 2)
		}
		_, err = restore.Run(ctx, s.open(t), s.snap, w, o)
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%d: %v", n, err)
		}
		wanted := want(objects, same)
		for path, what := range listing(t, target) {
			if wanted[path] != what {
				t.Errorf("cancelled at write %d: %s is %s, want %s", 1+n*n, path, what, wanted[path])
			}
		}
	}
}

func TestVerifyFindsWhatTheTargetSwallowed(t *testing.T) {
	t.Parallel()
	objects := small()
	s := vault(t, objects)
	to, err := files.New(t.TempDir(), files.Options{NoSync: true})
	must(t, err)
	w := &wrapped{Sink: to, write: func(e *tree.Entry, p []byte) ([]byte, error) {
		switch string(e.Name) {
		case "big", "tiny", "middle":
			p = bytes.Clone(p)
			p[len(p)/2] ^= 1
		}
		return p, nil
	}}
	sum, err := restore.Run(t.Context(), s.open(t), s.snap, w, restore.Options{Verify: true})
	must(t, err)
	var failed []string
	for _, f := range sum.Failures {
		failed = append(failed, string(f.Path))
		if !errors.Is(f.Err, errs.Corrupt) {
			t.Errorf("%s: %v", f.Path, f.Err)
		}
	}
	slices.Sort(failed)
	if d := cmp.Diff([]string{"home/u/big", "home/u/middle", "home/u/tiny"}, failed); d != "" {
		t.Error(d)
	}
}

func TestAFirstLinkThatFailsGivesWayToTheNext(t *testing.T) {
	t.Parallel()
	objects := []object{
		linked("", "a", 1, 3, noise(1, 1000)), linked("", "b", 1, 3, noise(1, 1000)), linked("", "c", 1, 3, noise(1, 1000)),
	}
	s := vault(t, objects)
	target := t.TempDir()
	to, err := files.New(target, files.Options{NoSync: true})
	must(t, err)
	w := &wrapped{Sink: to, begin: func(e *tree.Entry) error {
		if string(e.Name) == "a" {
			return errs.New(errs.Denied, "not this one")
		}
		return nil
	}}
	sum, err := restore.Run(t.Context(), s.open(t), s.snap, w, restore.Options{})
	must(t, err)
	if sum.Failed != 1 || sum.Files != 2 || sum.Links != 1 {
		t.Errorf("%+v", sum)
	}
	if d := cmp.Diff(want(objects[1:], same), listing(t, target)); d != "" {
		t.Error(d)
	}
}
