package backup

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/segment"
	"github.com/nacre-backup/nacre/internal/source"
)

// The defaults of the checkpoint options.
const (
	DefaultCheckpointInterval = 5 * time.Minute
	DefaultCheckpointBytes    = 8 << 30
)

// ErrInterrupted says that Options.Interrupt ended the run after a checkpoint: the next run goes on from there.
var ErrInterrupted = errors.New("interrupted")

// Options says what is backed up, and how.
type Options struct {
	Repo *repo.Repo // nil in a dry run without a repository
	// Open opens the source. It is called once, and once more for each time that the session was killed while the
	// run slept; if it then fails with errs.Unsupported (standard input), the run fails.
	Open func(ctx context.Context) (source.Source, error)
	// Stream says that the source's files are streams (source.Streamed).
	Stream bool

	CacheDir string // of this repository on this machine; empty: nothing is cached
	StateDir string // of this repository on this machine; empty: no journal

	Host     string // who this is; with Roots it finds the parent
	User     string
	Roots    []string // as the user named them, made absolute
	Kind     string   // of the source: "files", "stdin", "command"
	Tags     []string
	Name     string
	Time     time.Time // the moment the snapshot stands for; zero: the start of the run
	Excludes []string  // for the record
	Program  string    // name and version, for the record

	Force           bool // no parent: read everything
	DryRun          bool // list and compare, write nothing
	SkipIfUnchanged bool // no snapshot if its tree is the parent's
	Verbose         bool // an event for each entry, not only for failures

	Level              codec.Level
	Auto               bool                 // Level is Fastest, and Default while the store takes packs too slowly
	coder              func() segment.Coder // instead of one of Level; tests break it
	big                int64                // instead of bigFile; tests have smaller ones
	Workers            int                  // 0: one for each processor
	CheckpointInterval time.Duration        // 0: DefaultCheckpointInterval; below 0: never
	CheckpointBytes    int64                // of content read; 0: DefaultCheckpointBytes; below 0: never

	// Interrupt asks for a checkpoint and an end when it is closed. The context's end gives up at once.
	Interrupt <-chan struct{}

	Events   event.Func
	Counters *event.Counters // nil: nobody looks
}

func (o *Options) setDefaults() {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.CheckpointInterval == 0 {
		o.CheckpointInterval = DefaultCheckpointInterval
	}
	if o.CheckpointBytes == 0 {
		o.CheckpointBytes = DefaultCheckpointBytes
	}
	if o.big == 0 {
		o.big = bigFile
	}
	if o.Counters == nil {
		o.Counters = &event.Counters{}
	}
	if o.Kind == "" {
		o.Kind = "files"
	}
}

// Validate says what in the options cannot be.
func (o *Options) Validate() error {
	switch {
	case o.Open == nil:
		return errs.New(errs.Usage, "backup: no source")
	case o.Repo == nil && !o.DryRun:
		return errs.New(errs.Usage, "backup: no repository")
	case o.Host == "":
		return errs.New(errs.Usage, "backup: no host name")
	case len(o.Roots) == 0:
		return errs.New(errs.Usage, "backup: nothing to back up")
	}
	for _, t := range o.Tags {
		if t == "" {
			return fmt.Errorf("backup: %w", errs.New(errs.Usage, "a tag is empty"))
		}
	}
	return nil
}

// Summary is what a run did.
type Summary struct {
	Snapshot id.Session // zero if none was made (dry run, skipped)
	Record   record.Snapshot
	// Checkpoint says that the run was interrupted and Snapshot is the checkpoint from which the next one goes on. An
	// interrupted run that got nowhere has no Snapshot.
	Checkpoint bool
	// Skipped says that no snapshot was made since nothing changed.
	Skipped bool
	// ResumedFrom is the checkpoint that the run went on from; Adopted counts the packs taken over from dead sessions
	// and Journal the files that were not read again since the journal knew them.
	ResumedFrom id.Session
	Adopted     int
	Journal     uint64

	NewPages  int64 // tree and extent pages written
	NewBlobs  int64 // blobs of content written
	DataPacks int64
	MetaPacks int64
	Known     int64 // bytes of content that were stored already
}

// Incomplete reports whether something could not be read.
func (s *Summary) Incomplete() bool { return s.Record.Stats.Failed > 0 || len(s.Record.Errors) > 0 }
