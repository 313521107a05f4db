package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/units"
	"github.com/nacre-backup/nacre/internal/view"
)

// snapshotFilter says which snapshots are meant.
type snapshotFilter struct {
	host, tag, name, path string
	last                  int
}

func (a *app) snapshotsCommand() *cobra.Command {
	var f snapshotFilter
	cmd := &cobra.Command{
		Use:     "snapshots",
		Short:   "List the snapshots",
		GroupID: groupLook,
		Long: `List the snapshots, oldest first. The last ones can be named latest, latest~1
and so on; help snapshot-names tells the other ways.`,
		Example: example(`nacre snapshots`, `nacre snapshots --last 3 --json`),
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.look(cmd.Context(), func(_ *vault, w *view.View) error { return a.listSnapshots(f.apply(w.Snapshots())) })
		},
	}
	fl := cmd.Flags()
	cmd.PreRunE = func(*cobra.Command, []string) error { return f.validate() }
	fl.StringVar(&f.host, "host", "", "only those of `HOST`")
	fl.StringVar(&f.tag, "tag", "", "only those with `TAG`")
	fl.StringVar(&f.name, "name", "", "only those whose name is `NAME`")
	fl.StringVar(&f.path, "path", "", "only those of `PATH`")
	fl.IntVar(&f.last, "last", 0, "only the last `N`")
	a.completeFlag(cmd, "host", hostProposals)
	a.completeFlag(cmd, "tag", tagProposals)
	a.completeFlag(cmd, "name", nameProposals)
	return cmd
}

func (f *snapshotFilter) validate() error {
	if f.last < 0 {
		return errs.New(errs.Usage, "--last %d: want a number from 0", f.last)
	}
	return nil
}

func (f snapshotFilter) apply(list []*session.Snapshot) (kept []*session.Snapshot) {
	for _, s := range list {
		r := s.Record
		if f.host != "" && r.Host != f.host || f.name != "" && r.Name != f.name || f.tag != "" && !contains(r.Tags, f.tag) {
			continue
		}
		if f.path != "" && !hasPath(r.Paths, f.path) {
			continue
		}
		kept = append(kept, s)
	}
	if f.last > 0 && len(kept) > f.last {
		kept = kept[len(kept)-f.last:]
	}
	return kept
}

func hasPath(paths [][]byte, want string) bool {
	for _, p := range paths {
		if string(p) == want {
			return true
		}
	}
	return false
}

func (a *app) listSnapshots(list []*session.Snapshot) error {
	if a.out.json {
		for _, s := range list {
			a.out.emit("snapshot", lineOf(s.ID.String(), s.Record))
		}
		a.out.emit("summary", struct {
			Snapshots int `json:"snapshots"`
		}{len(list)})
		return nil
	}
	t := tabwriter.NewWriter(resultWriter{a.out}, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tTime\tHost\tName\tTags\tFiles\tSize\tPaths") // Flush reports what fails
	for _, s := range list {
		r := s.Record
		var paths []string
		for _, p := range r.Paths {
			paths = append(paths, printable(p))
		}
		note := ""
		if r.Stats.Failed > 0 || len(r.Errors) > 0 {
			note = "  (" + plural(int(max(r.Stats.Failed, uint64(len(r.Errors)))), "error") + ")"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s%s\n", shortID(s), moment(r.Time), printable([]byte(r.Host)),
			printable([]byte(r.Name)), printable([]byte(strings.Join(r.Tags, ","))), units.Count(r.Stats.Files),
			units.Bytes(int64(min(r.Stats.Bytes, 1<<62))), strings.Join(paths, " "), note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	a.out.say("%s", plural(len(list), "snapshot"))
	return nil
}

// plural writes a count and its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if base, ok := strings.CutSuffix(noun, "y"); ok {
		return units.Count(n) + " " + base + "ies"
	}
	return units.Count(n) + " " + noun + "s"
}
