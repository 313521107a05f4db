package cli

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/tree"
	"github.com/nacre-backup/nacre/internal/view"
)

func (a *app) catCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "cat SNAPSHOT:PATH...",
		Short:   "Write a file's content to standard output",
		GroupID: groupLook,
		Long: `Write the content of files, or the target of symbolic links, to standard
output, one after another.`,
		Example: example(`nacre cat "latest:$HOME/Documents/letter.txt"`, `nacre cat "latest~1:$HOME/Documents/letter.txt" > old-letter.txt`),
		Args:    between(1, -1, "SNAPSHOT:PATH"),

		ValidArgsFunction: a.completeSnapshots(math.MaxInt),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), func(_ *vault, w *view.View) error {
				var total int64
				for _, arg := range args {
					n, err := a.runCat(cmd.Context(), w, arg)
					if err != nil {
						return err
					}
					total += n
				}
				if a.out.json {
					a.out.emit("summary", struct {
						Bytes int64 `json:"bytes"`
					}{total})
				}
				return nil
			})
		},
	}
}

func (a *app) runCat(ctx context.Context, w *view.View, arg string) (int64, error) {
	s, path, hasPath, err := a.findPath(w, arg)
	if err != nil {
		return 0, err
	}
	if !hasPath {
		return 0, errs.WithHint(errs.New(errs.Usage, "%s names a snapshot, but no file", arg), "write SNAPSHOT:PATH")
	}
	t, err := w.Tree(s)
	if err != nil {
		return 0, fmt.Errorf("open snapshot %s: %w", shortID(s), err)
	}
	e, err := t.Lookup(ctx, path)
	if err != nil {
		return 0, a.noPath(err, s, path)
	}
	var out io.Writer = resultWriter{a.out}
	if a.out.json {
		out = &contentLines{o: a.out, path: pathJSON(shown(path))}
	}
	if e.Type == tree.Symlink {
		target, err := w.Target(ctx, e)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", printable(shown(path)), err)
		}
		n, err := out.Write(target)
		return int64(n), err
	}
	if e.Type != tree.File {
		return 0, errs.New(errs.Usage, "%s is a %s: it has no content", printable(shown(path)), typeNames[e.Type])
	}
	if e.NeverStored() {
		return 0, errs.WithHint(errs.New(errs.NotFound, "%s: its content was never stored: %s", printable(shown(path)), oneLine(e.ErrText)),
			"it could not be read when the snapshot was made; %s shows which others hold it", a.onRepo("nacre find"))
	}
	f, err := w.OpenFile(ctx, e)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", printable(shown(path)), err)
	}
	n, err := f.WriteTo(out)
	if err != nil {
		return n, fmt.Errorf("read %s: %w", printable(shown(path)), err)
	}
	if e.Flags&(tree.Stale|tree.Torn|tree.Partial) != 0 {
		a.out.warn(fmt.Sprintf("%s is %v: see nacre ls -l", printable(shown(path)), flagNames(e.Flags)), "")
	}
	return n, nil
}

// contentLines writes content as JSON lines of at most 48 KiB each.
type contentLines struct {
	o    *output
	path jsonPath
}

func (c *contentLines) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), 48<<10)
		c.o.emit("content", struct {
			jsonPath
			Data string `json:"data_base64"`
		}{c.path, base64.StdEncoding.EncodeToString(rest[:n])})
		rest = rest[n:]
	}
	return len(p), nil
}
