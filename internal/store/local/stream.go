package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/osfile"
	"github.com/nacre-backup/nacre/internal/store"
)

// bufferSize is the unit of writing, and spare how many filled buffers may wait for the disk: so a stream holds at
// most (spare + 2) MiB, and its writer never waits for a disk that keeps up.
const (
	bufferSize = 1 << 20
	spare      = 2
)

var buffers = sync.Pool{New: func() any { b := osfile.Aligned(bufferSize); return &b }}

// stream is an object being written to its temporary file. One goroutine, started when the first buffer is full, writes
// the full buffers while the next is filled; it ends before Commit or Abort does its work.
type stream struct {
	s    *Store
	ctx  context.Context //nolint:containedctx // it bounds the stream's life: Write has none of its own
	f    *os.File
	temp string
	buf  *[]byte
	n    int // bytes in buf
	size int64
	done bool
	out  chan *[]byte // capacity spare: full buffers
	end  chan struct{}
	err  error // of the goroutine; read it after end is closed, or under mu
	mu   sync.Mutex
}

// Stream implements store.Streamer. ctx bounds the whole life of the stream.
func (s *Store) Stream(ctx context.Context) (store.Stream, error) {
	w, err := s.begin(ctx)
	if err != nil {
		return nil, s.fail("begin", "an object", err)
	}
	return w, nil
}

func (s *Store) begin(ctx context.Context) (*stream, error) {
	w, err := ask(ctx, s, func() (*stream, error) {
		f, name, err := s.newTemp()
		return &stream{s: s, ctx: ctx, f: f, temp: name}, err
	}, func(w *stream) {
		_ = w.f.Close() // nobody has written to it
		_ = s.root.remove(w.temp)
	})
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Write implements io.Writer. p is copied; an error of the disk may show at a later call.
func (w *stream) Write(p []byte) (int, error) {
	if w.done {
		return 0, errs.New(errs.Usage, "write to a stream that has ended")
	}
	for done := 0; done < len(p); {
		if err := w.ctx.Err(); err != nil {
			return done, err
		}
		if w.buf == nil {
			w.buf = buffers.Get().(*[]byte)
		}
		n := copy((*w.buf)[w.n:], p[done:])
		done += n
		w.n += n
		w.size += int64(n)
		if w.n == bufferSize {
			if err := w.push(); err != nil {
				return done, w.s.fail("write", w.temp, err)
			}
		}
	}
	return len(p), nil
}

// push hands the full buffer to the writing goroutine.
func (w *stream) push() error {
	if w.out == nil {
		w.out, w.end = make(chan *[]byte, spare), make(chan struct{})
		w.s.busy.Go(w.drain)
	}
	select {
	case w.out <- w.buf:
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
	w.buf, w.n = nil, 0
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// drain writes full buffers until the channel is closed. After an error it only takes them, so that nobody hangs.
func (w *stream) drain() {
	defer close(w.end)
	direct := w.setDirect()
	var off int64
	var err error
	for buf := range w.out {
		if err == nil {
			if direct, err = w.write(*buf, direct); err == nil && !direct {
				// The kernel begins to write now, so that the sync at the end is short; it may ignore this.
				_ = osfile.Flush(w.f, off, bufferSize)
			}
			off += bufferSize
			w.mu.Lock()
			w.err = err
			w.mu.Unlock()
		}
		buffers.Put(buf)
	}
	if direct && err == nil {
		err = w.s.sys.setDirect(w.f, false) // the rest is no whole block
		w.mu.Lock()
		w.err = err
		w.mu.Unlock()
	}
}

func (w *stream) setDirect() bool {
	s := w.s
	if s.can.noDirect.Load() || s.direct == DirectNever || s.direct == DirectAuto && !osfile.LocalDisk(w.f) {
		return false
	}
	if err := s.sys.setDirect(w.f, true); err != nil {
		s.can.noDirect.Store(true)
		return false
	}
	return true
}

// write writes a whole buffer. A file system may take the flag and refuse the write: then the flag goes.
func (w *stream) write(p []byte, direct bool) (bool, error) {
	n, err := w.s.sys.write(w.f, p)
	if direct && n == 0 && osfile.Unsupported(err) {
		w.s.can.noDirect.Store(true)
		if err := w.s.sys.setDirect(w.f, false); err != nil {
			return false, err
		}
		direct = false
		_, err = w.s.sys.write(w.f, p)
	}
	return direct, err
}

// Commit implements store.Stream.
func (w *stream) Commit(ctx context.Context, name string) error {
	return w.s.fail("put", name, w.commit(ctx, name, false))
}

// commit ends the stream: the object gets its name, or its bytes are dropped. All that may hang in the kernel is
// detached from ctx. The file is closed before it gets its name: some shares tell only then what went wrong.
func (w *stream) commit(ctx context.Context, name string, exclusive bool) error {
	if w.done {
		return errs.New(errs.Usage, "commit of a stream that has ended")
	}
	w.done = true
	err := store.CheckName(name)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return w.dropFor(ctx, err)
	}
	_, err = start(ctx, w.s, func() (struct{}, error) {
		err := errors.Join(w.finish(), w.f.Close())
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = w.s.place(ctx, w, name, exclusive)
		}
		// One name too many after a link, gone after a rename. If it stays, a later run cleans it up.
		_ = w.s.root.remove(w.temp)
		return struct{}{}, err
	}, func(struct{}) {})
	return err
}

// finish writes the rest and makes the bytes durable.
func (w *stream) finish() error {
	defer w.release()
	if err := w.wait(); err != nil {
		return err
	}
	if w.n > 0 {
		if _, err := w.s.sys.write(w.f, (*w.buf)[:w.n]); err != nil {
			return err
		}
	}
	if w.s.can.noDataSync.Load() {
		return w.s.syncAll()
	}
	err := w.s.sys.syncData(w.f)
	if osfile.Unsupported(err) {
		w.s.can.noDataSync.Store(true)
		return w.s.syncAll()
	}
	if err == nil && w.out != nil {
		_ = osfile.DropCache(w.f) // a favour to other programs: a pack is not read soon
	}
	return err
}

// wait ends the writing goroutine.
func (w *stream) wait() error {
	if w.out == nil {
		return nil
	}
	close(w.out)
	<-w.end
	return w.err
}

// Abort implements store.Stream.
func (w *stream) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	return w.s.fail("drop", w.temp, w.drop(context.WithoutCancel(w.ctx)))
}

// drop ends a stream whose bytes are not wanted.
func (w *stream) drop(ctx context.Context) error {
	_, err := start(ctx, w.s, func() (struct{}, error) {
		_ = w.wait() // the bytes are dropped, whether they could be written or not
		w.release()
		_ = w.f.Close() // likewise
		if err := w.s.root.remove(w.temp); !errors.Is(err, fs.ErrNotExist) {
			return struct{}{}, err
		}
		return struct{}{}, nil
	}, func(struct{}) {})
	return err
}

// dropFor ends a stream because of a first error, which is what the caller is told. If ctx has ended, it does not wait.
func (w *stream) dropFor(ctx context.Context, err error) error {
	_ = w.drop(ctx) // what stays is cleaned up by a later run
	return err
}

// release gives the buffer back.
func (w *stream) release() {
	if w.buf != nil {
		buffers.Put(w.buf)
		w.buf = nil
	}
}

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, name string, c store.Content) error {
	return s.fail("put", name, s.put(ctx, name, c, false))
}

// PutIfAbsent implements store.PutIfAbsenter.
func (s *Store) PutIfAbsent(ctx context.Context, name string, c store.Content) error {
	return s.fail("create", name, s.put(ctx, name, c, true))
}

func (s *Store) put(ctx context.Context, name string, c store.Content, exclusive bool) error {
	if err := store.CheckName(name); err != nil {
		return err
	}
	w, err := s.begin(ctx)
	if err != nil {
		return err
	}
	if err := w.fill(name, c); err != nil {
		w.done = true
		return w.dropFor(ctx, err)
	}
	return w.commit(ctx, name, exclusive)
}

// fill copies a content into the stream and holds it to its size.
func (w *stream) fill(name string, c store.Content) error {
	r, err := c.Open()
	if err != nil {
		return ofContent(name, err)
	}
	in := &contentReader{Reader: r}
	_, err = io.Copy(writerOnly{w}, io.LimitReader(in, c.Size()+1))
	cerr := r.Close()
	switch {
	case in.err != nil:
		return ofContent(name, in.err)
	case err != nil:
		return err
	case cerr != nil:
		return ofContent(name, cerr)
	case w.size != c.Size():
		return &contentError{store.WrongSize(name, c.Size(), w.size)}
	}
	return nil
}

// writerOnly hides nothing but what io.Copy could mistake for a short cut.
type writerOnly struct{ io.Writer }

// contentReader remembers that it was the content that failed, not the disk.
type contentReader struct {
	io.Reader
	err error
}

func (r *contentReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// contentError is a failure of the caller's content.
type contentError struct{ err error }

func (e *contentError) Error() string { return e.err.Error() }
func (e *contentError) Unwrap() error { return e.err }

func ofContent(name string, err error) error {
	return &contentError{fmt.Errorf("read what is to be put as %s: %w", name, err)}
}
