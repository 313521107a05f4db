// Package files is about files and directories as a source of entries. On Linux it walks by raw system calls; on other
// systems it does the same through the portable calls of the standard library.
//
// # The walk
//
// A directory is one piece of work: it is opened relative to its parent, its names are read to the end, sorted and
// filtered, then looked up one by one relative to its handle, in batches of batchSize. A listing that fails, even
// half way, yields no names at all: the reader gets one item with the error, so that what the last snapshot has there
// is kept. Entries are emitted in the order of tree.Key by the goroutine that iterates; a few walkers work ahead of
// it. The open work is a list of directories in the order of the emission: a walker takes the first piece of it that
// nobody has, as long as fewer than maxAhead entries wait to be emitted. What the emitter needs and nobody has taken
// it does itself, so that it never waits for the look-ahead to be used up.
//
// # Memory and handles
//
// A name of the directories being read takes 16 bytes beside its own bytes; above maxNames names the listing is sorted
// in runs on disk. An entry that waits takes about 130 bytes, at most maxAhead of them. An open directory is held by
// one of maxHandles handles; a handle that was given up is opened again from its nearest open ancestor, and must then
// be the same directory as before. No path is ever held whole but the one being emitted, so that a tree of any depth
// takes memory for its names only.
//
// # What is trusted
//
// An entry carries the identity of its file system: a UUID or the identifier that the file system derives from it,
// never the device number, which changes between boots. File systems whose inode numbers are made up by a server or a
// user process (NFS, SMB, 9p, FUSE and the like) or on mounting (FAT, exFAT) carry no inode number.
package files
