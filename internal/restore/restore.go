// Package restore is about bringing a snapshot, or a part of it, back: vault to sink.
//
// # Algorithm
//
// Restore is turned inside out: packs feed files. One goroutine, the planner, walks the snapshot's tree in key order
// and cuts it into windows: at most 32,768 entries, 131,072 pieces of content, 512 files of more than one piece, and
// about 16 MiB of attributes that stand out of line. It
// begins directories as it meets them, drops what the filter or the sink leaves alone, looks up where each piece of
// content stands, sorts the pieces by pack and segment, and cuts them into units of one pack and about 8 MiB. While it
// plans one window, the workers carry out the one before: each takes a unit, has its segments fetched and decoded once,
// in order, and writes each blob to the place in each file that wants it. A file is begun with its first piece and
// finished with its last; so all tiny files of a segment are written by one worker. Hard links are made at the end of
// the window in which the first of their group was finished. A file of any length passes through several windows.
// Directories get their metadata when the sink is closed.
//
// # Promise
//
// Every blob is compared with its full id before a byte of it is written. A file whose content cannot be had is
// reported and removed, never left half-written or wrong; everything else is restored. A pack that is missing or
// damaged costs the files that need it, after every other copy of the blob was tried; a damaged tree page costs the
// entries it held, and the range is named. Whatever is missing in the end is in the Summary, which then says
// Incomplete. Hard links are joined where both the group and the content are equal, never by the group alone.
//
// A read session pins the snapshot while it is being restored, where one can be had (session.Reading); a dry run has
// none. A pack that a pruner has deleted meanwhile is looked for where the newest listing says.
//
// # Memory
//
// Two windows (about 16 MiB of pieces, 16 MiB of attributes and the leaves of their entries, 32 MiB as a rule), a segment and its fetched
// range for each worker, and about 150 bytes for each hard-link group of which members are still expected, of which at
// most 1,048,576 are kept; the members of groups beyond are restored as files of their own, which counts as a loss.
package restore

import (
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/tree"
)

// Choice is what a filter says of a path.
type Choice uint8

// The choices.
const (
	Take    Choice = iota // restore it
	Descend               // a directory that is only restored if something below it is
	Leave                 // leave it out, and everything below it
)

// Options say what is restored and how. The zero value restores everything.
type Options struct {
	// SubPath is a path of the snapshot without a leading slash. What is in that directory goes straight into the
	// target; what is not a directory goes there under its name.
	SubPath []byte
	// Select chooses by the path in the snapshot, without a leading slash. Nil takes everything. What lies below a path
	// that is left out is not asked for.
	Select func(path []byte, typ tree.Type) Choice
	// StripComponents removes so many leading components (after SubPath); entries with fewer are left out.
	StripComponents int
	// DryRun reports what would be done and changes nothing.
	DryRun bool
	// Verify reads each written file back and compares it with the ids of its content.
	Verify bool
	// Sparse leaves out aligned blocks of 4 KiB that are zero, beside the holes that the snapshot has.
	Sparse bool
	// Workers is how many goroutines fetch, decode and write; 0 stands for GOMAXPROCS.
	Workers int
	// Program is the name and version of the program, for the read session.
	Program string

	Events   event.Func
	Counters *event.Counters // nil: none

	bounds bounds // zero: the defaults; tests take smaller ones
}

// Failure is one path that could not be restored as it should be.
type Failure struct {
	Path []byte // in the snapshot
	Err  error
}

// MaxFailures is how many failures a Summary lists.
const MaxFailures = 1000

// Summary says what a restore did, or with DryRun would do.
type Summary struct {
	Files, Dirs, Symlinks, Others int64 // restored
	Links                         int64 // of Files and the others: made as further hard links
	Bytes                         int64 // of content in restored files, holes included
	Skipped                       int64 // left alone: they exist, or are restored on request only
	Stale                         int64 // restored files whose content is of an earlier snapshot, since they could not be read
	Failed                        int64 // entries that could not be restored, and lost ranges of the tree
	Failures                      []Failure
	Losses                        []sink.Loss
}

// Incomplete reports whether something that should have been restored was not.
func (s *Summary) Incomplete() bool { return s.Failed > 0 }
