package crypt

import (
	"crypto/ed25519"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/id"
)

// ControlKeys are what seals and opens control objects of every class but R. Ring.ControlKeys makes them.
type ControlKeys struct {
	Repository id.Repository
	Suite      Suite
	Epoch      uint32         // the epoch that new objects are sealed in
	Control    map[uint32]Key // control secrets by epoch
	Readers    map[uint32]Key // readers' secrets by epoch; nil for a put-only writer
	ReaderSeed Key            // opens capsules; zero for a put-only writer
	ReaderPub  []byte         // X-Wing public key of the readers: a put-only writer seals inner parts to it
}

// Control is a control object before sealing: who signs what under which name.
type Control struct {
	Class Class
	Path  string // the object's path in the store, bound into the signature
	Outer []byte // the record that every writer can open
	Inner []byte // the record that only readers can open; nil if there is none
}

// SealControl seals and signs a control object, opens it again and compares (law 6).
func SealControl(r clock.Rand, k *ControlKeys, c Control, s *Signer) ([]byte, error) {
	panic("crypt: skeleton")
}

// OpenControl opens the object that was found at path and verifies its signature. signer is called with the opened
// outer part and tells whose signature it must be; its error is returned as it is. Without the readers' secret Inner
// stays nil and HasInner tells. A failure of bytes, class, path or signature is errs.Corrupt.
func OpenControl(k *ControlKeys, class Class, path string, object []byte, signer func(outer []byte) (ed25519.PublicKey, error)) (*Opened, error) {
	panic("crypt: skeleton")
}

// Opened is an opened and verified control object.
type Opened struct {
	Control
	HasInner bool
	Signer   ed25519.PublicKey
}
