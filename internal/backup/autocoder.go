package backup

import (
	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/segment"
)

// autoCoder compresses fast, and at the default level while the store takes packs more slowly than they are made: then
// the processors have the time. The second coder, a few MiB, is made when it is first needed.
type autoCoder struct {
	behind     func() bool
	fast, hard segment.Coder
}

// Encode implements segment.Coder.
func (c *autoCoder) Encode(dst, src []byte) (codec.ID, []byte) {
	if !c.behind() {
		return c.fast.Encode(dst, src)
	}
	if c.hard == nil {
		c.hard = newCoder(codec.Default)
	}
	return c.hard.Encode(dst, src)
}

// Decode implements segment.Coder.
func (c *autoCoder) Decode(dst []byte, id codec.ID, payload []byte, rawLen int) ([]byte, error) {
	return c.fast.Decode(dst, id, payload, rawLen)
}
