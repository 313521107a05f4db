// Package repo is about the repository as a place with keys: making one, opening one, its key slots, its keyring and
// the control objects that stand in it.
//
// Init probes what the store promises, then writes the ring, the slot, their second copies, and nacre.json last: a
// place without nacre.json is no repository, so a crash leaves nothing that could be mistaken for one. Open reads
// nacre.json, opens a slot with what the user has, and takes the newest ring generation that opens; each of the
// three is read from dup/ where the original is damaged or gone, and the loss is reported as a warning. The client
// remembers the generation and hash of the ring it saw and refuses an older one.
//
// Changes of the ring (a writer enrolled, a slot added) are a new generation. Two clients may write the same
// generation at once; both stay, the one of the lowest name counts, and the other's author applies the change again
// one generation higher (Repo.change), so that no enrolment is lost.
//
// A control object (session, fate, tombstone, condemn record) is sealed and signed here and nowhere else.
package repo
