package crypt

import "github.com/nacre-backup/nacre/internal/id"

// Overhead is how many bytes longer a sealed segment is than its plaintext (codec, raw length and payload).
const Overhead = 32

// SealedLen is the exact length of the sealed segment that Seal makes.
func SealedLen(rawLen, payloadLen int) int { panic("crypt: skeleton") }

// MaxRawLen is how long the decoded bytes of a segment may be.
func MaxRawLen(c Class, segno uint32) int { panic("crypt: skeleton") }

// Opener opens the segments of one object. It is safe for concurrent use.
type Opener struct{}

// Sealer seals the segments of one object, and opens them again. It is safe for concurrent use: several workers seal
// segments of one pack at once.
type Sealer struct{ Opener }

// Plain is an opened segment.
type Plain struct {
	Codec   uint8
	RawLen  int
	Payload []byte // shares memory with the dst given to Open
}

// NewSealer prepares to seal under h with the input key of its class (SealKey, or a capsule's).
func NewSealer(h *Header, ikm Key) (*Sealer, error) { panic("crypt: skeleton") }

// NewOpener prepares to open what was sealed under h.
func NewOpener(h *Header, ikm Key) (*Opener, error) { panic("crypt: skeleton") }

// Header is the header that the segments are sealed under.
func (o *Opener) Header() *Header { panic("crypt: skeleton") }

// Seal appends the sealed segment to dst. ids are the short ids of the segment's blobs in order; they are needed for
// stored segments (codec 0) of classes D and M and ignored otherwise.
func (s *Sealer) Seal(dst []byte, segno uint32, codec uint8, rawLen int, ids []id.Short, payload []byte) []byte {
	panic("crypt: skeleton")
}

// Open appends the plaintext of a sealed segment to dst[:0] and returns its parts. Any change of the bytes, of the
// position or of the header is errs.Corrupt.
func (o *Opener) Open(dst, sealed []byte, segno uint32, ids []id.Short) (Plain, error) {
	panic("crypt: skeleton")
}
