package tree

import (
	"context"
	"errors"

	"github.com/nacre-backup/nacre/internal/id"
)

var errSkeleton = errors.New("not built yet")

// AppendRef appends the canonical encoding of r to dst.
func AppendRef(dst []byte, r Ref) []byte { return dst }

// ParseRef reads what AppendRef wrote and nothing else.
func ParseRef(b []byte) (Ref, error) { return Ref{}, errSkeleton }

// Clone returns a deep copy of e, which shares no memory with a page.
func (e *Entry) Clone() *Entry { return nil }

// Equal reports whether e and o are the same in every stored attribute.
func (e *Entry) Equal(o *Entry) bool { return false }

// Blobs calls fn for each blob that e names: its data or extent root (root true), long attribute values, long target.
func (e *Entry) Blobs(fn func(i id.ID, kind uint8) error) error { return errSkeleton }

// Validate says what in e is outside the format's limits.
func (e *Entry) Validate() error { return errSkeleton }

// Leaf is a decoded leaf page. Cursor and Joiner own the leaves they hand out; who needs one for longer than the next
// step calls Retain. A forgotten Release costs memory until the garbage collector finds it, nothing else.
type Leaf struct{}

// Ref returns the reference by which the leaf was found.
func (l *Leaf) Ref() *Ref { return nil }

// Len returns the number of entries.
func (l *Leaf) Len() int { return 0 }

// Entry returns entry i, valid until the leaf is released.
func (l *Leaf) Entry(i int) *Entry { return nil }

// AppendDir appends the directory of entry i to dst.
func (l *Leaf) AppendDir(dst []byte, i int) []byte { return dst }

// Retain keeps the leaf until a matching Release. It may be called by any goroutine that holds the leaf.
func (l *Leaf) Retain() {}

// Release gives up one hold.
func (l *Leaf) Release() {}

// Old is an entry where it stands in an existing tree. The zero Old is none.
type Old struct {
	Leaf  *Leaf
	Index int
	Moved bool // found through Joiner.Move: it stands under another directory there
}

// Ok reports whether o is an entry.
func (o Old) Ok() bool { return o.Leaf != nil }

// Entry returns the entry, valid until the leaf is released.
func (o Old) Entry() *Entry { return o.Leaf.Entry(o.Index) }

// Retain keeps o's leaf until Release and returns o.
func (o Old) Retain() Old { return o }

// Release ends Retain.
func (o Old) Release() {}

// Builder makes a tree from entries in key order, and reuses whole unchanged leaves of an old one. The same map gives
// the same tree, byte for byte, whichever of its entries came by Add and which by AddOld.
//
// Leaves go to the store as they fill, interior pages together at the end, level by level, the root last. A Builder
// is used by one goroutine. It holds at most one leaf, 512 references a level, and 16 MiB of finished interior pages.
type Builder struct{}

// NewBuilder returns a builder that cuts by the given key (FORMAT.md section 6, `tree-split`).
func NewBuilder(split [32]byte, s PageStore) *Builder { return &Builder{} }

// Add appends an entry. It copies what it needs. The key must be above all before, and dir at or directly below the
// directory of the entry before or one of its ancestors.
func (b *Builder) Add(ctx context.Context, dir []byte, e *Entry) error { return errSkeleton }

// AddOld appends an unchanged entry of an old tree at its old place; o must not be Moved. Where all entries of an old
// leaf come one after another and the leaf begins and ends where the new tree is cut, the leaf is taken over by its
// id: it is neither encoded nor hashed nor put.
func (b *Builder) AddOld(ctx context.Context, o Old) error { return errSkeleton }

// Fork returns an independent builder with the same content so far. A checkpoint forks, adds what it wants and
// finishes the fork; the original goes on.
func (b *Builder) Fork() *Builder { return nil }

// Last returns the key of the last entry added, valid until the next call, and false if there is none.
func (b *Builder) Last() (Key, bool) { return Key{}, false }

// Stats returns what the builder has done so far.
func (b *Builder) Stats() BuildStats { return BuildStats{} }

// Finish ends the tree and returns its root: the zero Ref if nothing was added. The builder must not be used again.
func (b *Builder) Finish(ctx context.Context) (Ref, error) { return Ref{}, errSkeleton }

// BuildStats counts the pages of a build.
type BuildStats struct {
	Leaves   int   // leaves put
	Reused   int   // leaves taken over by id
	Interior int   // interior pages put
	Bytes    int64 // bytes of the pages put
}

// LostError says that a page could not be read or decoded, and so the entries from key From up to, not including, To
// are lost (to the end of the tree if To is nil). Cursors stand behind the range when they return it: go on with Next.
type LostError struct {
	Page Ref
	From Key
	To   *Key
	Err  error
}

func (e *LostError) Error() string { return "" }
func (e *LostError) Unwrap() error { return e.Err }

// Tree is an existing tree. Lost, if set, is told of each damaged page, and the method goes on behind it; else, or if
// Lost returns an error, the method ends with it. Methods may be called by several goroutines at once.
type Tree struct {
	Root  Ref
	Pages PageReader
	Lost  func(*LostError) error
}

// SkipDir, returned by the function given to Walk, leaves out what is below the directory it was called for.
var SkipDir = errors.New("skip this directory")

// Lookup returns a copy of the entry at a path ("" is the top). The error is of kind errs.NotFound if there is none.
func (t Tree) Lookup(ctx context.Context, path []byte) (*Entry, error) { return nil, errSkeleton }

// List calls fn for each entry directly in dir, in name order. Entries are valid during the call.
func (t Tree) List(ctx context.Context, dir []byte, fn func(e *Entry) error) error {
	return errSkeleton
}

// Walk calls fn for the entry at path and for all below it, in key order. Dir and entry are valid during the call.
func (t Tree) Walk(ctx context.Context, path []byte, fn func(dir []byte, e *Entry) error) error {
	return errSkeleton
}

// Du returns the totals of the entry at path and of all below it, reading O(log n) pages.
func (t Tree) Du(ctx context.Context, path []byte) (Totals, error) { return Totals{}, errSkeleton }

// WalkPages calls fn for each page reference, a page before those below it, without reading leaves. If fn returns
// false, the pages below are left out.
func (t Tree) WalkPages(ctx context.Context, fn func(r *Ref) (bool, error)) error { return errSkeleton }

// Cursor returns a cursor that stands before the first entry. The cursor does not use t.Lost: it returns *LostError.
func (t Tree) Cursor() *Cursor { return nil }

// Cursor walks a tree in key order.
type Cursor struct{}

// Seek places the cursor before the first entry at or after k.
func (c *Cursor) Seek(ctx context.Context, k Key) error { return errSkeleton }

// Next moves to the next entry; false says that there is none. After a *LostError it may be called again.
func (c *Cursor) Next(ctx context.Context) (bool, error) { return false, errSkeleton }

// Dir returns the directory of the current entry, valid until the next step.
func (c *Cursor) Dir() []byte { return nil }

// Entry returns the current entry, valid until the next step.
func (c *Cursor) Entry() *Entry { return nil }

// Old returns the current entry and its leaf.
func (c *Cursor) Old() Old { return Old{} }

// SkipBelow moves the cursor behind everything in and below directory dir.
func (c *Cursor) SkipBelow(ctx context.Context, dir []byte) error { return errSkeleton }

// Close gives up the cursor's leaf.
func (c *Cursor) Close() {}

// Diff calls fn for each key whose entry is not the same in a and b, in key order: with a nil old or a nil new where
// one of them has none. Equal pages are skipped without being read. Arguments are valid during the call.
func Diff(ctx context.Context, a, b Tree, fn func(dir []byte, old, new *Entry) error) error {
	return errSkeleton
}

// Parent is one tree to join with. It stands for the keys below Upto, which is not used in the last parent.
type Parent struct {
	Tree Tree
	Upto Key
}

// JoinEvents are told what a scan did not bring. Dir and o are valid during the call. A nil function ignores it.
type JoinEvents struct {
	Gone func(dir []byte, o Old) error // the scan has no such entry any more
	Kept func(dir []byte, o Old) error // it was not scanned, since its directory could not be listed (Joiner.Keep)
}

// Joiner joins a scan in key order with the trees of one or two parents. A damaged page of a parent goes to the
// parent's Lost function; its entries are then as if they had never been.
type Joiner struct{}

// NewJoiner returns a joiner over the parents, in key order of what they stand for: a checkpoint below its Upto key,
// then the last complete snapshot. No parents are fine.
func NewJoiner(parents []Parent, ev JoinEvents) *Joiner { return &Joiner{} }

// Match moves to a key of the scan, above the one before, and returns the entry that stands there in the parents. It
// is valid until the next call unless retained. Entries passed over go to Gone or Kept.
func (j *Joiner) Match(ctx context.Context, dir, name []byte) (Old, error) {
	return Old{}, errSkeleton
}

// Keep says that directory dir, matched before, could not be listed in full: what the parents have in it, and below
// those of its entries that the scan does not bring, goes to Kept. Call it before the directory's first entry.
func (j *Joiner) Keep(dir []byte) {}

// Move says that the new directory dir was found to be the old directory from: until the scan leaves dir, Match looks
// below from. Its results are Moved. Moves may nest.
func (j *Joiner) Move(dir, from []byte) {}

// Finish sends what is left of the parents to Gone or Kept and gives up all leaves.
func (j *Joiner) Finish(ctx context.Context) error { return errSkeleton }

// DirTable finds directories of a tree by file system and inode. It takes about 60 bytes a directory.
type DirTable struct{}

// NewDirTable reads all of t once. Damaged pages go to t.Lost.
func NewDirTable(ctx context.Context, t Tree) (*DirTable, error) { return nil, errSkeleton }

// Find returns the path of the directory with that inode on that file system.
func (d *DirTable) Find(fs string, inode uint64) ([]byte, bool) { return nil, false }

// ExtentWriter gathers the content of one regular file: chunks and holes in the order of the file. Pages go to the
// store as they fill, if the content turns out to need an extent list. It holds at most 512 extents a level.
type ExtentWriter struct{}

// NewExtentWriter returns a writer whose pages go to s.
func NewExtentWriter(s PageStore) *ExtentWriter { return &ExtentWriter{} }

// Data appends the data blob i of n bytes.
func (w *ExtentWriter) Data(ctx context.Context, i id.ID, n uint64) error { return errSkeleton }

// Hole appends n bytes of hole; neighbouring holes become one.
func (w *ExtentWriter) Hole(ctx context.Context, n uint64) error { return errSkeleton }

// Finish returns the content: Empty, Direct if there are no holes and at most 4 blobs, else Extents.
func (w *ExtentWriter) Finish(ctx context.Context) (Content, error) { return Content{}, errSkeleton }

// Fork returns an independent writer with the same content so far, for a checkpoint within the file.
func (w *ExtentWriter) Fork() *ExtentWriter { return nil }

// Extent is a stretch of a file: a data blob, or a hole where ID is zero.
type Extent struct {
	Offset, Length uint64
	ID             id.ID
}

// ExtentReader reads the extent list of a content of kind Extents.
type ExtentReader struct{}

// NewExtentReader stands before the first extent.
func NewExtentReader(r PageReader, c Content) *ExtentReader { return nil }

// Seek places the reader before the extent that holds offset off.
func (r *ExtentReader) Seek(ctx context.Context, off uint64) error { return errSkeleton }

// Next returns the next extent; false says that there is none. After an error of one page, which is a
// *LostExtentError, it may be called again: the reader stands behind the lost bytes.
func (r *ExtentReader) Next(ctx context.Context) (Extent, bool, error) {
	return Extent{}, false, errSkeleton
}

// LostExtentError says that a page of an extent list is damaged and where the bytes are that it named. Length is 0
// where the root page itself is lost.
type LostExtentError struct {
	Page           id.ID
	Offset, Length uint64
	Err            error
}

func (e *LostExtentError) Error() string { return "" }
func (e *LostExtentError) Unwrap() error { return e.Err }

// Below also holds for keys: EndOf returns the first key behind everything in and below dir, which is not "".
func EndOf(dir []byte) Key { return Key{Dir: append(dir[:len(dir):len(dir)], 0)} }

// WalkExtentPages calls fn with the id of each page of the extent list and then each extent of its leaves.
func WalkExtentPages(ctx context.Context, r PageReader, c Content, page func(i id.ID, level uint8) (bool, error), ext func(Extent) error) error {
	return errSkeleton
}
