package crypt

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/nacre-backup/nacre/internal/clock"
)

// Key is 32 secret bytes. It prints as "[secret]" whatever the verb, in JSON and in logs.
type Key [32]byte

// hidden is what stands in the place of a secret wherever one would be printed.
const hidden = "[secret]"

// Format prints "[secret]" for every verb.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hidden) } // a failed print leaks nothing

// LogValue keeps the key out of structured logs.
func (Key) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON refuses: a key has no JSON form. Where one must stand in a file, its owner converts it by hand.
func (Key) MarshalJSON() ([]byte, error) { return nil, errors.New("a key has no JSON form") }

// IsZero reports whether k is the zero key, which stands for "none".
func (k Key) IsZero() bool { return k == Key{} }

// NewKey draws a key from r.
func NewKey(r clock.Rand) (k Key, err error) {
	if _, err = io.ReadFull(r, k[:]); err != nil {
		return Key{}, fmt.Errorf("draw a key: %w", err)
	}
	return k, nil
}

// Sub derives the key for one purpose from a secret: HKDF-Expand("nacre/1 " ‖ purpose ‖ 0x00 ‖ scope ‖ u32 epoch).
// The scope is a domain id or the repository id.
func Sub(secret Key, purpose string, scope [16]byte, epoch uint32) Key {
	info := make([]byte, 0, 64)
	info = append(info, "nacre/1 "...)
	info = append(info, purpose...)
	info = append(info, 0)
	info = append(info, scope[:]...)
	info = binary.LittleEndian.AppendUint32(info, epoch)
	return Key(expand(secret[:], string(info), 32))
}

// SealKey derives the input key that seals the objects of a class in a domain (D, M, I) from the domain's epoch
// secret.
func SealKey(epochSecret Key, c Class, domain [16]byte, epoch uint32) Key {
	return Sub(epochSecret, "seal-"+string(rune(c)), domain, epoch)
}

// expand is HKDF-SHA256 expand. It fails only for lengths that no caller asks for.
func expand(prk []byte, info string, n int) []byte {
	out, err := hkdf.Expand(sha256.New, prk, info, n)
	if err != nil {
		panic(fmt.Sprintf("hkdf expand of %d bytes: %v", n, err))
	}
	return out
}

// extract is HKDF-SHA256 extract.
func extract(salt, ikm []byte) []byte {
	prk, err := hkdf.Extract(sha256.New, ikm, salt)
	if err != nil {
		panic(fmt.Sprintf("hkdf extract: %v", err))
	}
	return prk
}
