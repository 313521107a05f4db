package main

// bar is a figure that nacre is held to: a measure of an operation, at most limit times the peer's. Without a peer limit
// is the measure itself.
type bar struct {
	corpus, op, tool, measure, peer string
	limit, stretch                  float64
}

// The measures.
const (
	cpu    = "cpu"    // user and system seconds
	user   = "user"   // user seconds
	wall   = "wall"   // seconds
	stored = "stored" // bytes of the repository
	grown  = "added"  // bytes that day 2 added
	anon   = "anon"   // MiB, the highest anonymous memory
	peak   = "peak"   // MiB, the highest resident memory, mapped pages included
	calls  = "calls"  // system calls a file
)

// bars are those of the project. A no-change backup and short commands are measured with a key that needs no derivation
// (nacre-key) where the bar says so.
var bars = []bar{
	{"SRC", first, "nacre", cpu, "restic", 0.33, 0.25},
	{"SRC", first, "nacre", wall, "restic", 0.30, 0.23},
	{"SRC", first, "nacre", cpu, "borg", 0.68, 0},
	{"SRC", first, "nacre", stored, "restic", 0.92, 0.88},
	{"SRC", first, "nacre", anon, "", 160, 0},
	{"SRC", again, "nacre-key", cpu, "restic", 0.12, 0},
	{"SRC", again, "nacre", cpu, "restic", 0.16, 0},
	{"SRC", again, "nacre-key", cpu, "kopia", 0.33, 0},
	{"SRC", again, "nacre-key", cpu, "find", 1.6, 0},
	{"SRC", again, "nacre-key", wall, "find", 1.0, 0},
	{"SRC", day2, "nacre", cpu, "restic", 0.30, 0},
	{"SRC", day2, "nacre", cpu, "kopia", 0.5, 0},
	{"SRC", day2, "nacre", grown, "restic", 0.8, 0.6},
	{"SRC", restore, "nacre", user, "borg", 0.6, 0},
	{"SRC", restore, "nacre", user, "restic", 0.45, 0},
	{"SRC", restore, "nacre", wall, "borg", 0.6, 0},
	{"SRC", restore, "nacre", wall, "restic", 0.6, 0},
	{"SRC", restore, "nacre", calls, "", 6, 0},
	{"SRC", check, "nacre", cpu, "restic", 0.4, 0},
	{"TINY", first, "nacre", cpu, "restic", 0.15, 0},
	{"TINY", first, "nacre", wall, "restic", 0.25, 0},
	{"TINY", first, "nacre", stored, "restic", 0.64, 0},
	{"TINY", first, "nacre", anon, "", 192, 0},
	{"TINY", again, "nacre-key", cpu, "restic", 0.13, 0},
	{"TINY", again, "nacre-key", cpu, "find", 1.5, 0},
	{"TINY", again, "nacre-key", wall, "find", 0.9, 0},
	{"TINY", restore, "nacre", user, "restic", 0.5, 0},
	{"TINY", restore, "nacre", anon, "", 192, 0},
	{"TINY", check, "nacre", cpu, "restic", 0.3, 0},
	{"BIG", first, "nacre", cpu, "restic", 0.28, 0.22},
	{"BIG", first, "nacre", wall, "restic", 0.30, 0},
	{"BIG", first, "nacre", cpu, "borg", 0.8, 0},
	{"BIG", first, "nacre", stored, "restic", 1.02, 0.98},
	{"BIG", first, "nacre", anon, "", 128, 0},
	{"BIG", day2, "nacre", cpu, "restic", 0.3, 0},
	{"BIG", day2, "nacre", cpu, "borg", 0.5, 0},
	{"BIG", day2, "nacre", grown, "restic", 0.35, 0},
	{"BIG", restore, "nacre", cpu, "restic", 0.6, 0},
	{"BIG", check, "nacre", cpu, "restic", 0.5, 0},
	{"any", list, "nacre", wall, "restic", 0.6, 0},
	{"any", list, "nacre-key", wall, "kopia", 0.5, 0},
	{"any", list, "nacre-key", wall, "", 0.08, 0},
	{"any", one, "nacre", wall, "restic", 0.6, 0},
	{"any", one, "nacre-key", wall, "kopia", 0.5, 0},
	{"any", one, "nacre-key", wall, "", 0.08, 0},
	{"MID", first, "nacre", stored, "restic", 0.86, 0},
	{"MID", first, "nacre-max", stored, "zpaq", 1, 0},
}
