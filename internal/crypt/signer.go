package crypt

import (
	"crypto/ed25519"

	"github.com/nacre-backup/nacre/internal/id"
)

// Signer signs control objects with an Ed25519 key.
type Signer struct{}

// NewSigner makes a signer from its seed, which stays in the state folder of one machine.
func NewSigner(seed Key) *Signer { panic("crypt: skeleton") }

// Public is the signer's public key.
func (s *Signer) Public() ed25519.PublicKey { panic("crypt: skeleton") }

// Writer is the signer's writer id.
func (s *Signer) Writer() id.Writer { panic("crypt: skeleton") }

// WriterID is the first 8 bytes of the BLAKE3-256 hash of a public key.
func WriterID(pub ed25519.PublicKey) id.Writer { panic("crypt: skeleton") }
