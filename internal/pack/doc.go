// Package pack is about packs: the objects that hold sealed segments and a sealed directory that finds the blobs in
// them.
//
// A Writer streams a pack while it fills and hashes it for its name. Several workers share it: Reserve gives a worker
// the next segment number, the worker seals outside of any lock, and Ticket.Put hands the bytes in. Segments stand in
// the order of their numbers, so bytes that come early are copied and held until the ones before them came; at most
// one segment per worker is held (17 MiB each in the worst case, below 1 MiB as a rule). Memory besides: 28 bytes a
// blob, at most 2^19 blobs.
//
// A reader reads the last 64 KiB, which hold trailer and directory as a rule, and the header, then the segments that it
// wants. Index objects are in the same form: their segments, joined, list packs with their directories.
//
// Every decoder takes hostile input: lengths are checked against the bytes that are there and against the limits of
// docs/FORMAT.md section 15 before memory is taken for them. Sections 9 and 10 say the bytes.
package pack
