package cli

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nacre-backup/nacre/internal/backup"
	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/connect"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/units"
)

// backupFlags are the flags of backup.
type backupFlags struct {
	files  connect.FileSource
	follow string
	larger string

	stdin       bool
	stdinName   string
	fromCommand bool

	host, name, at string
	tags           []string

	dryRun, force, skip bool
	compression         string
	checkpoint          string
	checkpointBytes     string
}

func (a *app) backupCommand() *cobra.Command {
	var f backupFlags
	cmd := &cobra.Command{
		Use:     "backup PATH...",
		Short:   "Back up files and directories",
		GroupID: groupDaily,
		Long: `Back up files and directories, with everything below them, as one snapshot.
What the last snapshot of the same host and paths has is neither read nor
stored again.

Where no repository is named, one is made in your data folder, with a generated
key. That protects from mistakes, not from a dead disk: name a repository on
another one with --repo or $NACRE_REPOSITORY.

A backup that is interrupted goes on from its last checkpoint the next time.
Files that cannot be read are named, and the exit code is then 3.`,
		Example: example(`nacre backup "$HOME/Documents"`,
			`nacre backup --name "home-%Y-%m-%d" --exclude "*.tmp" --exclude-caches "$HOME"`),
		Args: func(cmd *cobra.Command, args []string) error { return f.check(args) },
		RunE: func(cmd *cobra.Command, args []string) error { return a.runBackup(cmd.Context(), &f, args) },
	}
	backupSourceFlags(cmd.Flags(), &f)
	backupRunFlags(cmd.Flags(), &f)
	choices(cmd, "follow-symlinks", "never", "roots", "all")
	choices(cmd, "compression", "auto", "fast", "default", "max", "none")
	a.completeFlag(cmd, "tag", tagProposals)
	a.completeFlag(cmd, "host", hostProposals)
	return cmd
}

func backupSourceFlags(fl *pflag.FlagSet, f *backupFlags) {
	o := &f.files
	fl.StringArrayVarP(&o.Exclude, "exclude", "e", nil, "leave out what matches `PATTERN` (help patterns)")
	fl.StringArrayVar(&o.IExclude, "iexclude", nil, "leave out what matches `PATTERN` in any case")
	fl.StringArrayVar(&o.ExcludeFile, "exclude-file", nil, "leave out what matches a pattern in `FILE`")
	fl.StringArrayVar(&o.ExcludeIfPresent, "exclude-if-present", nil, "leave out what is in directories with `NAME[:HEADER]`")
	fl.BoolVar(&o.ExcludeCaches, "exclude-caches", false, "leave out what is in directories with a CACHEDIR.TAG")
	fl.StringVar(&f.larger, "exclude-larger-than", "", "leave out files of more than `SIZE`")
	fl.BoolVar(&o.ExcludeVCS, "exclude-vcs", false, "leave out the files of version control systems")
	fl.BoolVarP(&o.OneFileSystem, "one-file-system", "x", false, "do not enter other file systems")
	fl.BoolVar(&o.Gitignore, "gitignore", false, "honour .gitignore and .nacreignore files")
	fl.StringArrayVar(&o.FilesFrom, "files-from", nil, "back up the paths in `FILE`, one on each line (- is standard input)")
	fl.StringArrayVar(&o.FilesFrom0, "files-from0", nil, "back up the paths in `FILE`, each ended by a zero byte")
	fl.StringVar(&f.follow, "follow-symlinks", "roots", "follow links by `RULE`: never, roots (those named here), or all")
	fl.BoolVar(&o.ReadHoles, "read-holes", false, "read the holes of sparse files")
	fl.BoolVar(&f.stdin, "stdin", false, "back up standard input as one file")
	fl.StringVar(&f.stdinName, "stdin-name", "", "`NAME` of that file: it stands at /stdin/NAME (stdin)")
	fl.BoolVar(&f.fromCommand, "stdin-from-command", false, "back up what the command after -- prints; if it fails, so does the backup")
}

func backupRunFlags(fl *pflag.FlagSet, f *backupFlags) {
	fl.StringVar(&f.name, "name", "", "name the snapshot `NAME`, with fields of strftime (%Y-%m-%d)")
	fl.StringArrayVar(&f.tags, "tag", nil, "mark the snapshot with `TAG`")
	fl.StringVar(&f.at, "time", "", "the snapshot stands for the moment `TIME` (now)")
	fl.StringVar(&f.host, "host", "", "the snapshot is of `HOST` (this one)")
	fl.BoolVarP(&f.dryRun, "dry-run", "n", false, "compare only: read no file, write nothing")
	fl.BoolVarP(&f.force, "force", "f", false, "read every file, changed or not")
	fl.BoolVar(&f.skip, "skip-if-unchanged", false, "make no snapshot if nothing changed")
	fl.StringVar(&f.compression, "compression", "auto", "compress at `LEVEL`: auto, fast, default, max or none (help compression)")
	fl.StringVar(&f.checkpoint, "checkpoint-interval", "5m", "save the state of a long backup every `DURATION` (0: never)")
	fl.StringVar(&f.checkpointBytes, "checkpoint-bytes", "8G", "and whenever `SIZE` was read (0: never)")
}

// check checks the arguments against the flags.
//
//nolint:gocyclo // a list of cases, each with what to say
func (f *backupFlags) check(args []string) error {
	lists := len(f.files.FilesFrom)+len(f.files.FilesFrom0) > 0
	switch {
	case f.stdin && f.fromCommand:
		return errs.New(errs.Usage, "--stdin and --stdin-from-command exclude each other")
	case f.stdin && (len(args) > 0 || lists):
		return errs.New(errs.Usage, "--stdin backs up nothing but standard input")
	case f.fromCommand && lists:
		return errs.New(errs.Usage, "--stdin-from-command backs up nothing but what the command prints")
	case f.fromCommand && len(args) == 0:
		return errs.WithHint(errs.New(errs.Usage, "the command is missing"), "as in: nacre backup --stdin-from-command -- pg_dump db")
	case f.stdinName != "" && !f.stdin && !f.fromCommand:
		return errs.New(errs.Usage, "--stdin-name goes with --stdin or --stdin-from-command")
	case !f.stdin && !f.fromCommand && !lists && len(args) == 0:
		return errs.WithHint(errs.New(errs.Usage, "the path to back up is missing"), `as in: nacre backup "$HOME/Documents"`)
	}
	return nil
}

// options turns the flags into the verb's options, without what needs the repository.
func (a *app) backupOptions(f *backupFlags, args []string) (*backup.Options, error) {
	o := &backup.Options{
		Host: f.host, Tags: f.tags, Program: programName(), Force: f.force, DryRun: f.dryRun, SkipIfUnchanged: f.skip,
		Verbose: a.out.verbose, Events: a.event, Counters: &event.Counters{},
	}
	if o.Host == "" {
		o.Host = hostName()
	}
	if u, err := user.Current(); err == nil {
		o.User = u.Username
	}
	now := a.p.Clock.Now()
	if f.at != "" {
		t, err := units.ParseTime(f.at, time.Local)
		if err != nil {
			return nil, err
		}
		o.Time, now = t, t
	}
	var err error
	if o.Name, err = snapshotName(f.name, now.Local()); err != nil {
		return nil, err
	}
	if o.Level, err = compressionLevel(f.compression); err != nil {
		return nil, err
	}
	o.Auto = f.compression == "auto"
	if o.CheckpointInterval, err = units.ParseDuration(f.checkpoint); err != nil {
		return nil, err
	}
	if o.CheckpointBytes, err = units.ParseBytes(f.checkpointBytes); err != nil {
		return nil, err
	}
	if o.CheckpointInterval == 0 {
		o.CheckpointInterval = -1
	}
	if o.CheckpointBytes == 0 {
		o.CheckpointBytes = -1
	}
	return o, a.backupSource(f, o, args)
}

// compressionLevel reads the level; auto begins with the fast one.
func compressionLevel(s string) (codec.Level, error) {
	switch s {
	case "auto", "fast":
		return codec.Fastest, nil
	case "default":
		return codec.Default, nil
	case "max":
		return codec.Best, nil
	case "none":
		return codec.None, nil
	}
	return 0, errs.New(errs.Usage, "--compression %s: want auto, fast, default, max or none", s)
}

// backupSource says what is read.
func (a *app) backupSource(f *backupFlags, o *backup.Options, args []string) error {
	if f.stdin || f.fromCommand {
		return a.streamSource(f, o, args)
	}
	s := &f.files
	s.Roots, s.Stdin = args, a.p.Stdin
	var err error
	if s.FollowSymlinks, err = connect.ParseFollow(f.follow); err != nil {
		return errs.As(errs.Usage, err)
	}
	if f.larger != "" {
		if s.ExcludeLargerThan, err = units.ParseBytes(f.larger); err != nil {
			return err
		}
	}
	if err := s.Validate(); err != nil {
		return err
	}
	o.Excludes = excludesForRecord(f)
	return nil
}

// excludesForRecord tells in the snapshot what was left out.
func excludesForRecord(f *backupFlags) (list []string) {
	list = append(list, f.files.Exclude...)
	for _, p := range f.files.IExclude {
		list = append(list, "--iexclude "+p)
	}
	for _, p := range f.files.ExcludeFile {
		list = append(list, "--exclude-file "+p)
	}
	for _, p := range f.files.ExcludeIfPresent {
		list = append(list, "--exclude-if-present "+p)
	}
	for _, b := range []struct {
		on   bool
		name string
	}{
		{f.files.ExcludeCaches, "--exclude-caches"},
		{f.files.ExcludeVCS, "--exclude-vcs"},
		{f.files.OneFileSystem, "--one-file-system"},
		{f.files.Gitignore, "--gitignore"},
		{f.larger != "", "--exclude-larger-than " + f.larger},
	} {
		if b.on {
			list = append(list, b.name)
		}
	}
	return list
}

func (a *app) runBackup(ctx context.Context, f *backupFlags, args []string) error {
	o, err := a.backupOptions(f, args)
	if err != nil {
		return err
	}
	v, made, err := a.backupVault(ctx, f, o)
	if err != nil {
		return err
	}
	if v != nil {
		defer a.close(v)
		o.Repo, o.CacheDir, o.StateDir = v.repo, v.cache, v.state
	}
	if o.Open == nil {
		if err := a.fileSource(ctx, f, o, v); err != nil {
			return err
		}
	}
	o.Interrupt = a.stopped
	a.startProgress(o.Counters)
	a.gentle.Store(true)
	sum, err := backup.Run(ctx, *o)
	a.gentle.Store(false)
	a.out.endProgress()
	if errors.Is(err, backup.ErrInterrupted) {
		a.code = exitFailed // Run's exit code is the signal's
		if o.DryRun {
			return errInterrupted
		}
		if !sum.Checkpoint {
			return errs.WithHint(errInterrupted, "run the same command again: what was stored so far is not stored again")
		}
		a.backupSummary(ctx, v, o, sum)
		return errs.WithHint(errInterrupted, "the same command goes on from the checkpoint %.8s", sum.Snapshot)
	}
	if err != nil {
		return err
	}
	a.backupSummary(ctx, v, o, sum)
	if sum.Incomplete() {
		a.code = exitIncomplete
	}
	if made || v != nil && a.kitWanted(v) {
		a.remindOfKit(v)
	}
	if !sum.Snapshot.IsZero() {
		a.lastWords(sum.Snapshot.String()[:8])
	}
	return nil
}

// lastWords tell how to restore what was backed up.
func (a *app) lastWords(snapshot string) {
	if !a.out.quiet && !a.out.json {
		a.out.printf("\nTo restore it:\n  %s\n", a.restoreCommandLine(snapshot))
	}
}

// backupVault opens the repository, or makes the user's own where none is named.
func (a *app) backupVault(ctx context.Context, f *backupFlags, o *backup.Options) (v *vault, made bool, err error) {
	at, own, err := a.location()
	if err != nil {
		return nil, false, err
	}
	v, err = a.openAt(ctx, at, own)
	if err == nil || !own || !errors.Is(err, errs.NoRepository) {
		return v, false, err
	}
	if f.dryRun {
		a.out.say("there is no repository yet: everything is new")
		return nil, false, nil
	}
	// The source is opened before a repository is made for it: a path that does not exist makes none.
	if o.Open == nil {
		src, err := connect.OpenFiles(ctx, f.files)
		if err != nil {
			return nil, false, fmt.Errorf("open the source: %w", err)
		}
		if err := src.Close(); err != nil {
			return nil, false, fmt.Errorf("close the source: %w", err)
		}
	}
	v, err = a.makeOwn(ctx, at)
	return v, true, err
}

// fileSource lets the verb open the files, and finds out their roots.
func (a *app) fileSource(ctx context.Context, f *backupFlags, o *backup.Options, v *vault) error {
	s := f.files
	if v != nil {
		s.AlwaysSkip = append(s.AlwaysSkip, a.neverBackedUp(v)...)
	}
	first, err := connect.OpenFiles(ctx, s)
	if err != nil {
		return fmt.Errorf("open the source: %w", err)
	}
	o.Kind, o.Roots = "files", first.Roots()
	// The verb opens the source again only if its session was killed; lists from standard input are read by then.
	s.Roots, s.FilesFrom, s.FilesFrom0, s.Stdin = first.Roots(), nil, nil, nil
	opened := false
	o.Open = func(ctx context.Context) (source.Source, error) {
		if !opened {
			opened = true
			return first, nil
		}
		return connect.OpenFiles(ctx, s)
	}
	return nil
}

// neverBackedUp are the paths of the repository and of what nacre keeps beside it.
func (a *app) neverBackedUp(v *vault) (list []string) {
	for _, p := range []string{v.at.Path, a.cacheDir(), v.cache, v.state} {
		if abs, err := filepath.Abs(p); p != "" && err == nil {
			list = append(list, abs)
		}
	}
	return list
}

// remindOfKit shows the recovery words of a generated key once, on a terminal, and names the way to them elsewhere.
func (a *app) remindOfKit(v *vault) {
	if a.out.json || a.out.quiet {
		return // the JSON summary has kit_wanted
	}
	if terminal(a.p.Stdout) {
		a.afterInit(v, true)
		return
	}
	a.out.warn("the recovery words of this repository's key were not shown yet: if this disk dies, they are what opens a copy of it",
		a.onRepo("nacre key kit")+" prints them")
}

// restoreCommandLine is the command that brings a snapshot back, for a shell.
func (a *app) restoreCommandLine(id string) string {
	words := []string{a.program(), "restore"}
	words = append(words, a.invocation()...)
	return strings.Join(append(words, id, "--target", shellQuote("./restored-"+id)), " ")
}

// invocation repeats the flags that say where the repository is and how it is opened.
func (a *app) invocation() (words []string) {
	a.root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		_, byEnvironment := f.Annotations[fromEnvironment]
		switch f.Name {
		case "repo":
			if a.global.repo == "" || byEnvironment {
				return
			}
		case "password-file", "password-command", "keyfile", "age-identity", "cache-dir":
			if !f.Changed || f.Value.String() == "-" {
				return
			}
		default:
			return
		}
		words = append(words, "--"+f.Name, shellQuote(f.Value.String()))
	})
	return words
}
