package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nacre-backup/nacre/internal/check"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/units"
)

func (a *app) checkCommand() *cobra.Command {
	readData, subset := false, ""
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Check that a repository is whole",
		GroupID: groupMaintain,
		Long: `Check that a repository is whole: that everything that something names is
there, and that every file of every snapshot finds its content. With --read-data
every byte is read and compared, too; with --read-data-subset a part: 10% or
500M (chosen anew each time), or 1/7, 2/7 and so on (all of it in seven runs).

Each damaged object is named, with the snapshots and files that need it and what
to do. Check writes nothing. It ends with exit code 4 if it found damage.`,
		Example: example(`nacre check`, `nacre check --read-data-subset 10%`),
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := check.Options{ReadData: readData || subset != "", Counters: &event.Counters{}}
			if readData && subset != "" {
				return errs.New(errs.Usage, "--read-data and --read-data-subset exclude each other")
			}
			if subset != "" {
				var err error
				if o.Subset, err = check.ParseSubset(subset); err != nil {
					return err
				}
			}
			return a.withVault(cmd.Context(), func(v *vault) error { return a.runCheck(cmd.Context(), v, o) })
		},
	}
	cmd.Flags().BoolVar(&readData, "read-data", false, "read and compare all data")
	cmd.Flags().StringVar(&subset, "read-data-subset", "", "read and compare a `PART`: 10%, 1/7 or 500M")
	return cmd
}

func (a *app) runCheck(ctx context.Context, v *vault, o check.Options) error {
	o.CacheDir = v.cache
	start := a.p.Clock.Now()
	a.startProgress(o.Counters)
	r, err := check.Run(ctx, v.repo, o)
	a.out.endProgress()
	if err != nil {
		return err
	}
	lost := 0
	for _, d := range r.Damage {
		a.showDamage(d)
		if !d.Healed {
			lost++
		}
	}
	if !r.OK() {
		a.code = exitFindings
	}
	a.checkSummary(o, r, lost, a.p.Clock.Now().Sub(start))
	return nil
}

// damageLine is a damaged object in JSON.
type damageLine struct {
	Object  string     `json:"object"`
	Missing bool       `json:"missing,omitempty"`
	Healed  bool       `json:"healed,omitempty"`
	Message string     `json:"message"`
	Advice  string     `json:"advice"`
	Needs   []needJSON `json:"needed_by,omitempty"`
}

// needJSON is what a snapshot has lost.
type needJSON struct {
	Snapshot string     `json:"snapshot"`
	Moment   string     `json:"snapshot_time"`
	Files    []jsonPath `json:"files,omitempty"`
	More     int        `json:"more_files,omitempty"`
	Ranges   []string   `json:"lost_ranges,omitempty"`
}

// showDamage names a damaged object, who needs it, and what to do.
func (a *app) showDamage(d *check.Damage) {
	if a.out.json {
		l := damageLine{Object: d.Object, Missing: errors.Is(d.Err, errs.NotFound), Healed: d.Healed, Message: d.Err.Error(), Advice: d.Advice}
		for _, n := range d.Needs {
			j := needJSON{Snapshot: n.Snapshot.String(), Moment: jsonTime(n.Time), More: n.More, Ranges: n.Ranges}
			for _, f := range n.Files {
				j.Files = append(j.Files, pathJSON(shown(f)))
			}
			l.Needs = append(l.Needs, j)
		}
		a.out.emit("damage", l)
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  %s\n", d.Object, oneLine(d.Err.Error()))
	for _, n := range d.Needs {
		fmt.Fprintf(&b, "  needed by snapshot %.8s of %s:\n", n.Snapshot, moment(n.Time))
		for _, f := range n.Files {
			fmt.Fprintf(&b, "    %s\n", printable(shown(f)))
		}
		if n.More > 0 {
			fmt.Fprintf(&b, "    and %s more\n", units.Count(n.More))
		}
		for _, r := range n.Ranges {
			fmt.Fprintf(&b, "    everything %s\n", oneLine(r))
		}
	}
	fmt.Fprintf(&b, "  %s\n", d.Advice)
	a.out.printf("%s", b.String())
}

// checkLine is the last JSON line of a check.
type checkLine struct {
	OK           bool    `json:"ok"`
	Damaged      int     `json:"damaged"`
	Lost         int     `json:"damaged_not_healed"`
	ReadData     bool    `json:"read_data,omitempty"`
	Snapshots    int     `json:"snapshots"`
	Entries      int64   `json:"entries"`
	Pages        int64   `json:"tree_pages"`
	Packs        int64   `json:"packs"`
	PackBytes    int64   `json:"pack_bytes"`
	ReadPacks    int64   `json:"packs_read"`
	ReadBytes    int64   `json:"bytes_read"`
	Indexes      int     `json:"index_objects"`
	Garbage      int64   `json:"unused_objects"`
	GarbageBytes int64   `json:"unused_bytes"`
	Seconds      float64 `json:"seconds"`
	ExitCode     int     `json:"exit_code"`
}

func (a *app) checkSummary(o check.Options, r *check.Report, lost int, took time.Duration) {
	if a.out.json {
		a.out.emit("summary", checkLine{
			r.OK(), len(r.Damage), lost, o.ReadData, r.Snapshots, r.Entries, r.Pages, r.Packs, r.PackBytes, r.ReadPacks, r.ReadBytes,
			r.Indexes, r.Garbage, r.GarbageBytes, took.Seconds(), a.code,
		})
		return
	}
	if a.out.quiet {
		return
	}
	a.out.printf("Checked %s, %s, %s of %s in %s\n", plural(r.Snapshots, "snapshot"), plural(int(r.Entries), "entry"), plural(int(r.Packs), "pack"),
		units.Bytes(r.PackBytes), units.Duration(took))
	if o.ReadData {
		a.out.printf("Read and compared %s, %s\n", plural(int(r.ReadPacks), "pack"), units.Bytes(r.ReadBytes))
	}
	switch {
	case r.OK() && o.ReadData:
		a.out.printf("No damage was found\n")
	case r.OK():
		a.out.printf("No damage was found; %s reads the data as well\n", a.onRepo("nacre check --read-data"))
	case lost == 0:
		a.out.printf("%s damaged; nothing is lost by it\n", plural(len(r.Damage), "object"))
	default:
		a.out.printf("%s damaged, %d of them without another copy\n", plural(len(r.Damage), "object"), lost)
	}
}
