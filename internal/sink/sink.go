// Package sink is about where entries go: a file system, later archives and databases. It is the contract that every
// sink of the family keeps. A sink knows nothing of repositories.
package sink

import (
	"context"
	"errors"

	"github.com/nacre-backup/nacre/internal/tree"
)

// ErrSkipped is returned by Begin for an entry that the sink's overwrite rule leaves alone. It is not a failure.
var ErrSkipped = errors.New("left as it is")

// Sink accepts entries. Paths are as in tree.Key, relative to the sink's target; a parent directory is begun before
// what it holds. Methods may be called by several goroutines at once. The error of one entry (its text says what was
// tried) leaves the sink usable.
type Sink interface {
	// Begin makes the object of e in directory dir. For a regular file it returns a File that takes the content,
	// for everything else nil: the object is then complete, but a directory gets its owner, mode, times and
	// attributes only at Close. Out-of-line values (Xattr.Blob, TargetBlob) were loaded into Value and Target by the
	// caller.
	Begin(ctx context.Context, dir []byte, e *tree.Entry) (File, error)

	// Link makes (dir, e.Name) another hard link of the finished file (toDir, toName).
	Link(ctx context.Context, dir []byte, e *tree.Entry, toDir, toName []byte) error

	// Close sets the metadata of directories, deepest first, and makes everything durable. It returns the errors of
	// single directories joined.
	Close(ctx context.Context) error
}

// File takes the content of one regular file. WriteAt may be called by several goroutines at once, in any order;
// what is never written is a hole. Exactly one of Finish and Abort ends it.
type File interface {
	WriteAt(p []byte, off int64) (int, error)
	// Finish sets size, owner, attributes, mode and times, in an order that never leaves a set-id bit with the wrong
	// owner.
	Finish(ctx context.Context) error
	// Abort removes what was written; nothing half-written stays under the name.
	Abort() error
}
