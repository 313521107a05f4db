package crypt

import (
	"crypto/hpke"
	"fmt"

	"github.com/nacre-backup/nacre/internal/errs"
)

// Sizes of X-Wing.
const (
	xwingPublic = 1216
	xwingEnc    = CapsuleSize
)

// capsuleInfo and capsuleExport bind a capsule to its use.
const (
	capsuleInfo   = "nacre/1 session"
	capsuleExport = "nacre/1 pack"
)

// ReaderPublic is the X-Wing public key of a reader's seed (1216 bytes).
func ReaderPublic(seed Key) ([]byte, error) {
	priv, err := xwing(seed)
	if err != nil {
		return nil, err
	}
	return priv.PublicKey().Bytes(), nil
}

// NewCapsule makes a capsule for the readers, and the input key of the object that carries it. The writer forgets the
// key when the object is done and can never open it again.
func NewCapsule(readerPub []byte) (capsule []byte, ikm Key, err error) {
	pub, err := hpke.MLKEM768X25519().NewPublicKey(readerPub)
	if err != nil {
		return nil, Key{}, errs.As(errs.Corrupt, fmt.Errorf("readers' public key: %w", err))
	}
	enc, s, err := hpke.NewSender(pub, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(capsuleInfo))
	if err != nil {
		return nil, Key{}, fmt.Errorf("make a capsule: %w", err)
	}
	k, err := s.Export(capsuleExport, 32)
	if err != nil {
		return nil, Key{}, fmt.Errorf("make a capsule: %w", err)
	}
	return enc, Key(k), nil
}

// OpenCapsule yields the input key of an object that carries the capsule. A capsule that was made for somebody else or
// damaged yields a key that opens nothing, since encapsulated keys carry no check of their own.
func OpenCapsule(seed Key, capsule []byte) (Key, error) {
	if len(capsule) != CapsuleSize {
		return Key{}, errs.New(errs.Corrupt, "capsule of %d bytes, want %d", len(capsule), CapsuleSize)
	}
	priv, err := xwing(seed)
	if err != nil {
		return Key{}, err
	}
	r, err := hpke.NewRecipient(capsule, priv, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(capsuleInfo))
	if err != nil {
		return Key{}, errs.As(errs.Corrupt, fmt.Errorf("open a capsule: %w", err))
	}
	k, err := r.Export(capsuleExport, 32)
	if err != nil {
		return Key{}, fmt.Errorf("open a capsule: %w", err)
	}
	return Key(k), nil
}

// xwing makes the X-Wing private key of a seed.
func xwing(seed Key) (hpke.PrivateKey, error) {
	priv, err := hpke.MLKEM768X25519().NewPrivateKey(seed[:])
	if err != nil {
		return nil, fmt.Errorf("make an x-wing key: %w", err)
	}
	return priv, nil
}
