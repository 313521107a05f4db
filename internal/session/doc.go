// Package session is about who is writing, what has been committed, and what may be used: sessions, fates,
// tombstones, condemn records, and the commit itself. docs/FORMAT.md section 16 is its law.
//
// Everybody reads in one order: condemn records, tombstones, sessions, fates (List). A writer puts its session first
// and lists then (Begin), so that a pruner that condemned packs before the listing is seen by the writer, and one
// that condemns them later sees the writer's session and waits for its fate. Packs count when a committed fate names
// them, no fate says they are gone and no record condemns them (State.UsablePack).
//
// Commit creates the fate, whose name says whose it is: of a writer and a killer that both try, one wins and both
// see who. Where the store has no create-if-absent (the register class) a killer announces itself first, and the
// writer looks for announcements after its own put. An answer that gets lost is settled by reading the fate back; no
// run ends without knowing, except with ErrOutcomeUnknown.
//
// Snapshots form a graph: a fate names the heads its writer saw. A fate that another one names and that is not there
// is an alarm.
//
// Each protocol is a machine whose step does one call of the store (Ops), so that a simulator can stop, crash or
// interleave it between any two calls.
package session
