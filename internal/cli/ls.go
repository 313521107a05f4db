package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/tree"
	"github.com/nacre-backup/nacre/internal/view"
)

// lsFlags say how ls shows entries.
type lsFlags struct {
	long, recursive, null bool
}

func (a *app) lsCommand() *cobra.Command {
	var f lsFlags
	cmd := &cobra.Command{
		Use:     "ls SNAPSHOT[:PATH]",
		Short:   "List what is in a snapshot",
		GroupID: groupLook,
		Long: `List the entries of a snapshot: all of them, or, with a path, what is in that
directory.`,
		Example: example(`nacre ls latest`, `nacre ls -l "latest:$HOME/Documents"`),
		Args:    exactly(1, snapshotArgument),

		ValidArgsFunction: a.completeSnapshots(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), func(_ *vault, w *view.View) error { return a.runLs(cmd.Context(), w, args[0], f) })
		},
	}
	fl := cmd.Flags()
	fl.BoolVarP(&f.long, "long", "l", false, "show mode, owner, size and time as well")
	fl.BoolVarP(&f.recursive, "recursive", "R", false, "show all that is below PATH")
	fl.BoolVarP(&f.null, "null", "0", false, "end each path, as it is, with a zero byte")
	return cmd
}

func (a *app) runLs(ctx context.Context, w *view.View, arg string, f lsFlags) error {
	s, path, hasPath, err := a.findPath(w, arg)
	if err != nil {
		return err
	}
	t, err := a.tree(w, s)
	if err != nil {
		return err
	}
	count := 0
	show := func(dir []byte, e *tree.Entry) error {
		if len(e.Name) == 0 || e.Flags&tree.Implied != 0 && !f.long && !hasPath {
			return nil // the top, and ancestors of roots
		}
		count++
		return a.showEntry(ctx, w, dir, e, f)
	}
	if hasPath {
		err = a.listBelow(ctx, t, path, f.recursive, show)
	} else {
		err = t.Walk(ctx, nil, show)
	}
	if err != nil {
		return a.noPath(err, s, path)
	}
	if a.out.json {
		a.out.emit("summary", struct {
			Snapshot string `json:"snapshot"`
			Entries  int    `json:"entries"`
			ExitCode int    `json:"exit_code"`
		}{s.ID.String(), count, a.code})
	}
	return nil
}

// noPath adds to "not found" what was looked for.
func (a *app) noPath(err error, s *session.Snapshot, path []byte) error {
	if errors.Is(err, errs.NotFound) {
		return errs.WithHint(errs.New(errs.NotFound, "%s is not in snapshot %s", printable(shown(path)), shortID(s)),
			"%s shows which snapshots hold a path", a.onRepo("nacre find"))
	}
	return err
}

// listBelow lists a directory, or everything below it; a path that is no directory is listed itself.
func (a *app) listBelow(ctx context.Context, t tree.Tree, path []byte, recursive bool, show func([]byte, *tree.Entry) error) error {
	e, err := t.Lookup(ctx, path)
	if err != nil {
		return err
	}
	dir, _ := splitPath(path)
	switch {
	case e.Type != tree.Dir:
		return show(dir, e)
	case recursive:
		return t.Walk(ctx, path, show)
	}
	return t.List(ctx, path, func(e *tree.Entry) error { return show(path, e) })
}

// splitPath parts the last component off a path of the tree.
func splitPath(p []byte) (dir, name []byte) {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] == '/' {
			return p[:i], p[i+1:]
		}
	}
	return nil, p
}

// tree opens the tree of a snapshot. Damaged pages are told and passed over; the run then ends as incomplete.
func (a *app) tree(w *view.View, s *session.Snapshot) (tree.Tree, error) {
	t, err := w.Tree(s)
	if err != nil {
		return t, fmt.Errorf("open snapshot %s: %w", shortID(s), err)
	}
	t.Lost = func(l *tree.LostError) error {
		if err := l.Unwrap(); errors.Is(err, context.Canceled) {
			return err
		}
		a.out.warn(l.Error(), a.onRepo("nacre check")+" tells more")
		a.code = exitIncomplete
		return nil
	}
	return t, nil
}

// showEntry writes one entry as ls does.
func (a *app) showEntry(ctx context.Context, w *view.View, dir []byte, e *tree.Entry, f lsFlags) error {
	path := shown(tree.JoinPath(nil, dir, e.Name))
	if f.null {
		if a.out.json {
			return errs.New(errs.Usage, "--null and --json exclude each other")
		}
		a.out.write(append(path, 0))
		return nil
	}
	var target []byte
	if e.Type == tree.Symlink && (f.long || a.out.json) {
		var err error
		if target, err = w.Target(ctx, e); err != nil {
			a.out.warn(fmt.Sprintf("read the target of %s: %v", printable(path), err), "")
			a.code = exitIncomplete
		}
	}
	switch {
	case a.out.json:
		a.out.emit("entry", nodeJSON(e, path, target))
	case f.long:
		a.out.printf("%s\n", longLine(e, path, target))
	default:
		a.out.printf("%s\n", printable(path))
	}
	return nil
}
