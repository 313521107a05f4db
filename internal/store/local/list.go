package local

import (
	"context"
	"errors"
	"io"
	"os"
	"path"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/store"
)

// batch is how many names of a folder are read at once; List holds so many for each level.
const batch = 512

// List implements store.Store. It reads each folder in pieces and holds one folder open for each level.
func (s *Store) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	if err := store.CheckPrefix(prefix); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	w := walk{s: s, ctx: ctx, fn: fn}
	err := w.folder(path.Clean(prefix))
	if w.stop != nil {
		return w.stop
	}
	if err == nil {
		err = s.detach(ctx, s.present)
	}
	return s.fail("list", prefix, err)
}

// walk is one listing.
type walk struct {
	s    *Store
	ctx  context.Context //nolint:containedctx // the walk lives within one List
	fn   func(store.Info) error
	stop error // fn's
}

// found is an object or a folder that may hold some.
type found struct {
	info   store.Info
	folder bool
}

// errRemoved says that an open folder was removed: it had become empty.
var errRemoved = errs.New(errs.Temporary, "the folder was removed while it was listed")

// folder lists one folder. One that is not there has no objects. One that is removed meanwhile had become empty; if
// another has its name already, that is listed from its beginning.
func (w *walk) folder(dir string) error {
	err := w.once(dir)
	for try := 0; try < 16 && errors.Is(err, errRemoved); try++ {
		err = w.once(dir)
	}
	return err
}

func (w *walk) once(dir string) error {
	f, err := ask(w.ctx, w.s, func() (*os.File, error) { return w.s.openFolder(dir) }, closeFolder)
	if err != nil || f == nil {
		return err
	}
	abandoned := false
	defer func() {
		if !abandoned {
			closeFolder(f)
		}
	}()
	for {
		got, err := ask(w.ctx, w.s, func() ([]found, error) { return w.s.readFolder(f, dir) }, func([]found) {})
		if err != nil && w.ctx.Err() != nil {
			abandoned = true // the call that was left alone may still use it; the runtime closes it
			return err
		}
		if err != nil || got == nil {
			return err
		}
		if err := w.yield(got); err != nil || w.stop != nil {
			return err
		}
	}
}

// yield hands objects to the caller and goes down into folders.
func (w *walk) yield(got []found) error {
	for _, e := range got {
		if e.folder {
			if err := w.folder(e.info.Name); err != nil || w.stop != nil {
				return err
			}
			continue
		}
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if w.stop = w.fn(e.info); w.stop != nil {
			return nil
		}
	}
	return nil
}

func closeFolder(f *os.File) { f.Close() } //nolint:errcheck,gosec // opened for reading, or nil

// openFolder opens a folder, or returns nil if there is none.
func (s *Store) openFolder(dir string) (*os.File, error) {
	st, err := s.root.lstat(dir)
	if err == nil && !st.IsDir() {
		return nil, nil
	}
	var f *os.File
	if err == nil {
		f, err = s.root.open(dir)
	}
	if err != nil && missing(err) {
		return nil, nil
	}
	return f, err
}

// readFolder returns the next objects and folders of a folder; nil at its end.
func (s *Store) readFolder(f *os.File, dir string) ([]found, error) {
	entries, err := f.ReadDir(batch)
	got := make([]found, 0, len(entries))
	for _, e := range entries {
		switch {
		case !store.ValidPart(e.Name()):
		case e.IsDir():
			got = append(got, found{store.Info{Name: path.Join(dir, e.Name())}, true})
		case e.Type().IsRegular():
			st, err := e.Info()
			if err != nil && missing(err) { // deleted since
				continue
			}
			if err != nil {
				return nil, err
			}
			got = append(got, found{store.Info{Name: path.Join(dir, e.Name()), Size: st.Size(), Modified: st.ModTime()}, false})
		}
	}
	switch {
	case err == nil:
		return got, nil
	case errors.Is(err, io.EOF):
		return nil, nil
	}
	if missing(err) {
		return nil, errRemoved
	}
	return nil, err
}
