// Package errs is about the kinds of failure that callers tell apart, whatever room they come from, and about hints.
//
// A kind is matched with errors.Is. A store translates its provider's errors into kinds at the door; an error without
// a kind is a plain failure. Sentinels with a narrower meaning live in the package that owns the meaning.
package errs

import (
	"errors"
	"fmt"
)

// The kinds.
var (
	// NotFound says that the named thing is certainly not there; it is never used for an answer that did not come.
	NotFound = errors.New("not found")
	// Exists says that the name is taken, by other bytes.
	Exists = errors.New("already exists")
	// Denied says that the operation is refused for want of a right, or by a read-only store.
	Denied = errors.New("permission denied")
	// Corrupt says that bytes are not what was once written: damaged, forged or truncated.
	Corrupt = errors.New("damaged")
	// Unsupported says that this store, system or version cannot do it; trying again does not help.
	Unsupported = errors.New("not supported")
	// Temporary says that the same call may succeed later.
	Temporary = errors.New("temporary failure")
	// Full says that the store has no room left, or a quota is used up.
	Full = errors.New("no space left")
	// Unreachable says that the store gave no answer.
	Unreachable = errors.New("out of reach")
	// WrongKey says that no key slot opens with the given key or password.
	WrongKey = errors.New("wrong key or password")
	// NoRepository says that a place holds no repository.
	NoRepository = errors.New("no repository")
	// Usage says that the caller's arguments are wrong.
	Usage = errors.New("usage")
)

// kindError gives err a kind without changing its text.
type kindError struct {
	kind error
	err  error
}

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.err, e.kind} }

// As gives err the kind, keeping its text. A nil err stays nil.
func As(kind, err error) error {
	if err == nil {
		return nil
	}
	return &kindError{kind: kind, err: err}
}

// New makes an error of the kind with a text of its own.
func New(kind error, format string, args ...any) error {
	return &kindError{kind: kind, err: fmt.Errorf(format, args...)}
}

// hintError carries what the user can do next.
type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// WithHint adds to err one sentence that says what the user can do next. A nil err stays nil.
func WithHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hintError{err: err, hint: fmt.Sprintf(format, args...)}
}

// Hint returns the outermost hint of err, or the empty string.
func Hint(err error) string {
	var h *hintError
	if errors.As(err, &h) {
		return h.hint
	}
	return ""
}
