// Package mem is about a store in memory, for tests and simulations. It keeps the whole contract, every extra
// included, and remembers which objects a power cut would take away.
package mem

import (
	"bytes"
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/store"
)

// Store keeps objects in a map. Its memory is the sum of its objects. Bytes in the map are never changed in place.
type Store struct {
	register bool // no create-if-absent

	mu      sync.RWMutex
	objects map[string]object
	durable map[string]object // what a power cut leaves: the state at the last Flush
}

type object struct {
	data []byte
}

// New returns an empty store that offers every extra.
func New() *Store {
	return &Store{objects: map[string]object{}, durable: map[string]object{}}
}

// NewRegister returns an empty store of the register class: it offers no PutIfAbsent.
func NewRegister() *Store {
	s := New()
	s.register = true
	return s
}

// As implements store.Aser: a store of the register class keeps PutIfAbsent to itself.
func (s *Store) As(target any) bool {
	switch t := target.(type) {
	case *store.PutIfAbsenter:
		if s.register {
			return false
		}
		*t = s
	case *store.Streamer:
		*t = s
	case **Store:
		*t = s
	default:
		return false
	}
	return true
}

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, name string, c store.Content) error {
	data, err := load(ctx, name, c)
	if err != nil {
		return err
	}
	return s.put(name, data)
}

func (s *Store) put(name string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.objects[name]; ok {
		if bytes.Equal(old.data, data) {
			return nil
		}
		return errs.New(errs.Exists, "put %s: other bytes have this name", name)
	}
	s.objects[name] = object{data: data}
	return nil
}

// PutIfAbsent implements store.PutIfAbsenter.
func (s *Store) PutIfAbsent(ctx context.Context, name string, c store.Content) error {
	data, err := load(ctx, name, c)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.objects[name]; ok {
		return errs.New(errs.Exists, "create %s: the name is taken", name)
	}
	s.objects[name] = object{data: data}
	return nil
}

// load reads the content and refuses one that does not yield its own size.
func load(ctx context.Context, name string, c store.Content) ([]byte, error) {
	if err := store.CheckName(name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, err := c.Open()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, c.Size()+1))
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != c.Size() {
		return nil, store.WrongSize(name, c.Size(), int64(len(data)))
	}
	return data, ctx.Err()
}

// Flush implements store.Store.
func (s *Store) Flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.durable = maps.Clone(s.objects)
	return nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, name string, r store.Range, fn func(io.Reader) error) error {
	if err := store.CheckName(name); err != nil {
		return err
	}
	if err := r.Check(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	o, ok := s.objects[name]
	s.mu.RUnlock()
	if !ok {
		return errs.New(errs.NotFound, "get %s: not found", name)
	}
	data, short := o.data, false
	if r != (store.Range{}) {
		from := min(r.Offset, int64(len(data)))
		data = data[from:]
		if short = int64(len(data)) < r.Length; !short {
			data = data[:r.Length]
		}
	}
	return fn(&reader{ctx: ctx, data: data, short: short})
}

// reader yields bytes and then io.EOF, or io.ErrUnexpectedEOF where the object is shorter than the range.
type reader struct {
	ctx   context.Context //nolint:containedctx // the reader lives within one Get
	data  []byte
	short bool
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if len(r.data) == 0 {
		if r.short {
			return 0, io.ErrUnexpectedEOF
		}
		return 0, io.EOF
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

// Stat implements store.Store.
func (s *Store) Stat(ctx context.Context, name string) (store.Info, error) {
	if err := store.CheckName(name); err != nil {
		return store.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return store.Info{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.objects[name]
	if !ok {
		return store.Info{}, errs.New(errs.NotFound, "stat %s: not found", name)
	}
	return store.Info{Name: name, Size: int64(len(o.data))}, nil
}

// List implements store.Store. It yields the names in their order, as they were when it was called; fn may call the
// store.
func (s *Store) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	if err := store.CheckPrefix(prefix); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	all := maps.Clone(s.objects)
	s.mu.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		o := all[name]
		if err := fn(store.Info{Name: name, Size: int64(len(o.data))}); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := store.CheckName(name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, name)
	return nil
}

// Close implements store.Store. The objects stay: a test closes a store and opens the repository in it again.
func (s *Store) Close() error { return nil }

// Stream implements store.Streamer.
func (s *Store) Stream(ctx context.Context) (store.Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &stream{s: s}, nil
}

type stream struct {
	s    *Store
	data []byte
	done bool
}

func (w *stream) Write(p []byte) (int, error) {
	if w.done {
		return 0, errs.New(errs.Usage, "write to a stream that has ended")
	}
	w.data = append(w.data, p...)
	return len(p), nil
}

func (w *stream) Commit(ctx context.Context, name string) error {
	if w.done {
		return errs.New(errs.Usage, "commit of a stream that has ended")
	}
	w.done = true
	if err := store.CheckName(name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return w.s.put(name, w.data)
}

func (w *stream) Abort() error {
	w.done, w.data = true, nil
	return nil
}
