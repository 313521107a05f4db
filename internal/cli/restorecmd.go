package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nacre-backup/nacre/internal/connect"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/restore"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/units"
	"github.com/nacre-backup/nacre/internal/view"
)

// restoreFlags are the flags of restore.
type restoreFlags struct {
	target             string
	include, iinclude  []string
	exclude, iexclude  []string
	overwrite          string
	strip              int
	dryRun, verify     bool
	sparse, numericIDs bool
	setID, devices     bool
}

func (a *app) restoreCommand() *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use:     "restore SNAPSHOT[:PATH] --target DIR",
		Short:   "Restore a snapshot, or a part of it",
		GroupID: groupDaily,
		Long: `Restore a snapshot below DIR, with the absolute paths that it has; or, with a
path, put what is in that directory (or that file) straight into DIR, which is
made if it is missing.

Nothing outside DIR is ever touched. What exists is left alone unless
--overwrite says otherwise. Set-id bits, file capabilities and devices are
restored on request only.`,
		Example: example(`nacre restore latest --target "$HOME/restored"`,
			`nacre restore "latest:$HOME/Documents" --target "$HOME/again" --include "*.txt"`),
		Args:              exactly(1, snapshotArgument),
		ValidArgsFunction: a.completeSnapshots(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return a.runRestore(cmd.Context(), &f, args[0]) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.target, "target", "t", "", "restore into `DIR`")
	fl.StringArrayVarP(&f.include, "include", "i", nil, "restore only what matches `PATTERN`, and what is below it")
	fl.StringArrayVar(&f.iinclude, "iinclude", nil, "the same in any case")
	fl.StringArrayVarP(&f.exclude, "exclude", "e", nil, "leave out what matches `PATTERN` (help patterns)")
	fl.StringArrayVar(&f.iexclude, "iexclude", nil, "the same in any case")
	fl.StringVar(&f.overwrite, "overwrite", "never", "replace what exists by `RULE`: never, if-changed (size or time differ) or always")
	fl.IntVar(&f.strip, "strip-components", 0, "remove `N` leading directories from each path")
	fl.BoolVarP(&f.dryRun, "dry-run", "n", false, "say what would be restored, and write nothing")
	fl.BoolVar(&f.verify, "verify", false, "read back and compare what was written")
	fl.BoolVar(&f.sparse, "sparse", false, "make holes of zeros, beside the holes that the files had")
	fl.BoolVar(&f.numericIDs, "numeric-ids", false, "restore owners by number, not by name")
	fl.BoolVar(&f.setID, "set-id", false, "restore set-id bits and file capabilities")
	fl.BoolVar(&f.devices, "devices", false, "restore character and block devices")
	choices(cmd, "overwrite", "never", "if-changed", "always")
	return cmd
}

func (a *app) runRestore(ctx context.Context, f *restoreFlags, arg string) error {
	switch {
	case f.target == "":
		return errs.WithHint(errs.New(errs.Usage, "--target is missing"), "as in: %s", a.onRepo("nacre restore "+shellQuote(arg)+" --target ./restored"))
	case f.strip < 0:
		return errs.New(errs.Usage, "--strip-components %d: want a number from 0", f.strip)
	}
	overwrite, err := connect.ParseOverwrite(f.overwrite)
	if err != nil {
		return errs.As(errs.Usage, err)
	}
	choose, err := restore.Choose(restore.Patterns{Include: f.include, IInclude: f.iinclude, Exclude: f.exclude, IExclude: f.iexclude})
	if err != nil {
		return err
	}
	return a.look(ctx, func(_ *vault, w *view.View) error {
		s, path, _, err := a.findPath(w, arg)
		if err != nil {
			return err
		}
		if path != nil { // before anything is made
			t, err := w.Tree(s)
			if err != nil {
				return fmt.Errorf("open snapshot %s: %w", shortID(s), err)
			}
			if _, err := t.Lookup(ctx, path); errors.Is(err, errs.NotFound) {
				return a.noPath(err, s, path)
			}
		}
		var to sink.Sink
		if !f.dryRun || exists(f.target) {
			folder, err := connect.OpenFolder(f.target, connect.FileSink{
				Overwrite: overwrite, NumericIDs: f.numericIDs, SetID: f.setID, Devices: f.devices, DryRun: f.dryRun,
			})
			if err != nil {
				return fmt.Errorf("restore to %s: %w", f.target, err)
			}
			to = folder
		}
		o := restore.Options{
			SubPath: path, Select: choose, StripComponents: f.strip, DryRun: f.dryRun, Verify: f.verify, Sparse: f.sparse,
			Program: programName(), Events: a.event, Counters: &event.Counters{},
		}
		start := a.p.Clock.Now()
		a.startProgress(o.Counters)
		sum, err := restore.Run(ctx, w, s, to, o)
		a.out.endProgress()
		if err != nil {
			return a.noPath(err, s, path)
		}
		if sum.Incomplete() {
			a.code = exitIncomplete
		}
		a.restoreSummary(f, s.ID.String(), sum, a.p.Clock.Now().Sub(start))
		return nil
	})
}

// restoreLine is the last JSON line of a restore.
type restoreLine struct {
	Snapshot string      `json:"snapshot"`
	Target   string      `json:"target"`
	DryRun   bool        `json:"dry_run,omitempty"`
	Verified bool        `json:"verified,omitempty"`
	Files    int64       `json:"files"`
	Dirs     int64       `json:"directories"`
	Symlinks int64       `json:"symlinks"`
	Others   int64       `json:"others"`
	Links    int64       `json:"hard_links"`
	Bytes    int64       `json:"bytes"`
	Skipped  int64       `json:"skipped"`
	Stale    int64       `json:"stale"`
	Failed   int64       `json:"failed"`
	Errors   []errorJSON `json:"errors,omitempty"`
	Losses   []lossJSON  `json:"losses,omitempty"`
	Seconds  float64     `json:"seconds"`
	ExitCode int         `json:"exit_code"`
}

func (a *app) restoreSummary(f *restoreFlags, snapshot string, sum *restore.Summary, took time.Duration) {
	if a.out.json {
		a.restoreJSON(f, snapshot, sum, took)
		return
	}
	for _, l := range sum.Losses {
		a.out.warn(lossText(l), "")
	}
	if a.out.quiet {
		return
	}
	verb := "Restored"
	if f.dryRun {
		verb = "Would restore"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, %s, %s, %s, %s to %s in %s\n", verb, plural(int(sum.Files), "file"), plural(int(sum.Dirs), "directory"),
		plural(int(sum.Symlinks), "symlink"), plural(int(sum.Others), "other"), units.Bytes(sum.Bytes), printable([]byte(f.target)), units.Duration(took))
	a.warnOfNothing(f, snapshot, sum)
	if sum.Skipped > 0 {
		fmt.Fprintf(&b, "%s left as they were (--overwrite, --set-id and --devices say what is replaced or restored)\n", plural(int(sum.Skipped), "entry"))
	}
	if sum.Stale > 0 {
		fmt.Fprintf(&b, "%s could not be read at the time of the snapshot: their content is that of an earlier one\n", units.Count(sum.Stale))
	}
	if f.verify && !f.dryRun && sum.Failed == 0 {
		b.WriteString("Everything that was written was read back and is the same\n")
	}
	a.out.printf("%s", b.String())
	if sum.Failed > 0 {
		a.out.warn(plural(int(sum.Failed), "entry")+" could not be restored", a.restoreHint(sum))
	}
}

// warnOfNothing tells why nothing was restored, if that is so.
func (a *app) warnOfNothing(f *restoreFlags, snapshot string, sum *restore.Summary) {
	nothing := sum.Files+sum.Symlinks+sum.Others+sum.Skipped+sum.Failed == 0 && sum.Dirs <= 1
	switch {
	case nothing && sum.Dirs == 0 && f.strip > 0:
		a.out.warn(fmt.Sprintf("nothing has more than %s to strip", plural(f.strip, "path component")), "a smaller --strip-components restores something")
	case nothing && len(f.include)+len(f.iinclude) > 0:
		a.out.warn("nothing in the snapshot matches --include", "patterns are of paths in the snapshot, as "+a.onRepo("nacre ls "+snapshot[:8])+" shows them")
	}
}

func (a *app) restoreJSON(f *restoreFlags, snapshot string, sum *restore.Summary, took time.Duration) {
	l := restoreLine{
		Snapshot: snapshot, Target: f.target, DryRun: f.dryRun, Verified: f.verify, Files: sum.Files, Dirs: sum.Dirs,
		Symlinks: sum.Symlinks, Others: sum.Others, Links: sum.Links, Bytes: sum.Bytes, Skipped: sum.Skipped, Stale: sum.Stale,
		Failed: sum.Failed, Seconds: took.Seconds(), ExitCode: a.code, Losses: lossesJSON(sum.Losses),
	}
	for _, x := range sum.Failures {
		l.Errors = append(l.Errors, errorJSON{pathJSON(shown(x.Path)), x.Err.Error()})
	}
	a.out.emit("summary", l)
}

// restoreHint says what to do about entries that failed: what the first one says itself, else to look for damage if
// there is any.
func (a *app) restoreHint(sum *restore.Summary) string {
	for _, f := range sum.Failures {
		if hint := errs.Hint(f.Err); hint != "" {
			return hint
		}
	}
	for _, f := range sum.Failures {
		if errors.Is(f.Err, errs.Corrupt) || errors.Is(f.Err, errs.NotFound) {
			return a.onRepo("nacre check --read-data") + " tells what is damaged"
		}
	}
	return ""
}
