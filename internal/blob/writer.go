package blob

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/segment"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store"
)

// Options says how blobs are written.
type Options struct {
	// Coder makes the coder of a worker, which sets the level of compression. Nil: codec.Fastest.
	Coder func() segment.Coder
}

// Writer stores the blobs of one run. Where the store takes a stream, the bytes of open packs are in the store's temp
// files; else in memory: an open data pack of 32 MiB, an open metadata pack of 8 MiB and one pack that is being put. It
// is safe for concurrent use, through one Worker for each goroutine.
type Writer struct {
	repo  *repo.Repo
	index *index.Index
	coder func() segment.Coder

	// background runs fn in a goroutine of its own, under the context of the run, when no other runs any more.
	background func(fn func(context.Context) error)
	tasks      sync.WaitGroup
	pressure   pressure
	// stream begins an object under the context of the run: a pack outlives the call that opened it.
	stream func(store.Streamer) (store.Stream, error)
	err    atomic.Pointer[error] // the first failure

	mu      sync.Mutex
	session *session.Session
	workers []*Worker
	open    map[crypt.Class]*openPack

	stored    atomic.Int64
	dataPacks atomic.Int64
	metaPacks atomic.Int64
}

// ErrClosed says that a writer is used after Close.
var ErrClosed = errors.New("the blob writer is closed")

// NewWriter makes the writer of a session. ctx is that of the run: when it ends, packs being put are given up.
func NewWriter(ctx context.Context, r *repo.Repo, s *session.Session, x *index.Index, o Options) *Writer {
	w := &Writer{repo: r, index: x, coder: o.Coder, session: s, open: map[crypt.Class]*openPack{}}
	w.stream = func(s store.Streamer) (store.Stream, error) { return s.Stream(ctx) }
	one := make(chan struct{}, 1) // one task at a time: a pack in memory is 32 MiB
	w.background = func(fn func(context.Context) error) {
		one <- struct{}{} // ends within a second after ctx does: so does the task
		w.tasks.Go(func() {
			defer func() { <-one }()
			if err := fn(ctx); err != nil {
				w.fail(err)
			}
		})
	}
	return w
}

// fail makes err the answer of every later call, if it is the first failure.
func (w *Writer) fail(err error) { w.err.CompareAndSwap(nil, &err) }

// failure returns the first failure.
func (w *Writer) failure() error {
	if p := w.err.Load(); p != nil {
		return *p
	}
	return nil
}

// Worker returns a new worker, for one goroutine at a time. It lives as long as the writer.
func (w *Writer) Worker() *Worker {
	k := &Worker{w: w}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.workers = append(w.workers, k)
	return k
}

// Flush stores what all workers still hold and ends the open packs; on return every blob that was Put before is in the
// store (durable after the store's Flush, which the commit does), in the index and on the session's list. No Put may
// run at the same time.
func (w *Writer) Flush(ctx context.Context) error {
	w.mu.Lock()
	workers := w.workers
	w.mu.Unlock()
	g, gctx := errgroup.WithContext(ctx)
	for _, k := range workers {
		g.Go(func() error { return k.Flush(gctx) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	w.mu.Lock()
	var full []*openPack
	for class, p := range w.open {
		full = append(full, p)
		delete(w.open, class)
	}
	w.mu.Unlock()
	for _, p := range full {
		p.release()
	}
	w.tasks.Wait()
	return w.failure()
}

// Continue makes the writer go on in a successor session, after a checkpoint. Call it after Flush, before the next Put.
func (w *Writer) Continue(s *session.Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.open) > 0 {
		panic(fmt.Sprintf("blob writer: %d packs are open in the session that is left", len(w.open)))
	}
	w.session = s
}

// Close gives up what was not flushed and waits until nothing runs any more. It is needed after errors too.
func (w *Writer) Close() error {
	w.fail(ErrClosed)
	w.mu.Lock()
	open, workers := w.open, w.workers
	w.open, w.workers = map[crypt.Class]*openPack{}, nil
	w.mu.Unlock()
	w.tasks.Wait()
	var err error
	for _, p := range open {
		err = errors.Join(err, p.abort())
	}
	for _, k := range workers {
		k.close()
	}
	return err
}

// Stats counts what a writer stored.
type Stats struct {
	Blobs      int64 // new blobs
	Raw        int64 // their bytes
	Compressed int64 // bytes of their segments
	Stored     int64 // bytes of finished packs
	DataPacks  int64
	MetaPacks  int64
	Known      int64 // blobs that Put did not store, since they were there already
	KnownRaw   int64 // their bytes
}

// Stats returns the figures so far; those of work in segments that are still open are left out of Compressed and
// Stored.
func (w *Writer) Stats() Stats {
	s := Stats{Stored: w.stored.Load(), DataPacks: w.dataPacks.Load(), MetaPacks: w.metaPacks.Load()}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.workers {
		s.Blobs += k.blobs.Load()
		s.Raw += k.raw.Load()
		s.Compressed += k.compressed.Load()
		s.Known += k.known.Load()
		s.KnownRaw += k.knownRaw.Load()
	}
	return s
}
