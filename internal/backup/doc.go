// Package backup is about turning a source into a snapshot.
//
// One goroutine scans: it takes the source's entries in key order and joins them with the trees of the parents, which
// are in the same order. What is unchanged is passed on as it stands in the old tree, at a cost of a comparison; what
// is new or changed becomes work. Entries travel in batches through a bounded window. Workers, as many as there are
// processors, take batches with work; a worker does everything for a file itself: describe, read, cut, name, claim,
// and append to its own open segment, so that no byte is handed over before it is sealed. The builder takes the
// batches in key order, as they become ready, and adds their entries to the new tree. A file of 64 MiB or more waits
// until it stands alone at the head of the window; one worker then reads and cuts it and all of them store its
// stripes.
//
// Nothing is lost silently. An entry that cannot be read keeps what the parent has, flagged stale; a file that
// changes while it is read is read again, and flagged torn if it goes on changing; a directory that cannot be listed
// keeps what the parent has below it; a mount point that is suddenly empty is an error, not a deletion. Every one of
// them is in the snapshot's record, in the summary and so in the exit code. What fails in the repository fails the
// run: a segment that does not decode to what was sealed, a store that does not take a pack.
//
// A file system may hang, or give a byte a minute: nothing but the entry at hand waits for it. No call of the source is
// made within the gate, which a checkpoint holds alone, and a run that has ended leaves such a call behind.
//
// A checkpoint stops the workers between two chunks, commits what is ready, a file in progress at the head included,
// and goes on in a new session. After a crash the next run on this machine takes the dead session's packs
// over and starts from the last checkpoint; by its journal it does not read again what the packs hold.
//
// Memory: the window (65,536 entries and 64 MiB of content at most, which stay in the workers' buffers of 4 MiB each),
// the tables of hard links (13 MiB) and moved directories (60 bytes for each directory of the parent, built when the
// first new directory is met), and what the vault states.
package backup
