// Package codec is about making bytes fewer and getting the same bytes back: zstd at three levels, or the bytes as
// they are.
//
// Encode stores raw what does not gain 3 %: then reading it costs nothing. At the two fast levels it first looks at
// 1,024 bytes spread over the input (Incompressible) and leaves alone what looks like noise, which photographs,
// films, archives and encrypted files do; the level Best tries everything.
//
// Decode trusts nothing. A payload is exactly one zstd frame whose header says the length that the caller expects,
// with no dictionary, no checksum and a window of at most 8 MiB, and nothing after its last block (docs/FORMAT.md
// section 8). All of this is checked before memory is taken. The output is exactly rawLen bytes or an error of kind
// errs.Corrupt; no more than rawLen bytes and a constant are ever allocated.
//
// Memory of a Coder that was used both ways: about 2 MiB at Fastest, 3 MiB at Default, 38 MiB at Best.
package codec
