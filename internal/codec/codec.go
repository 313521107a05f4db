package codec

import (
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/nacre-backup/nacre/internal/errs"
)

// ID says how a segment's bytes are stored. It stands in the repository.
type ID uint8

// The codecs of format version 1.
const (
	Raw  ID = 0 // the bytes as they are
	Zstd ID = 1 // one zstd frame
)

// Level says how hard Encode tries. It is no part of the format.
type Level uint8

// The levels. The zero value is Fastest.
const (
	Fastest Level = iota
	Default
	Best
	None // store everything raw
)

// MaxRaw is the longest output that Decode makes, the largest limit of docs/FORMAT.md section 8.
const MaxRaw = 64 << 20

const (
	maxWindow = 8 << 20 // the longest window that a frame may ask for
	window    = 1 << 20 // the window that Encode uses: no segment of file content is longer than about 1 MiB
	minZstd   = 256     // shorter inputs are stored raw: their frame would carry no content size
	overAlloc = 16      // bytes behind the output that let the decoder copy in large steps
)

// Coder compresses and decompresses. It owns its buffers and is used by one goroutine at a time.
type Coder struct {
	level Level
	enc   *zstd.Encoder // nil at level None
	dec   *zstd.Decoder
}

// NewCoder makes a Coder.
func NewCoder(l Level) (*Coder, error) {
	c := &Coder{level: l}
	var err error
	switch l {
	case Fastest, Default, Best:
		c.enc, err = zstd.NewWriter(nil,
			zstd.WithEncoderLevel([...]zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBestCompression}[l]),
			zstd.WithWindowSize(window),
			zstd.WithEncoderConcurrency(1),
			zstd.WithLowerEncoderMem(true),
			zstd.WithEncoderCRC(false))
		if err != nil {
			return nil, fmt.Errorf("make a zstd encoder: %w", err)
		}
	case None:
	default:
		return nil, errs.New(errs.Usage, "compression level %d: not known", l)
	}
	c.dec, err = zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow),
		zstd.WithDecoderMaxMemory(MaxRaw+overAlloc),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, fmt.Errorf("make a zstd decoder: %w", err)
	}
	return c, nil
}

// pools holds idle Coders, one pool for each level.
var pools [None + 1]sync.Pool

// Get returns a Coder of the level, an idle one if there is one. Put gives it back.
func Get(l Level) (*Coder, error) {
	if l <= None {
		if c, ok := pools[l].Get().(*Coder); ok {
			return c, nil
		}
	}
	return NewCoder(l)
}

// Put gives back a Coder that nobody uses any more.
func Put(c *Coder) { pools[c.level].Put(c) }

// Level returns the level that the Coder was made for.
func (c *Coder) Level() Level { return c.level }

// Encode appends src to dst, compressed or raw, and says which. dst and src must not overlap.
func (c *Coder) Encode(dst, src []byte) (ID, []byte) {
	if c.enc == nil || len(src) < minZstd || c.level != Best && Incompressible(src) {
		return Raw, append(dst, src...)
	}
	start := len(dst)
	dst = c.enc.EncodeAll(src, slices.Grow(dst, len(src)))
	if got := len(dst) - start; got > len(src)-len(src)*3/100 {
		return Raw, append(dst[:start], src...)
	}
	return Zstd, dst
}

// Decode appends to dst the rawLen bytes that payload stands for. On failure, which is of kind errs.Corrupt, it
// returns dst as it was; bytes behind its length may have changed. dst and payload must not overlap.
func (c *Coder) Decode(dst []byte, id ID, payload []byte, rawLen int) ([]byte, error) {
	if rawLen < 0 || rawLen > MaxRaw {
		return dst, errs.New(errs.Corrupt, "decode: length %d is not between 0 and %d", rawLen, MaxRaw)
	}
	switch id {
	case Raw:
		if len(payload) != rawLen {
			return dst, errs.New(errs.Corrupt, "decode: %d bytes are stored, want %d", len(payload), rawLen)
		}
		return append(dst, payload...), nil
	case Zstd:
		return c.decodeZstd(dst, payload, rawLen)
	}
	return dst, errs.New(errs.Corrupt, "decode: codec %d is not known", id)
}

// decodeZstd decodes one frame that checkFrame has let pass.
func (c *Coder) decodeZstd(dst, payload []byte, rawLen int) ([]byte, error) {
	if err := checkFrame(payload, rawLen); err != nil {
		return dst, err
	}
	start := len(dst)
	grown := slices.Grow(dst, rawLen+overAlloc)
	// The decoder sees an empty buffer whose capacity is the output's length and a little, and cannot leave it.
	out, err := c.dec.DecodeAll(payload, grown[start:start:start+rawLen+overAlloc])
	if err != nil {
		return dst, errs.New(errs.Corrupt, "decode zstd: %w", err)
	}
	if len(out) != rawLen {
		return dst, errs.New(errs.Corrupt, "decode zstd: got %d bytes, want %d", len(out), rawLen)
	}
	return grown[:start+rawLen], nil
}
