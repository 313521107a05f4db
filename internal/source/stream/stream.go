// Package stream is about one stream of bytes as a source of entries: what comes from standard input, or the output of
// a command.
//
// The source has one regular file whose size nobody knows before it ends. It stands at stdin/NAME, so that it never
// meets a path of the file system; the directories above it are implied ones. A command runs in a process group of its
// own, from Open until its output ends; the file ends well only if the command does: otherwise the last Read, and
// Close, return an error that holds the exit status and the end of what the command said. A command whose output is not
// read to the end is killed, with all that it started.
package stream

import (
	"context"
	"errors"
	"io"
	"iter"
	"path"
	"strings"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

// Top is the first path component of every stream.
const Top = "stdin"

// Options say where the stream comes from. Exactly one of Reader and Command is set.
type Options struct {
	Name   string // of the file, may hold slashes; the default is "stdin"
	Reader io.Reader
	// Command is a program and its arguments. It runs in WorkDir with the environment Env, from which the caller has
	// taken every secret; nil means the environment of this process. It gets no input.
	Command []string
	WorkDir string
	Env     []string
	Stderr  io.Writer // gets what the command says beside its output; may be nil

	Time        tree.Time // the file's modification time
	UID, GID    uint32
	User, Group string
}

// Validate reports what is wrong with the options, as an error of kind errs.Usage.
func (o *Options) Validate() error {
	if (o.Reader == nil) == (len(o.Command) == 0) {
		return errs.New(errs.Usage, "a stream comes from standard input or from a command")
	}
	if len(o.Command) > 0 && o.Command[0] == "" {
		return errs.New(errs.Usage, "the name of the command is empty")
	}
	_, err := o.components()
	return err
}

func (o *Options) components() ([]string, error) {
	name := o.Name
	if name == "" {
		name = "stdin"
	}
	if strings.IndexByte(name, 0) >= 0 || strings.HasSuffix(name, "/") {
		return nil, errs.New(errs.Usage, "file name %q: must be the name of a file", name)
	}
	parts := strings.Split(strings.TrimPrefix(path.Clean("/"+name), "/"), "/")
	for _, c := range strings.Split(name, "/") {
		if c == ".." {
			return nil, errs.New(errs.Usage, "file name %q: must not hold '..'", name)
		}
	}
	if parts[0] == "" {
		return nil, errs.New(errs.Usage, "file name %q: must be the name of a file", name)
	}
	return append([]string{Top}, parts...), nil
}

// Source is a source of one stream. It implements source.Source.
type Source struct {
	opts    Options
	parts   []string
	started atomic.Bool
	opened  atomic.Bool
}

var _ source.Source = (*Source)(nil)

// New makes a source. A command is not started yet.
func New(o Options) (*Source, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	parts, err := o.components()
	if err != nil {
		return nil, err
	}
	return &Source{opts: o, parts: parts}, nil
}

// Root is the path of the file, absolute as those of other sources are named.
func (s *Source) Root() string { return "/" + strings.Join(s.parts, "/") }

// Entries implements source.Source.
func (s *Source) Entries(ctx context.Context) iter.Seq2[*source.Item, error] {
	return func(yield func(*source.Item, error) bool) {
		if s.started.Swap(true) {
			yield(nil, errors.New("entries of a stream were asked for twice"))
			return
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
			return
		}
		dir := tree.Entry{Type: tree.Dir, Mode: 0o755, UID: s.opts.UID, GID: s.opts.GID, Flags: tree.Implied}
		if !yield(&source.Item{Entry: &dir}, nil) {
			return
		}
		for i, name := range s.parts {
			at := []byte(strings.Join(s.parts[:i], "/"))
			e := dir
			if i == len(s.parts)-1 {
				e = tree.Entry{Type: tree.File, Mode: 0o600, UID: s.opts.UID, GID: s.opts.GID, ModTime: s.opts.Time}
			}
			e.Name = []byte(name)
			if !yield(&source.Item{Dir: at, Entry: &e}, nil) {
				return
			}
		}
	}
}

// Retain implements source.Source. Items of this source last anyway.
func (s *Source) Retain(it *source.Item) *source.Item {
	kept := *it
	if it.Entry != nil {
		e := *it.Entry
		kept.Entry = &e
	}
	return &kept
}

// Release implements source.Source.
func (s *Source) Release(*source.Item) {}

// Describe implements source.Source.
func (s *Source) Describe(ctx context.Context, it *source.Item) error {
	it.Entry.User, it.Entry.Group = s.opts.User, s.opts.Group
	return ctx.Err()
}

// Open implements source.Source: it starts the command. The stream can be read once. ctx must last until Close.
func (s *Source) Open(ctx context.Context, it *source.Item) (source.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if it.Entry == nil || it.Entry.Type != tree.File {
		return nil, errs.New(errs.Usage, "only the stream itself can be opened")
	}
	if s.opened.Swap(true) {
		return nil, errs.New(errs.Unsupported, "a stream can be read only once")
	}
	if s.opts.Reader != nil {
		return &file{ctx: ctx, from: s.opts.Reader, time: s.opts.Time}, nil
	}
	return s.start(ctx)
}

// ErrClass implements source.Source.
func (s *Source) ErrClass(err error) tree.ErrClass {
	if err == nil {
		return tree.ErrNone
	}
	return tree.ErrIO
}

// Close implements source.Source.
func (s *Source) Close() error { return nil }
