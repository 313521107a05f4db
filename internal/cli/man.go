package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nacre-backup/nacre/internal/errs"
)

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the man pages into a folder",
		GroupID: groupOther,
		Long: `Write the man pages into DIR, which is made if it is missing: one of section 1
for each command, one of section 7 for each topic.`,
		Example: example(`nacre man "$HOME/man/man1"`, `nacre man --json "$HOME/man/man1"`),
		Args:    exactly(1, "the folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return errs.As(errs.Usage, err)
			}
			pages := manPages(cmd.Root())
			for _, p := range pages {
				if err := os.WriteFile(filepath.Join(args[0], p.name), []byte(p.text), 0o644); err != nil {
					return fmt.Errorf("write a man page: %w", err)
				}
			}
			if a.out.json {
				a.out.emit("summary", struct {
					Pages int `json:"pages"`
				}{len(pages)})
				return nil
			}
			a.out.printf("wrote %s to %s\n", plural(len(pages), "man page"), args[0])
			return nil
		},
	}
}

type manPage struct{ name, text string }

// manPages makes a page for each command and topic below c, and for c.
func manPages(c *cobra.Command) (pages []manPage) {
	if c.Hidden || c.Name() == "help" && c.HasParent() {
		return nil
	}
	section := 1
	if c.IsAdditionalHelpTopicCommand() {
		section = 7
	}
	pages = append(pages, manPage{fmt.Sprintf("%s.%d", manName(c), section), manText(c, section)})
	for _, sub := range c.Commands() {
		pages = append(pages, manPages(sub)...)
	}
	return pages
}

func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func manText(c *cobra.Command, section int) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %q %q \"\" %q \"nacre\"\n.nh\n.ad l\n", strings.ToUpper(manName(c)), fmt.Sprint(section), "nacre "+Version)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(manName(c)), roff(c.Short))
	if section == 1 {
		use := c.UseLine()
		if c.HasAvailableSubCommands() {
			use = c.CommandPath() + " COMMAND"
		}
		fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(use))
	}
	long := c.Long
	if long == "" {
		long = c.Short + "."
	}
	fmt.Fprintf(&b, ".SH DESCRIPTION\n.nf\n%s\n.fi\n", roff(long))
	manFlags(&b, "OPTIONS", c.NonInheritedFlags())
	if c.HasParent() && section == 1 {
		manFlags(&b, "OPTIONS OF EVERY COMMAND", c.InheritedFlags())
	}
	if c.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(c.Example))
	}
	manSeeAlso(&b, c)
	return b.String()
}

func manFlags(b *strings.Builder, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		b.WriteString(".TP\n\\fB")
		if f.Shorthand != "" {
			b.WriteString(roff("-"+f.Shorthand) + "\\fR, \\fB")
		}
		b.WriteString(roff("--"+f.Name) + "\\fR")
		if value != "" {
			b.WriteString(" \\fI" + roff(value) + "\\fR")
		}
		fmt.Fprintf(b, "\n%s\n", roff(usage))
	})
}

func manSeeAlso(b *strings.Builder, c *cobra.Command) {
	var list []string
	if c.HasParent() {
		list = append(list, manName(c.Parent())+"(1)")
	}
	for _, sub := range c.Commands() {
		switch {
		case sub.Hidden || sub.Name() == "help":
		case sub.IsAdditionalHelpTopicCommand():
			list = append(list, manName(sub)+"(7)")
		default:
			list = append(list, manName(sub)+"(1)")
		}
	}
	if len(list) > 0 {
		fmt.Fprintf(b, ".SH SEE ALSO\n%s\n", roff(strings.Join(list, ", ")))
	}
}

// roff writes text so that troff shows it as it is.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
