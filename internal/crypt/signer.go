package crypt

import (
	"crypto/ed25519"
	"fmt"

	"github.com/nacre-backup/nacre/internal/id"
)

// signEd25519 is the signature suite of version 1.
const signEd25519 = 1

// Signer signs control objects with an Ed25519 key.
type Signer struct {
	priv ed25519.PrivateKey
}

// NewSigner makes a signer from its seed, which stays in the state folder of one machine.
func NewSigner(seed Key) *Signer { return &Signer{priv: ed25519.NewKeyFromSeed(seed[:])} }

// Format prints no secret.
func (s *Signer) Format(f fmt.State, _ rune) { Key{}.Format(f, 'v') }

// Public is the signer's public key.
func (s *Signer) Public() ed25519.PublicKey { return s.priv.Public().(ed25519.PublicKey) }

// Writer is the signer's writer id.
func (s *Signer) Writer() id.Writer { return WriterID(s.Public()) }

// WriterID is the first 8 bytes of the BLAKE3-256 hash of a public key.
func WriterID(pub ed25519.PublicKey) id.Writer {
	sum := Sum(pub)
	return id.Writer(sum[:8])
}

// signInput is what a signature of a control object signs: who, what, where, and all bytes before the signature.
func signInput(c Class, repo id.Repository, path string, before []byte) []byte {
	h := NewHash()
	for _, p := range [][]byte{[]byte("nacre/1 "), {byte(c)}, repo[:], []byte(path), before} {
		_, _ = h.Write(p) // a hash takes every byte
	}
	return h.Sum(nil)
}
