package local

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/osfile"
)

// errTaken says that the name is taken.
var errTaken = errors.New("the name is taken")

// place gives the finished temporary file of w its name. If the name is taken, a put compares the bytes; a create
// (exclusive) does not.
func (s *Store) place(ctx context.Context, w *stream, name string, exclusive bool) error {
	err := s.settle(ctx, w, name, exclusive)
	// A folder may vanish between its making and its use, since Delete removes empty ones, and what had the name may
	// vanish before it is compared.
	for try := 0; try < 8 && missing(err); try++ {
		if err = s.present(); err == nil {
			if err = s.makeDirs(path.Dir(name)); err == nil {
				err = s.settle(ctx, w, name, exclusive)
			}
		}
	}
	if err == nil {
		s.touched(name)
	}
	return err
}

func (s *Store) settle(ctx context.Context, w *stream, name string, exclusive bool) error {
	err := s.takeName(w.temp, name, exclusive)
	switch {
	case !errors.Is(err, errTaken):
		return err
	case exclusive:
		return errs.As(errs.Exists, err)
	}
	return s.same(ctx, w, name)
}

// makeDirs makes a folder and those above it.
func (s *Store) makeDirs(dir string) error {
	for i := 0; i <= len(dir); i++ {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		if err := s.root.mkdir(dir[:i]); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// takeName tries the ways to give a file a name, best first. errTaken means that something has it.
func (s *Store) takeName(temp, name string, exclusive bool) error {
	if !s.can.noLink.Load() {
		err := s.sys.link(s.root, temp, name)
		if done, err := s.answer(err, name); done {
			return err
		}
		s.can.noLink.Store(true)
	}
	if !s.can.noNoReplace.Load() {
		if done, err := s.answer(s.renameNoReplace(temp, name), name); done {
			return err
		}
		s.can.noNoReplace.Store(true)
	}
	if exclusive {
		return errs.New(errs.Unsupported, "this file system cannot create a name atomically")
	}
	// Names are never used twice, so no other program puts other bytes under this one between the look and the rename;
	// the same bytes put twice at once by this one take turns.
	s.naming.Lock()
	defer s.naming.Unlock()
	switch _, err := s.root.lstat(name); {
	case err == nil:
		return errTaken
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return s.sys.rename(s.root, temp, name)
}

func (s *Store) renameNoReplace(temp, name string) error {
	from, err := s.root.open(tempDir)
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // opened for reading
	to, err := s.root.open(path.Dir(name))
	if err != nil {
		return err
	}
	defer to.Close() //nolint:errcheck // opened for reading
	return s.sys.noReplace(from, path.Base(temp), to, path.Base(name))
}

// answer judges what an atomic way to take a name said. done is false if the file system does not know the way. A
// refusal while the name is taken means just that: SFTP has one error for everything.
func (s *Store) answer(err error, name string) (done bool, _ error) {
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrExist):
		return true, errTaken
	case errors.Is(err, fs.ErrNotExist):
		return true, err
	}
	if _, serr := s.root.lstat(name); serr == nil {
		return true, errTaken
	}
	return !osfile.Unsupported(err), err
}

// same returns nil if the object has exactly the bytes of w's temporary file.
func (s *Store) same(ctx context.Context, w *stream, name string) error {
	f, err := s.openObject(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	own, err := s.root.open(w.temp)
	if err != nil {
		return err
	}
	defer own.Close() //nolint:errcheck // opened for reading
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Size() != w.size {
		return errs.New(errs.Exists, "an object of %d bytes, not %d, has this name", st.Size(), w.size)
	}
	a, b := make([]byte, 128<<10), make([]byte, 128<<10)
	for off := int64(0); off < w.size; off += int64(len(a)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(int64(len(a)), w.size-off)
		if _, err := io.ReadFull(io.NewSectionReader(f, off, n), a[:n]); err != nil {
			return err
		}
		if _, err := io.ReadFull(io.NewSectionReader(own, off, n), b[:n]); err != nil {
			return err
		}
		if !bytes.Equal(a[:n], b[:n]) {
			return errs.New(errs.Exists, "other bytes have this name")
		}
	}
	// Whoever wrote it synced it before it got its name, but a copy made by another program may not be durable.
	if err := s.sys.syncData(f); err != nil && !osfile.Unsupported(err) {
		return err
	}
	return nil
}
