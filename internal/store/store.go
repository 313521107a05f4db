// Package store is about keeping named, immutable objects. It is the contract that every store of the family keeps:
// a local folder, memory, and later object stores and SSH. A store knows nothing of packs, keys or snapshots.
//
// Names are slash-separated paths of the characters a-z, 0-9, '.', '-' and '_', at most 255 bytes, no component
// empty or with a dot at its end (some file systems drop it); ValidName tells. An object is complete or absent at
// every moment, whatever fails. Every method may be called from several goroutines at once and ends within a second
// after its context ends. Errors carry one of the kinds of package errs wherever one fits; errs.NotFound means that
// the object is certainly not there.
package store

import (
	"context"
	"io"
	"time"
)

// Info describes an object.
type Info struct {
	Name     string
	Size     int64     // in bytes
	Modified time.Time // by the store's clock; a hint for people, zero where unknown
}

// Range is a part of an object. The zero value is the whole object; any other has Length >= 1.
type Range struct {
	Offset int64
	Length int64
}

// Content is what Put stores. Open may be called several times (a retry reads again) and yields the same Size bytes
// each time.
type Content interface {
	Size() int64
	Open() (io.ReadCloser, error)
}

// Store keeps objects.
type Store interface {
	// Put stores an object under a name that has never been used. The object is complete or absent; it is durable
	// only after Flush. Putting the same bytes under an existing name succeeds and changes nothing; other bytes are
	// refused with errs.Exists where the store can tell.
	Put(ctx context.Context, name string, c Content) error

	// Flush returns once everything that was put before it was called survives a power cut.
	Flush(ctx context.Context) error

	// Get calls fn with a reader over the range of the object. The reader is valid during fn only and ends with
	// io.ErrUnexpectedEOF, not io.EOF, if fewer bytes come than the range has. fn may be called again after a failed
	// try (by a retrying wrapper) and must then start anew. fn's error is returned as it is.
	Get(ctx context.Context, name string, r Range, fn func(io.Reader) error) error

	// Stat returns the size of an object, or errs.NotFound. An object that it saw is durable after the next Flush,
	// whoever put it.
	Stat(ctx context.Context, name string) (Info, error)

	// List calls fn for each object whose name starts with prefix, which is empty or ends with a slash, in no
	// promised order, each once. A failed or short listing is an error, never an empty result; a prefix under which
	// nothing was ever stored is an empty result. fn's error ends the listing and is returned as it is.
	List(ctx context.Context, prefix string, fn func(Info) error) error

	// Delete removes an object. Deleting what is not there succeeds.
	Delete(ctx context.Context, name string) error

	// Close releases what the store holds. No other method may be called after it. It has no context: it waits a few
	// seconds at most for calls that were given up and do not come back, and is errs.Unreachable then.
	Close() error
}

// PutIfAbsenter is an extra of stores where name and content appear together and exactly one of several racing
// creators wins.
type PutIfAbsenter interface {
	// PutIfAbsent stores the object unless the name is taken: errs.Exists then, even if the bytes are the same.
	PutIfAbsent(ctx context.Context, name string, c Content) error
}

// Streamer is an extra of stores that can take an object whose name is known only when its last byte is: a pack is
// written while it fills.
type Streamer interface {
	// Stream begins an object. Its bytes are invisible until Commit.
	Stream(ctx context.Context) (Stream, error)
}

// Stream is an object being written. It is used by one goroutine at a time. Exactly one of Commit and Abort ends it.
type Stream interface {
	io.Writer
	// Commit gives the object its name, with the meaning of Put. The stream has ended even if it fails.
	Commit(ctx context.Context, name string) error
	// Abort drops the bytes. It is a no-op after Commit.
	Abort() error
}

// Aser is implemented by wrappers, which decide themselves which extras of the store they wrap they pass on.
type Aser interface {
	// As sets target, a pointer to an interface, if the extra is offered.
	As(target any) bool
}

// As finds an extra of s: var p PutIfAbsenter; if As(s, &p) {...}.
func As[T any](s Store, target *T) bool {
	if a, ok := s.(Aser); ok {
		return a.As(target)
	}
	t, ok := s.(T)
	if ok {
		*target = t
	}
	return ok
}
