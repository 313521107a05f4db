package view

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/segment"
	"github.com/nacre-backup/nacre/internal/tree"
)

// Extent is a stretch of a file's content: a blob, a hole where ID is zero, or inline bytes.
type Extent struct {
	tree.Extent
	Inline []byte // the bytes themselves; ID is zero then
}

// Extents calls fn for each stretch of a file's content, in order. The lengths of a direct content's blobs come from the
// index; where a lost blob makes them unknown, and where a page of an extent list is damaged, the error is a
// *tree.LostExtentError.
func (v *View) Extents(ctx context.Context, e *tree.Entry, fn func(Extent) error) error {
	switch c := &e.Content; c.Kind {
	case tree.Empty:
		return nil
	case tree.Inline:
		return fn(Extent{Extent: tree.Extent{Length: uint64(len(c.Inline))}, Inline: c.Inline})
	case tree.Direct:
		list, err := v.direct(ctx, e)
		if err != nil {
			return err
		}
		for _, x := range list {
			if err := fn(Extent{Extent: x}); err != nil {
				return err
			}
		}
		return nil
	default:
		r := tree.NewExtentReader(v.pages, *c)
		for {
			x, ok, err := r.Next(ctx)
			if err != nil || !ok {
				return err
			}
			if err := fn(Extent{Extent: x}); err != nil {
				return err
			}
		}
	}
}

// direct lists the blobs of a direct content. The length of the last one is what is left of the file, should the index
// not know it.
func (v *View) direct(ctx context.Context, e *tree.Entry) ([]tree.Extent, error) {
	ids := e.Content.IDs
	list := make([]tree.Extent, len(ids))
	var off uint64
	for i, b := range ids {
		var n uint64
		if l, ok := v.index.Lookup(b.Short()); ok {
			n = uint64(l.RawLen)
		} else if i == len(ids)-1 && e.Flags&tree.Partial == 0 && off <= e.Size && e.Size-off <= segment.MaxBlob {
			n = e.Size - off
		} else {
			// The reader takes a newer listing before it gives a blob up.
			p, err := v.blobs.Get(ctx, crypt.KindData, b, nil)
			if err != nil {
				return nil, &tree.LostExtentError{Page: b, Offset: off, Length: e.Size - min(off, e.Size), Err: err}
			}
			n = uint64(len(p))
		}
		list[i] = tree.Extent{Offset: off, Length: n, ID: b}
		off += n
	}
	return list, nil
}

// File reads the content of one regular file. It keeps one blob of it, 1 MiB as a rule. It is safe for concurrent use.
type File struct {
	v    *View
	e    *tree.Entry
	size int64
	run  func(fn func(context.Context) error) error // with the context that the file was opened with

	mu      sync.Mutex
	list    []tree.Extent      // of a direct content
	extents *tree.ExtentReader // of an extent list
	present tree.Extent        // where the extent reader stands
	blob    id.ID              // the blob that was read last
	data    []byte             // its content
}

// OpenFile opens the content of an entry of type File. Nothing is fetched before the first read. The entry must stay
// unchanged.
func (v *View) OpenFile(ctx context.Context, e *tree.Entry) (*File, error) {
	if e.Type != tree.File {
		return nil, errs.New(errs.Usage, "%q is not a regular file", e.Name)
	}
	f := &File{v: v, e: e, size: int64(e.Size)}
	if f.size < 0 {
		return nil, errs.New(errs.Corrupt, "%q has an impossible size", e.Name)
	}
	f.run = func(fn func(context.Context) error) error { return fn(ctx) }
	return f, nil
}

// Size is the file's length.
func (f *File) Size() int64 { return f.size }

// ReadAt implements io.ReaderAt under the context that the file was opened with.
func (f *File) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errs.New(errs.Usage, "read at %d", off)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	err = f.run(func(ctx context.Context) error {
		for n < len(p) && off+int64(n) < f.size {
			m, err := f.readLocked(ctx, p[n:min(int64(len(p)), f.size-off)], uint64(off)+uint64(n))
			n += m
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// readLocked reads some bytes at an offset within the file.
func (f *File) readLocked(ctx context.Context, p []byte, off uint64) (int, error) {
	c := &f.e.Content
	if c.Kind == tree.Empty || c.Kind == tree.Inline {
		if off >= uint64(len(c.Inline)) {
			return 0, f.short(off)
		}
		return copy(p, c.Inline[off:]), nil
	}
	x, err := f.find(ctx, off)
	if err != nil {
		return 0, err
	}
	p = p[:min(uint64(len(p)), x.Offset+x.Length-off)]
	if x.ID.IsZero() {
		clear(p)
		return len(p), nil
	}
	if f.blob != x.ID {
		f.blob = id.ID{}
		data, err := f.v.blobs.Get(ctx, crypt.KindData, x.ID, f.data)
		if err != nil {
			return 0, err
		}
		f.blob, f.data = x.ID, data
	}
	if uint64(len(f.data)) != x.Length {
		return 0, errs.New(errs.Corrupt, "blob %s has %d bytes, the file says %d", x.ID, len(f.data), x.Length)
	}
	return copy(p, f.data[off-x.Offset:]), nil
}

// find returns the extent that holds an offset.
func (f *File) find(ctx context.Context, off uint64) (tree.Extent, error) {
	if f.e.Content.Kind == tree.Direct {
		if f.list == nil {
			list, err := f.v.direct(ctx, f.e)
			if err != nil {
				return tree.Extent{}, err
			}
			f.list = list
		}
		for _, x := range f.list {
			if off >= x.Offset && off-x.Offset < x.Length {
				return x, nil
			}
		}
		return tree.Extent{}, f.short(off)
	}
	inside := func() bool { return off >= f.present.Offset && off-f.present.Offset < f.present.Length }
	if inside() {
		return f.present, nil
	}
	if f.extents == nil {
		f.extents = tree.NewExtentReader(f.v.pages, f.e.Content)
	}
	if off != f.present.Offset+f.present.Length {
		f.present = tree.Extent{}
		if err := f.extents.Seek(ctx, off); err != nil {
			return tree.Extent{}, err
		}
	}
	x, ok, err := f.extents.Next(ctx)
	if err != nil {
		f.present, f.extents = tree.Extent{}, nil
		return tree.Extent{}, err
	}
	f.present = x
	if !ok || !inside() {
		f.present, f.extents = tree.Extent{}, nil
		return tree.Extent{}, f.short(off)
	}
	return x, nil
}

func (f *File) short(off uint64) error {
	return errs.New(errs.Corrupt, "the content ends at %d, the size is %d", off, f.size)
}

// WriteTo writes the whole content to w in order; holes are written as zeros.
func (f *File) WriteTo(w io.Writer) (n int64, err error) {
	buf := make([]byte, min(1<<20, max(f.size, 1)))
	for n < f.size {
		m, err := f.ReadAt(buf[:min(int64(len(buf)), f.size-n)], n)
		if err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		k, err := w.Write(buf[:m])
		n += int64(k)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Xattr returns the value of an attribute, which may stand out of line.
func (v *View) Xattr(ctx context.Context, x *tree.Xattr) ([]byte, error) {
	if x.Blob.IsZero() {
		return x.Value, nil
	}
	b, err := v.blobs.Get(ctx, crypt.KindData, x.Blob, nil)
	if err != nil {
		return nil, fmt.Errorf("attribute %q: %w", x.Name, err)
	}
	if uint64(len(b)) != x.Size {
		return nil, errs.New(errs.Corrupt, "attribute %q: blob %s has %d bytes, the entry says %d", x.Name, x.Blob, len(b), x.Size)
	}
	return b, nil
}

// Target returns the target of a symlink, which may stand out of line.
func (v *View) Target(ctx context.Context, e *tree.Entry) ([]byte, error) {
	if e.TargetBlob.IsZero() {
		return e.Target, nil
	}
	b, err := v.blobs.Get(ctx, crypt.KindData, e.TargetBlob, nil)
	if err != nil {
		return nil, fmt.Errorf("target of %q: %w", e.Name, err)
	}
	return b, nil
}
