package cli

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nacre-backup/nacre/internal/errs"
)

// globals are the flags that every command takes.
type globals struct {
	repo            string
	passwordFile    string
	passwordCommand string
	keyfile         string
	ageIdentity     string
	cacheDir        string
	noCache         bool
	quiet           bool
	verbose         bool
	json            bool
	colour          string
	progress        string
}

// The groups of commands in the help.
const (
	groupDaily    = "daily"
	groupLook     = "look"
	groupMaintain = "maintain"
	groupOther    = "other"
)

func (a *app) newRoot() *cobra.Command {
	version := false
	root := &cobra.Command{
		Use:   "nacre",
		Short: "Back up files: incremental, deduplicated, compressed, encrypted",
		Long: `nacre backs up files into a repository, which is a folder that holds them
deduplicated, compressed and encrypted. Every backup is a full snapshot; only
what is new is read and stored.

With no repository configured, "nacre backup" makes one for you.`,
		Example: `  nacre backup "$HOME/Documents"
  nacre snapshots`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			err := errs.New(errs.Usage, "there is no command %q", args[0])
			if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
				return errs.WithHint(err, "did you mean %s?", strings.Join(like, " or "))
			}
			return errs.WithHint(err, "%s help lists the commands", a.program())
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version {
				return a.showVersion()
			}
			return cmd.Help()
		},
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) },
	}
	root.SuggestionsMinimumDistance = 2
	root.AddGroup(
		&cobra.Group{ID: groupDaily, Title: "Backing up and restoring:"},
		&cobra.Group{ID: groupLook, Title: "Looking at snapshots:"},
		&cobra.Group{ID: groupMaintain, Title: "Caring for a repository:"},
		&cobra.Group{ID: groupOther, Title: "Other commands:"},
	)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return errs.WithHint(errs.As(errs.Usage, err), "%s --help lists the flags", a.commandLine(cmd.CommandPath()))
	})
	root.Flags().BoolVar(&version, "version", false, "print the version")
	a.globalFlags(root.PersistentFlags())
	choices(root, "color", "auto", "always", "never")
	choices(root, "progress", "auto", "plain", "none")
	root.SetUsageTemplate(usageTemplate)
	root.SetHelpCommandGroupID(groupOther)
	root.AddCommand(
		a.initCommand(), a.backupCommand(), a.restoreCommand(),
		a.snapshotsCommand(), a.lsCommand(), a.findCommand(), a.catCommand(), a.diffCommand(),
		a.checkCommand(), a.keyCommand(),
		a.versionCommand(), a.manCommand(), a.completionCommand(),
	)
	root.AddCommand(topics(root.PersistentFlags())...)
	a.helpFunction(root)
	root.SetHelpCommand(a.helpCommand())
	return root
}

func (a *app) globalFlags(f *pflag.FlagSet) {
	g := &a.global
	f.StringVarP(&g.repo, "repo", "r", "", "repository: the path of its `FOLDER` (or $NACRE_REPOSITORY)")
	f.StringVar(&g.passwordFile, "password-file", "", "read the password from `FILE` (- is standard input)")
	f.StringVar(&g.passwordCommand, "password-command", "", "read the password from what shell command `CMD` prints")
	f.StringVar(&g.keyfile, "keyfile", "", "open with the key in `FILE` (a keyfile, or 24 recovery words)")
	f.StringVar(&g.ageIdentity, "age-identity", "", "open with an age identity in `FILE` (AGE-SECRET-KEY-...)")
	f.StringVar(&g.cacheDir, "cache-dir", "", "keep caches in `DIR` instead of the user's cache folder")
	f.BoolVar(&g.noCache, "no-cache", false, "keep no cache")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "say only what went wrong")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "say what becomes of each path")
	f.BoolVar(&g.json, "json", false, "write JSON lines to standard output")
	f.StringVar(&g.colour, "color", "auto", "colour messages `WHEN`: auto, always or never")
	f.StringVar(&g.progress, "progress", "auto", "show progress as `KIND`: auto, plain (a line a minute) or none")
}

// prepare applies the environment to the flags and sets up the output; it runs before every command.
func (a *app) prepare(cmd *cobra.Command) error {
	if cmd.Name() == cobra.ShellCompRequestCmd { // the flags of the command that is completed are not read yet: propose does this
		return nil
	}
	if err := a.applyEnvironment(cmd.Flags()); err != nil {
		return err
	}
	g := &a.global
	o := a.out
	o.json, o.quiet, o.verbose = g.json, g.quiet, g.verbose
	switch g.colour {
	case "auto":
		o.colour = a.wantsColour()
	case "always", "never":
		o.colour = g.colour == "always"
	default:
		return errs.New(errs.Usage, "--color %s: want auto, always or never", g.colour)
	}
	switch g.progress {
	case "auto", "plain", "none":
	default:
		return errs.New(errs.Usage, "--progress %s: want auto, plain or none", g.progress)
	}
	if g.quiet && g.verbose {
		return errs.New(errs.Usage, "--quiet and --verbose exclude each other")
	}
	return nil
}

// wantsColour follows the conventions of NO_COLOR, FORCE_COLOR and CLICOLOR_FORCE, then looks at the terminal.
func (a *app) wantsColour() bool {
	if v, _ := a.p.Env("NO_COLOR"); v != "" {
		return false
	}
	for _, name := range []string{"FORCE_COLOR", "CLICOLOR_FORCE"} {
		if v, _ := a.p.Env(name); v != "" && v != "0" {
			return true
		}
	}
	if v, _ := a.p.Env("TERM"); v == "dumb" {
		return false
	}
	return terminal(a.p.Stderr)
}

// secretFlags are the flags that say how to open a repository; one on the command line makes the environment's
// other ones void.
var secretFlags = []string{"password-file", "password-command", "keyfile", "age-identity"}

// environmentName is the variable that a flag can be given by.
func environmentName(flag string) string {
	if flag == "repo" {
		return "NACRE_REPOSITORY"
	}
	return "NACRE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// applyEnvironment sets the flags that the command line does not from the environment.
func (a *app) applyEnvironment(flags *pflag.FlagSet) error {
	secretGiven := false
	for _, name := range secretFlags {
		secretGiven = secretGiven || flags.Changed(name)
	}
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || failed != nil {
			return
		}
		v, ok := a.p.Env(environmentName(f.Name))
		if !ok || v == "" || secretGiven && contains(secretFlags, f.Name) {
			return
		}
		if err := flags.Set(f.Name, v); err != nil {
			failed = errs.New(errs.Usage, "$%s: %w", environmentName(f.Name), err)
			return
		}
		f.Changed = false // "given on the command line" is what Changed means in this package
		f.Annotations = map[string][]string{fromEnvironment: {v}}
	})
	return failed
}

// fromEnvironment is the annotation of a flag that the environment set.
const fromEnvironment = "nacre_environment"

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// exactly wants n arguments, named in usage.
func exactly(n int, usage string) cobra.PositionalArgs {
	return between(n, n, usage)
}

// between wants min to max arguments; a max below 0 is no limit.
func between(min, max int, usage string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < min && min == 1:
			return errs.New(errs.Usage, "%s is missing", usage)
		case len(args) < min:
			return errs.New(errs.Usage, "want %s", usage)
		case max == 0 && len(args) > 0:
			return errs.New(errs.Usage, "unexpected argument %q", args[0])
		case max >= 0 && len(args) > max:
			return errs.New(errs.Usage, "unexpected argument %q", args[max])
		}
		return nil
	}
}

// helpCommand is help with a usage error where cobra's own says something and exits with 0.
func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND or TOPIC]",
		Short: "Help about a command or a topic",
		Example: `  nacre help backup
  nacre help exit-codes`,
		GroupID: groupOther,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, rest, err := cmd.Root().Find(args)
			if err != nil || c == nil || len(rest) > 0 {
				return errs.WithHint(errs.New(errs.Usage, "there is no command or topic %q", strings.Join(args, " ")),
					"%s help lists them", a.program())
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
	}
}

// helpFunction lets help be a JSON line where those are asked for.
func (a *app) helpFunction(root *cobra.Command) {
	plain := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		if !a.out.json {
			plain(c, args)
			return
		}
		var text bytes.Buffer
		c.SetOut(&text)
		plain(c, args)
		c.SetOut(nil) // its parent's again
		if c == root {
			c.SetOut(a.p.Stdout)
		}
		a.out.emit("summary", struct {
			Topic string `json:"topic"`
			Text  string `json:"text"`
		}{c.CommandPath(), text.String()})
	})
}

const usageTemplate = `{{if .Runnable}}Usage: {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}
{{else if .HasAvailableSubCommands}}Usage: {{.CommandPath}} COMMAND
{{end}}{{if .HasAvailableSubCommands}}{{$c := .}}{{range .Groups}}
{{.Title}}{{$g := .ID}}{{range $c.Commands}}{{if (and (eq .GroupID $g) (or .IsAvailableCommand (eq .Name "help")))}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}{{if not .Groups}}
Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}{{end}}{{if .HasAvailableLocalFlags}}
Flags:
{{.LocalNonPersistentFlags.FlagUsagesWrapped 100 | trimTrailingWhitespaces}}
{{end}}{{if .HasHelpSubCommands}}
Topics:{{range .Commands}}{{if .IsAdditionalHelpTopicCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{end}}{{if and .HasParent .Runnable}}
Flags of every command: -r --repo, --password-file, --password-command, --keyfile, --age-identity,
--cache-dir, --no-cache, -q --quiet, -v --verbose, --json, --color, --progress (nacre help flags)
{{end}}{{if .HasExample}}
Examples:
{{.Example}}
{{end}}`

// example joins the two examples that each command has; tests run them.
func example(first, second string) string { return fmt.Sprintf("  %s\n  %s", first, second) }
