package crypt

import (
	"bytes"
	"crypto/hpke"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"golang.org/x/crypto/argon2"

	"github.com/nacre-backup/nacre/internal/errs"
)

// Unlock is what a person has. Any of the fields may be empty.
type Unlock struct {
	Password   []byte
	Key        Key // of a keyfile or of recovery words
	Identities []age.Identity
}

// Format prints no secret.
func (Unlock) Format(f fmt.State, _ rune) { Key{}.Format(f, 'v') }

// Fits reports whether u holds what slots of this kind open with, be it right or wrong. An open slot needs nothing.
func (s *Slot) Fits(u Unlock) bool {
	switch s.Kind {
	case SlotPassword:
		return len(u.Password) > 0
	case SlotKeyfile:
		return !u.Key.IsZero()
	case SlotAge:
		return len(u.Identities) > 0
	}
	return true
}

// Cost is what an attempt to open the slot costs, in KiB times passes; 0 where there is no password.
func (s *Slot) Cost() uint64 {
	if s.Kind != SlotPassword || s.file.Argon2id == nil {
		return 0
	}
	return uint64(s.file.Argon2id.Time) * uint64(s.file.Argon2id.Memory)
}

// Open yields the key-encryption key. errs.WrongKey says that u is not what this slot was made for; errs.Corrupt that
// the slot is forged. A password costs what the slot says: 64 MiB and a quarter of a second, at most 1 GiB.
func (s *Slot) Open(u Unlock) (KEK, error) {
	k, err := s.open(u)
	if err != nil {
		return KEK{}, fmt.Errorf("open key slot %s: %w", s.ID, err)
	}
	return k, nil
}

func (s *Slot) open(u Unlock) (KEK, error) {
	if !s.Fits(u) {
		return KEK{}, errs.New(errs.WrongKey, "it opens with a %s", s.Kind)
	}
	secret, err := s.secret(u)
	if err != nil {
		return KEK{}, err
	}
	priv, err := xwing(Sub(secret, "slot", s.Repository, 0))
	if err != nil {
		return KEK{}, err
	}
	if base64.StdEncoding.EncodeToString(priv.PublicKey().Bytes()) != s.file.Public {
		return KEK{}, errs.New(errs.WrongKey, "this %s is not the one it was made with", s.Kind)
	}
	var w struct {
		Wrapped []byte `json:"wrapped"`
	}
	if _, err := checkObject(s.all, &w); err != nil {
		return KEK{}, err
	}
	if len(w.Wrapped) != wrappedLen {
		return KEK{}, errs.New(errs.Corrupt, "wrapped key of %d bytes, want %d", len(w.Wrapped), wrappedLen)
	}
	plain, err := hpke.Open(priv, hpke.HKDFSHA256(), hpke.AES256GCM(), append([]byte(slotInfo), s.head...), w.Wrapped)
	if err != nil {
		return KEK{}, errs.New(errs.Corrupt, "the secret is right but the slot does not open: it was changed by someone without the key")
	}
	return KEK{Key: Key(plain[:32]), Number: binary.LittleEndian.Uint32(plain[32:])}, nil
}

// secret yields the 32 bytes that the slot's key pair is made of.
func (s *Slot) secret(u Unlock) (Key, error) {
	switch s.Kind {
	case SlotPassword:
		if s.file.Argon2id == nil {
			return Key{}, errs.New(errs.Corrupt, "the costs are missing")
		}
		return s.file.Argon2id.secret(u.Password)
	case SlotOpen:
		b, err := hex.DecodeString(s.file.Secret)
		if err != nil || len(b) != len(Key{}) {
			return Key{}, errs.New(errs.Corrupt, "the secret of an open slot is not 64 hexadecimal digits")
		}
		return Key(b), nil
	case SlotAge:
		return s.ageSecret(u.Identities)
	}
	return u.Key, nil
}

// ageSecret decrypts the secret of a slot for age recipients.
func (s *Slot) ageSecret(ids []age.Identity) (Key, error) {
	b, err := base64.StdEncoding.DecodeString(s.file.Age)
	if err != nil {
		return Key{}, errs.As(errs.Corrupt, err)
	}
	r, err := age.Decrypt(bytes.NewReader(b), ids...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return Key{}, errs.New(errs.WrongKey, "none of the age identities is a recipient")
	}
	if err != nil {
		return Key{}, errs.As(errs.Corrupt, err)
	}
	var secret [len(Key{}) + 1]byte
	n, err := io.ReadFull(r, secret[:])
	if !errors.Is(err, io.ErrUnexpectedEOF) || n != len(Key{}) {
		return Key{}, errs.New(errs.Corrupt, "its age file does not hold a key")
	}
	return Key(secret[:32]), nil
}

// secret runs Argon2id within the bounds.
func (a *slotArgon) secret(password []byte) (Key, error) {
	if a.Time < 1 || a.Time > argonMaxTime || a.Threads < 1 || a.Threads > argonMaxPara ||
		a.Memory < 8*uint32(a.Threads) || a.Memory > argonMaxMem {
		return Key{}, errs.New(errs.Unsupported, "argon2id costs t=%d m=%d KiB p=%d are out of bounds", a.Time, a.Memory, a.Threads)
	}
	salt, err := hex.DecodeString(a.Salt)
	if err != nil || len(salt) != saltBytes {
		return Key{}, errs.New(errs.Corrupt, "the salt is not %d hexadecimal digits", 2*saltBytes)
	}
	return Key(argon2.IDKey(password, salt, a.Time, a.Memory, a.Threads, 32)), nil
}
