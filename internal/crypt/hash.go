package crypt

import "hash"

// Sum is the BLAKE3-256 hash of p, the hash that names objects.
func Sum(p []byte) [32]byte { panic("crypt: skeleton") }

// NewHash makes a streaming BLAKE3-256.
func NewHash() hash.Hash { panic("crypt: skeleton") }
