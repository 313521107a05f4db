package pack

import (
	"encoding/binary"
	"errors"

	"github.com/nacre-backup/nacre/internal/errs"
)

// errShort says that the bytes end before the value does.
var errShort = errs.New(errs.Corrupt, "it ends early")

// cursor reads values from bytes. After the first failure every read returns zero and err tells.
type cursor struct {
	b   []byte
	err error
}

// uv reads a shortest-form LEB128 number of at most limit.
func (c *cursor) uv(limit uint64) uint64 {
	if c.err != nil {
		return 0
	}
	v, n := binary.Uvarint(c.b)
	switch {
	case n == 0:
		c.err = errShort
		return 0
	case n < 0 || n > 1 && c.b[n-1] == 0:
		c.err = errs.New(errs.Corrupt, "a number is not in its shortest form")
		return 0
	case v > limit:
		c.err = errs.New(errs.Corrupt, "number %d is beyond the limit of %d", v, limit)
		return 0
	}
	c.b = c.b[n:]
	return v
}

// take reads n bytes, which stay in the cursor's memory.
func (c *cursor) take(n uint64) []byte {
	if c.err != nil {
		return nil
	}
	if n > uint64(len(c.b)) {
		c.err = errShort
		return nil
	}
	p := c.b[:n:n]
	c.b = c.b[n:]
	return p
}

// short reports whether more bytes could mend the failure.
func (c *cursor) short() bool { return errors.Is(c.err, errShort) }
