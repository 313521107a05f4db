package cli

import (
	"bytes"
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/tree"
	"github.com/nacre-backup/nacre/internal/units"
	"github.com/nacre-backup/nacre/internal/view"
)

func (a *app) diffCommand() *cobra.Command {
	metadata := false
	cmd := &cobra.Command{
		Use:     "diff SNAPSHOT[:PATH] SNAPSHOT[:PATH] [PATH...]",
		Short:   "Show what differs between two snapshots",
		GroupID: groupLook,
		Long: `Show what differs between two snapshots, one path a line:
  +  only in the second        M  other content
  -  only in the first         T  another type
  U  the same content, but other owner, mode, times or attributes (--metadata)

It ends with exit code 4 if there are differences. With paths, only what is at
or below one of them counts. SNAPSHOT:PATH is another way to write that; the
path is the same in both.`,
		Example:           example(`nacre diff latest~1 latest`, `nacre diff --metadata latest~1 latest "$HOME/Documents"`),
		Args:              between(2, -1, "two snapshots"),
		ValidArgsFunction: a.completeSnapshots(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), func(_ *vault, w *view.View) error { return a.runDiff(cmd.Context(), w, args, metadata) })
		},
	}
	cmd.Flags().BoolVar(&metadata, "metadata", false, "show entries of which only metadata differs, too")
	return cmd
}

// diffLine is a difference in JSON.
type diffLine struct {
	jsonPath
	Change string    `json:"change"`
	Old    *nodeLine `json:"old,omitempty"`
	New    *nodeLine `json:"new,omitempty"`
}

// changes are the letters of diff and their names in JSON.
var changes = map[byte]string{'+': "added", '-': "removed", 'M': "content", 'T': "type", 'U': "metadata"}

func (a *app) runDiff(ctx context.Context, w *view.View, args []string, metadata bool) error {
	first, one, hasOne, err := a.findPath(w, args[0])
	if err != nil {
		return err
	}
	second, two, hasTwo, err := a.findPath(w, args[1])
	if err != nil {
		return err
	}
	if hasOne != hasTwo || !bytes.Equal(one, two) {
		return errs.New(errs.Usage, "diff compares a path of one snapshot with the same path of the other")
	}
	var below [][]byte
	if hasOne {
		below = append(below, one)
	}
	for _, p := range args[2:] {
		t, err := treePath(p)
		if err != nil {
			return err
		}
		below = append(below, t)
	}
	found := differences{counts: map[byte]int{}}
	err = w.Diff(ctx, first, second, func(dir []byte, old, new *tree.Entry) error {
		e := new
		if e == nil {
			e = old
		}
		path := tree.JoinPath(nil, dir, e.Name)
		c := changeOf(old, new)
		if c == 0 || c == 'U' && !metadata || !anyBelow(path, below) {
			return nil
		}
		found.add(c, old, new)
		a.showChange(c, shown(path), old, new)
		return nil
	})
	if err != nil {
		return err
	}
	if len(found.counts) > 0 {
		a.code = exitFindings
	}
	a.diffSummary(first.ID.String(), second.ID.String(), found.counts, found.grown, found.shrunk)
	return nil
}

// differences add up what a diff found.
type differences struct {
	counts        map[byte]int // of paths, by the letter of what became of them
	grown, shrunk uint64       // bytes of files
}

func (d *differences) add(change byte, old, new *tree.Entry) {
	d.counts[change]++
	if change == 'U' {
		return
	}
	if old != nil && old.Type == tree.File {
		d.shrunk += old.Size
	}
	if new != nil && new.Type == tree.File {
		d.grown += new.Size
	}
}

// changeOf says what differs: a letter of changes, or 0 for nothing that a user would call a change.
func changeOf(old, new *tree.Entry) byte {
	implied := func(e *tree.Entry) bool { return e == nil || e.Flags&tree.Implied != 0 }
	switch {
	case implied(old) && implied(new):
		return 0 // ancestors of roots
	case old == nil:
		return '+'
	case new == nil:
		return '-'
	case old.Type != new.Type:
		return 'T'
	case !sameContent(old, new):
		return 'M'
	}
	return 'U'
}

// sameContent compares what an entry is apart from its metadata. Equal content has equal ids within a repository.
func sameContent(a, b *tree.Entry) bool {
	c, d := a.Content, b.Content
	return a.Size == b.Size && c.Kind == d.Kind && c.Level == d.Level && bytes.Equal(c.Inline, d.Inline) && slices.Equal(c.IDs, d.IDs) &&
		bytes.Equal(a.Target, b.Target) && a.TargetBlob == b.TargetBlob && a.Major == b.Major && a.Minor == b.Minor
}

func anyBelow(path []byte, tops [][]byte) bool {
	if len(tops) == 0 {
		return true
	}
	return slices.ContainsFunc(tops, func(t []byte) bool { return tree.Below(path, t) })
}

func (a *app) showChange(c byte, path []byte, old, new *tree.Entry) {
	if !a.out.json {
		a.out.printf("%c  %s\n", c, printable(path))
		return
	}
	l := diffLine{jsonPath: pathJSON(path), Change: changes[c]}
	if old != nil {
		n := nodeJSON(old, path, old.Target)
		l.Old = &n
	}
	if new != nil {
		n := nodeJSON(new, path, new.Target)
		l.New = &n
	}
	a.out.emit("difference", l)
}

func (a *app) diffSummary(first, second string, counts map[byte]int, grown, shrunk uint64) {
	if a.out.json {
		a.out.emit("summary", struct {
			First    string `json:"first"`
			Second   string `json:"second"`
			Added    int    `json:"added"`
			Removed  int    `json:"removed"`
			Content  int    `json:"content"`
			Type     int    `json:"type_changed"`
			Metadata int    `json:"metadata"`
			Grown    uint64 `json:"bytes_added"`
			Shrunk   uint64 `json:"bytes_removed"`
			ExitCode int    `json:"exit_code"`
		}{first, second, counts['+'], counts['-'], counts['M'], counts['T'], counts['U'], grown, shrunk, a.code})
		return
	}
	a.out.say("%d added, %d removed, %d changed, %d of another type, %d with other metadata; %s more, %s less", counts['+'],
		counts['-'], counts['M'], counts['T'], counts['U'], units.Bytes(int64(min(grown, 1<<62))), units.Bytes(int64(min(shrunk, 1<<62))))
}
