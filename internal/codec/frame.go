package codec

import (
	"github.com/klauspost/compress/zstd"

	"github.com/nacre-backup/nacre/internal/errs"
)

// checkFrame verifies what the format asks of a payload of codec 1, without decoding it.
func checkFrame(p []byte, rawLen int) error {
	var h zstd.Header
	if err := h.Decode(p); err != nil {
		return errs.New(errs.Corrupt, "zstd frame header: %w", err)
	}
	size := h.WindowSize
	if h.SingleSegment {
		size = h.FrameContentSize
	}
	switch {
	case h.Skippable:
		return errs.New(errs.Corrupt, "zstd frame: it holds no data")
	case h.DictionaryID != 0:
		return errs.New(errs.Corrupt, "zstd frame: it asks for dictionary %d", h.DictionaryID)
	case h.HasCheckSum:
		return errs.New(errs.Corrupt, "zstd frame: it has a checksum")
	case !h.HasFCS:
		return errs.New(errs.Corrupt, "zstd frame: it has no content size")
	case h.FrameContentSize != uint64(rawLen):
		return errs.New(errs.Corrupt, "zstd frame: content size is %d, want %d", h.FrameContentSize, rawLen)
	case size > maxWindow:
		return errs.New(errs.Corrupt, "zstd frame: window of %d bytes, at most %d are allowed", size, maxWindow)
	}
	return checkBlocks(p[h.HeaderSize:])
}

// checkBlocks walks the headers of a frame's blocks and verifies that the last one ends where p ends: the decoder
// alone would take a second frame for a continuation and skip frames that hold no data.
func checkBlocks(p []byte) error {
	const rle, reserved = 1, 3
	for {
		if len(p) < 3 {
			return errs.New(errs.Corrupt, "zstd frame: it ends within a block header")
		}
		header := int(p[0]) | int(p[1])<<8 | int(p[2])<<16
		last, kind, size := header&1 == 1, header>>1&3, header>>3
		switch kind {
		case rle: // one byte, repeated size times
			size = 1
		case reserved:
			return errs.New(errs.Corrupt, "zstd frame: a block of the reserved kind")
		}
		if p = p[3:]; len(p) < size {
			return errs.New(errs.Corrupt, "zstd frame: it ends within a block")
		}
		if p = p[size:]; last {
			break
		}
	}
	if len(p) != 0 {
		return errs.New(errs.Corrupt, "zstd frame: %d bytes follow it", len(p))
	}
	return nil
}
