package cli

import (
	"bytes"
	"context"
	"fmt"
	"sort"

	"github.com/spf13/cobra"

	"github.com/nacre-backup/nacre/internal/pattern"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/tree"
	"github.com/nacre-backup/nacre/internal/units"
	"github.com/nacre-backup/nacre/internal/view"
)

func (a *app) findCommand() *cobra.Command {
	var f snapshotFilter
	fold := false
	cmd := &cobra.Command{
		Use:     "find PATTERN...",
		Short:   "Find paths in all snapshots, with their versions",
		GroupID: groupLook,
		Long: `Find the paths that match a pattern in all snapshots, and list the versions of
each: the snapshot in which it first stands so, its size and its time. A
version ends where the next one begins, or where the path is gone.

A pattern without a slash matches a name anywhere; one that begins with a slash
matches the whole path. * and ? do not match a slash, ** matches any number of
directories.`,
		Example: example(`nacre find letter.txt`, `nacre find --ignore-case "*.TXT" --host "$(hostname)"`),
		Args:    between(1, -1, "a pattern"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), func(_ *vault, w *view.View) error { return a.runFind(cmd.Context(), w, args, f, fold) })
		},
	}
	fl := cmd.Flags()
	cmd.PreRunE = func(*cobra.Command, []string) error { return f.validate() }
	fl.BoolVarP(&fold, "ignore-case", "i", false, "upper and lower case letters are the same")
	fl.StringVar(&f.host, "host", "", "only in snapshots of `HOST`")
	fl.StringVar(&f.tag, "tag", "", "only in snapshots with `TAG`")
	fl.StringVar(&f.name, "name", "", "only in snapshots whose name is `NAME`")
	fl.IntVar(&f.last, "last", 0, "only in the last `N` snapshots")
	a.completeFlag(cmd, "host", hostProposals)
	a.completeFlag(cmd, "tag", tagProposals)
	a.completeFlag(cmd, "name", nameProposals)
	return cmd
}

// version is what a path was from one snapshot of a host and its roots on.
type version struct {
	since *session.Snapshot
	entry *tree.Entry // nil: it was not there any more
}

// finder gathers the versions of matching paths over all lines of snapshots, those of one host and roots. It holds the
// matching paths only.
type finder struct {
	list     *pattern.List
	versions map[string][]version
}

func (f *finder) note(s *session.Snapshot, dir []byte, e *tree.Entry, gone bool) {
	path := tree.JoinPath(nil, dir, e.Name)
	if len(e.Name) == 0 || f.list.Match(path, e.Type == tree.Dir) != pattern.Excluded {
		return
	}
	v := version{since: s}
	if !gone {
		v.entry = e.Clone()
	}
	f.versions[string(path)] = append(f.versions[string(path)], v)
}

func (a *app) runFind(ctx context.Context, w *view.View, patterns []string, filter snapshotFilter, fold bool) error {
	list, err := pattern.Excludes(patterns, fold)
	if err != nil {
		return err
	}
	f := &finder{list: list, versions: map[string][]version{}}
	for _, line := range lines(filter.apply(w.Snapshots())) {
		t, err := a.tree(w, line[0])
		if err != nil {
			return err
		}
		err = t.Walk(ctx, nil, func(dir []byte, e *tree.Entry) error {
			f.note(line[0], dir, e, false)
			return nil
		})
		if err != nil {
			return err
		}
		for i := 1; i < len(line); i++ {
			// Equal pages are not read again: a line costs its first snapshot and its changes.
			err := w.Diff(ctx, line[i-1], line[i], func(dir []byte, old, new *tree.Entry) error {
				if new == nil {
					f.note(line[i], dir, old, true)
				} else {
					f.note(line[i], dir, new, false)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	paths, versions := len(f.versions), a.showVersions(f)
	if a.out.json {
		a.out.emit("summary", struct {
			Paths    int `json:"paths"`
			Versions int `json:"versions"`
			ExitCode int `json:"exit_code"`
		}{paths, versions, a.code})
		return nil
	}
	a.out.say("%s, %s", plural(paths, "path"), plural(versions, "version"))
	return nil
}

// lines groups snapshots of one host and roots, each group oldest first.
func lines(list []*session.Snapshot) (groups [][]*session.Snapshot) {
	at := map[string]int{}
	for _, s := range list {
		key := s.Record.Host + "\x00" + string(bytes.Join(s.Record.Paths, []byte{0}))
		i, ok := at[key]
		if !ok {
			i = len(groups)
			at[key] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], s)
	}
	return groups
}

// versionLine is a version in JSON.
type versionLine struct {
	Snapshot string    `json:"snapshot"`
	Moment   string    `json:"snapshot_time"`
	Host     string    `json:"host"`
	Gone     bool      `json:"gone,omitempty"`
	Path     jsonPath  `json:"at"`
	Entry    *nodeLine `json:"entry,omitempty"`
}

// inOrder sorts the versions of a path by the time of their snapshots and takes away those that another line of the
// same host has shown already.
func inOrder(list []version) (kept []version) {
	sort.SliceStable(list, func(i, j int) bool { return list[i].since.Record.Time < list[j].since.Record.Time })
	last := map[string]version{}
	for _, v := range list {
		host := v.since.Record.Host
		if l, ok := last[host]; ok && sameVersion(l.entry, v.entry) {
			continue
		}
		last[host] = v
		kept = append(kept, v)
	}
	return kept
}

// sameVersion compares what find shows of two entries, and their content.
func sameVersion(a, b *tree.Entry) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Type == b.Type && a.ModTime == b.ModTime && a.Flags == b.Flags && a.ErrClass == b.ErrClass && sameContent(a, b)
}

// showVersions writes what was found, by path, and counts the versions.
func (a *app) showVersions(f *finder) (count int) {
	var paths []string
	for p := range f.versions {
		paths = append(paths, p)
	}
	hosts := f.severalHosts()
	sort.Slice(paths, func(i, j int) bool { return tree.CompareDir([]byte(paths[i]), []byte(paths[j])) < 0 })
	for _, p := range paths {
		path := shown([]byte(p))
		a.out.printf("%s\n", printable(path))
		for _, v := range inOrder(f.versions[p]) {
			count++
			if a.out.json {
				l := versionLine{v.since.ID.String(), jsonTime(v.since.Record.Time), v.since.Record.Host, v.entry == nil, pathJSON(path), nil}
				if v.entry != nil {
					n := nodeJSON(v.entry, path, v.entry.Target)
					l.Entry = &n
				}
				a.out.emit("version", l)
				continue
			}
			what := "gone"
			if v.entry != nil {
				what = versionText(v.entry)
			}
			if hosts {
				what += "  on " + printable([]byte(v.since.Record.Host))
			}
			a.out.printf("  %s  %s  %s\n", shortID(v.since), moment(v.since.Record.Time), what)
		}
	}
	return count
}

// versionText is a version for people.
func versionText(e *tree.Entry) string {
	size, modified := units.Bytes(int64(min(e.Size, 1<<62))), ""
	if e.Type != tree.File {
		size = typeNames[e.Type]
	}
	if !e.ModTime.IsZero() {
		modified = "  modified " + goTime(e.ModTime).Local().Format("2006-01-02 15:04:05")
	}
	return fmt.Sprintf("%10s%s%s", size, modified, remarks(e))
}

// severalHosts reports whether the versions are of more than one host.
func (f *finder) severalHosts() bool {
	host := ""
	for _, list := range f.versions {
		for _, v := range list {
			if host != "" && v.since.Record.Host != host {
				return true
			}
			host = v.since.Record.Host
		}
	}
	return false
}
