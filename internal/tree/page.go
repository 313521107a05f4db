package tree

import (
	"context"

	"github.com/nacre-backup/nacre/internal/id"
)

// Kind is the kind of a page's blob; the numbers are those of pack directories (FORMAT.md section 9). The id of a
// page is keyed by its kind.
type Kind uint8

// The kinds of pages.
const (
	KindTree   Kind = 2
	KindExtent Kind = 3
)

// PageStore takes the pages that a Builder or an ExtentWriter makes. Put names the page by the keyed hash of its kind
// and stores it, unless it is there already. The bytes are valid during the call only. Put is called by the goroutine
// that builds, one call at a time for each Builder or ExtentWriter.
type PageStore interface {
	Put(ctx context.Context, kind Kind, page []byte) (id.ID, error)
}

// PageReader delivers pages. The bytes were verified against the id; they are never changed by anybody and stay valid
// for as long as the caller keeps them. Page is called by several goroutines at once.
type PageReader interface {
	Page(ctx context.Context, kind Kind, i id.ID) ([]byte, error)
}

// Totals are the sums over a part of a tree.
type Totals struct {
	Entries uint64 // entries of every type
	Bytes   uint64 // sizes of regular files, holes included
	Linked  uint64 // the part of Bytes in files with more than one hard link
	Newest  Time   // the latest modification time; the zero Time if there are no entries
}

// Ref is a reference to a page and what is known of the part of the tree below it. The reference to its top page is a
// whole snapshot; AppendRef and ParseRef are its form in the snapshot's record. The zero Ref is the empty tree.
type Ref struct {
	ID    id.ID
	Level uint8  // 0 for a leaf
	Dir   []byte // the common directory: every entry below stands in it or below it
	First Key    // the key of the first entry below; its Dir is at or below Dir
	Totals
}
