// Package cli is about the command line: what a user says to nacre, and what nacre says back.
//
// Results go to standard output, everything else to standard error. An error is one line that says what failed on
// which object, and where the user can do something a second line that begins with "hint:". With --json, standard
// output holds one JSON object on each line, whose forms docs/JSON.md describes; the last one is of type "summary" or
// "error". Exit codes are part of the interface (nacre help exit-codes).
//
// A flag can be given as an environment variable: --some-flag is NACRE_SOME_FLAG. Secrets never stand in arguments.
//
// The first SIGINT, SIGTERM or SIGHUP lets a running verb end in order: backup commits a checkpoint, everything else
// gives up. The second one ends the process at once; the repository stands that, as it stands a power cut.
//
// The work is done by the verbs (backup, restore, check) and the vault's view; this package only connects, asks and
// draws.
package cli
