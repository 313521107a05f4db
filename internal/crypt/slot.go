package crypt

import (
	"encoding/hex"
	"time"

	"filippo.io/age"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/id"
)

// SlotID names a key slot: 8 random bytes, 16 hex digits in its path.
type SlotID [8]byte

func (s SlotID) String() string { return hex.EncodeToString(s[:]) }

// The kinds of key slots.
const (
	SlotPassword = "password" // Argon2id
	SlotKeyfile  = "keyfile"  // 32 random bytes in a file, or as 24 recovery words
	SlotOpen     = "open"     // the secret stands in the slot: no protection
	SlotAge      = "age"      // the secret stands in the slot, encrypted to age recipients
)

// Argon2 is the cost of a password slot. The zero value is the default: t=3, 64 MiB, p=4.
type Argon2 struct {
	Time    uint32 // passes
	Memory  uint32 // KiB
	Threads uint8
}

// SlotSpec is what all kinds of slots have in common. Label is on view in the store.
type SlotSpec struct {
	Repository id.Repository
	Label      string
	Created    time.Time
}

// Slot is a key slot: a public half that anyone can wrap a new key-encryption key for, and the way to its private
// half.
type Slot struct {
	ID         SlotID
	Repository id.Repository
	Kind       string
	Label      string
	Created    time.Time
}

// NewPasswordSlot makes a slot that opens with a password. cost is the zero value but in tests.
func NewPasswordSlot(r clock.Rand, spec SlotSpec, password []byte, cost Argon2, k KEK) (*Slot, error) {
	panic("crypt: skeleton")
}

// NewKeyfileSlot makes a slot that opens with a keyfile's key or its recovery words.
func NewKeyfileSlot(r clock.Rand, spec SlotSpec, key Key, k KEK) (*Slot, error) {
	panic("crypt: skeleton")
}

// NewOpenSlot makes a slot that opens without any secret, for repositories without encryption.
func NewOpenSlot(r clock.Rand, spec SlotSpec, k KEK) (*Slot, error) { panic("crypt: skeleton") }

// NewAgeSlot makes a slot that opens with the identity of any of the recipients.
func NewAgeSlot(r clock.Rand, spec SlotSpec, recipients []age.Recipient, k KEK) (*Slot, error) {
	panic("crypt: skeleton")
}

// ParseSlot reads a key slot. Damage is errs.Corrupt, a later version errs.Unsupported, a slot of another repository
// errs.Corrupt.
func ParseSlot(repo id.Repository, s SlotID, file []byte) (*Slot, error) { panic("crypt: skeleton") }

// ParseSlotID reads the 16 hexadecimal digits of a slot's path.
func ParseSlotID(s string) (SlotID, error) { panic("crypt: skeleton") }

// Path is the slot's path in the store.
func (s *Slot) Path() string { return "keys/" + s.ID.String() + ".json" }

// Bytes is the slot's file.
func (s *Slot) Bytes() []byte { panic("crypt: skeleton") }

// Hash is the BLAKE3 hash of the slot's file, as the ring lists it.
func (s *Slot) Hash() [32]byte { panic("crypt: skeleton") }

// Unlock is what a person has. Any of the fields may be empty.
type Unlock struct {
	Password   []byte
	Key        Key // of a keyfile or of recovery words
	Identities []age.Identity
}

// Open yields the key-encryption key. errs.WrongKey says that u is not what this slot was made for; errs.Corrupt that
// the slot is forged.
func (s *Slot) Open(u Unlock) (KEK, error) { panic("crypt: skeleton") }

// Rewrap makes a new slot that opens with the same secret and holds another key-encryption key. It needs no secret.
func (s *Slot) Rewrap(r clock.Rand, k KEK) (*Slot, error) { panic("crypt: skeleton") }
