// Package sink is about where entries go: a file system, later archives and databases. It is the contract that every
// sink of the family keeps. A sink knows nothing of repositories.
package sink

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nacre-backup/nacre/internal/attrs"
	"github.com/nacre-backup/nacre/internal/tree"
)

// ErrSkipped is returned by Begin and Link for an entry that the sink's rules leave alone. It is not a failure.
var ErrSkipped = errors.New("left as it is")

// ErrSame is the ErrSkipped of an object that the sink takes for the same as the entry, so that a hard link to it is
// as good as to one that was written.
var ErrSame = fmt.Errorf("it is the same already: %w", ErrSkipped)

// Sink accepts entries. Paths are as in tree.Key, relative to the sink's target; a parent directory is begun before
// what it holds. Methods may be called by several goroutines at once. The error of one entry (its text says what was
// tried) leaves the sink usable. A sink trusts no name: one that is no single component is refused.
type Sink interface {
	// Begin makes the object of e in directory dir. For a regular file it returns a File that takes the content,
	// for everything else nil: the object is then complete, but a directory gets its owner, mode, times and
	// attributes only at Close. Out-of-line values (Xattr.Blob, TargetBlob) were loaded into Value and Target by the
	// caller. What e points to stays as it is until the File is finished or aborted.
	Begin(ctx context.Context, dir []byte, e *tree.Entry) (File, error)

	// Link makes (dir, e.Name) another hard link of the finished file (toDir, toName).
	Link(ctx context.Context, dir []byte, e *tree.Entry, toDir, toName []byte) error

	// Close sets the metadata of directories, deepest first, and makes everything durable. It returns the errors of
	// single directories joined. It is called once, after every File ended, also when the run was cancelled.
	Close(ctx context.Context) error
}

// File takes the content of one regular file. WriteAt may be called by several goroutines at once, in any order;
// what is never written is a hole. Exactly one of Finish and Abort ends it.
type File interface {
	WriteAt(p []byte, off int64) (int, error)
	// Finish sets size, owner, attributes, mode and times, in an order that never leaves a set-id bit with the wrong
	// owner. After an error that concerns the content nothing stays under the name; after one that concerns the
	// metadata the file stays, with as much of it as could be set.
	Finish(ctx context.Context) error
	// Abort removes what was written; nothing half-written stays under the name.
	Abort() error
}

// Reader is an extra of sinks whose files can be read back.
type Reader interface {
	// Open opens the finished regular file (dir, name) for reading.
	Open(ctx context.Context, dir, name []byte) (ReadFile, error)
}

// ReadFile is a finished file, read back.
type ReadFile interface {
	io.ReaderAt
	io.Closer
	Size() (int64, error)
}

// Peeker is an extra of sinks that can tell beforehand what they would do, so that content that is not wanted need not
// be fetched, and so that a run can be rehearsed.
type Peeker interface {
	// Peek changes nothing. It returns nil where Begin would make the object of e, or do anything else to it, else the error (ErrSkipped and
	// ErrSame among them) that Begin would return, as far as this can be seen beforehand. A directory that is still to
	// be made is taken for empty.
	Peek(ctx context.Context, dir []byte, e *tree.Entry) error
}

// Loss says that an attribute of Count objects could not be restored for want of a right, of a system that has it, or
// of an option; First is the path of one of them and Err tells why.
type Loss struct {
	Attribute attrs.Attribute
	Count     int64
	First     []byte
	Err       error
}

// Loser is an extra of sinks that count what they could not restore without calling it a failure.
type Loser interface {
	// Losses returns the counts so far, in the order of the attributes.
	Losses() []Loss
}
