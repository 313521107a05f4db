package crypt

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// Class says what an object is. It stands in the header and is bound into every seal.
type Class byte

// The classes of objects.
const (
	ClassData      Class = 'D' // data pack
	ClassMeta      Class = 'M' // metadata pack
	ClassIndex     Class = 'I' // index object
	ClassFate      Class = 'F' // what became of a session
	ClassSession   Class = 'W' // a writer's or reader's session
	ClassHeartbeat Class = 'H' // sign of life of a session
	ClassTombstone Class = 'T' // forgotten snapshot
	ClassCondemned Class = 'C' // a pruner's condemn record
	ClassLedger    Class = 'L' // fates of a closed era
	ClassEra       Class = 'E' // opening of an era
	ClassRing      Class = 'R' // generation of the keyring
)

// String returns the class's letter.
func (c Class) String() string { return string(rune(c)) }

// Valid reports whether c is a class of version 1.
func (c Class) Valid() bool {
	switch c {
	case ClassData, ClassMeta, ClassIndex:
		return true
	}
	return c.Control()
}

// Control reports whether c is a class of control objects.
func (c Class) Control() bool {
	switch c {
	case ClassFate, ClassSession, ClassHeartbeat, ClassTombstone, ClassCondemned, ClassLedger, ClassEra, ClassRing:
		return true
	}
	return false
}

// Suite says which primitives seal an object.
type Suite byte

// The suites. Both name and hash with BLAKE3.
const (
	SuiteAES    Suite = 1 // AES-256-GCM
	SuiteChaCha Suite = 3 // ChaCha20-Poly1305, for machines without AES instructions
)

// Valid reports whether s is a suite of version 1.
func (s Suite) Valid() bool { return s == SuiteAES || s == SuiteChaCha }

// Sizes and numbers of the format.
const (
	HeaderSize  = 72         // bytes of a header without its capsule
	CapsuleSize = 1120       // bytes of a capsule, where there is one
	SaltSize    = 32         // bytes of salt in a header
	DirSegno    = 0xFFFFFFFF // the segment number of a pack's directory
)

const (
	headerMagic = "NACREPK1"
	major       = 1
	flagCapsule = 1
)

// Header begins every pack, index object and control object.
type Header struct {
	Class   Class
	Suite   Suite
	Domain  id.Domain // zero but for classes D, M and I
	Epoch   uint32    // domain epoch for D, M, I; control epoch for the others
	Salt    [SaltSize]byte
	Capsule []byte // nil, or CapsuleSize bytes
}

// NewHeader makes a header with fresh salt.
func NewHeader(r clock.Rand, c Class, s Suite, d id.Domain, epoch uint32) (*Header, error) {
	h := &Header{Class: c, Suite: s, Domain: d, Epoch: epoch}
	if _, err := io.ReadFull(r, h.Salt[:]); err != nil {
		return nil, fmt.Errorf("draw salt for a header: %w", err)
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	return h, nil
}

// Size is the length of the encoded header with its capsule.
func (h *Header) Size() int { return HeaderSize + len(h.Capsule) }

// Append encodes the header and its capsule after dst.
func (h *Header) Append(dst []byte) []byte {
	dst = append(dst, headerMagic...)
	var flags byte
	if len(h.Capsule) > 0 {
		flags = flagCapsule
	}
	dst = append(dst, major, byte(h.Class), byte(h.Suite), flags)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(h.Capsule)))
	dst = append(dst, h.Domain[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, h.Epoch)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	dst = append(dst, h.Salt[:]...)
	return append(dst, h.Capsule...)
}

// ParseHeader reads the header that b begins with, and its capsule. b may go on after it; Size tells how far the
// header reaches. A header of a later major version is errs.Unsupported, anything else wrong is errs.Corrupt. The
// result does not keep b.
func ParseHeader(b []byte) (*Header, error) {
	if len(b) < HeaderSize {
		return nil, errs.New(errs.Corrupt, "header: %d bytes, want %d", len(b), HeaderSize)
	}
	if string(b[:8]) != headerMagic {
		return nil, errs.New(errs.Corrupt, "header: wrong magic")
	}
	if b[8] != major {
		return nil, errs.New(errs.Unsupported, "header: format major version %d, this program knows %d", b[8], major)
	}
	h := &Header{Class: Class(b[9]), Suite: Suite(b[10]), Epoch: binary.LittleEndian.Uint32(b[32:])}
	copy(h.Domain[:], b[16:])
	copy(h.Salt[:], b[40:])
	n := binary.LittleEndian.Uint32(b[12:])
	switch {
	case b[11] == 0 && n == 0:
	case b[11] == flagCapsule && n == CapsuleSize:
		if len(b) < HeaderSize+CapsuleSize {
			return nil, errs.New(errs.Corrupt, "header: %d bytes, want %d with the capsule", len(b), HeaderSize+CapsuleSize)
		}
		h.Capsule = append([]byte(nil), b[HeaderSize:HeaderSize+CapsuleSize]...)
	default:
		return nil, errs.New(errs.Corrupt, "header: flags %#x with a capsule of %d bytes", b[11], n)
	}
	if binary.LittleEndian.Uint32(b[36:]) != 0 {
		return nil, errs.New(errs.Corrupt, "header: reserved bytes are not zero")
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	return h, nil
}

// check refuses headers that no writer makes.
func (h *Header) check() error {
	if !h.Class.Valid() {
		return errs.New(errs.Corrupt, "header: unknown class %#x", byte(h.Class))
	}
	if !h.Suite.Valid() {
		return errs.New(errs.Unsupported, "header: unknown suite %d", h.Suite)
	}
	if h.Class.Control() && h.Domain != (id.Domain{}) {
		return errs.New(errs.Corrupt, "header: class %s names a domain", h.Class)
	}
	if n := len(h.Capsule); n != 0 && n != CapsuleSize {
		return errs.New(errs.Corrupt, "header: capsule of %d bytes", n)
	}
	return nil
}
