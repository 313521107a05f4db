package tree

import (
	"bytes"
	"math/bits"
	"slices"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// inline reports whether the attribute's value stands in the page.
func (x *Xattr) inline() bool { return x.Blob.IsZero() }

// Clone returns a deep copy of e, which shares no memory with a page.
func (e *Entry) Clone() *Entry {
	c := *e
	c.Name = bytes.Clone(e.Name)
	c.Content.Inline = bytes.Clone(e.Content.Inline)
	c.Content.IDs = slices.Clone(e.Content.IDs)
	c.Target = bytes.Clone(e.Target)
	c.Token = bytes.Clone(e.Token)
	c.Xattrs = slices.Clone(e.Xattrs)
	for i := range c.Xattrs {
		c.Xattrs[i].Name = bytes.Clone(c.Xattrs[i].Name)
		c.Xattrs[i].Value = bytes.Clone(c.Xattrs[i].Value)
	}
	return &c
}

// Equal reports whether e and o are the same in everything that a tree stores of them.
//
//nolint:gocyclo // one condition for each field
func (e *Entry) Equal(o *Entry) bool {
	return bytes.Equal(e.Name, o.Name) && e.Type == o.Type && e.Mode == o.Mode &&
		e.UID == o.UID && e.GID == o.GID && e.User == o.User && e.Group == o.Group &&
		e.ModTime == o.ModTime && e.ChangeTime == o.ChangeTime && e.BirthTime == o.BirthTime &&
		e.Inode == o.Inode && e.FS == o.FS && bytes.Equal(e.Token, o.Token) &&
		e.FSFlags == o.FSFlags && e.ProjectID == o.ProjectID &&
		e.Flags == o.Flags && e.ErrClass == o.ErrClass && (e.ErrClass == ErrNone || e.ErrText == o.ErrText) &&
		e.sameKind(o) && slices.EqualFunc(e.Xattrs, o.Xattrs, sameXattr)
}

// sameKind compares what belongs to the type only.
func (e *Entry) sameKind(o *Entry) bool {
	if e.Type != Dir && (max(e.Nlink, 1) != max(o.Nlink, 1) || e.Nlink > 1 && e.Link != o.Link) {
		return false
	}
	switch e.Type {
	case File:
		return e.Size == o.Size && e.Content.Equal(&o.Content)
	case Symlink:
		return e.TargetBlob == o.TargetBlob && (!e.TargetBlob.IsZero() || bytes.Equal(e.Target, o.Target))
	case CharDevice, BlockDevice:
		return e.Major == o.Major && e.Minor == o.Minor
	case Dir, FIFO, Socket:
	}
	return true
}

// Equal reports whether c and o name the same content in the same way.
func (c *Content) Equal(o *Content) bool {
	if c.Kind != o.Kind {
		return false
	}
	switch c.Kind {
	case Inline:
		return bytes.Equal(c.Inline, o.Inline)
	case Direct, Extents:
		return c.Level == o.Level && slices.Equal(c.IDs, o.IDs)
	case Empty:
	}
	return true
}

func sameXattr(x, y Xattr) bool {
	if x.inline() || y.inline() {
		return x.inline() && y.inline() && bytes.Equal(x.Name, y.Name) && bytes.Equal(x.Value, y.Value)
	}
	return bytes.Equal(x.Name, y.Name) && x.Blob == y.Blob && x.Size == y.Size
}

// DataBlobs calls fn for each data blob that e itself names: content, long attribute values, a long link target. An
// extent list's root page is not a data blob; WalkExtentPages leads to those below it.
func (e *Entry) DataBlobs(fn func(i id.ID) error) error {
	if e.Type == File && e.Content.Kind == Direct {
		for _, i := range e.Content.IDs {
			if err := fn(i); err != nil {
				return err
			}
		}
	}
	for i := range e.Xattrs {
		if !e.Xattrs[i].inline() {
			if err := fn(e.Xattrs[i].Blob); err != nil {
				return err
			}
		}
	}
	if e.Type == Symlink && !e.TargetBlob.IsZero() {
		return fn(e.TargetBlob)
	}
	return nil
}

// canonicalSize is the size by which leaves are cut. It depends on the entry and on the last component of its
// directory only.
func canonicalSize(e *Entry, lastComponent int) int {
	n := 64 + len(e.Name) + lastComponent
	switch e.Type {
	case File:
		switch e.Content.Kind {
		case Inline:
			n += len(e.Content.Inline)
		case Direct, Extents:
			n += 32 * len(e.Content.IDs)
		case Empty:
		}
	case Symlink:
		if e.TargetBlob.IsZero() {
			n += len(e.Target)
		} else {
			n += 32
		}
	case Dir, FIFO, Socket, CharDevice, BlockDevice:
	}
	for i := range e.Xattrs {
		n += len(e.Xattrs[i].Name)
		if e.Xattrs[i].inline() {
			n += len(e.Xattrs[i].Value)
		} else {
			n += 32
		}
	}
	return n
}

// addEntry counts e.
func (t *Totals) addEntry(e *Entry) {
	if t.Entries == 0 || t.Newest.Less(e.ModTime) {
		t.Newest = e.ModTime
	}
	t.Entries++
	if e.Type == File {
		t.Bytes = addSat(t.Bytes, e.Size)
		if e.Nlink > 1 {
			t.Linked = addSat(t.Linked, e.Size)
		}
	}
}

// Add adds what o counts.
func (t *Totals) Add(o Totals) {
	if o.Entries == 0 {
		return
	}
	if t.Entries == 0 || t.Newest.Less(o.Newest) {
		t.Newest = o.Newest
	}
	t.Entries = addSat(t.Entries, o.Entries)
	t.Bytes = addSat(t.Bytes, o.Bytes)
	t.Linked = addSat(t.Linked, o.Linked)
}

// addSat adds up to the largest number and no further. A few sparse files of 2^63 bytes are enough to come there; a sum
// that began again at 0 would be below a part of it, and readers would take the page for damaged.
func addSat(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	return sum | -carry
}

// Validate says what in e is outside the format's limits. The empty name of the top is let through.
func (e *Entry) Validate() error {
	switch {
	case len(e.Name) > 0 && !goodName(e.Name):
		return errs.New(errs.Usage, "name %q of %d bytes", clip(e.Name), len(e.Name))
	case e.Type < Dir || e.Type > BlockDevice:
		return errs.New(errs.Usage, "type %d", e.Type)
	case e.Mode > 0o7777:
		return errs.New(errs.Usage, "mode %o", e.Mode)
	case max(len(e.User), len(e.Group), len(e.FS)) > maxString:
		return errs.New(errs.Usage, "user, group or file-system identity above %d bytes", maxString)
	case max(e.ModTime.Nsec, e.ChangeTime.Nsec, e.BirthTime.Nsec) > 999_999_999:
		return errs.New(errs.Usage, "nanoseconds out of range")
	case len(e.Token) > maxToken:
		return errs.New(errs.Usage, "change token of %d bytes", len(e.Token))
	case e.Flags > Implied|Stale|Torn|Partial || e.ErrClass > ErrTooLarge || len(e.ErrText) > maxString:
		return errs.New(errs.Usage, "marks %x, error class %d, message of %d bytes", e.Flags, e.ErrClass, len(e.ErrText))
	}
	if err := e.validateKind(); err != nil {
		return err
	}
	if len(e.Xattrs) > 0 {
		return validateXattrs(e.Xattrs)
	}
	return nil
}

// validateKind looks at what belongs to the type.
func (e *Entry) validateKind() error {
	switch {
	case e.Type == Symlink && e.TargetBlob.IsZero() && len(e.Target) > maxTarget:
		return errs.New(errs.Usage, "link target of %d bytes in line", len(e.Target))
	case e.Type == File && e.Size > 1<<63-1:
		return errs.New(errs.Usage, "size %d", e.Size)
	case e.Type == File:
		return e.Content.validate()
	}
	return nil
}

func (c *Content) validate() error {
	switch c.Kind {
	case Empty:
		return nil
	case Inline:
		if len(c.Inline) >= 1 && len(c.Inline) <= maxInline {
			return nil
		}
	case Direct:
		if len(c.IDs) >= 1 && len(c.IDs) <= maxIDs {
			return nil
		}
	case Extents:
		if len(c.IDs) == 1 && c.Level <= maxListLevel {
			return nil
		}
	}
	return errs.New(errs.Usage, "content of kind %d with %d ids, %d bytes, level %d", c.Kind, len(c.IDs), len(c.Inline), c.Level)
}

func validateXattrs(xs []Xattr) error {
	if len(xs) > maxXattrs {
		return errs.New(errs.Usage, "%d attributes", len(xs))
	}
	sum := 0
	for i := range xs {
		x := &xs[i]
		switch {
		case len(x.Name) == 0 || len(x.Name) > maxXattrName || i > 0 && bytes.Compare(xs[i-1].Name, x.Name) >= 0:
			return errs.New(errs.Usage, "attribute name %q: empty, too long or not in order", clip(x.Name))
		case x.inline() && len(x.Value) > maxValue, !x.inline() && (x.Size <= maxValue || x.Size > maxBlob):
			return errs.New(errs.Usage, "attribute %q of %d bytes", clip(x.Name), max(x.Size, uint64(len(x.Value))))
		}
		sum += len(x.Name)
		if x.inline() {
			sum += len(x.Value)
		}
	}
	if sum > maxXattrBytes {
		return errs.New(errs.Usage, "attributes of %d bytes", sum)
	}
	return nil
}

// clip shortens what goes into a message.
func clip(b []byte) []byte { return b[:min(len(b), 80)] }

// Clone returns a copy of k that shares no memory with it.
func (k Key) Clone() Key { return Key{Dir: bytes.Clone(k.Dir), Name: bytes.Clone(k.Name)} }

// EndOf returns the first key behind everything in and below dir, which must not be the top: no name holds a NUL, and
// only '/' sorts before it.
func EndOf(dir []byte) Key { return Key{Dir: append(bytes.Clone(dir), 0)} }

// NeverStored reports whether the content of a file could not be read, and no snapshot before had it. Such a file must not
// pass for an empty one.
func (e *Entry) NeverStored() bool {
	return e.Type == File && e.Flags&Partial != 0 && e.ErrClass != ErrNone && e.Content.Kind == Empty
}
