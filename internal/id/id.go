// Package id is about the identifiers of a repository: blob ids, object names, session ids, domain ids and writer
// ids, and their text form, which is lower-case hexadecimal everywhere.
//
// Every identifier is a fixed-size array, so that it can be a map key and costs no allocation. docs/FORMAT.md says
// where each one stands.
package id

import (
	"encoding/hex"
	"fmt"
)

// ID is the id of a blob: keyed BLAKE3-256 of its content, with a key per kind and domain. Trees carry it whole.
type ID [32]byte

// Short is the first 20 bytes of an ID, as pack directories, index objects and caches carry it. It finds a blob; the
// content is then verified against the whole ID.
type Short [20]byte

// Name is the BLAKE3-256 hash of an object's bytes, the last part of its path in the store.
type Name [32]byte

// Session is the id of a writer's session, 16 random bytes. A snapshot's id is the id of the session that committed
// it.
type Session [16]byte

// Domain is the id of a deduplication domain, 16 random bytes.
type Domain [16]byte

// Repository is the id of a repository, 16 random bytes made by init.
type Repository [16]byte

// Writer is the id of a writer: the first 8 bytes of the BLAKE3-256 hash of its Ed25519 public key.
type Writer [8]byte

// Link is the id of a hard-link group: a keyed hash of a file-system identity and an inode number. The zero value
// means that an entry is not hard-linked.
type Link [16]byte

// Short returns the first 20 bytes of i.
func (i ID) Short() Short { return Short(i[:20]) }

// IsZero reports whether i is the zero ID, which no content has and which stands for "none".
func (i ID) IsZero() bool { return i == ID{} }

// IsZero reports whether s is the zero session id, which stands for "none".
func (s Session) IsZero() bool { return s == Session{} }

// IsZero reports whether l is the zero group, which stands for "not hard-linked".
func (l Link) IsZero() bool { return l == Link{} }

func (i ID) String() string         { return hex.EncodeToString(i[:]) }
func (s Short) String() string      { return hex.EncodeToString(s[:]) }
func (n Name) String() string       { return hex.EncodeToString(n[:]) }
func (s Session) String() string    { return hex.EncodeToString(s[:]) }
func (d Domain) String() string     { return hex.EncodeToString(d[:]) }
func (r Repository) String() string { return hex.EncodeToString(r[:]) }
func (w Writer) String() string     { return hex.EncodeToString(w[:]) }
func (l Link) String() string       { return hex.EncodeToString(l[:]) }

// ParseID reads the 64 hexadecimal digits of an ID.
func ParseID(s string) (i ID, err error) {
	err = parse(i[:], s, "blob id")
	return i, err
}

// ParseName reads the 64 hexadecimal digits of a Name.
func ParseName(s string) (n Name, err error) {
	err = parse(n[:], s, "object name")
	return n, err
}

// ParseSession reads the 32 hexadecimal digits of a Session.
func ParseSession(s string) (v Session, err error) {
	err = parse(v[:], s, "session id")
	return v, err
}

// ParseRepository reads the 32 hexadecimal digits of a Repository.
func ParseRepository(s string) (r Repository, err error) {
	err = parse(r[:], s, "repository id")
	return r, err
}

// ParseWriter reads the 16 hexadecimal digits of a Writer.
func ParseWriter(s string) (w Writer, err error) {
	err = parse(w[:], s, "writer id")
	return w, err
}

// parse fills dst from s. It accepts lower-case digits only: every identifier has one text form.
func parse(dst []byte, s, what string) error {
	if len(s) != 2*len(dst) {
		return fmt.Errorf("%s %q: want %d hexadecimal digits, have %d", what, s, 2*len(dst), len(s))
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("%s %q: not a lower-case hexadecimal digit at %d", what, s, i)
		}
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		return fmt.Errorf("%s %q: %w", what, s, err)
	}
	return nil
}
