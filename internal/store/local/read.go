package local

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/osfile"
	"github.com/nacre-backup/nacre/internal/store"
)

// missing tells whether an error says that there is no such file: a folder or a file in the middle of the path too.
func missing(err error) bool { return errors.Is(osfile.Classify(err), errs.NotFound) }

// openObject opens an object for reading.
func (s *Store) openObject(name string) (*os.File, error) {
	if _, err := s.statObject(name); err != nil {
		return nil, err
	}
	f, err := s.root.open(name)
	if err != nil {
		if missing(err) {
			err = s.absent(err)
		}
		return nil, err
	}
	return f, nil
}

// statObject looks at an object. Whatever is no regular file is no object.
func (s *Store) statObject(name string) (os.FileInfo, error) {
	st, err := s.root.lstat(name)
	switch {
	case err != nil && missing(err):
		return nil, s.absent(err)
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, errs.New(errs.NotFound, "no object has this name")
	}
	return st, nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, name string, r store.Range, fn func(io.Reader) error) error {
	if err := errors.Join(store.CheckName(name), r.Check()); err != nil {
		return err
	}
	f, err := ask(ctx, s, func() (object, error) { return s.openSized(name) }, object.close)
	if err != nil {
		return s.fail("get", name, err)
	}
	defer f.close()
	in := &reader{ctx: ctx, s: s, f: f.File, name: name, off: r.Offset, left: r.Length}
	if r == (store.Range{}) {
		in.left = f.size
	}
	return fn(in)
}

// object is an open object. Its readers give it back when the last of them has ended.
type object struct {
	*os.File
	size int64
}

func (o object) close() { o.Close() } //nolint:errcheck,gosec // opened for reading

func (s *Store) openSized(name string) (object, error) {
	f, err := s.openObject(name)
	if err != nil {
		return object{}, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close() //nolint:errcheck,gosec // opened for reading
		return object{}, err
	}
	return object{f, st.Size()}, nil
}

// reader yields a range of a file, and io.ErrUnexpectedEOF if the file ends before it.
type reader struct {
	ctx  context.Context //nolint:containedctx // the reader lives within one Get
	s    *Store
	f    *os.File
	name string
	off  int64
	left int64
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	if len(p) > bufferSize { // so that the context is looked at often enough
		p = p[:bufferSize]
	}
	n, err := r.read(p)
	r.off += int64(n)
	r.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF) && r.left > 0 && n == 0:
		return 0, io.ErrUnexpectedEOF
	case n > 0 || errors.Is(err, io.EOF):
		return n, nil
	}
	return n, r.s.fail("read", r.name, err)
}

// read reads at the present offset: on a disk of this machine into p, elsewhere, where a read may hang, into a buffer
// of its own first.
func (r *reader) read(p []byte) (int, error) {
	if r.s.local {
		return r.f.ReadAt(p, r.off)
	}
	type got struct {
		buf *[]byte
		n   int
		err error
	}
	want, off := len(p), r.off
	g, err := ask(r.ctx, r.s, func() (got, error) {
		buf := buffers.Get().(*[]byte)
		n, err := r.f.ReadAt((*buf)[:want], off)
		return got{buf, n, err}, nil
	}, func(g got) { buffers.Put(g.buf) })
	if err != nil {
		return 0, err
	}
	defer buffers.Put(g.buf)
	return copy(p, (*g.buf)[:g.n]), g.err
}

// Stat implements store.Store. What was seen is durable after the next Flush, whoever wrote it: a run that takes the packs
// of a dead one over must not rest on names that died with that one's Flush.
func (s *Store) Stat(ctx context.Context, name string) (store.Info, error) {
	if err := store.CheckName(name); err != nil {
		return store.Info{}, err
	}
	st, err := ask(ctx, s, func() (os.FileInfo, error) { return s.statObject(name) }, func(os.FileInfo) {})
	if err != nil {
		return store.Info{}, s.fail("stat", name, err)
	}
	s.touched(name)
	return store.Info{Name: name, Size: st.Size(), Modified: st.ModTime()}, nil
}

// Delete implements store.Store. Folders that become empty go too.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := store.CheckName(name); err != nil {
		return err
	}
	return s.fail("delete", name, s.detach(ctx, func() error {
		if _, err := s.statObject(name); err != nil {
			if errors.Is(osfile.Classify(err), errs.NotFound) {
				return nil
			}
			return err
		}
		if err := s.root.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.touched(name)
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if err := s.root.remove(dir); err != nil {
				break // not empty, or not to be removed: both are fine
			}
			s.touched(dir)
		}
		return nil
	}))
}
