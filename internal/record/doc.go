// Package record is about control objects as data: the deterministic-CBOR forms of sessions, heartbeats, fates,
// snapshots, tombstones and condemn records (docs/FORMAT.md section 14).
//
// Each record is a CBOR map with small unsigned integer keys. Encode is a function of the record alone: the same
// record gives the same bytes on every machine. Decode checks what it reads before it believes it: definite lengths,
// no tags, no floats, no key twice, every identifier of its exact length, every enumeration within its range, at
// most MaxElements elements in an array. A key that it does not know is ignored; a record encoded again after that
// has lost it, so that objects are copied as bytes and never decoded and encoded.
//
// The package is pure: it seals, signs and stores nothing. crypt puts a record into its container, repo puts the
// container into the store.
package record
