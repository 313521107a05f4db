package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

// file is the stream while it is read. One goroutine reads.
type file struct {
	ctx  context.Context //nolint:containedctx // Open binds the stream to it; io.Reader has no room for it
	from io.Reader
	time tree.Time
	read uint64
	err  error // the stream has ended: io.EOF, or why

	cmd    *exec.Cmd // nil for standard input
	said   *tail
	waited bool
}

var (
	_ source.File     = (*file)(nil)
	_ source.Streamed = (*file)(nil)
)

// grace is how long what a killed command started may keep its output open.
const grace = 2 * time.Second

// start runs the command.
func (s *Source) start(ctx context.Context) (source.File, error) {
	cmd := exec.CommandContext(ctx, s.opts.Command[0], s.opts.Command[1:]...)
	cmd.Dir, cmd.Env = s.opts.WorkDir, s.opts.Env
	f := &file{ctx: ctx, time: s.opts.Time, cmd: cmd, said: &tail{to: s.opts.Stderr}}
	cmd.Stderr = f.said
	cmd.WaitDelay = grace
	ownGroup(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start command %q: %w", s.opts.Command[0], err)
	}
	if err := cmd.Start(); err != nil {
		return nil, errs.WithHint(fmt.Errorf("start command %q: %w", s.opts.Command[0], err), "check its name; it is run without a shell")
	}
	f.from = out
	return f, nil
}

// Read implements source.Streamed. It returns io.EOF only when a command ended well.
func (f *file) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if err := f.ctx.Err(); err != nil {
		f.err = errors.Join(context.Cause(f.ctx), f.kill())
		return 0, f.err
	}
	n, err := f.from.Read(p)
	f.read += uint64(n)
	if err == nil {
		return n, nil
	}
	if f.cmd == nil {
		if f.err = err; !errors.Is(err, io.EOF) {
			f.err = fmt.Errorf("read the stream: %w", err)
		}
		return n, f.err
	}
	if !errors.Is(err, io.EOF) {
		f.err = errors.Join(fmt.Errorf("read the output of command %q: %w", f.cmd.Args[0], err), f.kill())
		return n, f.err
	}
	if f.err = f.wait(); f.err == nil {
		f.err = io.EOF
	}
	return n, f.err
}

// wait ends the command, whose error holds the exit status and what it said last.
func (f *file) wait() error {
	f.waited = true
	err := f.cmd.Wait()
	if err == nil {
		return nil
	}
	if said := f.said.lastLine(); said != "" {
		return fmt.Errorf("command %q: %w: %s", f.cmd.Args[0], err, said)
	}
	return fmt.Errorf("command %q: %w", f.cmd.Args[0], err)
}

// kill ends a command whose output was not read to the end.
func (f *file) kill() error {
	if f.cmd == nil || f.waited {
		return nil
	}
	_ = f.cmd.Cancel() // it may have ended by itself
	return f.wait()
}

// Close implements source.File. It returns the error of the command, if that was not read to its end or failed.
func (f *file) Close() error {
	err := f.err
	if err == nil {
		err = f.kill()
		f.err = errors.New("the stream is closed")
	}
	if errors.Is(err, io.EOF) || f.cmd == nil {
		return nil
	}
	return err
}

// ReadAt implements source.File; a stream has none.
func (f *file) ReadAt([]byte, int64) (int, error) {
	return 0, errs.New(errs.Unsupported, "a stream is read in order only")
}

// NextData implements source.File.
func (f *file) NextData(off, size int64) (start, end int64, err error) {
	return min(off, size), size, nil
}

// Stat implements source.File: the size is what was read so far.
func (f *file) Stat(e *tree.Entry) error {
	e.Type, e.Size, e.ModTime = tree.File, f.read, f.time
	return nil
}

// maxSaid is how much of what a command said is remembered.
const maxSaid = 4096

// tail hands on what a command says and remembers the end of it.
type tail struct {
	mu   sync.Mutex
	to   io.Writer
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if over := len(t.last) - maxSaid; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	if t.to != nil {
		_, _ = t.to.Write(p) // the command must not fail because nobody listens
	}
	return len(p), nil
}

func (t *tail) lastLine() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := bytes.TrimSpace(t.last)
	line = line[bytes.LastIndexByte(line, '\n')+1:]
	return strings.ToValidUTF8(string(line), "\uFFFD")
}
