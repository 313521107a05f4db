package crypt

import (
	"bytes"
	"crypto/hpke"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"filippo.io/age"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// SlotID names a key slot: 8 random bytes, 16 hex digits in its path.
type SlotID [8]byte

func (s SlotID) String() string { return hex.EncodeToString(s[:]) }

// ParseSlotID reads the 16 hexadecimal digits of a slot's path.
func ParseSlotID(s string) (SlotID, error) {
	w, err := id.ParseWriter(s) // the same form
	if err != nil {
		return SlotID{}, fmt.Errorf("slot id %q: want 16 lower-case hexadecimal digits", s)
	}
	return SlotID(w), nil
}

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

// The default cost, and the bounds of what a reader will do for a slot that it cannot trust yet: at most 1 GiB.
const (
	argonTime, argonMemory, argonThreads    = 3, 64 << 10, 4
	argonMaxTime, argonMaxMem, argonMaxPara = 16, 1 << 20, 16
)

// SlotSpec is what all kinds of slots have in common. Label is on view in the store.
type SlotSpec struct {
	Repository id.Repository
	Label      string
	Created    time.Time
}

// Slot is a key slot: a public half that anyone can wrap a new key-encryption key for, and the way to its private
// half.
//
// Whatever the kind, there is a secret of 32 bytes: from the password, in the keyfile, or in the slot itself, in clear
// or encrypted by age. Sub(secret, "slot", repository) is the seed of an X-Wing key pair; the slot has the public half
// and the key-encryption key sealed to it. So whoever has the key-encryption key can change it for everybody without
// knowing their passwords, and a wrong password is told from damage: it gives another public half.
type Slot struct {
	ID         SlotID
	Repository id.Repository
	Kind       string
	Label      string
	Created    time.Time

	file slotFile
	head []byte // the file's bytes before "wrapped", bound into the seal
	all  []byte // the whole file
}

// slotFile is a slot as it stands in the store; "wrapped" and "check" follow these members.
type slotFile struct {
	Nacre      string     `json:"nacre"`
	Version    int        `json:"version"`
	Repository string     `json:"repository"`
	Slot       string     `json:"slot"`
	Kind       string     `json:"kind"`
	Label      string     `json:"label"`
	Created    string     `json:"created"`
	Argon2id   *slotArgon `json:"argon2id,omitempty"`
	Secret     string     `json:"secret,omitempty"`
	Age        string     `json:"age,omitempty"`
	Public     string     `json:"public"`
}

type slotArgon struct {
	Time    uint32 `json:"time"`
	Memory  uint32 `json:"memory"`
	Threads uint8  `json:"threads"`
	Salt    string `json:"salt"`
}

const (
	slotMagic   = "key slot"
	slotVersion = 1
	slotInfo    = "nacre/1 slot\x00"
	saltBytes   = 16
	wrappedKey  = ",\n  \"wrapped\": \""
	wrappedLen  = xwingEnc + 36 + tagSize
)

// NewPasswordSlot makes a slot that opens with a password, taken byte for byte. cost is the zero value but in tests.
func NewPasswordSlot(r clock.Rand, spec SlotSpec, password []byte, cost Argon2, k KEK) (*Slot, error) {
	if len(password) == 0 {
		return nil, errs.New(errs.Usage, "an empty password protects nothing")
	}
	if cost == (Argon2{}) {
		cost = Argon2{Time: argonTime, Memory: argonMemory, Threads: argonThreads}
	}
	var salt [saltBytes]byte
	if _, err := io.ReadFull(r, salt[:]); err != nil {
		return nil, fmt.Errorf("draw salt for a key slot: %w", err)
	}
	a := &slotArgon{Time: cost.Time, Memory: cost.Memory, Threads: cost.Threads, Salt: hex.EncodeToString(salt[:])}
	secret, err := a.secret(password)
	if err != nil {
		return nil, err
	}
	return newSlot(r, spec, slotFile{Kind: SlotPassword, Argon2id: a}, secret, k)
}

// NewKeyfileSlot makes a slot that opens with a keyfile's key or its recovery words.
func NewKeyfileSlot(r clock.Rand, spec SlotSpec, key Key, k KEK) (*Slot, error) {
	if key.IsZero() {
		return nil, errs.New(errs.Usage, "a key of zeros protects nothing")
	}
	return newSlot(r, spec, slotFile{Kind: SlotKeyfile}, key, k)
}

// NewOpenSlot makes a slot that opens without any secret, for repositories without encryption.
func NewOpenSlot(r clock.Rand, spec SlotSpec, k KEK) (*Slot, error) {
	secret, err := NewKey(r)
	if err != nil {
		return nil, err
	}
	return newSlot(r, spec, slotFile{Kind: SlotOpen, Secret: hex.EncodeToString(secret[:])}, secret, k)
}

// NewAgeSlot makes a slot that opens with the identity of any of the recipients.
func NewAgeSlot(r clock.Rand, spec SlotSpec, recipients []age.Recipient, k KEK) (*Slot, error) {
	secret, err := NewKey(r)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	w, err := age.Encrypt(&buf, recipients...)
	if err == nil {
		if _, err = w.Write(secret[:]); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		return nil, errs.As(errs.Usage, fmt.Errorf("encrypt a key slot to its age recipients: %w", err)) // none, or kinds that do not mix
	}
	return newSlot(r, spec, slotFile{Kind: SlotAge, Age: base64.StdEncoding.EncodeToString(buf.Bytes())}, secret, k)
}

// newSlot fills in what all kinds share and wraps k.
func newSlot(r clock.Rand, spec SlotSpec, f slotFile, secret Key, k KEK) (*Slot, error) {
	priv, err := xwing(Sub(secret, "slot", spec.Repository, 0))
	if err != nil {
		return nil, err
	}
	f.Nacre, f.Version = slotMagic, slotVersion
	f.Repository, f.Label = spec.Repository.String(), spec.Label
	f.Created = spec.Created.UTC().Format(fileTimeForm)
	f.Public = base64.StdEncoding.EncodeToString(priv.PublicKey().Bytes())
	return wrap(r, spec.Repository, f, priv.PublicKey(), k)
}

// wrap gives the slot a fresh id and seals k to its public half.
func wrap(r clock.Rand, repo id.Repository, f slotFile, pub hpke.PublicKey, k KEK) (*Slot, error) {
	var sid SlotID
	if _, err := io.ReadFull(r, sid[:]); err != nil {
		return nil, fmt.Errorf("draw a slot id: %w", err)
	}
	f.Slot = sid.String()
	head, err := openObject(f)
	if err != nil {
		return nil, err
	}
	plain := binary.LittleEndian.AppendUint32(append([]byte(nil), k.Key[:]...), k.Number)
	sealed, err := hpke.Seal(pub, hpke.HKDFSHA256(), hpke.AES256GCM(), append([]byte(slotInfo), head...), plain)
	if err != nil {
		return nil, fmt.Errorf("seal the key-encryption key: %w", err)
	}
	file := append([]byte(nil), head...)
	file = append(file, wrappedKey...)
	file = base64.StdEncoding.AppendEncode(file, sealed)
	file = append(file, '"')
	return ParseSlot(repo, sid, closeObject(file))
}

// ParseSlot reads a key slot. Damage is errs.Corrupt, a later version errs.Unsupported, a slot of another repository
// or under another name errs.Corrupt.
func ParseSlot(repo id.Repository, sid SlotID, file []byte) (*Slot, error) {
	s := &Slot{ID: sid, Repository: repo, all: append([]byte(nil), file...)}
	if err := s.parse(); err != nil {
		return nil, fmt.Errorf("read key slot %s: %w", sid, err)
	}
	return s, nil
}

func (s *Slot) parse() error {
	f := &s.file
	head, err := checkObject(s.all, f)
	if err != nil {
		return err
	}
	if f.Nacre != slotMagic {
		return errs.New(errs.Corrupt, "it is no key slot")
	}
	if f.Version != slotVersion {
		return errs.WithHint(errs.New(errs.Unsupported, "it has version %d, this program knows %d", f.Version, slotVersion), "install a newer nacre")
	}
	if f.Repository != s.Repository.String() || f.Slot != s.ID.String() {
		return errs.New(errs.Corrupt, "it is slot %s of repository %s", f.Slot, f.Repository)
	}
	at := bytes.LastIndex(head, []byte(wrappedKey))
	if at < 0 {
		return errs.New(errs.Corrupt, "it holds no wrapped key")
	}
	s.head = head[:at]
	s.Kind, s.Label = f.Kind, f.Label
	if s.Created, err = time.Parse(fileTimeForm, f.Created); err != nil {
		return errs.As(errs.Corrupt, err)
	}
	switch f.Kind {
	case SlotPassword, SlotKeyfile, SlotOpen, SlotAge:
		return nil
	}
	return errs.WithHint(errs.New(errs.Unsupported, "it is of the unknown kind %q", f.Kind), "install a newer nacre, or use another key")
}

// Path is the slot's path in the store.
func (s *Slot) Path() string { return "keys/" + s.ID.String() + ".json" }

// Bytes is the slot's file.
func (s *Slot) Bytes() []byte { return s.all }

// Hash is the BLAKE3 hash of the slot's file, as the ring lists it.
func (s *Slot) Hash() [32]byte { return Sum(s.all) }

// Rewrap makes a new slot that opens with the same secret and holds another key-encryption key. It needs no secret.
// The new slot has an id of its own: nothing is overwritten.
func (s *Slot) Rewrap(r clock.Rand, k KEK) (*Slot, error) {
	b, err := base64.StdEncoding.DecodeString(s.file.Public)
	if err != nil {
		return nil, errs.As(errs.Corrupt, fmt.Errorf("key slot %s: public half: %w", s.ID, err))
	}
	pub, err := hpke.MLKEM768X25519().NewPublicKey(b)
	if err != nil {
		return nil, errs.As(errs.Corrupt, fmt.Errorf("key slot %s: public half: %w", s.ID, err))
	}
	return wrap(r, s.Repository, s.file, pub, k)
}
