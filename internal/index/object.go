package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/pack"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store"
)

// objectBytes is how many bytes of directories an index object gathers: about 300,000 blobs. It is held in memory while
// it is made.
const objectBytes = 8 << 20

// Write puts the index object of the packs added since the last one and gives its name to the session. Call it after
// the last pack and before the commit, and before each checkpoint.
func (x *Index) Write(ctx context.Context, s *session.Session) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.writeLocked(ctx, s)
}

func (x *Index) writeLocked(ctx context.Context, s *session.Session) error {
	if len(x.waiting) == 0 {
		return nil
	}
	name, err := x.putObject(ctx, x.waiting)
	if err != nil {
		return err
	}
	s.AddIndex(name)
	// The packs' own directories are the source of their rows; the object needs no reading by this client any more.
	x.fresh.source(name)
	x.waiting, x.bodies = nil, 0
	return nil
}

// putObject puts the index object of some packs.
func (x *Index) putObject(ctx context.Context, packs []Pack) (id.Name, error) {
	b, name, err := x.encodeObject(packs)
	if err != nil {
		return name, fmt.Errorf("make an index object: %w", err)
	}
	if err := x.repo.Store().Put(ctx, record.IndexPath(name), content(b)); err != nil {
		return name, fmt.Errorf("put index object %s: %w", name, err)
	}
	return name, nil
}

// encodeObject makes an index object, reads it back and compares (law 6).
func (x *Index) encodeObject(packs []Pack) ([]byte, id.Name, error) {
	h, key, err := x.repo.NewHeader(crypt.ClassIndex)
	if err != nil {
		return nil, id.Name{}, err
	}
	s, err := crypt.NewSealer(h, key)
	if err != nil {
		return nil, id.Name{}, err
	}
	c, err := codec.Get(codec.Fastest)
	if err != nil {
		return nil, id.Name{}, err
	}
	defer codec.Put(c)
	var buf bytes.Buffer
	w, err := pack.NewIndexWriter(&buf, s, c, pack.IndexHead{})
	if err != nil {
		return nil, id.Name{}, err
	}
	for _, p := range packs {
		e := pack.IndexEntry{Path: p.Ref.Path(), Size: p.Ref.Size, Header: *p.Header, Body: p.Body}
		if p.Header.Capsule != nil {
			e.Capsule = crypt.Sum(p.Header.Capsule)
			e.Header.Capsule = nil
		}
		if err := w.Add(e); err != nil {
			return nil, id.Name{}, err
		}
	}
	res, err := w.Close()
	if err != nil {
		return nil, id.Name{}, err
	}
	return buf.Bytes(), res.Name, compareObject(buf.Bytes(), x.repo.ObjectKey, c, packs)
}

// compareObject reads an index object and compares it with what it was made of.
func compareObject(b []byte, key pack.KeyFunc, c *codec.Coder, packs []Pack) error {
	n := 0
	_, err := pack.ReadIndex(fromMemory(b), int64(len(b)), key, c, func(e pack.IndexEntry) error {
		if n >= len(packs) || e.Path != packs[n].Ref.Path() || e.Size != packs[n].Ref.Size || !bytes.Equal(e.Body, packs[n].Body) {
			return errs.New(errs.Corrupt, "what was sealed does not read back the same")
		}
		n++
		return nil
	})
	if err == nil && n != len(packs) {
		err = errs.New(errs.Corrupt, "what was sealed does not read back the same")
	}
	return err
}

// readObject reads one index object.
func (x *Index) readObject(ctx context.Context, info store.Info) ([]Pack, error) {
	read, err := objectReader(ctx, x.repo.Store(), info.Name, info.Size)
	if err != nil {
		return nil, err
	}
	c, err := codec.Get(codec.None) // encodes nothing
	if err != nil {
		return nil, err
	}
	defer codec.Put(c)
	var packs []Pack
	_, err = pack.ReadIndex(read, info.Size, x.repo.ObjectKey, c, func(e pack.IndexEntry) error {
		p, err := parseEntry(&e)
		packs = append(packs, p)
		return err
	})
	return packs, err
}

// parseEntry checks what an index object says of a pack and decodes the pack's directory.
func parseEntry(e *pack.IndexEntry) (Pack, error) {
	ref, err := record.ParsePack(e.Path, e.Size)
	if err != nil {
		return Pack{}, err
	}
	if byte(e.Header.Class) != ref.Class {
		return Pack{}, errs.New(errs.Corrupt, "pack %s has a header of class %s", e.Path, e.Header.Class)
	}
	start := int64(e.Header.Size())
	if e.Capsule != ([32]byte{}) {
		start += crypt.CapsuleSize
	}
	dir, err := pack.DecodeDirectory(e.Body, e.Header.Class, start)
	if err != nil {
		return Pack{}, fmt.Errorf("directory of pack %s: %w", e.Path, err)
	}
	h := e.Header
	return Pack{Ref: ref, Header: &h, Dir: dir}, nil
}

// objectReader reads parts of an object; a small one is read whole at once.
func objectReader(ctx context.Context, st store.Store, name string, size int64) (pack.ReadFunc, error) {
	get := func(p []byte, off int64) error { return readAt(ctx, st, name, p, off) }
	if size <= 0 || size > wholeObject {
		return get, nil
	}
	all := make([]byte, size)
	if err := get(all, 0); err != nil {
		return nil, err
	}
	return fromMemory(all), nil
}

// readAt fills p with the bytes of the object from off on. An object that is shorter is damaged.
func readAt(ctx context.Context, st store.Store, name string, p []byte, off int64) error {
	err := st.Get(ctx, name, store.Range{Offset: off, Length: int64(len(p))}, func(r io.Reader) error {
		_, err := io.ReadFull(r, p)
		return err
	})
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = errs.As(errs.Corrupt, err) // its size was known
	}
	return err
}

// fromMemory serves reads from the bytes of a whole object.
func fromMemory(b []byte) pack.ReadFunc {
	return func(p []byte, off int64) error {
		if off < 0 || off > int64(len(b)) || int64(len(p)) > int64(len(b))-off {
			return errs.New(errs.Corrupt, "the object ends at %d, before %d", len(b), off+int64(len(p)))
		}
		copy(p, b[off:])
		return nil
	}
}

// content is an object in memory, to be put.
type content []byte

// Size is the number of bytes.
func (c content) Size() int64 { return int64(len(c)) }

// Open returns a reader over the bytes.
func (c content) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c)), nil }
