package crypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// Overhead is how many bytes longer a sealed segment is than its plaintext (codec, raw length and payload).
const Overhead = sivSize + tagSize

const (
	sivSize = 16
	tagSize = 16
)

// How long the decoded bytes of a segment may be.
const (
	maxRawPack    = 17 << 20 // classes D and M
	maxRawDir     = 64 << 20 // directories and class I
	maxRawControl = 16 << 20 // each part of a control object
)

// MaxRawLen is how long the decoded bytes of a segment may be.
func MaxRawLen(c Class, segno uint32) int {
	switch {
	case c.Control():
		return maxRawControl
	case c == ClassIndex || segno == DirSegno:
		return maxRawDir
	}
	return maxRawPack
}

// SealedLen is the exact length of the sealed segment that Seal makes.
func SealedLen(rawLen, payloadLen int) int {
	n := 1
	for v := rawLen; v >= 0x80; v >>= 7 {
		n++
	}
	return Overhead + 1 + n + payloadLen
}

// Opener opens the segments of one object. It is safe for concurrent use.
type Opener struct {
	h       *Header
	packKey [32]byte
	siv     *keyed
	aad     [32]byte // BLAKE3 of header and capsule
}

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
func NewSealer(h *Header, ikm Key) (*Sealer, error) {
	o, err := NewOpener(h, ikm)
	if err != nil {
		return nil, err
	}
	return &Sealer{Opener: *o}, nil
}

// NewOpener prepares to open what was sealed under h. It keeps h, which must not change any more.
func NewOpener(h *Header, ikm Key) (*Opener, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	enc := h.Append(make([]byte, 0, h.Size()))
	prk := extract(enc[40:HeaderSize], ikm[:])
	o := &Opener{h: h, aad: Sum(enc)}
	copy(o.packKey[:], expand(prk, "nacre/1 pack"+string(enc[:40]), 32))
	o.siv = newKeyed(Key(expand(o.packKey[:], "siv", 32)))
	return o, nil
}

// Header is the header that the segments are sealed under.
func (o *Opener) Header() *Header { return o.h }

// Seal appends the sealed segment to dst. ids are the short ids of the segment's blobs in order; they are needed for
// stored segments (codec 0) of classes D and M and ignored otherwise.
func (s *Sealer) Seal(dst []byte, segno uint32, codec uint8, rawLen int, ids []id.Short, payload []byte) []byte {
	head := make([]byte, 0, 16)
	head = append(head, codec)
	head = binary.AppendUvarint(head, uint64(rawLen))
	siv := s.sivOf(segno, head, ids, payload)
	aead, nonce := s.aead(segno, siv[:])

	start := len(dst)
	need := start + sivSize + len(head) + len(payload) + tagSize
	if cap(dst) < need {
		dst = append(make([]byte, 0, need), dst...)
	}
	dst = append(dst, siv[:]...)
	dst = append(dst, head...)
	dst = append(dst, payload...)
	plain := dst[start+sivSize:]
	return aead.Seal(dst[:start+sivSize], nonce, plain, s.additional(segno))
}

// Open appends the plaintext of a sealed segment to dst[:0] and returns its parts. Any change of the bytes, of the
// position or of the header is errs.Corrupt. ids are as in Seal. dst and sealed must not overlap.
func (o *Opener) Open(dst, sealed []byte, segno uint32, ids []id.Short) (Plain, error) {
	if len(sealed) < Overhead+2 {
		return Plain{}, errs.New(errs.Corrupt, "segment %d: %d bytes are too few", segno, len(sealed))
	}
	if limit := MaxRawLen(o.h.Class, segno) + 1<<20; len(sealed) > limit {
		return Plain{}, errs.New(errs.Corrupt, "segment %d: %d bytes are more than any segment has", segno, len(sealed))
	}
	siv := sealed[:sivSize]
	aead, nonce := o.aead(segno, siv)
	plain, err := aead.Open(dst[:0], nonce, sealed[sivSize:], o.additional(segno))
	if err != nil {
		return Plain{}, errs.New(errs.Corrupt, "segment %d: the seal does not open: damaged, moved, or sealed with another key", segno)
	}
	rawLen, n := binary.Uvarint(plain[1:])
	if n <= 0 || n > 1 && plain[n] == 0 || rawLen > uint64(MaxRawLen(o.h.Class, segno)) {
		return Plain{}, errs.New(errs.Corrupt, "segment %d: bad raw length", segno)
	}
	head, payload := plain[:1+n], plain[1+n:]
	want := o.sivOf(segno, head, ids, payload)
	if subtle.ConstantTimeCompare(want[:], siv) != 1 {
		return Plain{}, errs.New(errs.Corrupt, "segment %d: the seal opens but its hash differs", segno)
	}
	if plain[0] == 0 && rawLen != uint64(len(payload)) {
		return Plain{}, errs.New(errs.Corrupt, "segment %d: %d stored bytes, %d announced", segno, len(payload), rawLen)
	}
	return Plain{Codec: plain[0], RawLen: int(rawLen), Payload: payload}, nil
}

// sivOf is the keyed hash that the segment's key and nonce depend on. Stored segments of packs hash the ids of their
// blobs instead of the payload: the ids are hashes of the payload already, and the bytes need not be read once more.
func (o *Opener) sivOf(segno uint32, head []byte, ids []id.Short, payload []byte) [sivSize]byte {
	pre := make([]byte, 0, 64)
	pre = binary.LittleEndian.AppendUint32(pre, segno)
	pre = append(pre, head...)
	pack := o.h.Class == ClassData || o.h.Class == ClassMeta
	if head[0] == 0 && pack && segno != DirSegno {
		payload = flatten(ids)
	}
	sum := o.siv.sum(pre, payload)
	return [sivSize]byte(sum[:sivSize])
}

// flatten joins ids.
func flatten(ids []id.Short) []byte {
	b := make([]byte, 0, len(ids)*len(id.Short{}))
	for i := range ids {
		b = append(b, ids[i][:]...)
	}
	return b
}

// aead derives the key and nonce of one segment. Neither is used for anything else, ever.
func (o *Opener) aead(segno uint32, siv []byte) (cipher.AEAD, []byte) {
	info := make([]byte, 0, 32)
	info = append(info, "seg"...)
	info = binary.LittleEndian.AppendUint32(info, segno)
	info = append(info, siv...)
	kn := expand(o.packKey[:], string(info), 44)
	return newAEAD(o.h.Suite, kn[:32]), kn[32:]
}

// additional is the data bound into the seal of segment segno.
func (o *Opener) additional(segno uint32) []byte {
	a := make([]byte, 0, 40)
	a = append(a, o.aad[:]...)
	a = binary.LittleEndian.AppendUint32(a, segno)
	return append(a, byte(o.h.Class))
}

// newAEAD makes the cipher of a suite. It fails only for a key that is not 32 bytes or a suite that check refused.
func newAEAD(s Suite, key []byte) cipher.AEAD {
	var a cipher.AEAD
	var err error
	if s == SuiteChaCha {
		a, err = chacha20poly1305.New(key)
	} else {
		var b cipher.Block
		if b, err = aes.NewCipher(key); err == nil {
			a, err = cipher.NewGCM(b)
		}
	}
	if err != nil {
		panic(fmt.Sprintf("suite %d with a key of %d bytes: %v", s, len(key), err))
	}
	return a
}
