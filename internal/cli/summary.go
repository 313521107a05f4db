package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nacre-backup/nacre/internal/backup"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/units"
)

// totals are the figures of all snapshots together.
type totals struct {
	Snapshots  int    `json:"snapshots"`
	Original   uint64 `json:"original_bytes"`
	New        uint64 `json:"deduplicated_bytes"`
	Compressed uint64 `json:"compressed_bytes"`
	Stored     uint64 `json:"stored_bytes"`
}

// repositoryTotals adds up what the repository holds: of each live snapshot the size of its files, and of all usable
// packs the size; what was added by each run is in its record.
func repositoryTotals(ctx context.Context, v *vault) (t totals, err error) {
	st, err := session.List(ctx, v.repo)
	if err != nil {
		return t, err
	}
	for _, s := range st.Snapshots() {
		t.Snapshots++
		t.Original += s.Record.Stats.Bytes
		t.add(&s.Record.Stats)
	}
	for _, s := range st.Checkpoints() {
		t.add(&s.Record.Stats)
	}
	err = st.Packs(func(p record.Pack) error {
		t.Stored += uint64(p.Size)
		return nil
	})
	return t, err
}

func (t *totals) add(s *record.Stats) {
	t.New += s.Original
	t.Compressed += s.Compressed
}

// backupLine is the last JSON line of a backup.
type backupLine struct {
	Snapshot    *snapshotLine `json:"snapshot,omitempty"`
	DryRun      bool          `json:"dry_run,omitempty"`
	Skipped     bool          `json:"skipped,omitempty"`
	Checkpoint  bool          `json:"checkpoint,omitempty"`
	ResumedFrom string        `json:"resumed_from,omitempty"`
	Adopted     int           `json:"adopted_packs,omitempty"`
	Journal     uint64        `json:"journal_files,omitempty"`
	Stats       statsJSON     `json:"stats"`
	Errors      []errorJSON   `json:"errors,omitempty"`
	Seconds     float64       `json:"seconds"`
	NewPages    int64         `json:"new_tree_pages"`
	NewBlobs    int64         `json:"new_blobs"`
	DataPacks   int64         `json:"data_packs"`
	MetaPacks   int64         `json:"meta_packs"`
	All         *totals       `json:"all,omitempty"`
	Restore     string        `json:"restore_command,omitempty"`
	KitWanted   bool          `json:"kit_wanted,omitempty"`
	ExitCode    int           `json:"exit_code"`
}

// backupSummary tells what a backup did.
func (a *app) backupSummary(ctx context.Context, v *vault, o *backup.Options, sum *backup.Summary) {
	r := &sum.Record
	var all *totals
	if v != nil && !sum.Checkpoint && !o.DryRun {
		t, err := repositoryTotals(context.WithoutCancel(ctx), v)
		if err != nil {
			a.out.warn(fmt.Sprintf("add up the repository: %v", err), "the snapshot is safe; only these figures are missing")
		} else {
			all = &t
		}
	}
	if a.out.json {
		a.emitBackup(v, o, sum, all)
		return
	}
	if a.out.quiet {
		return
	}
	a.backupVerdict(o, sum)
	var b strings.Builder
	full := !o.DryRun && !sum.Skipped && !sum.Checkpoint
	if full {
		if r.Name != "" {
			fmt.Fprintf(&b, "Snapshot name: %s\n", printable([]byte(r.Name)))
		}
		fmt.Fprintf(&b, "Snapshot id:   %s\n", sum.Snapshot)
	}
	if r.Start != 0 && !o.DryRun {
		fmt.Fprintf(&b, "Start:         %s\n", units.Moment(time.Unix(0, r.Start).Local()))
		fmt.Fprintf(&b, "End:           %s\n", units.Moment(time.Unix(0, r.End).Local()))
		fmt.Fprintf(&b, "Duration:      %s\n", units.Duration(time.Duration(r.End-r.Start)))
	}
	s := &r.Stats
	fmt.Fprintf(&b, "Entries:       %s new, %s changed, %s unchanged, %s moved, %s failed\n", units.Count(s.New), units.Count(s.Changed),
		units.Count(s.Unchanged), units.Count(s.Moved), units.Count(s.Failed))
	if s.Removed > 0 {
		fmt.Fprintf(&b, "               %s removed since the last snapshot\n", units.Count(s.Removed))
	}
	if full {
		writeTable(&b, s, all)
	}
	a.out.printf("%s", b.String())
	a.backupNotes(o, sum)
}

// backupVerdict says what was done where that is not a whole snapshot, or not from the beginning.
func (a *app) backupVerdict(o *backup.Options, sum *backup.Summary) {
	if !sum.ResumedFrom.IsZero() {
		a.out.printf("Resumed from the checkpoint %.8s\n", sum.ResumedFrom)
	}
	switch {
	case o.DryRun:
		a.out.printf("Dry run: nothing was read or written. To be read: %s\n", units.Bytes(int64(min(sum.Record.Stats.Read, 1<<62))))
	case sum.Skipped:
		a.out.printf("Nothing changed since the last snapshot: none was made\n")
	case sum.Checkpoint:
		a.out.printf("Checkpoint %.8s is saved\n", sum.Snapshot)
	}
}

// writeTable writes the sizes: what the files have, what of it was new to the repository, and what that takes when
// compressed.
func writeTable(b *strings.Builder, s *record.Stats, all *totals) {
	line := func(name string, original, dedup, compressed uint64) {
		fmt.Fprintf(b, "%-16s %14s %14s %14s\n", name, sizeOf(original), sizeOf(dedup), sizeOf(compressed))
	}
	fmt.Fprintf(b, "\n%-16s %14s %14s %14s\n", "", "Original", "Deduplicated", "Compressed")
	line("This snapshot:", s.Bytes, s.Original, s.Compressed)
	if all != nil {
		line("All snapshots:", all.Original, all.New, all.Compressed)
		fmt.Fprintf(b, "%-16s %14s\n", "In the store:", sizeOf(all.Stored))
	}
}

func sizeOf(n uint64) string { return units.Bytes(int64(min(n, 1<<62))) }

// backupNotes tells what the figures do not.
func (a *app) backupNotes(o *backup.Options, sum *backup.Summary) {
	s := &sum.Record.Stats
	if o.DryRun || sum.Checkpoint {
		return
	}
	if sum.NewBlobs == 0 && sum.NewPages == 0 && !sum.Skipped && !sum.Record.Parent.IsZero() {
		a.out.printf("Nothing changed: no data and no tree page was written\n")
	}
	if n := max(s.Failed, uint64(len(sum.Record.Errors))); n > 0 {
		text := plural(int(n), "entry") + " could not be read"
		if !sum.Record.Parent.IsZero() {
			text += "; what the last snapshot had there is kept"
		}
		a.out.warn(text, "")
	}
}

func (a *app) emitBackup(v *vault, o *backup.Options, sum *backup.Summary, all *totals) {
	r := &sum.Record
	l := backupLine{
		DryRun: o.DryRun, Skipped: sum.Skipped, Checkpoint: sum.Checkpoint, Stats: statsOf(r.Stats),
		Seconds: time.Duration(r.End - r.Start).Seconds(), NewPages: sum.NewPages, NewBlobs: sum.NewBlobs,
		DataPacks: sum.DataPacks, MetaPacks: sum.MetaPacks, Adopted: sum.Adopted, Journal: sum.Journal, All: all, KitWanted: v != nil && a.kitWanted(v),
	}
	if !sum.Snapshot.IsZero() {
		s := lineOf(sum.Snapshot.String(), r)
		l.Snapshot = &s
		l.Restore = a.restoreCommandLine(s.Short)
	}
	if !sum.ResumedFrom.IsZero() {
		l.ResumedFrom = sum.ResumedFrom.String()
	}
	if sum.Incomplete() {
		l.ExitCode = exitIncomplete
	}
	if l.Snapshot == nil {
		for _, e := range r.Errors {
			l.Errors = append(l.Errors, errorJSON{pathJSON(shown(e.Path)), e.Text})
		}
	}
	a.out.emit("summary", l)
}
