package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/nacre-backup/nacre/internal/errs"
)

// MaxName is the greatest length of an object's name in bytes.
const MaxName = 255

// ValidName tells whether an object may have this name.
func ValidName(name string) bool {
	if name == "" || len(name) > MaxName {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if !ValidPart(part) {
			return false
		}
	}
	return true
}

// ValidPart tells whether an object's name may have this component.
func ValidPart(part string) bool {
	if part == "" || part[len(part)-1] == '.' {
		return false
	}
	for i := range len(part) {
		c := part[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// CheckName returns an error of kind errs.Usage unless the name is valid. Every store calls it at its door.
func CheckName(name string) error {
	if !ValidName(name) {
		return errs.New(errs.Usage, "object name %q is not valid", name)
	}
	return nil
}

// CheckPrefix returns an error of kind errs.Usage unless List may be called with the prefix.
func CheckPrefix(prefix string) error {
	if prefix == "" || strings.HasSuffix(prefix, "/") && ValidName(strings.TrimSuffix(prefix, "/")) {
		return nil
	}
	return errs.New(errs.Usage, "prefix %q is not valid", prefix)
}

// Check returns an error of kind errs.Usage unless the range is the zero value or has Offset >= 0 and Length >= 1.
func (r Range) Check() error {
	if r == (Range{}) || r.Offset >= 0 && r.Length >= 1 && r.Offset+r.Length > 0 {
		return nil
	}
	return errs.New(errs.Usage, "range of %d bytes at %d is not valid", r.Length, r.Offset)
}

// Bytes is a Content in memory.
type Bytes []byte

// Size returns the length.
func (b Bytes) Size() int64 { return int64(len(b)) }

// Open returns a reader over the bytes.
func (b Bytes) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }

// ReadAll returns a whole object of at most limit bytes; a larger one is errs.Corrupt, because the limit is that of
// the format.
func ReadAll(ctx context.Context, s Store, name string, limit int64) ([]byte, error) {
	var all []byte
	err := s.Get(ctx, name, Range{}, func(r io.Reader) error {
		var err error
		all, err = io.ReadAll(io.LimitReader(r, limit+1))
		return err
	})
	if err != nil {
		return nil, err
	}
	if int64(len(all)) > limit {
		return nil, errs.New(errs.Corrupt, "object %s is larger than %d bytes", name, limit)
	}
	return all, nil
}

// ReadRange returns exactly the range of an object, which must not be the zero value.
func ReadRange(ctx context.Context, s Store, name string, r Range) ([]byte, error) {
	if r == (Range{}) {
		return nil, errs.New(errs.Usage, "range of %s is empty", name)
	}
	buf := make([]byte, r.Length)
	err := s.Get(ctx, name, r, func(in io.Reader) error {
		if _, err := io.ReadFull(in, buf); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return buf, nil
}

// WrongSize is what Put returns when a content yields another number of bytes than it announced.
func WrongSize(name string, want, got int64) error {
	if got > want {
		return fmt.Errorf("put %s: the content yields more than its %d bytes", name, want)
	}
	return fmt.Errorf("put %s: the content yields %d bytes of %d: %w", name, got, want, io.ErrUnexpectedEOF)
}
