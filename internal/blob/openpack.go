package blob

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/pack"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store"
)

// openPack is a pack that is being filled. The writer holds it once while it is open, and each worker once from the
// moment that it has a place in it until its segment is there; whoever gives up the last hold has it finished.
type openPack struct {
	w       *Writer
	session *session.Session
	class   crypt.Class
	n       uint32
	header  *crypt.Header
	pack    *pack.Writer
	stream  store.Stream // nil where the store takes none
	memory  *spool       // nil where it does
	holds   atomic.Int32
}

// reserve finds a place for a sealed segment of n bytes with so many blobs in the open pack of the class, or in a new one. The caller must
// release the pack.
func (w *Writer) reserve(ctx context.Context, c crypt.Class, n, blobs int) (*openPack, pack.Ticket, error) {
	w.mu.Lock()
	var full *openPack
	defer func() {
		w.mu.Unlock()
		if full != nil {
			full.release()
		}
	}()
	if p := w.open[c]; p != nil {
		if t, ok := p.pack.Reserve(n, blobs); ok {
			p.holds.Add(1)
			return p, t, nil
		}
		full = p
		delete(w.open, c)
	}
	if err := w.failure(); err != nil {
		return nil, pack.Ticket{}, err
	}
	p, err := w.newPack(c)
	if err != nil {
		return nil, pack.Ticket{}, fmt.Errorf("begin a pack: %w", err)
	}
	w.open[c] = p
	t, ok := p.pack.Reserve(n, blobs)
	if !ok {
		return nil, pack.Ticket{}, fmt.Errorf("begin a pack: a segment of %d bytes does not fit into an empty one", n)
	}
	p.holds.Add(1)
	return p, t, nil
}

func (w *Writer) newPack(c crypt.Class) (*openPack, error) {
	h, key, err := w.repo.NewHeader(c)
	if err != nil {
		return nil, err
	}
	sealer, err := crypt.NewSealer(h, key)
	if err != nil {
		return nil, err
	}
	p := &openPack{w: w, session: w.session, class: c, n: w.session.NextPack(c), header: h}
	p.holds.Store(1)
	var target io.Writer
	var streamer store.Streamer
	if store.As(w.repo.Store(), &streamer) {
		if p.stream, err = w.stream(streamer); err != nil {
			return nil, err
		}
		target = p.stream
	} else {
		p.memory = &spool{}
		target = p.memory
	}
	size := int64(w.repo.Ring().DataPack)
	if c == crypt.ClassMeta {
		size = int64(w.repo.Ring().MetaPack)
	}
	if p.pack, err = pack.NewWriter(target, sealer, size); err != nil {
		return nil, joinAbort(err, p)
	}
	return p, nil
}

func joinAbort(err error, p *openPack) error {
	if aerr := p.abort(); aerr != nil {
		return fmt.Errorf("%w (and its temp file could not be dropped: %w)", err, aerr)
	}
	return err
}

// release gives up one hold.
func (p *openPack) release() {
	if p.holds.Add(-1) == 0 {
		p.w.background(p.finish)
	}
}

// finish ends the pack, puts it into the store and tells the index and the session of it.
func (p *openPack) finish(ctx context.Context) error {
	if err := p.w.failure(); err != nil {
		return joinAbort(err, p)
	}
	res, err := p.pack.Close()
	if err != nil {
		return joinAbort(fmt.Errorf("end %s pack %d: %w", p.class, p.n, err), p)
	}
	ref := record.Pack{Class: byte(p.class), Session: p.session.ID(), N: p.n, Size: res.Size, Name: res.Name}
	if err := p.put(ctx, ref.Path()); err != nil {
		return fmt.Errorf("put pack %s: %w", ref.Path(), err)
	}
	p.w.stored.Add(res.Size)
	if p.class == crypt.ClassMeta {
		p.w.metaPacks.Add(1)
	} else {
		p.w.dataPacks.Add(1)
	}
	return p.w.index.Add(ctx, p.session, index.Pack{Ref: ref, Header: p.header, Dir: res.Dir, Body: res.Body})
}

func (p *openPack) put(ctx context.Context, path string) error {
	if p.stream != nil {
		return p.stream.Commit(ctx, path)
	}
	defer func() { p.memory = nil }()
	return p.w.repo.Store().Put(ctx, path, p.memory)
}

// abort drops what was written so far.
func (p *openPack) abort() error {
	p.memory = nil
	if p.stream == nil {
		return nil
	}
	return p.stream.Abort()
}

// spool is an object that is gathered in memory, to be put. It takes what it holds and less than a MiB more: a buffer that
// grows by doubling would take twice as much.
type spool struct {
	chunks [][]byte // each of spoolChunk bytes, but for the last one
	size   int64
}

const spoolChunk = 1 << 20

// Write implements io.Writer.
func (s *spool) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		last := len(s.chunks) - 1
		if last < 0 || len(s.chunks[last]) == spoolChunk {
			s.chunks = append(s.chunks, make([]byte, 0, spoolChunk))
			last++
		}
		k := min(len(p), spoolChunk-len(s.chunks[last]))
		s.chunks[last] = append(s.chunks[last], p[:k]...)
		p = p[k:]
	}
	s.size += int64(n)
	return n, nil
}

// Size is the number of bytes.
func (s *spool) Size() int64 { return s.size }

// Open returns a reader over the bytes.
func (s *spool) Open() (io.ReadCloser, error) {
	readers := make([]io.Reader, len(s.chunks))
	for i, c := range s.chunks {
		readers[i] = bytes.NewReader(c)
	}
	return io.NopCloser(io.MultiReader(readers...)), nil
}
