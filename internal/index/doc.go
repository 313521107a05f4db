// Package index is about where blobs are: which slot of which segment of which pack, and whether a blob must be stored
// at all.
//
// The truth is in the packs' own directories. Index objects are copies of directories, one object for many packs, so
// that a client learns about a repository in few reads; a client keeps what it learned in a local cache. Losing index
// objects, the cache or both loses nothing: Open reads the directories of the packs themselves where nothing else tells
// of them. A run that commits a snapshot writes lost index objects anew (Mend), so that this is done once.
//
// The cache is a set of runs: immutable sorted files of 32 bytes a blob, mapped into memory, each with a blocked Bloom
// filter and the first id of each block (run.go). What is new comes into a table, which becomes a run when it is full or
// complete; when there are more than eight runs, the smaller ones are merged. Several processes may use one cache folder:
// files are written under names of their own and renamed, never changed, and a file that vanished or is damaged is made
// anew.
//
// A claim (Claim) is the question of a writer: must I store this blob? "No" is a promise that the blob will still be there,
// so the answer counts only what is in usable packs (session.State) that a committed index object or the pack's own
// directory told of, or what this run itself stores. A lookup for reading takes whatever is known: the content is compared
// with its id after all.
//
// The running session's blobs are in 256 maps under a lock each, so that asking and claiming is one step; beyond half a
// million they become a run as well.
package index
