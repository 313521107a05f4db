// Package source is about where entries come from: a file system, a stream, later databases. It is the contract that
// every source of the family keeps. A source knows nothing of repositories.
package source

import (
	"context"
	"io"
	"iter"

	"github.com/nacre-backup/nacre/internal/tree"
)

// Item is one step of a listing, in the order of tree.Key: the top, then each directory's entries in name order,
// then the same for each of its subdirectories in name order, depth first.
//
// Either Entry is set: an object of the source, with ErrClass and ErrText set when its metadata could not be read.
// Or Entry is nil and Err is set: directory Dir, whose own entry came before, could not be listed (wholly, or after
// some entries); what the parent snapshot has there is kept.
//
// An item, what it points to and Dir are valid until the next step of the iteration; Retain makes one that lasts.
type Item struct {
	Dir   []byte // path from the top, see tree.Key
	Entry *tree.Entry
	Err   error
	// LinkID tells hard links of one file from others: the same non-empty value for each. It is empty where Nlink is
	// below 2 or links cannot be told.
	LinkID string
	// Handle belongs to the source: what it needs to open the item fast.
	Handle any
}

// Source yields entries.
type Source interface {
	// Entries lists the source in key order. The items have what a directory listing and a stat give: type, mode,
	// ids, times, size, inode, file system, link count and device numbers, and no more; Describe adds the rest. A
	// non-nil error as the second value means that the source is broken and ends the iteration. Entries may be
	// called once.
	Entries(ctx context.Context) iter.Seq2[*Item, error]

	// Retain returns a copy of the item that stays valid until Release. It holds no open descriptor by itself that
	// grows with the number of retained items.
	Retain(it *Item) *Item
	// Release gives back what Retain took. The item must not be used after it.
	Release(it *Item)

	// Describe fills in what costs system calls of its own: link target, extended attributes, flags, names of owner
	// and group. It is called for new and changed entries only, by several goroutines at once. An attribute that
	// cannot be read sets the entry's ErrClass and ErrText and does not fail.
	Describe(ctx context.Context, it *Item) error

	// Open opens a regular file for reading, by several goroutines at once. The error's class is ErrClass(err).
	Open(ctx context.Context, it *Item) (File, error)

	// ErrClass sorts an error of this source.
	ErrClass(err error) tree.ErrClass

	// Close ends the source. Every retained item was released before.
	Close() error
}

// File is an open regular file.
type File interface {
	io.ReaderAt
	// NextData returns the first stretch of data at or after off: [start, end). Between off and start is a hole that
	// reads as zeros. start == end == size says that no data follows. A source that cannot tell returns [off, size).
	NextData(off, size int64) (start, end int64, err error)
	// Stat writes the file's present size and times into e, to be compared with those before reading.
	Stat(e *tree.Entry) error
	Close() error
}

// Streamed is an extra of Files whose size is not known before they end: Read delivers the bytes once, in order, and
// ReadAt is not to be used. The File of an entry for which Stream is true implements it.
type Streamed interface {
	io.Reader
}
