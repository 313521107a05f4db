package blob

import (
	"context"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/segment"
	"github.com/nacre-backup/nacre/internal/session"
)

// Options says how blobs are written.
type Options struct {
	// Coder makes the coder of a worker, which sets the level of compression. Nil: the default level.
	Coder func() segment.Coder
}

// Writer stores the blobs of one run. It holds at most two open packs: where the store takes a stream, their bytes are
// in the store's temp files; else in memory, 64 MiB at most with the one that is being put. It is safe for concurrent
// use, through one Worker for each goroutine.
type Writer struct{}

// NewWriter makes the writer of a session. ctx is that of the run: when it ends, packs being put are given up.
func NewWriter(ctx context.Context, r *repo.Repo, s *session.Session, x *index.Index, o Options) *Writer {
	panic("blob: skeleton")
}

// Worker returns a new worker, for one goroutine at a time.
func (w *Writer) Worker() *Worker { panic("blob: skeleton") }

// Flush stores what all workers still hold and ends the open packs; on return every blob that was Put before is in the
// store (durable after the store's Flush, which the commit does), in the index and on the session's list. No Put may
// run at the same time.
func (w *Writer) Flush(ctx context.Context) error { panic("blob: skeleton") }

// Continue makes the writer go on in a successor session, after a checkpoint. Call it after Flush, before the next Put.
func (w *Writer) Continue(s *session.Session) { panic("blob: skeleton") }

// Close gives up what was not flushed and waits until nothing runs any more. It is needed after errors too.
func (w *Writer) Close() error { panic("blob: skeleton") }

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
func (w *Writer) Stats() Stats { panic("blob: skeleton") }

// Worker stores blobs for one goroutine at a time. It owns its segments' buffers (2 MiB for each class as a rule, 4 x 17
// MiB at most) and its coder.
type Worker struct{}

// Put stores a blob unless it is known. The content may be reused as soon as Put returns. stored says that this call
// took on storing it.
func (k *Worker) Put(ctx context.Context, kind crypt.Kind, blob id.ID, content []byte) (stored bool, err error) {
	panic("blob: skeleton")
}

// Flush seals the worker's open segments into the open packs.
func (k *Worker) Flush(ctx context.Context) error { panic("blob: skeleton") }
