package sinktest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nacre-backup/nacre/internal/attrs"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
)

// stamp is a time with odd nanoseconds; the hundreds are zero for systems that count in 100 ns.
func stamp(n int64) tree.Time { return tree.Time{Sec: 1_500_000_000 + n, Nsec: 123_456_700} }

// Entry makes an entry of the type with plain metadata.
func Entry(name string, typ tree.Type) *tree.Entry {
	e := &tree.Entry{Name: []byte(name), Type: typ, Mode: 0o640, ModTime: stamp(int64(len(name)))}
	e.UID, e.GID = self()
	switch typ {
	case tree.Dir:
		e.Mode = 0o750
	case tree.Symlink:
		e.Mode, e.Target = 0o777, []byte("no/where")
	}
	return e
}

// Put begins, writes and finishes one entry.
func Put(t *testing.T, s sink.Sink, dir string, e *tree.Entry, content string) {
	t.Helper()
	if err := TryPut(s, dir, e, content); err != nil {
		t.Fatalf("put %q in %q: %v", e.Name, dir, err)
	}
}

// TryPut is Put with the error returned.
func TryPut(s sink.Sink, dir string, e *tree.Entry, content string) error {
	return putBytes(s, dir, e, []byte(content))
}

func putBytes(s sink.Sink, dir string, e *tree.Entry, content []byte) error {
	if e.Type == tree.File {
		e.Size = uint64(len(content))
	}
	f, err := s.Begin(context.Background(), []byte(dir), e)
	if err != nil || f == nil {
		return err
	}
	if len(content) > 0 {
		if n, err := f.WriteAt(content, 0); err != nil || n != len(content) {
			return errors.Join(fmt.Errorf("wrote %d of %d bytes: %w", n, len(content), err), f.Abort())
		}
	}
	return f.Finish(context.Background())
}

// Close closes a sink that must not fail.
func Close(t *testing.T, s sink.Sink) {
	t.Helper()
	if err := s.Close(context.Background()); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// check compares what is at path with the entry.
func check(t *testing.T, tg *Target, dir string, e *tree.Entry, content string) {
	t.Helper()
	path := string(tree.JoinPath(nil, []byte(dir), e.Name))
	o := tg.Look(t, path)
	if o == nil {
		t.Errorf("%q is not there", path)
		return
	}
	if o.Type != e.Type {
		t.Errorf("%q has type %d, want %d", path, o.Type, e.Type)
	}
	if tg.Has.Has(attrs.Mode) && e.Type != tree.Symlink && o.Mode != e.Mode {
		t.Errorf("%q has mode %04o, want %04o", path, o.Mode, e.Mode)
	}
	if (e.Type != tree.Symlink || tg.Has.Has(attrs.LongPaths)) && o.ModTime != e.ModTime {
		t.Errorf("%q has time %v, want %v", path, o.ModTime, e.ModTime)
	}
	if string(o.Content) != content {
		t.Errorf("%q has %d bytes that differ from the %d wanted", path, len(o.Content), len(content))
	}
	if o.Target != string(e.Target) {
		t.Errorf("%q points to %q, want %q", path, o.Target, e.Target)
	}
	for _, x := range e.Xattrs {
		if got, ok := o.Xattrs[string(x.Name)]; tg.Has.Has(attrs.Xattrs) && (!ok || got != string(x.Value)) {
			t.Errorf("%q has attribute %q = %q, want %q", path, x.Name, got, x.Value)
		}
	}
}
