// Package crypt is about keys and seals: who may open a repository, what each key is for, and how bytes are sealed so
// that nobody without the key can read or change them.
//
// From the outside in: a key slot turns what a person has (a password, a keyfile, 24 recovery words, an age identity)
// into the key-encryption key; that opens the keyring (Ring), which holds the secrets of the domains, the control
// secret and the writers' public keys. Sub derives a key of its own for each purpose from those secrets. A Domain
// names blobs (keyed BLAKE3), a Sealer seals the segments of one object, SealControl makes the small signed objects
// (sessions, fates, tombstones), a Local seals caches and journals.
//
// A segment is sealed under a key and nonce derived from 32 random bytes in its object's header and from a keyed hash
// of its content (the siv), so no nonce can repeat, even in a cloned machine. The header and the number of the segment
// are bound into every seal: moving, swapping or truncating is noticed. Opening recomputes the siv in constant time.
//
// The package is pure: it reads no file and no clock, and takes random bytes from its callers. One exception: HPKE in
// the standard library draws its ephemeral keys from the system. docs/FORMAT.md sections 3 to 7 and 11 say the bytes.
package crypt
